//! The payload of a transaction, as it comes from a log or from another server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_core::wire::txn;

fuzz_target!(|bytes: &[u8]| {
    let Ok(payload) = txn::decode(bytes) else { return };
    let mut again = Vec::new();
    match payload.once() {
        None => txn::encode(payload.session, payload.cxid, &payload.ids, &payload.op, &mut again),
        Some(once) => {
            txn::encode_once(payload.session, once, &payload.ids, &payload.op, &mut again);
        }
    }
    assert_eq!(txn::decode(&again), Ok(payload));
});
