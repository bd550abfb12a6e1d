//! Ostler's own protocol, both sides: requests in batches, answers that say what they are.
//!
//! A connection begins with 8 bytes from the client: `OSTLER` and the version of the protocol, a
//! little-endian `u16`. Then both sides send frames: a little-endian `u32` count of bytes and
//! that many bytes. The client's first frame is a [`Hello`], the server's a [`Welcome`]. After
//! them a frame of the client holds any number of numbered requests, and how many answers it has
//! heard, and a frame of the server
//! one answer or one event behind its header {xid `i32`, zxid `i64`, error `i32`}.
//!
//! Bodies are bincode in its legacy form: integers little-endian in their full width, a `u64`
//! count before strings, bytes and lists, a `u32` before the fields of a variant. `message` and
//! the file of that name in `peer` are the only ones that name bincode. Bodies are read strictly: a frame that is not exactly what
//! it should be closes the connection.

mod answer;
mod ask;
mod message;

pub use message::{
    GREETING_BYTES, Hello, HelloOptions, Refusal, VERSION, Welcome, check_greeting, greeting,
};

pub(super) use message::{List, frame, read, read_all, write};

pub(super) use answer::{decode_event, decode_header, decode_reply, encode_event, encode_reply};
pub use ask::stamp;
pub(super) use ask::{decode_heard, decode_request, decode_requests, encode_requests};
