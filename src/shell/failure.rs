//! What the user is told when a command does not succeed, in zkCli's words.

use crate::client::{ClientError, ErrorCode, MultiError};
use serde_json::{Value, json};

/// Exit code of a command that failed.
pub(crate) const EXIT_FAILED: u8 = 1;
/// Exit code of a command that does not exist.
pub(crate) const EXIT_UNKNOWN: u8 = 127;

/// Why a command did not succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There is no such command.
    Unknown(String),
    /// The command exists but not in this form: its usage, perhaps with a reason.
    Usage {
        /// How it is used.
        usage: &'static str,
        /// What was wrong.
        reason: Option<String>,
    },
    /// The shell itself refuses.
    Refused(String),
    /// The client or a server refuses.
    Client {
        /// What was asked about, if anything.
        path: Option<String>,
        /// Why.
        error: ClientError,
    },
}

impl Failure {
    /// What stands on stderr, without the end of the line.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Unknown(name) => format!("Command not found: Command not found {name}"),
            Self::Usage { usage, reason: None } => (*usage).to_owned(),
            Self::Usage { usage, reason: Some(reason) } => format!("{reason}\n{usage}"),
            Self::Refused(reason) => reason.clone(),
            Self::Client { path, error } => client_text(path.as_deref(), error),
        }
    }

    /// The same for programs.
    pub(crate) fn json(&self) -> Value {
        let name = match self {
            Self::Unknown(_) => "UnknownCommand".to_owned(),
            Self::Usage { .. } => "Usage".to_owned(),
            Self::Refused(_) => "Refused".to_owned(),
            Self::Client { error, .. } => match error.code() {
                Some(code) => format!("{code:?}"),
                None => "ClientError".to_owned(),
            },
        };
        let path = match self {
            Self::Client { path, .. } => path.clone(),
            Self::Unknown(_) | Self::Usage { .. } | Self::Refused(_) => None,
        };
        json!({ "error": { "name": name, "path": path, "message": self.text() } })
    }

    /// The exit code of a shell that was started for this one command.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unknown(_) => EXIT_UNKNOWN,
            Self::Usage { .. } | Self::Refused(_) | Self::Client { .. } => EXIT_FAILED,
        }
    }
}

/// Gives an error the path it is about.
pub(crate) trait About<T> {
    /// The failure of a command on this path.
    fn about(self, path: &str) -> Result<T, Failure>;
}

impl<T> About<T> for Result<T, ClientError> {
    fn about(self, path: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure::Client { path: Some(path.to_owned()), error })
    }
}

impl<T> About<T> for Result<T, MultiError> {
    fn about(self, path: &str) -> Result<T, Failure> {
        self.map_err(|error| match error {
            MultiError::Refused { error, .. } | MultiError::Failed(error) => error,
        })
        .about(path)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client { path: None, error }
    }
}

fn client_text(path: Option<&str>, error: &ClientError) -> String {
    if let ClientError::InvalidPath(_) | ClientError::ConnectString(_) = error {
        return error.to_string();
    }
    let shown = path.unwrap_or("null");
    match error.code() {
        Some(ErrorCode::NoNode) => format!("Node does not exist: {shown}"),
        Some(ErrorCode::NoChildrenForEphemerals) => {
            format!("Ephemerals cannot have children: {shown}")
        }
        Some(ErrorCode::NodeExists) => format!("Node already exists: {shown}"),
        Some(ErrorCode::NotEmpty) => format!("Node not empty: {shown}"),
        Some(ErrorCode::NotReadOnly) => format!("Not a read-only call: {shown}"),
        Some(ErrorCode::InvalidAcl) => format!("Acl is not valid : {shown}"),
        Some(ErrorCode::NoAuth) => format!("Insufficient permission : {shown}"),
        Some(ErrorCode::BadArguments) => format!("Arguments are not valid : {shown}"),
        Some(ErrorCode::BadVersion) => format!("version No is not valid : {shown}"),
        Some(ErrorCode::QuotaExceeded) => format!("Quota has exceeded : {shown}"),
        Some(ErrorCode::ReconfigInProgress) => "Another reconfiguration is in progress -- \
            concurrent reconfigs not supported (yet)"
            .to_owned(),
        Some(ErrorCode::NewConfigNoQuorum) => "No quorum of new config is connected and \
            up-to-date with the leader of last committed config - try invoking reconfiguration \
            after new servers are connected and synced"
            .to_owned(),
        Some(_) | None => match path {
            Some(path) => format!("{error} for {path}"),
            None => error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(code: ErrorCode, path: Option<&str>) -> String {
        let error = ClientError::from_code(code);
        Failure::Client { path: path.map(str::to_owned), error }.text()
    }

    #[test]
    fn failures_read_as_in_zkcli() {
        assert_eq!(text(ErrorCode::NoNode, Some("/a")), "Node does not exist: /a");
        assert_eq!(text(ErrorCode::NoAuth, Some("/a")), "Insufficient permission : /a");
        assert_eq!(
            text(ErrorCode::NoWatcher, Some("/a")),
            "KeeperErrorCode = No such watcher for /a"
        );
        assert_eq!(
            text(ErrorCode::ReconfigDisabled, None),
            "KeeperErrorCode = Reconfig is disabled"
        );
    }

    #[test]
    fn programs_get_names_and_exit_codes() {
        let unknown = Failure::Unknown("x".into());
        assert_eq!(unknown.exit_code(), 127);
        let error = ClientError::from_code(ErrorCode::NoNode);
        let failure = Failure::Client { path: Some("/a".into()), error };
        assert_eq!(failure.exit_code(), 1);
        assert_eq!(failure.json()["error"]["name"], "NoNode");
        assert_eq!(failure.json()["error"]["path"], "/a");
    }
}
