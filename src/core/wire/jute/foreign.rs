//! Strings that are not UTF-8, made readable as ZooKeeper makes them.
//!
//! ZooKeeper reads U+FFFD for bytes that are no character, and goes on. A path with one is no valid
//! path, but an ACL may hold one, and the answer to a sync gives it back. Decoded requests borrow
//! from their frame, so it is the frame that is mended, and decoded again; no known client sends
//! one that needs it.

use super::read::Reader;
use super::request::request;
use alloc::string::String;
use alloc::vec::Vec;

/// The body with every string that is not UTF-8 replaced by what ZooKeeper reads in its place.
/// The result has at most three times the bytes, and no such string.
pub(in crate::wire) fn replace_foreign(body: &[u8]) -> Vec<u8> {
    let mut reader = Reader::noting_foreign(body);
    // Whether the rest decodes is found out when the result is decoded.
    let _ = request(&mut reader);
    let mut replaced = Vec::with_capacity(body.len());
    let mut copied = 0;
    for place in reader.foreign() {
        let text = as_java_reads(&body[place.clone()]);
        let length = i32::try_from(text.len()).expect("three times a frame's bytes at most");
        // In front of every string stands its length.
        replaced.extend_from_slice(&body[copied..place.start - 4]);
        replaced.extend_from_slice(&length.to_be_bytes());
        replaced.extend_from_slice(text.as_bytes());
        copied = place.end;
    }
    replaced.extend_from_slice(&body[copied..]);
    replaced
}

/// A text as Java's decoder takes it: U+FFFD for every longest run of bytes that begins a
/// character and does not end it. Unlike Rust's it takes an encoded surrogate for one such run.
fn as_java_reads(mut bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    while let Err(error) = str::from_utf8(bytes) {
        let (good, bad) = bytes.split_at(error.valid_up_to());
        text.push_str(str::from_utf8(good).expect("valid up to here"));
        text.push(char::REPLACEMENT_CHARACTER);
        let run = match bad {
            [0xed, 0xa0..=0xbf, 0x80..=0xbf, ..] => 3,
            [0xed, 0xa0..=0xbf, ..] => 2,
            _ => error.error_len().unwrap_or(bad.len()),
        };
        bytes = &bad[run..];
    }
    text.push_str(str::from_utf8(bytes).expect("the loop ended on it"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Acl, AclEntry, Op, Perms, Read, Request, Xid};
    use crate::wire::{Codec, DecodeError};
    use std::vec;

    /// What a Java runtime gave for the same bytes.
    #[test]
    fn bytes_that_are_no_character_are_read_as_java_reads_them() {
        for (bytes, text) in [
            (&b"\xff\xfe"[..], "\u{fffd}\u{fffd}"),
            (b"/a\x80b", "/a\u{fffd}b"),
            (b"\xc3", "\u{fffd}"),
            (b"\xc3\xa9\xc3(", "\u{e9}\u{fffd}("),
            (b"\xe2\x82", "\u{fffd}"),
            (b"\xe2\x82(", "\u{fffd}("),
            (b"\xe0\x80\x80", "\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xc0\x80", "\u{fffd}\u{fffd}"),
            (b"\xed\xa0\xbd\xed\xb8\x80", "\u{fffd}\u{fffd}"),
            (b"\xed\xa0", "\u{fffd}"),
            (b"\xed\xa0/", "\u{fffd}/"),
            (b"\xf0\x90\x80", "\u{fffd}"),
            (b"\xf0\x90/", "\u{fffd}/"),
            (b"\xf4\x90\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xf8\x88\x80\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
            (b"\xf0\x9f\x98\x80", "\u{1f600}"),
        ] {
            assert_eq!(as_java_reads(bytes), text, "{bytes:x?}");
        }
    }

    #[test]
    fn a_mended_frame_decodes_and_differs_in_its_strings_alone() {
        let acl = vec![AclEntry { perms: Perms(31), scheme: "digest", id: "ann:{}" }];
        let request = Request::Write(Op::SetAcl { path: "/[]", acl, version: 3 });
        let mut frame = vec![];
        Codec::Jute.encode_request(Xid(7), &request, &mut frame);
        let mut body = frame.split_off(4);
        for byte in &mut body {
            *byte = if b"[]{}".contains(byte) { 0xff } else { *byte };
        }
        assert_eq!(Codec::Jute.decode_request(&body), Err(DecodeError::Utf8));
        let mended = replace_foreign(&body);
        let (xid, request) = Codec::Jute.decode_request(&mended).unwrap();
        let Request::Write(Op::SetAcl { path, acl, version }) = request else {
            panic!("{request:?}")
        };
        assert_eq!((xid, path, version), (Xid(7), "/\u{fffd}\u{fffd}", 3));
        let acl: Vec<Acl> = acl.iter().map(AclEntry::to_acl).collect();
        assert_eq!(&*acl[0].id, "ann:\u{fffd}\u{fffd}");
    }

    #[test]
    fn a_record_that_is_cut_short_is_malformed_before_its_strings_are_looked_at() {
        let whole = [0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0, 2, b'/', 0xff, 1];
        let mended = replace_foreign(&whole);
        let read = Read::Exists { path: "/\u{fffd}", watch: true };
        assert_eq!(Codec::Jute.decode_request(&mended), Ok((Xid(1), Request::Read(read))));
        let mended = replace_foreign(&whole[..14]);
        assert_eq!(Codec::Jute.decode_request(&mended), Ok((Xid(1), Request::Malformed)));
    }
}
