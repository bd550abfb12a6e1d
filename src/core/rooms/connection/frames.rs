//! What a socket gave, cut into frames and their requests.
//!
//! Nothing is answered here. Frames that are not all there yet are left for the next time.

use crate::types::{Request, Xid};
use crate::wire::{Codec, DecodeError, Decoded};
use alloc::vec::Vec;

/// Most frames that memory is laid aside for before they are seen.
const EXPECTED_MAX: usize = 64;

/// One frame at the start of some input.
pub(super) enum Frame<'a> {
    /// It is not all there yet.
    Partial,
    /// Its length is out of range; nothing behind it can be found.
    TooLarge,
    /// Length with its prefix, and the body.
    Whole(usize, &'a [u8]),
}

/// The frame that `input` begins with.
pub(super) fn frame(codec: Codec, input: &[u8], bytes_max: usize) -> Frame<'_> {
    let Some((prefix, rest)) = input.split_first_chunk::<4>() else { return Frame::Partial };
    let length = codec.frame_length(*prefix).ok().filter(|length| *length <= bytes_max);
    let Some(length) = length else { return Frame::TooLarge };
    rest.get(..length).map_or(Frame::Partial, |body| Frame::Whole(prefix.len() + length, body))
}

/// How many frames to be ready for: requests that come together are mostly alike.
fn expected(codec: Codec, input: &[u8], bytes_max: usize) -> usize {
    match frame(codec, input, bytes_max) {
        Frame::Whole(length, _) => (input.len() / length).min(EXPECTED_MAX),
        Frame::Partial | Frame::TooLarge => 0,
    }
}

/// A request's place, and the body it is to be decoded from, its own having strings that are not
/// UTF-8. Requests borrow from their bodies, so these wait until all of them are there.
pub(super) type Mended = (usize, Vec<u8>);

/// All whole frames of some input.
pub(super) struct Frames<'a> {
    /// Their requests, in order.
    pub(super) requests: Vec<Decoded<'a>>,
    /// Whether what follows them breaks the protocol.
    pub(super) broken: bool,
    /// Up to which number the client has heard all answers, if it said so.
    pub(super) heard: Option<Xid>,
    ends: Vec<End>,
}

/// Where a frame ends.
#[derive(Clone, Copy, Default)]
pub(super) struct End {
    /// Requests up to here.
    pub(super) requests: usize,
    /// Bytes up to here.
    pub(super) bytes: usize,
}

impl<'a> Frames<'a> {
    /// Cuts up `input`, as far as it is sound. Requests that are `mended` are malformed until they
    /// are taken in.
    pub(super) fn cut(
        codec: Codec,
        input: &'a [u8],
        bytes_max: usize,
        mended: &mut Vec<Mended>,
    ) -> Self {
        let expected = expected(codec, input, bytes_max);
        let mut frames = Self {
            requests: Vec::with_capacity(expected),
            broken: false,
            heard: None,
            ends: Vec::with_capacity(expected),
        };
        let mut bytes = 0;
        loop {
            match frame(codec, &input[bytes..], bytes_max) {
                Frame::Partial => break,
                Frame::Whole(length, body) if frames.decode(codec, body, mended) => {
                    bytes += length;
                    frames.heard = codec.decode_heard(body).or(frames.heard);
                    frames.ends.push(End { requests: frames.requests.len(), bytes });
                }
                Frame::TooLarge | Frame::Whole(..) => {
                    frames.broken = true;
                    break;
                }
            }
        }
        frames
    }

    /// Decodes the requests of one frame; false if it is unsound.
    fn decode(&mut self, codec: Codec, body: &'a [u8], mended: &mut Vec<Mended>) -> bool {
        match codec.decode_requests(body, &mut self.requests) {
            Ok(()) => true,
            Err(DecodeError::Utf8) => codec.replace_foreign(body).is_some_and(|replaced| {
                mended.push((self.requests.len(), replaced));
                self.requests.push((Xid(0), Request::Malformed, body));
                true
            }),
            Err(_) => false,
        }
    }

    /// Puts the requests whose bodies were mended in their places.
    pub(super) fn take_in(&mut self, codec: Codec, mended: &'a [Mended]) {
        for (place, body) in mended {
            if let Ok((xid, request)) = codec.decode_request(body) {
                self.requests[*place] = (xid, request, body);
            }
        }
    }

    /// The end of the last frame that is dealt with when the first `requests` are.
    pub(super) fn end_within(&self, requests: usize) -> End {
        let whole = self.ends.partition_point(|end| end.requests <= requests);
        whole.checked_sub(1).map_or_else(End::default, |last| self.ends[last])
    }
}
