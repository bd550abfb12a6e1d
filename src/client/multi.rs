//! Several operations as one: all or nothing for writes, from one state for reads.

use super::operations::CreateOptions;
use super::paths::{server_path, server_prefix};
use super::{Client, ClientError};
use ostler_core::types::{Create, ErrorCode, Op, Outcome, Read, Request, Stat};
use ostler_core::wire::{OwnedReadReply, OwnedReply};

/// Writes that happen together or not at all, collected one by one.
#[derive(Clone, Debug, Default)]
pub struct Multi {
    steps: Vec<Step>,
}

#[derive(Clone, Debug)]
enum Step {
    Create { path: String, data: Option<Vec<u8>>, options: CreateOptions },
    Delete { path: String, version: i32 },
    SetData { path: String, data: Option<Vec<u8>>, version: i32 },
    Check { path: String, version: i32 },
}

/// What one write of a multi came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultiResult {
    /// A znode was created at this path.
    Created {
        /// With the number of a sequential one.
        path: String,
        /// Its stat.
        stat: Stat,
    },
    /// The znode was deleted.
    Deleted,
    /// The data was replaced.
    DataSet(Stat),
    /// The version was as demanded.
    Checked,
}

/// Why nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MultiError {
    /// One write was refused, and none happened.
    #[error("{error} in operation {index}")]
    Refused {
        /// Which one, counted from 0.
        index: usize,
        /// Why.
        error: ClientError,
    },
    /// The multi as a whole failed.
    #[error(transparent)]
    Failed(#[from] ClientError),
}

/// What one read of a multi read found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReadResult {
    /// Data and stat.
    Data(Option<Vec<u8>>, Stat),
    /// Names of the children.
    Children(Vec<String>),
    /// This one was refused; the others stand.
    Refused(ErrorCode),
}

impl Multi {
    /// No operation yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a create.
    pub fn create(mut self, path: &str, data: Option<&[u8]>, options: CreateOptions) -> Self {
        let data = data.map(<[u8]>::to_vec);
        self.steps.push(Step::Create { path: path.to_owned(), data, options });
        self
    }

    /// Adds a delete; `version` -1 fits any.
    pub fn delete(mut self, path: &str, version: i32) -> Self {
        self.steps.push(Step::Delete { path: path.to_owned(), version });
        self
    }

    /// Adds a change of data; `version` -1 fits any.
    pub fn set_data(mut self, path: &str, data: Option<&[u8]>, version: i32) -> Self {
        let data = data.map(<[u8]>::to_vec);
        self.steps.push(Step::SetData { path: path.to_owned(), data, version });
        self
    }

    /// Adds a demand: the znode exists with this version, -1 for any.
    pub fn check(mut self, path: &str, version: i32) -> Self {
        self.steps.push(Step::Check { path: path.to_owned(), version });
        self
    }
}

impl Step {
    fn rooted(self, chroot: &str) -> Result<Self, ClientError> {
        Ok(match self {
            Self::Create { path, data, options } => {
                let path = match options.sequential {
                    true => server_prefix(chroot, &path)?,
                    false => server_path(chroot, &path)?,
                };
                Self::Create { path, data, options }
            }
            Self::Delete { path, version } => {
                Self::Delete { path: server_path(chroot, &path)?, version }
            }
            Self::SetData { path, data, version } => {
                Self::SetData { path: server_path(chroot, &path)?, data, version }
            }
            Self::Check { path, version } => {
                Self::Check { path: server_path(chroot, &path)?, version }
            }
        })
    }

    fn operation(&self) -> Op<'_> {
        match self {
            Self::Create { path, data, options } => {
                let create: Create<'_> = options.operation(path, data.as_deref());
                Op::Create(create)
            }
            Self::Delete { path, version } => Op::Delete { path, version: *version },
            Self::SetData { path, data, version } => {
                Op::SetData { path, data: data.as_deref(), version: *version }
            }
            Self::Check { path, version } => Op::Check { path, version: *version },
        }
    }
}

impl Client {
    /// Carries out all operations or none; one result each, in order.
    ///
    /// # Errors
    /// [`MultiError::Refused`] names the operation that was refused.
    pub async fn multi(&self, multi: Multi) -> Result<Vec<MultiResult>, MultiError> {
        let steps: Vec<Step> = multi
            .steps
            .into_iter()
            .map(|step| step.rooted(self.chroot()))
            .collect::<Result<_, _>>()?;
        let operations = steps.iter().map(Step::operation).collect();
        let reply = self.ask(&Request::Write(Op::Multi(operations))).await?;
        let OwnedReply::Outcome(Outcome::Multi(outcomes)) = reply else {
            return Err(ClientError::UnexpectedAnswer.into());
        };
        if let Some(refused) = refusal_of(&outcomes) {
            return Err(refused);
        }
        outcomes.into_iter().map(|outcome| Ok(self.multi_result(outcome)?)).collect()
    }

    /// Reads data of some znodes and names of children of others at one moment, in that order.
    ///
    /// # Errors
    /// Only if the whole failed; a refusal of one read stands in its place.
    pub async fn multi_read(
        &self,
        data: &[&str],
        children: &[&str],
    ) -> Result<Vec<ReadResult>, ClientError> {
        let rooted = |paths: &[&str]| -> Result<Vec<String>, ClientError> {
            paths.iter().map(|path| server_path(self.chroot(), path)).collect()
        };
        let (data, children) = (rooted(data)?, rooted(children)?);
        let data = data.iter().map(|path| Read::Data { path, watch: false });
        let children =
            children.iter().map(|path| Read::Children { path, watch: false, with_stat: false });
        let reads = data.chain(children).collect();
        let OwnedReply::Reads(replies) = self.ask(&Request::Read(Read::Multi(reads))).await? else {
            return Err(ClientError::UnexpectedAnswer);
        };
        Ok(replies.into_iter().map(read_result).collect())
    }

    fn multi_result(&self, outcome: Outcome) -> Result<MultiResult, ClientError> {
        match outcome {
            Outcome::Created { path, stat } => {
                Ok(MultiResult::Created { path: self.shown(&path), stat: stat.unwrap_or_default() })
            }
            Outcome::Deleted => Ok(MultiResult::Deleted),
            Outcome::DataSet(stat) => Ok(MultiResult::DataSet(stat)),
            Outcome::Checked => Ok(MultiResult::Checked),
            Outcome::RolledBack
            | Outcome::AclSet(_)
            | Outcome::Multi(_)
            | Outcome::SessionCreated { .. }
            | Outcome::SessionClosed
            | Outcome::Failed(_) => Err(ClientError::UnexpectedAnswer),
        }
    }
}

/// The operation that brought the multi down: the others carry only the mark "not executed", or
/// none where they stand before it.
fn refusal_of(outcomes: &[Outcome]) -> Option<MultiError> {
    let mut first = None;
    for (index, outcome) in outcomes.iter().enumerate() {
        let Outcome::Failed(code) = outcome else { continue };
        let refused = MultiError::Refused { index, error: ClientError::from_code(*code) };
        if *code != ErrorCode::RuntimeInconsistency {
            return Some(refused);
        }
        first.get_or_insert(refused);
    }
    first
}

fn read_result(reply: OwnedReadReply) -> ReadResult {
    match reply {
        OwnedReadReply::Data(data, stat) => ReadResult::Data(data, stat),
        OwnedReadReply::Children(names) => ReadResult::Children(names),
        OwnedReadReply::Error(code) => ReadResult::Refused(code),
    }
}
