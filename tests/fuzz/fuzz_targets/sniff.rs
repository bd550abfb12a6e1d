//! The first bytes of a connection. More bytes never change what was told from fewer.
#![no_main]

use libfuzzer_sys::fuzz_target;
use ostler_core::wire::{Sniffed, sniff};

fuzz_target!(|bytes: &[u8]| {
    let told = sniff(bytes);
    let first = (0..=bytes.len()).map(|length| sniff(&bytes[..length]));
    let early = first.into_iter().find(|sniffed| *sniffed != Sniffed::NeedMore);
    assert_eq!(early.unwrap_or(Sniffed::NeedMore), told);
});
