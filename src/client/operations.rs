//! The operations of the protocol, one method each.
//!
//! Every method can fail with the refusals of its operation, with
//! [`ClientError::ConnectionLoss`], [`ClientError::SessionExpired`] or
//! [`ClientError::RequestTimeout`], and with [`ClientError::InvalidPath`] before anything is sent.

use super::event::Watch;
use super::paths::{server_path, server_prefix};
use super::shared::{Answer, WatchEffect};
use super::watches::{Table, shown_path};
use super::{Client, ClientError};
use ostler_core::types::{
    Acl, AclEntry, AuthId, Create, CreateMode, CreateVariant, ErrorCode, Kind, Op, Outcome, Perms,
    Read, RemoveKind, Request, Stat, WatchMode, WatchOp,
};
use ostler_core::wire::OwnedReply;
use std::future::Future;
use tokio::sync::mpsc::unbounded_channel;

/// Everything allowed to everyone.
pub fn open_acl() -> Vec<Acl> {
    vec![Acl { perms: Perms::ALL, scheme: "world".into(), id: "anyone".into() }]
}

/// What kind of znode to create, and who may do what with it.
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// Whether the parent's counter is appended to the name.
    pub sequential: bool,
    /// The kind of znode.
    pub kind: Kind,
    /// Time to live in milliseconds, 1 to 2^40 - 1; only for [`Kind::Ttl`].
    pub ttl_ms: i64,
    /// Permissions; the default is [`open_acl`].
    pub acl: Vec<Acl>,
}

impl Default for CreateOptions {
    fn default() -> Self {
        Self { sequential: false, kind: Kind::Persistent, ttl_ms: 0, acl: open_acl() }
    }
}

impl CreateOptions {
    /// A znode of this kind, open to everyone.
    pub fn of(kind: Kind) -> Self {
        Self { kind, ..Self::default() }
    }

    /// With the parent's counter appended to the name.
    pub fn sequential(mut self) -> Self {
        self.sequential = true;
        self
    }

    /// The operation for a server's path.
    pub(crate) fn operation<'a>(&'a self, path: &'a str, data: Option<&'a [u8]>) -> Create<'a> {
        let variant = match self.kind {
            Kind::Persistent | Kind::Ephemeral => CreateVariant::WithStat,
            Kind::Container => CreateVariant::Container,
            Kind::Ttl => CreateVariant::Ttl,
        };
        let mode = CreateMode { kind: self.kind, sequential: self.sequential };
        let acl = self.acl.iter().map(Acl::as_entry).collect();
        Create { path, data, acl, flags: mode.to_flags(), ttl_ms: self.ttl_ms, variant }
    }
}

impl Client {
    /// Creates a znode; its path (with the number of a sequential one) and stat.
    pub async fn create(
        &self,
        path: &str,
        data: Option<&[u8]>,
        options: &CreateOptions,
    ) -> Result<(String, Stat), ClientError> {
        let path = match options.sequential {
            true => server_prefix(self.chroot(), path)?,
            false => server_path(self.chroot(), path)?,
        };
        match self.ask(&Request::Write(Op::Create(options.operation(&path, data)))).await? {
            OwnedReply::Outcome(Outcome::Created { path, stat }) => {
                Ok((self.shown(&path), stat.unwrap_or_default()))
            }
            _unexpected => Err(ClientError::UnexpectedAnswer),
        }
    }

    /// Deletes a znode without children; `version` -1 fits any.
    pub async fn delete(&self, path: &str, version: i32) -> Result<(), ClientError> {
        let path = &server_path(self.chroot(), path)?;
        self.ask(&Request::Write(Op::Delete { path, version })).await.map(drop)
    }

    /// The stat of a znode, or `None` if it does not exist.
    pub async fn exists(&self, path: &str) -> Result<Option<Stat>, ClientError> {
        let path = &server_path(self.chroot(), path)?;
        existing(self.ask(&Request::Read(Read::Exists { path, watch: false })).await)
    }

    /// The same, with a watch for the next creation, deletion or change of data.
    pub async fn exists_watched(&self, path: &str) -> Result<(Option<Stat>, Watch), ClientError> {
        let path = server_path(self.chroot(), path)?;
        let request = Request::Read(Read::Exists { path: &path, watch: true });
        let (reply, watch) = self.ask_watched(&request, Table::Data, &path).await;
        Ok((existing(reply)?, watch))
    }

    /// Data, where null is not empty, and stat.
    pub async fn data(&self, path: &str) -> Result<(Option<Vec<u8>>, Stat), ClientError> {
        let path = &server_path(self.chroot(), path)?;
        data_of(self.ask(&Request::Read(Read::Data { path, watch: false })).await?)
    }

