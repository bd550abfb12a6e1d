//! The first frame of a Jute connection, either way.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_core::wire::jute::{ConnectRequest, ConnectResponse};

fuzz_target!(|body: &[u8]| {
    let mut frame = Vec::new();
    if let Ok(request) = ConnectRequest::decode(body) {
        request.encode(&mut frame);
        assert_eq!(ConnectRequest::decode(&frame[4..]), Ok(request));
    }
    if let Ok(response) = ConnectResponse::decode(body) {
        frame.clear();
        response.encode(&mut frame);
        assert_eq!(ConnectResponse::decode(&frame[4..]), Ok(response));
    }
});
