//! Transactions come back from their bytes; other bytes are refused, not believed.

use super::{KnownIds, Payload, decode, decode_knowing, encode, encode_once, path};
use crate::types::{
    AclEntry, AuthId, Create, CreateVariant, ErrorCode, Once, Op, Perms, SessionId, Xid,
};
use crate::wire::DecodeError;
use proptest::prelude::*;
use std::string::String;
use std::vec::Vec;
use std::{format, vec};

/// The parts of an operation, owned, for an [`Op`] to borrow from.
#[derive(Debug, Clone)]
pub(in crate::wire) struct Parts {
    pub(in crate::wire) kind: u8,
    pub(in crate::wire) path: String,
    pub(in crate::wire) data: Option<Vec<u8>>,
    pub(in crate::wire) acl: Vec<(i32, String, String)>,
    pub(in crate::wire) number: i32,
    pub(in crate::wire) long: i64,
    pub(in crate::wire) password: [u8; 16],
}

pub(in crate::wire) fn parts() -> impl Strategy<Value = Parts> {
    let acl = proptest::collection::vec((any::<i32>(), ".{0,9}", ".{0,9}"), 0..4);
    (
        any::<u8>(),
        ".{0,40}",
        any::<Option<Vec<u8>>>(),
        acl,
        any::<i32>(),
        any::<i64>(),
        any::<[u8; 16]>(),
    )
        .prop_map(|(kind, path, data, acl, number, long, password)| Parts {
            kind,
            path,
            data,
            acl,
            number,
            long,
            password,
        })
}

impl Parts {
    pub(in crate::wire) fn acl(&self) -> Vec<AclEntry<'_>> {
        let entries = self.acl.iter();
        entries.map(|(perms, scheme, id)| AclEntry { perms: Perms(*perms), scheme, id }).collect()
    }

    /// Of all kinds a client can send.
    pub(in crate::wire) fn client_op(&self) -> Op<'_> {
        let (path, data, version) = (&*self.path, self.data.as_deref(), self.number);
        let variant = match self.kind % 8 {
            0 => CreateVariant::Plain,
            1 => CreateVariant::WithStat,
            2 => CreateVariant::Container,
            3 => CreateVariant::Ttl,
            4 => return Op::Delete { path, version },
            5 => return Op::SetData { path, data, version },
            6 => return Op::Check { path, version },
            _ => return Op::SetAcl { path, acl: self.acl(), version },
        };
        let ttl_ms = if variant == CreateVariant::Ttl { self.long } else { 0 };
        let (acl, flags) = (self.acl(), self.number);
        Op::Create(Create { path, data, acl, flags, ttl_ms, variant })
    }

    fn op(&self) -> Op<'_> {
        match self.kind % 13 {
            0 => Op::Reap { path: &self.path },
            1 => Op::CreateSession { timeout_ms: self.number, password: self.password },
            2 => Op::CloseSession { session: SessionId(self.long) },
            3 => Op::Fail(ErrorCode::MarshallingError),
            4 => Op::Configure { text: &self.path },
            _ => self.client_op(),
        }
    }
}

fn round_trip(session: i64, cxid: i32, ids: &[AuthId], op: &Op<'_>) -> Result<(), TestCaseError> {
    for heard in [None, Some(Xid(cxid ^ 3))] {
        let mut bytes = vec![];
        let (session, cxid) = (SessionId(session), Xid(cxid));
        match heard {
            None => encode(session, cxid, ids, op, &mut bytes),
            Some(heard) => encode_once(session, Once { xid: cxid, heard }, ids, op, &mut bytes),
        }
        let payload = Payload { session, cxid, heard, ids: ids.into(), op: op.clone() };
        comes_back(bytes, payload)?;
    }
    Ok(())
}

fn comes_back(mut bytes: Vec<u8>, expected: Payload<'_>) -> Result<(), TestCaseError> {
    prop_assert_eq!(decode(&bytes), Ok(expected));
    for length in 0..bytes.len() {
        prop_assert!(decode(&bytes[..length]).is_err(), "cut to {} bytes", length);
    }
    bytes.push(0);
    prop_assert_eq!(decode(&bytes), Err(DecodeError::Trailing));
    Ok(())
}

