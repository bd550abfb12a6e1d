//! A client's frame, read by the server.
//!
//! What cannot be decoded is sorted as ZooKeeper sorts it: a write with a null where a value is
//! needed has been decoded, so it takes a zxid and fails when it is applied, with the error of what
//! ZooKeeper looks at first; anything else is refused on the spot.

use super::multi::{decode_multi, decode_multi_read};
use super::opcode;
use super::read::Reader;
use crate::types::{
    Create, CreateVariant, ErrorCode, NULL, Op, Read, RemoveKind, Request, WatchMode, WatchOp, Xid,
};
use crate::wire::DecodeError;
use alloc::vec::Vec;

/// The request in one frame's body. See [`crate::wire::Codec::decode_request`].
pub(in crate::wire) fn decode_request(body: &[u8]) -> Result<(Xid, Request<'_>), DecodeError> {
    let mut reader = Reader::noting_foreign(body);
    let request = request(&mut reader)?;
    if reader.foreign().is_empty() { Ok(request) } else { Err(DecodeError::Utf8) }
}

pub(super) fn request<'a>(reader: &mut Reader<'a>) -> Result<(Xid, Request<'a>), DecodeError> {
    let xid = Xid(reader.int()?);
    let request = match reader.int()? {
        opcode::CREATE => write(create(reader, CreateVariant::Plain)),
        opcode::CREATE2 => write(create(reader, CreateVariant::WithStat)),
        opcode::CREATE_CONTAINER => write(create(reader, CreateVariant::Container)),
        opcode::CREATE_TTL => write(create(reader, CreateVariant::Ttl)),
        opcode::DELETE => write(delete(reader)),
        opcode::SET_DATA => write(set_data(reader)),
        opcode::SET_ACL => write(set_acl(reader)),
        opcode::MULTI => {
            Request::Write(decode_multi(reader).unwrap_or(Op::Fail(ErrorCode::MarshallingError)))
        }
        opcode::SYNC => or_malformed(reader.string_or_null().map(Request::Sync)),
        opcode::PING => return Ok((Xid::PING, Request::Ping)),
        opcode::AUTH => auth(reader)?,
        opcode::SASL => Request::Sasl(reader.buffer()?.unwrap_or_default()),
        opcode::WHO_AM_I => Request::WhoAmI,
        opcode::RECONFIG => or_malformed(reconfig(reader)),
        opcode::CLOSE_SESSION => Request::CloseSession,
        // The server's own too, and refused; a body that says nothing is only malformed.
        opcode::DELETE_CONTAINER if reader.buffer().is_err() => Request::Malformed,
        // The server's own; in a client's ZooKeeper finds nothing to decode, after its zxid.
        opcode::CREATE_SESSION => Request::Write(Op::Fail(ErrorCode::MarshallingError)),
        code => other(code, reader),
    };
    Ok((xid, request))
}

/// Reads, operations on watches, and what is none of ours.
fn other<'a>(code: i32, reader: &mut Reader<'a>) -> Request<'a> {
    let read = match code {
        opcode::EXISTS => flagged(reader).map(|(path, watch)| Read::Exists { path, watch }),
        opcode::GET_DATA => flagged(reader).map(|(path, watch)| Read::Data { path, watch }),
        opcode::GET_ACL => reader.string_or_refuse().map(|path| Read::Acl { path }),
        opcode::GET_CHILDREN => children(reader, false),
        opcode::GET_CHILDREN2 => children(reader, true),
        opcode::GET_EPHEMERALS => {
            // ZooKeeper takes a null prefix for "all", as it does the empty one.
            reader.string().map(|prefix| Read::Ephemerals { prefix: prefix.unwrap_or_default() })
        }
        opcode::GET_ALL_CHILDREN_NUMBER => {
            reader.string_or_refuse().map(|path| Read::DescendantCount { path })
        }
        opcode::MULTI_READ => decode_multi_read(reader),
        code => return or_unknown(watch_op(code, reader)),
    };
    or_malformed(read.map(Request::Read))
}

fn or_unknown<'a>(decoded: Option<Result<WatchOp<'a>, DecodeError>>) -> Request<'a> {
    match decoded {
        Some(op) => or_malformed(op.map(Request::Watch)),
        None => Request::Unknown,
    }
}

