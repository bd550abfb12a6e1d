//! The vocabulary every other module speaks: positions, identities, errors, stats, ACLs, paths,
//! the operations a client can ask for and the answers it gets.
//!
//! Nothing here knows bytes on a wire or on a disk; `wire` and `log` turn these values into them.

mod acl;
mod error;
mod ids;
pub mod limits;
mod mode;
mod op;
mod operation;
mod outcome;
mod path;
mod quota;
mod stat;
mod watch;
mod zxid;

pub use acl::{Acl, AclEntry, AuthId, AuthIds, Perms};
pub use error::ErrorCode;
pub use ids::{ConnectionId, Once, ServerId, SessionId, Xid};
pub use mode::{CreateMode, Kind};
pub use op::{Create, CreateVariant, Op, Read, Request, WatchOp};
pub use operation::{Asked, Operation};
pub use outcome::{NameList, Outcome, ReadReply, Reply};
pub use path::{NULL, is_valid_path, parent_of, split_path};
pub use quota::Quota;
pub use stat::{Owner, Stat};
pub use watch::{EventType, RemoveKind, WatchEvent, WatchMode, WatchRegistration};
pub use zxid::{Epoch, Zxid};
