//! The protocol between the servers of an ensemble: one link a pair, frames in both directions.
//!
//! A link begins with a [`Greeting`] from each side, a frame like any other: 4 bytes of length,
//! little-endian, then the body. Every later frame holds one or more messages back to back, in
//! bincode's legacy form (integers little-endian in full width, a `u64` count before bytes and
//! lists, a `u32` before the fields of a variant). Bodies are read strictly. Payloads are not
//! copied out of the frame they came in.
//!
//! `message` is the only file here that names bincode. Which message means what is Zab's affair
//! and the pipeline's.

mod message;
#[cfg(test)]
mod message_test;

pub use message::{FRAME_BYTES_MAX, Greeting, PEER_VERSION, decode, encode};

use crate::rooms::pipeline::PeerMessage;
use crate::zab::message::Notification;

/// Everything that goes over a link once both sides have greeted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkMessage {
    /// Between the peer rooms.
    Election(Notification),
    /// Between the pipelines.
    Pipeline(PeerMessage),
}