fn watch_op<'a>(code: i32, reader: &mut Reader<'a>) -> Option<Result<WatchOp<'a>, DecodeError>> {
    Some(match code {
        opcode::ADD_WATCH => add_watch(reader),
        opcode::CHECK_WATCHES => {
            watch_kind(reader).map(|(path, kind)| WatchOp::Check { path, kind })
        }
        opcode::REMOVE_WATCHES => {
            watch_kind(reader).map(|(path, kind)| WatchOp::Remove { path, kind })
        }
        opcode::SET_WATCHES => set_watches(reader, false),
        opcode::SET_WATCHES2 => set_watches(reader, true),
        _ => return None,
    })
}

fn write(decoded: Result<Op<'_>, DecodeError>) -> Request<'_> {
    match decoded {
        Ok(op) => Request::Write(op),
        Err(DecodeError::Null) => Request::Write(Op::Fail(ErrorCode::MarshallingError)),
        Err(_) => Request::Malformed,
    }
}

fn or_malformed(decoded: Result<Request<'_>, DecodeError>) -> Request<'_> {
    decoded.unwrap_or(Request::Malformed)
}

pub(super) fn create<'a>(
    reader: &mut Reader<'a>,
    variant: CreateVariant,
) -> Result<Op<'a>, DecodeError> {
    let (path, data, acl) = (reader.string_or_null()?, reader.buffer()?, reader.acl()?);
    let flags = reader.int()?;
    let ttl_ms = match variant {
        CreateVariant::Ttl => reader.long()?,
        CreateVariant::Plain | CreateVariant::WithStat | CreateVariant::Container => 0,
    };
    Ok(Op::Create(Create { path, data, acl, flags, ttl_ms, variant }))
}

/// The whole record is read before a null in it is looked at: a null in a record that is cut
/// short is a record that is cut short.
pub(super) fn delete<'a>(reader: &mut Reader<'a>) -> Result<Op<'a>, DecodeError> {
    let (path, version) = (reader.string()?, reader.int()?);
    Ok(Op::Delete { path: path.ok_or(DecodeError::Null)?, version })
}

pub(super) fn set_data<'a>(reader: &mut Reader<'a>) -> Result<Op<'a>, DecodeError> {
    let (path, data, version) = (reader.string_or_null()?, reader.buffer()?, reader.int()?);
    Ok(Op::SetData { path, data, version })
}

fn set_acl<'a>(reader: &mut Reader<'a>) -> Result<Op<'a>, DecodeError> {
    let (path, acl, version) = (reader.string_or_null()?, reader.acl()?, reader.int()?);
    Ok(Op::SetAcl { path, acl, version })
}

pub(super) fn check<'a>(reader: &mut Reader<'a>) -> Result<Op<'a>, DecodeError> {
    let (path, version) = (reader.string()?, reader.int()?);
    Ok(Op::Check { path: path.ok_or(DecodeError::Null)?, version })
}

/// A path and a watch flag.
pub(super) fn flagged<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, bool), DecodeError> {
    Ok((reader.string_or_refuse()?, reader.bool()?))
}

fn children<'a>(reader: &mut Reader<'a>, with_stat: bool) -> Result<Read<'a>, DecodeError> {
    flagged(reader).map(|(path, watch)| Read::Children { path, watch, with_stat })
}

fn add_watch<'a>(reader: &mut Reader<'a>) -> Result<WatchOp<'a>, DecodeError> {
    let path = reader.string_or_null()?;
    let mode = match reader.int()? {
        0 => WatchMode::Persistent,
        1 => WatchMode::PersistentRecursive,
        mode => return Err(DecodeError::Unknown { what: "watch mode", value: mode.into() }),
    };
    Ok(WatchOp::Add { path, mode })
}

fn watch_kind<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, RemoveKind), DecodeError> {
    let path = reader.string_or_null()?;
    let code = reader.int()?;
    let kind = RemoveKind::from_code(code)
        .ok_or(DecodeError::Unknown { what: "watch kind", value: code.into() })?;
    Ok((path, kind))
}

