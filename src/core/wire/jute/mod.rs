//! The protocol of ZooKeeper's clients, byte for byte as Apache ZooKeeper 3.9 speaks it.
//!
//! A record is its fields in order: integers big-endian, a string or buffer behind an `i32` count
//! of bytes, a vector behind an `i32` count of elements, -1 for null. A request is a header
//! {xid, opcode} and a record, an answer is a header {xid, zxid, error} and, when the error is 0,
//! a record. Both sides are here: the server's (`request`, `respond`) and the client's (`ask`,
//! [`reply`]).

mod ask;
mod connect;
mod foreign;
mod multi;
mod opcode;
mod read;
pub mod reply;
mod request;
mod respond;
mod write;

pub use connect::{ConnectRequest, ConnectResponse};
pub use reply::{OwnedReadReply, OwnedReply, ReplyHeader, ReplyKind};

pub(super) use ask::encode_request;
pub(super) use foreign::replace_foreign;
pub(super) use request::decode_request;
pub(super) use respond::{encode_event, encode_reply};
