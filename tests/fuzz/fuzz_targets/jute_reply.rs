//! A server's frame, as a Jute client reads it. The first byte picks what was asked for. What
//! decodes is written as a server would and must decode to the same again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_core::types::Xid;
use ostler_core::wire::{Codec, ReplyKind};

fuzz_target!(|input: &[u8]| {
    let Some((pick, body)) = input.split_first() else { return };
    let Ok((header, record)) = Codec::Jute.decode_reply_header(body) else { return };
    let mut frame = Vec::new();
    if header.xid == Xid::EVENT {
        let Ok(event) = Codec::Jute.decode_event(header, record) else { return };
        Codec::Jute.encode_event(&event, &mut frame);
        let (header, record) = Codec::Jute.decode_reply_header(&frame[4..]).expect("a header");
        assert_eq!(Codec::Jute.decode_event(header, record), Ok(event));
        return;
    }
    let kind = ReplyKind::ALL[usize::from(*pick) % ReplyKind::ALL.len()];
    let Ok(reply) = Codec::Jute.decode_reply(kind, header, record) else { return };
    Codec::Jute.encode_reply(header.xid, header.zxid, &reply.as_reply(), &mut frame);
    let (header, record) = Codec::Jute.decode_reply_header(&frame[4..]).expect("a header");
    let again = Codec::Jute.decode_reply(kind, header, record).expect("what was just written");
    // The user of a digest is cut at its colon when it is written, so a second time is the same.
    let mut twice = Vec::new();
    Codec::Jute.encode_reply(header.xid, header.zxid, &again.as_reply(), &mut twice);
    assert_eq!(frame, twice);
});