    /// The same, with a watch for the next change of data or deletion.
    pub async fn data_watched(
        &self,
        path: &str,
    ) -> Result<(Option<Vec<u8>>, Stat, Watch), ClientError> {
        let path = server_path(self.chroot(), path)?;
        let request = Request::Read(Read::Data { path: &path, watch: true });
        let (reply, watch) = self.ask_watched(&request, Table::Data, &path).await;
        data_of(reply?).map(|(data, stat)| (data, stat, watch))
    }

    /// Replaces the data; `version` -1 fits any.
    pub async fn set_data(
        &self,
        path: &str,
        data: Option<&[u8]>,
        version: i32,
    ) -> Result<Stat, ClientError> {
        let path = &server_path(self.chroot(), path)?;
        match self.ask(&Request::Write(Op::SetData { path, data, version })).await? {
            OwnedReply::Outcome(Outcome::DataSet(stat)) => Ok(stat),
            _unexpected => Err(ClientError::UnexpectedAnswer),
        }
    }

    /// The ACL; without the right to change it, digests are hidden.
    pub async fn acl(&self, path: &str) -> Result<(Vec<Acl>, Stat), ClientError> {
        let path = &server_path(self.chroot(), path)?;
        match self.ask(&Request::Read(Read::Acl { path })).await? {
            OwnedReply::Acl(acl, stat) => Ok((acl, stat)),
            _unexpected => Err(ClientError::UnexpectedAnswer),
        }
    }

    /// Replaces the ACL; `version` is of the ACL, -1 fits any.
    pub async fn set_acl(
        &self,
        path: &str,
        acl: &[Acl],
        version: i32,
    ) -> Result<Stat, ClientError> {
        let path = &server_path(self.chroot(), path)?;
        let acl: Vec<AclEntry<'_>> = acl.iter().map(Acl::as_entry).collect();
        match self.ask(&Request::Write(Op::SetAcl { path, acl, version })).await? {
            OwnedReply::Outcome(Outcome::AclSet(stat)) => Ok(stat),
            _unexpected => Err(ClientError::UnexpectedAnswer),
        }
    }

    /// Names of the children, in no order, and the znode's stat.
    pub async fn children(&self, path: &str) -> Result<(Vec<String>, Stat), ClientError> {
        let path = &server_path(self.chroot(), path)?;
        let read = Read::Children { path, watch: false, with_stat: true };
        children_of(self.ask(&Request::Read(read)).await?)
    }

    /// The same, with a watch for the next change of the list or the znode's deletion.
    pub async fn children_watched(
        &self,
        path: &str,
    ) -> Result<(Vec<String>, Stat, Watch), ClientError> {
        let path = server_path(self.chroot(), path)?;
        let read = Read::Children { path: &path, watch: true, with_stat: true };
        let (reply, watch) = self.ask_watched(&Request::Read(read), Table::Child, &path).await;
        children_of(reply?).map(|(names, stat)| (names, stat, watch))
    }

    /// Number of all descendants.
    pub async fn descendant_count(&self, path: &str) -> Result<i32, ClientError> {
        let path = &server_path(self.chroot(), path)?;
        match self.ask(&Request::Read(Read::DescendantCount { path })).await? {
            OwnedReply::Count(count) => Ok(count),
            _unexpected => Err(ClientError::UnexpectedAnswer),
        }
    }

    /// Paths of this session's ephemerals that start with `prefix`, as plain text.
    pub async fn ephemerals(&self, prefix: &str) -> Result<Vec<String>, ClientError> {
        let prefix = &server_path(self.chroot(), prefix)?;
        match self.ask(&Request::Read(Read::Ephemerals { prefix })).await? {
            OwnedReply::Paths(paths) => Ok(paths.iter().map(|path| self.shown(path)).collect()),
            _unexpected => Err(ClientError::UnexpectedAnswer),
        }
    }

    /// Waits until this session's server has caught up with everything written before.
    pub async fn sync(&self, path: &str) -> Result<(), ClientError> {
        let path = &server_path(self.chroot(), path)?;
        self.ask(&Request::Sync(path)).await.map(drop)
    }

    /// Sets a watch that stays. The znode need not exist.
    pub async fn watch(&self, path: &str, mode: WatchMode) -> Result<Watch, ClientError> {
        let path = server_path(self.chroot(), path)?;
        let table = match mode {
            WatchMode::Persistent => Table::Persistent,
            WatchMode::PersistentRecursive => Table::Recursive,
        };
        let request = Request::Watch(WatchOp::Add { path: &path, mode });
        let (reply, watch) = self.ask_watched(&request, table, &path).await;
        reply.map(|_done| watch)
    }

