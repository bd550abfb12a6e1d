//! The error codes of ZooKeeper's client protocol. No other code may ever reach a client: the
//! Java client throws on codes it does not know.

/// A refusal as clients see it. The numbers are ZooKeeper's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(i32)]
pub enum ErrorCode {
    /// The server failed in a way the client cannot help.
    SystemError = -1,
    /// In a failed multi: not executed because another operation failed.
    RuntimeInconsistency = -2,
    /// The server's data contradicts itself.
    DataInconsistency = -3,
    /// Made by clients only: the connection broke, the outcome is unknown.
    ConnectionLoss = -4,
    /// The request's body could not be decoded. The connection goes on.
    MarshallingError = -5,
    /// The server does not know the operation, or it is switched off.
    Unimplemented = -6,
    /// Made by clients only.
    OperationTimeout = -7,
    /// A path, flag or argument that can never be right.
    BadArguments = -8,
    /// The session is not known to this server.
    UnknownSession = -12,
    /// Reconfiguration: the new ensemble has no quorum in step.
    NewConfigNoQuorum = -13,
    /// Reconfiguration: another one is under way.
    ReconfigInProgress = -14,
    /// The znode, or its parent, does not exist.
    NoNode = -101,
    /// The connection's identities lack the permission.
    NoAuth = -102,
    /// The expected version is not the actual one.
    BadVersion = -103,
    /// The parent is ephemeral.
    NoChildrenForEphemerals = -108,
    /// The znode exists.
    NodeExists = -110,
    /// The znode has children.
    NotEmpty = -111,
    /// The session was closed or has expired.
    SessionExpired = -112,
    /// The ACL is empty or names something that does not exist.
    InvalidAcl = -114,
    /// The identity could not be proven.
    AuthFailed = -115,
    /// Another connection has taken the session over.
    SessionMoved = -118,
    /// A write on a server that serves reads only.
    NotReadOnly = -119,
    /// An ephemeral on a local session.
    EphemeralOnLocalSession = -120,
    /// No such watch on this connection.
    NoWatcher = -121,
    /// Made by clients only: the request's own time ran out.
    RequestTimeout = -122,
    /// Reconfiguration is switched off.
    ReconfigDisabled = -123,
    /// The server demands SASL authentication first.
    SessionClosedRequireAuth = -124,
    /// A hard quota would be exceeded.
    QuotaExceeded = -125,
    /// The request was dropped to shed load.
    ThrottledOp = -127,
}

impl ErrorCode {
    /// The number on the wire.
    pub fn code(self) -> i32 {
        self as i32
    }

    /// The code with this number, or `None` if ZooKeeper has none.
    pub fn from_code(code: i32) -> Option<Self> {
        ALL.iter().copied().find(|error| error.code() == code)
    }
}

const ALL: [ErrorCode; 29] = [
    ErrorCode::SystemError,
    ErrorCode::RuntimeInconsistency,
    ErrorCode::DataInconsistency,
    ErrorCode::ConnectionLoss,
    ErrorCode::MarshallingError,
    ErrorCode::Unimplemented,
    ErrorCode::OperationTimeout,
    ErrorCode::BadArguments,
    ErrorCode::UnknownSession,
    ErrorCode::NewConfigNoQuorum,
    ErrorCode::ReconfigInProgress,
    ErrorCode::NoNode,
    ErrorCode::NoAuth,
    ErrorCode::BadVersion,
    ErrorCode::NoChildrenForEphemerals,
    ErrorCode::NodeExists,
    ErrorCode::NotEmpty,
    ErrorCode::SessionExpired,
    ErrorCode::InvalidAcl,
    ErrorCode::AuthFailed,
    ErrorCode::SessionMoved,
    ErrorCode::NotReadOnly,
    ErrorCode::EphemeralOnLocalSession,
    ErrorCode::NoWatcher,
    ErrorCode::RequestTimeout,
    ErrorCode::ReconfigDisabled,
    ErrorCode::SessionClosedRequireAuth,
    ErrorCode::QuotaExceeded,
    ErrorCode::ThrottledOp,
];