proptest! {
    #[test]
    fn a_txn_comes_back(
        session: i64, cxid: i32, parts in parts(),
        ids in proptest::collection::vec((".{0,9}", ".{0,9}"), 0..3),
    ) {
        let ids: Vec<_> =
            ids.into_iter().map(|(scheme, id)| AuthId { scheme, id }).collect();
        round_trip(session, cxid, &ids, &parts.op())?;
    }

    #[test]
    fn a_multi_comes_back(parts in proptest::collection::vec(parts(), 0..5)) {
        round_trip(1, 2, &[], &Op::Multi(parts.iter().map(Parts::op).collect()))?;
    }

    #[test]
    fn arbitrary_bytes_are_decoded_or_refused(mut bytes: Vec<u8>) {
        let read = |bytes: &[u8]| {
            prop_assert!(decode(bytes).is_err() || path(bytes).is_none_or(|path| path.len() < bytes.len()));
            Ok(())
        };
        read(&bytes)?;
        bytes.insert(0, super::VERSION);
        read(&bytes)?;
        bytes[0] = super::VERSION_ONCE;
        read(&bytes)?;
    }
}

/// The format is on disks: these bytes must decode to the end of days.
#[test]
fn the_bytes_are_those_of_the_format() {
    let ids = [AuthId { scheme: "ip".into(), id: "::1".into() }];
    let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
    let create = Op::Create(Create {
        path: "/a",
        data: Some(b"x"),
        acl,
        flags: 5,
        ttl_ms: 1000,
        variant: CreateVariant::Ttl,
    });
    let delete = Op::Delete { path: "/b", version: -1 };
    let mut bytes = vec![];
    let op = Op::Multi(vec![create, delete]);
    encode(SessionId(0x1_0000_0001), Xid(-4), &ids, &op, &mut bytes);
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        hex,
        "0181808080100701026970033a3a3106020103022f610278013e05776f726c6406616e796f6e650ad00f\
         02022f6201"
    );
    assert_eq!(decode(&bytes).unwrap().op, op);
    bytes.clear();
    let once = Once { xid: Xid(70), heard: Xid(69) };
    encode_once(SessionId(3), once, &[], &Op::Reap { path: "/" }, &mut bytes);
    assert_eq!(bytes, [2, 3, 0x8c, 1, 0x8a, 1, 0, 7, 1, b'/']);
    assert_eq!(decode(&bytes).unwrap().once(), Some(once));
}

#[test]
fn lies_are_refused_with_their_reason() {
    let unknown = |what, value| DecodeError::Unknown { what, value };
    for (bytes, reason) in [
        (&[][..], DecodeError::Truncated),
        (&[3, 0, 0, 0, 10, 9], unknown("version of a txn", 3)),
        (&[1, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f, 10, 9], DecodeError::Length),
        (&[1, 0, 0, 0, 0, 9], unknown("op of a txn", 0)),
        (&[1, 0, 0, 0, 6, 1, 6, 0], unknown("op of a txn", 6)),
        (&[1, 0, 0, 0, 7, 9, b'/'], DecodeError::Length),
        (&[1, 0, 0, 0, 7, 1, 0xff], DecodeError::Utf8),
        (&[1, 0, 0, 0, 10, 2], unknown("error code", 1)),
    ] {
        assert_eq!(decode(bytes), Err(reason), "{bytes:?}");
    }
}

#[test]
fn identities_that_are_known_are_told_apart_from_others() {
    let id = |id: &str| AuthId { scheme: "ip".into(), id: id.into() };
    let lists =
        [vec![id("::1")], vec![id("::1")], vec![], vec![id("::1"), id("x")], vec![id("::1")]];
    let mut known = KnownIds::default();
    for ids in &lists {
        let mut bytes = Vec::new();
        let op = Op::Delete { path: "/a", version: 3 };
        encode(SessionId(7), Xid(1), ids, &op, &mut bytes);
        assert_eq!(decode_knowing(&bytes, &mut known), decode(&bytes));
        for end in 0..bytes.len() {
            assert!(decode_knowing(&bytes[..end], &mut known).is_err(), "{end} of {bytes:?}");
        }
    }
}

proptest! {
    #[test]
    fn the_path_is_the_one_that_the_first_operation_names(
        all in proptest::collection::vec(parts(), 0..4),
        single in parts(),
        once in any::<bool>(),
    ) {
        for op in [single.op(), Op::Multi(all.iter().map(Parts::op).collect())] {
            let mut bytes = Vec::new();
            let ids = [AuthId { scheme: "ip".into(), id: "::1".into() }];
            if once {
                let once = Once { xid: Xid(1), heard: Xid(9) };
                encode_once(SessionId(7), once, &ids, &op, &mut bytes);
            } else {
                encode(SessionId(7), Xid(1), &ids, &op, &mut bytes);
            }
            let first = match &op {
                Op::Multi(ops) => ops.first(),
                op => Some(op),
            };
            prop_assert_eq!(path(&bytes), first.and_then(Op::path));
        }
    }
}
