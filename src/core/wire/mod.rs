//! Bytes that leave or enter the process, except those on disk below the log's entries: the Jute
//! protocol of ZooKeeper's clients, Ostler's native protocol, the protocol between servers, and the
//! payload of a transaction.
//!
//! Nothing here reads a socket, holds a connection's state or decides a request. Connections and
//! the pipeline call it on the server's side, the client library on the other. Every decoder is
//! total: it answers or refuses any input, never panics, and never allocates more than in
//! proportion to the bytes it was given.

#[cfg(test)]
mod golden_test;
pub mod jute;
pub mod native;
#[cfg(test)]
mod native_test;
pub mod peer;
mod sniff;
pub mod txn;

pub use jute::{OwnedReadReply, OwnedReply, ReplyHeader, ReplyKind};
pub use sniff::{FourLetterWord, Sniffed, sniff};

use crate::types::{AuthId, Reply, Request, WatchEvent, Xid, Zxid};
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

/// A request of a frame: its number, what it asks, and its own bytes, from which
/// [`Codec::decode_request`] gives the same again.
pub type Decoded<'a> = (Xid, Request<'a>, &'a [u8]);

/// Which protocol a connection speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// ZooKeeper's: frames behind a big-endian `i32` length.
    Jute,
    /// Ostler's own: frames behind a little-endian `u32` length.
    Native,
}

impl Codec {
    /// The requests in one frame's body, appended in order: one in Jute, up to
    /// [`NATIVE_FRAME_REQUESTS_MAX`](crate::types::limits::NATIVE_FRAME_REQUESTS_MAX) in the
    /// native protocol. A frame is taken whole or not at all.
    ///
    /// A body that cannot be decoded becomes [`Request::Malformed`], or an
    /// [`Op::Fail`](crate::types::Op::Fail) where ZooKeeper spends a zxid on it; an operation that
    /// does not exist, or that no client may ask for, becomes [`Request::Unknown`]. A ping always
    /// has [`Xid::PING`], whatever number it came with.
    ///
    /// # Errors
    /// If the connection is to be closed without an answer: there is no header, an auth or SASL
    /// packet cannot be decoded, or a native frame is anything but sound. [`DecodeError::Utf8`] of
    /// a Jute frame is no reason to close: see [`Codec::replace_foreign`].
    pub fn decode_requests<'a>(
        self,
        body: &'a [u8],
        into: &mut Vec<Decoded<'a>>,
    ) -> Result<(), DecodeError> {
        match self {
            Self::Jute => {
                let (xid, request) = jute::decode_request(body)?;
                into.push((xid, request, body));
                Ok(())
            }
            Self::Native => native::decode_requests(body, into),
        }
    }

    /// Up to which number the client that sent this frame has heard all answers, if it says so.
    pub fn decode_heard(self, body: &[u8]) -> Option<Xid> {
        match self {
            Self::Jute => None,
            Self::Native => native::decode_heard(body),
        }
    }

    /// The body of a frame whose decoding ended in [`DecodeError::Utf8`], with other strings in
    /// place of those that are not UTF-8, so that it decodes; `None` in the native protocol, which
    /// has no such strings. ZooKeeper reads U+FFFD for bytes that are no character and goes on: no
    /// valid path has one, but the id of an ACL may.
    pub fn replace_foreign(self, body: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Jute => Some(jute::replace_foreign(body)),
            Self::Native => None,
        }
    }

    /// One request from its own bytes, as [`Codec::decode_requests`] tells them apart.
    ///
    /// # Errors
    /// As there.
    pub fn decode_request<'a>(self, own: &'a [u8]) -> Result<(Xid, Request<'a>), DecodeError> {
        match self {
            Self::Jute => jute::decode_request(own),
            Self::Native => native::decode_request(own),
        }
    }

    /// Appends requests to be sent together: a frame each in Jute, as few as they fit in in the
    /// native protocol.
    pub fn encode_requests(self, requests: &[(Xid, &Request<'_>)], out: &mut Vec<u8>) {
        match self {
            Self::Jute => {
                for (xid, request) in requests {
                    jute::encode_request(*xid, request, out);
                }
            }
            Self::Native => native::encode_requests(requests, out),
        }
    }

    /// The length of the body behind these 4 bytes, in bytes; whoever reads the frame bounds it.
    ///
    /// # Errors
    /// If it is negative.
    pub fn frame_length(self, prefix: [u8; 4]) -> Result<usize, DecodeError> {
        match self {
            Self::Jute => usize::try_from(i32::from_be_bytes(prefix)),
            Self::Native => usize::try_from(u32::from_le_bytes(prefix)),
        }
        .map_err(|_| DecodeError::Length)
    }

    /// The header of an answer or event and what follows it, for the client.
    ///
    /// # Errors
    /// If there is no header.
    pub fn decode_reply_header(self, body: &[u8]) -> Result<(ReplyHeader, &[u8]), DecodeError> {
        match self {
            Self::Jute => jute::reply::decode_header(body),
            Self::Native => native::decode_header(body),
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
            (Self::Native, 0) => native::decode_reply(record),
            (Self::Jute | Self::Native, code) => {
                jute::reply::error_code(code).map(OwnedReply::Error)
            }
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
            Self::Native => native::decode_event(header.zxid, record),
        }
    }

    /// Appends the whole frame of a request, for the client.
    pub fn encode_request(self, xid: Xid, request: &Request<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Jute => jute::encode_request(xid, request, out),
            Self::Native => native::encode_requests(&[(xid, request)], out),
        }
    }

    /// Appends the whole frame of an answer. `zxid` is the state of the tree it was made from, 0
    /// for auth and SASL, -1 (as [`Zxid::from_wire`]) for an operation that does not exist.
    pub fn encode_reply(self, xid: Xid, zxid: Zxid, reply: &Reply<'_>, out: &mut Vec<u8>) {
        match self {
            Self::Jute => jute::encode_reply(xid, zxid, reply, out),
            Self::Native => native::encode_reply(xid, zxid, reply, out),
        }
    }

    /// Appends the whole frame of a watch event.
    pub fn encode_event(self, event: &WatchEvent, out: &mut Vec<u8>) {
        match self {
            Self::Jute => jute::encode_event(event, out),
            Self::Native => native::encode_event(event, out),
        }
    }
}

/// The user of an identity as clients may see it: of a digest never the hash.
fn shown_user(id: &AuthId) -> &str {
    match id.id.split_once(':') {
        Some((user, _)) if id.scheme == "digest" => user,
        _ => &id.id,
    }
}
