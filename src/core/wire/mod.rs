//! Bytes that leave or enter the process, except those on disk below the log's entries: the Jute
//! protocol of ZooKeeper's clients, Ostler's native protocol, and the payload of a transaction.
//!
//! Nothing here reads a socket, holds a connection's state or decides a request. Connections and
//! the pipeline call it on the server's side, the client library on the other. Every decoder is
//! total: it answers or refuses any input, never panics, and never allocates more than in
//! proportion to the bytes it was given.

pub mod jute;
mod sniff;
pub mod txn;

pub use jute::{OwnedReply, ReplyHeader, ReplyKind};
pub use sniff::{FourLetterWord, Sniffed, sniff};

use crate::types::{Reply, Request, WatchEvent, Xid, Zxid};
use alloc::vec::Vec;

/// Why bytes were refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before the record does.
    #[error("the bytes end before the record does")]
    Truncated,
    /// A length is negative, or larger than what is there.
    #[error("a length is negative or larger than what is there")]
    Length,
    /// A string is not UTF-8.
    #[error("a string is not UTF-8")]
    Utf8,
    /// A value that cannot be null is null.
    #[error("null where a value is needed")]
    Null,
    /// A number that names nothing.
    #[error("{what} {value} is not known")]
    Unknown {
        /// What kind of number.
        what: &'static str,
        /// The number.
        value: i64,
    },
    /// Bytes follow the end of the record, in a format that has none there.
    #[error("bytes follow the end of the record")]
    Trailing,
    /// A record holds what its format forbids.
    #[error("{0}")]
    Malformed(&'static str),
}

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// ZooKeeper's: frames behind a big-endian `i32` length.
    Jute,
}

impl Codec {
    /// The request in one frame's body, without the frame's length.
    ///
    /// A body that cannot be decoded becomes [`Request::Malformed`], or an
    /// [`Op::Fail`](crate::types::Op::Fail) where ZooKeeper spends a zxid on it; an operation that
    /// does not exist, or that no client may ask for, becomes [`Request::Unknown`]. A ping always
    /// has [`Xid::PING`], whatever number it came with.
    ///
    /// # Errors
    /// If the connection is to be closed without an answer: there is no header, or an auth or
    /// SASL packet cannot be decoded.
    pub fn decode_request<'a>(self, body: &'a [u8]) -> Result<(Xid, Request<'a>), DecodeError> {
        match self {
            Self::Jute => jute::decode_request(body),
        }
    }

    /// The header of an answer or event and what follows it, for the client.
    ///
    /// # Errors
    /// If there is no header.
    pub fn decode_reply_header(self, body: &[u8]) -> Result<(ReplyHeader, &[u8]), DecodeError> {
        match self {
            Self::Jute => jute::reply::decode_header(body),
        }
    }

    /// The answer behind a header, which `kind` of the request it belongs to tells how to read.
    ///
    /// # Errors
    /// If the record is not of this kind, or the header's error is not one of ZooKeeper's.
    pub fn decode_reply(
        self,
        kind: ReplyKind,
        header: ReplyHeader,
        record: &[u8],
    ) -> Result<OwnedReply, DecodeError> {
        match (self, header.error) {
            (Self::Jute, 0) => jute::reply::decode_record(kind, record),
            (Self::Jute, code) => jute::reply::error_code(code).map(OwnedReply::Error),
        }
    }

    /// The event behind a header whose xid is [`Xid::EVENT`].
    ///
    /// # Errors
    /// If the record is no watch event.
    pub fn decode_event(
        self,
        header: ReplyHeader,
        record: &[u8],
    ) -> Result<WatchEvent, DecodeError> {
        match self {
            Self::Jute => jute::reply::decode_event(header.zxid, record),
        }
    }

    /// Appends the whole frame of a request, for the client.
    pub fn encode_request(self, xid: Xid, request: &Request<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Jute => jute::encode_request(xid, request, out),
        }
    }

    /// Appends the whole frame of an answer. `zxid` is the state of the tree it was made from, 0
    /// for auth and SASL, -1 (as [`Zxid::from_wire`]) for an operation that does not exist.
    pub fn encode_reply(self, xid: Xid, zxid: Zxid, reply: &Reply<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Jute => jute::encode_reply(xid, zxid, reply, out),
        }
    }

    /// Appends the whole frame of a watch event.
    pub fn encode_event(self, event: &WatchEvent, out: &mut Vec<u8>) {
        match self {
            Self::Jute => jute::encode_event(event, out),
        }
    }
}
