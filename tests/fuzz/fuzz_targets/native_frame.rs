//! Native frames of either side. What decodes must come back from what is written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_core::wire::native::{Hello, Welcome, check_greeting};
use ostler_core::wire::{Codec, ReplyKind};

fuzz_target!(|body: &[u8]| {
    let _ = Hello::decode(body);
    let _ = Welcome::decode(body);
    if let Some(greeting) = body.first_chunk() {
        let _ = check_greeting(greeting);
    }
    requests(body);
    answers(body);
});

fn requests(body: &[u8]) {
    let mut decoded = Vec::new();
    // Nothing is written for no requests, so an empty frame does not come back.
    if Codec::Native.decode_requests(body, &mut decoded).is_err() || decoded.is_empty() {
        return;
    }
    for (xid, request, own) in &decoded {
        let alone = Codec::Native.decode_request(own).expect("its own bytes say it again");
        assert_eq!(alone, (*xid, request.clone()));
    }
    let batch: Vec<_> = decoded.iter().map(|(xid, request, _)| (*xid, request)).collect();
    let mut frame = Vec::new();
    Codec::Native.encode_requests(&batch, &mut frame);
    let mut again = Vec::new();
    Codec::Native.decode_requests(&frame[4..], &mut again).expect("what was just written");
    assert_eq!(again.len(), decoded.len());
}

fn answers(body: &[u8]) {
    let Ok((header, record)) = Codec::Native.decode_reply_header(body) else { return };
    let _ = Codec::Native.decode_event(header, record);
    let Ok(reply) = Codec::Native.decode_reply(ReplyKind::Done, header, record) else { return };
    let mut frame = Vec::new();
    Codec::Native.encode_reply(header.xid, header.zxid, &reply.as_reply(), &mut frame);
    let (header, record) = Codec::Native.decode_reply_header(&frame[4..]).expect("a header");
    Codec::Native.decode_reply(ReplyKind::Done, header, record).expect("what was just written");
}
