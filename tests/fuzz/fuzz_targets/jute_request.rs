//! A Jute client's frame, as the server reads it. What decodes is written as a client would and
//! must decode to the same again; strings that are not UTF-8 are replaced once and for all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_core::types::{Op, Request};
use ostler_core::wire::{Codec, DecodeError};

fuzz_target!(|body: &[u8]| {
    if Codec::Jute.decode_request(body) == Err(DecodeError::Utf8) {
        let mended = Codec::Jute.replace_foreign(body).expect("Jute replaces");
        assert!(mended.len() <= 3 * body.len());
        assert_ne!(Codec::Jute.decode_request(&mended), Err(DecodeError::Utf8));
        round_trip(&mended);
    } else {
        round_trip(body);
    }
});

fn round_trip(body: &[u8]) {
    let Ok((xid, request)) = Codec::Jute.decode_request(body) else { return };
    if matches!(request, Request::Malformed | Request::Unknown | Request::Write(Op::Fail(_))) {
        return;
    }
    let mut frame = Vec::new();
    Codec::Jute.encode_request(xid, &request, &mut frame);
    assert_eq!(Codec::Jute.decode_request(&frame[4..]), Ok((xid, request)));
}