    /// Ends this session's watches of a kind at a path; their streams are told and end.
    pub async fn remove_watches(&self, path: &str, kind: RemoveKind) -> Result<(), ClientError> {
        let path = server_path(self.chroot(), path)?;
        let effect = WatchEffect::Forget { path: path.clone(), kind };
        let request = Request::Watch(WatchOp::Remove { path: &path, kind });
        self.finish(self.handle.shared.submit(&request, effect)).await.map(drop)
    }

    /// The same without asking the server, which may go on sending events that nobody hears;
    /// whether there were any such watches.
    pub fn forget_watches(&self, path: &str, kind: RemoveKind) -> Result<bool, ClientError> {
        let path = server_path(self.chroot(), path)?;
        Ok(self.handle.shared.lock().watches.forget(&path, kind))
    }

    /// Whether the server knows a watch of this kind, which it says by not refusing.
    pub async fn check_watches(&self, path: &str, kind: RemoveKind) -> Result<(), ClientError> {
        let path = &server_path(self.chroot(), path)?;
        self.ask(&Request::Watch(WatchOp::Check { path, kind })).await.map(drop)
    }

    /// Proves an identity, on this connection and on all later ones. A refusal ends the session.
    pub async fn add_auth(&self, scheme: &str, proof: &[u8]) -> Result<(), ClientError> {
        let answer = self.handle.shared.lock().authenticate(scheme, proof);
        self.handle.shared.bell.notify_one();
        self.within_timeout(async move { answer.await.unwrap_or(Err(ClientError::ConnectionLoss)) })
            .await
    }

    /// The identities this connection has proven; of a digest only the user.
    pub async fn who_am_i(&self) -> Result<Vec<AuthId>, ClientError> {
        match self.ask(&Request::WhoAmI).await? {
            OwnedReply::Identities(ids) => Ok(ids),
            _unexpected => Err(ClientError::UnexpectedAnswer),
        }
    }

    /// Hands the server a SASL token; its token in return.
    pub async fn sasl(&self, token: &[u8]) -> Result<Option<Vec<u8>>, ClientError> {
        match self.ask(&Request::Sasl(token)).await? {
            OwnedReply::Token(token) => Ok(token),
            _unexpected => Err(ClientError::UnexpectedAnswer),
        }
    }

    pub(crate) fn chroot(&self) -> &str {
        &self.handle.chroot
    }

    pub(crate) fn shown(&self, path: &str) -> String {
        shown_path(self.chroot(), path).to_owned()
    }

    pub(crate) async fn ask(&self, request: &Request<'_>) -> Result<OwnedReply, ClientError> {
        let answer = self.handle.shared.submit(request, WatchEffect::None);
        self.finish(answer).await
    }

    async fn ask_watched(
        &self,
        request: &Request<'_>,
        table: Table,
        path: &str,
    ) -> (Result<OwnedReply, ClientError>, Watch) {
        let (stream, events) = unbounded_channel();
        let effect = WatchEffect::Register { table, path: path.to_owned(), stream };
        let answer = self.handle.shared.submit(request, effect);
        (self.finish(answer).await, Watch { events })
    }

    pub(crate) async fn finish(&self, answer: Answer) -> Result<OwnedReply, ClientError> {
        self.within_timeout(async move { answer.await.unwrap_or(Err(ClientError::ConnectionLoss)) })
            .await
    }

    async fn within_timeout<T>(
        &self,
        answer: impl Future<Output = Result<T, ClientError>>,
    ) -> Result<T, ClientError> {
        let Some(patience) = self.handle.request_timeout else { return answer.await };
        tokio::time::timeout(patience, answer).await.unwrap_or(Err(ClientError::RequestTimeout))
    }
}

fn existing(reply: Result<OwnedReply, ClientError>) -> Result<Option<Stat>, ClientError> {
    match reply {
        Ok(OwnedReply::Stat(stat)) => Ok(Some(stat)),
        Ok(_) => Err(ClientError::UnexpectedAnswer),
        Err(error) if error.code() == Some(ErrorCode::NoNode) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(crate) fn data_of(reply: OwnedReply) -> Result<(Option<Vec<u8>>, Stat), ClientError> {
    match reply {
        OwnedReply::Data(data, stat) => Ok((data, stat)),
        _unexpected => Err(ClientError::UnexpectedAnswer),
    }
}

fn children_of(reply: OwnedReply) -> Result<(Vec<String>, Stat), ClientError> {
    match reply {
        OwnedReply::Children(names, stat) => Ok((names, stat.unwrap_or_default())),
        _unexpected => Err(ClientError::UnexpectedAnswer),
    }
}
