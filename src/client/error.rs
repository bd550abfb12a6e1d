//! Why an operation of the client did not succeed, under ZooKeeper's names.
//!
//! Every refusal of the protocol has its variant; the rest are failures that only a client can
//! see. Returned by every operation in this module's parent.

use ostler_core::types::ErrorCode;

/// A refusal by the server, or a failure on the way to it.
///
/// The texts are those that ZooKeeper's Java client prints; its tools and their users know them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// The server refused the operation.
    #[error("KeeperErrorCode = {}", .0.shown_name())]
    Refused(Refusal),
    /// The connection broke before the answer came: the operation may or may not have happened. So
    /// fail reads, too, that cannot be asked again because a later write may have been done.
    #[error("KeeperErrorCode = ConnectionLoss")]
    ConnectionLoss,
    /// The request's own time ran out: the operation may or may not have happened.
    #[error("KeeperErrorCode = RequestTimeout")]
    RequestTimeout,
    /// The session has ended, by the server's verdict or because it was closed.
    #[error("KeeperErrorCode = Session expired")]
    SessionExpired,
    /// The server did not accept a proof of identity; this client is of no more use.
    #[error("KeeperErrorCode = AuthFailed")]
    AuthFailed,
    /// The path can never be right.
    #[error("{0}")]
    InvalidPath(String),
    /// The connect string can never be right.
    #[error("{0}")]
    ConnectString(String),
    /// Options that do not go together.
    #[error("{0}")]
    Options(&'static str),
    /// The server answered something else than what was asked.
    #[error("the server's answer does not fit the request")]
    UnexpectedAnswer,
}

/// A code of the protocol, known to be one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal(pub ErrorCode);

impl ClientError {
    /// The error that stands for this code.
    pub fn from_code(code: ErrorCode) -> Self {
        match code {
            ErrorCode::ConnectionLoss => Self::ConnectionLoss,
            ErrorCode::RequestTimeout => Self::RequestTimeout,
            ErrorCode::SessionExpired => Self::SessionExpired,
            ErrorCode::AuthFailed => Self::AuthFailed,
            other => Self::Refused(Refusal(other)),
        }
    }

    /// The protocol's code, or `None` for errors it has no code for.
    pub fn code(&self) -> Option<ErrorCode> {
        match self {
            Self::Refused(refusal) => Some(refusal.0),
            Self::ConnectionLoss => Some(ErrorCode::ConnectionLoss),
            Self::RequestTimeout => Some(ErrorCode::RequestTimeout),
            Self::SessionExpired => Some(ErrorCode::SessionExpired),
            Self::AuthFailed => Some(ErrorCode::AuthFailed),
            Self::InvalidPath(_) | Self::Options(_) => Some(ErrorCode::BadArguments),
            Self::ConnectString(_) | Self::UnexpectedAnswer => None,
        }
    }
}

impl Refusal {
    /// ZooKeeper's name for the code, as its tools print it.
    pub fn shown_name(self) -> &'static str {
        match self.0 {
            ErrorCode::SystemError => "SystemError",
            ErrorCode::RuntimeInconsistency => "RuntimeInconsistency",
            ErrorCode::DataInconsistency => "DataInconsistency",
            ErrorCode::ConnectionLoss => "ConnectionLoss",
            ErrorCode::MarshallingError => "MarshallingError",
            ErrorCode::Unimplemented => "Unimplemented",
            ErrorCode::OperationTimeout => "OperationTimeout",
            ErrorCode::BadArguments => "BadArguments",
            ErrorCode::UnknownSession => "UnknownSession",
            ErrorCode::NewConfigNoQuorum => "NewConfigNoQuorum",
            ErrorCode::ReconfigInProgress => "ReconfigInProgress",
            ErrorCode::NoNode => "NoNode",
            ErrorCode::NoAuth => "NoAuth",
            ErrorCode::BadVersion => "BadVersion",
            ErrorCode::NoChildrenForEphemerals => "NoChildrenForEphemerals",
            ErrorCode::NodeExists => "NodeExists",
            ErrorCode::NotEmpty => "Directory not empty",
            ErrorCode::SessionExpired => "Session expired",
            ErrorCode::InvalidAcl => "InvalidACL",
            ErrorCode::AuthFailed => "AuthFailed",
            ErrorCode::SessionMoved => "Session moved",
            ErrorCode::NotReadOnly => "Not a read-only call",
            ErrorCode::EphemeralOnLocalSession => "Ephemeral node on local session",
            ErrorCode::NoWatcher => "No such watcher",
            ErrorCode::RequestTimeout => "RequestTimeout",
            ErrorCode::ReconfigDisabled => "Reconfig is disabled",
            ErrorCode::SessionClosedRequireAuth => {
                "Session closed because client failed to authenticate"
            }
            ErrorCode::QuotaExceeded => "Quota has exceeded",
            ErrorCode::ThrottledOp => "Op throttled due to high load",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_survives_the_way_through_the_error() {
        for code in (-130..0).filter_map(ErrorCode::from_code) {
            assert_eq!(ClientError::from_code(code).code(), Some(code));
        }
    }

    #[test]
    fn errors_read_as_zookeeper_prints_them() {
        let shown = |code| ClientError::from_code(code).to_string();
        assert_eq!(shown(ErrorCode::NoNode), "KeeperErrorCode = NoNode");
        assert_eq!(shown(ErrorCode::NotEmpty), "KeeperErrorCode = Directory not empty");
        assert_eq!(shown(ErrorCode::SessionExpired), "KeeperErrorCode = Session expired");
    }
}
