//! The payload of a transaction, as it comes from a log or from another server.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_core::wire::txn;

fuzz_target!(|bytes: &[u8]| {
    let Ok(payload) = txn::decode(bytes) else { return };
    let mut again = Vec::new();
    txn::encode(payload.session, payload.cxid, &payload.ids, &payload.op, &mut again);
    assert_eq!(txn::decode(&again), Ok(payload));
});