fn set_watches<'a>(
    reader: &mut Reader<'a>,
    with_persistent: bool,
) -> Result<WatchOp<'a>, DecodeError> {
    let relative_zxid = reader.long()?;
    let mut list = |there: bool| {
        if there { reader.vector(Reader::string) } else { Ok(Some(Vec::new())) }
    };
    let lists =
        [list(true)?, list(true)?, list(true)?, list(with_persistent)?, list(with_persistent)?];
    let [data, exist, child, persistent, persistent_recursive] = lists;
    let mut broken_off = false;
    let op = WatchOp::Set {
        relative_zxid,
        data: up_to_null(data, &mut broken_off),
        exist: up_to_null(exist, &mut broken_off),
        child: up_to_null(child, &mut broken_off),
        persistent: with_nulls(persistent, &mut broken_off),
        persistent_recursive: with_nulls(persistent_recursive, &mut broken_off),
        broken_off,
    };
    if broken_off && op.is_empty_set() { Err(DecodeError::Null) } else { Ok(op) }
}

type Paths<'a> = Option<Vec<Option<&'a str>>>;

/// The paths that ZooKeeper gets to: it looks each up, and stops at a null.
fn up_to_null<'a>(paths: Paths<'a>, broken_off: &mut bool) -> Vec<&'a str> {
    let all = paths.as_ref().map_or(0, Vec::len);
    let whole = paths.is_some() && !*broken_off;
    let found: Vec<_> =
        paths.filter(|_| whole).into_iter().flatten().map_while(|path| path).collect();
    *broken_off |= !whole || found.len() < all;
    found
}

/// The paths of a persistent watch, which ZooKeeper does not look up: a null among them is
/// watched like any other path, and never changes.
fn with_nulls<'a>(paths: Paths<'a>, broken_off: &mut bool) -> Vec<&'a str> {
    let whole = paths.is_some() && !*broken_off;
    *broken_off |= !whole;
    let found = paths.filter(|_| whole).into_iter().flatten();
    found.map(|path| path.unwrap_or(NULL)).collect()
}

fn auth<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, DecodeError> {
    reader.int()?;
    let scheme = reader.string()?.unwrap_or_default();
    // Without anything to prove there is no proof, whatever the scheme but the address.
    Ok(match reader.buffer()? {
        None if scheme == "digest" => Request::Auth { scheme: "", auth: &[] },
        auth => Request::Auth { scheme, auth: auth.unwrap_or_default() },
    })
}

/// The arguments have to be there, but are not kept.
fn reconfig<'a>(reader: &mut Reader<'a>) -> Result<Request<'a>, DecodeError> {
    for _ in 0..3 {
        reader.string()?;
    }
    reader.long()?;
    Ok(Request::Reconfig)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::Codec;
    use std::vec;

    const NULL_LIST: &[u8] = &[0xff; 4];

    /// A setWatches2 of these lists, each as its bytes; `kept` are the lists that take effect.
    fn check(lists: [&[u8]; 5], kept: [&[&'static str]; 5]) {
        let mut body = vec![0xff, 0xff, 0xff, 0xf8, 0, 0, 0, 105, 0, 0, 0, 0, 0, 0, 0, 9];
        body.extend(lists.concat());
        let [data, exist, child, persistent, persistent_recursive] = kept.map(<[_]>::to_vec);
        let op = WatchOp::Set {
            relative_zxid: 9,
            data,
            exist,
            child,
            persistent,
            persistent_recursive,
            broken_off: true,
        };
        let expected = Ok((Xid(-8), Request::Watch(op.clone())));
        assert_eq!(decode_request(&body), expected, "{lists:?}");
        let mut frame = vec![];
        Codec::Jute.encode_request(Xid(-8), &Request::Watch(op), &mut frame);
        assert_eq!(decode_request(&frame[4..]), expected, "{lists:?}, written again");
        body.pop();
        assert_eq!(decode_request(&body), Ok((Xid(-8), Request::Malformed)), "cut short");
    }

    #[test]
    fn lists_of_watches_take_effect_up_to_the_first_null() {
        let one: &[u8] = &[0, 0, 0, 1, 0, 0, 0, 2, b'/', b'a'];
        let none: &[u8] = &[0; 4];
        let null_second: &[u8] = &[0, 0, 0, 2, 0, 0, 0, 2, b'/', b'a', 0xff, 0xff, 0xff, 0xff];
        check([one, one, NULL_LIST, one, one], [&["/a"], &["/a"], &[], &[], &[]]);
        check([one, none, none, none, NULL_LIST], [&["/a"], &[], &[], &[], &[]]);
        check([none, null_second, one, one, none], [&[], &["/a"], &[], &[], &[]]);
        // A persistent watch is not looked up, so a null there stops nothing.
        check([none, none, none, null_second, NULL_LIST], [&[], &[], &[], &["/a", NULL], &[]]);
    }
}
