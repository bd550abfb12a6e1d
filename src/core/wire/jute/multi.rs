//! The two operations that hold others: each behind a header {opcode, done, error}, up to a
//! header that says done.

use super::opcode;
use super::read::Reader;
use super::request::{check, create, delete, flagged, set_data};
use crate::types::{CreateMode, CreateVariant, Kind, NULL, Op, Read};
use crate::wire::DecodeError;
use alloc::vec::Vec;

pub(super) fn decode_multi<'a>(reader: &mut Reader<'a>) -> Result<Op<'a>, DecodeError> {
    let mut ops = Vec::new();
    while let Some(code) = next(reader)? {
        ops.push(match code {
            opcode::CREATE => by_mode(create(reader, CreateVariant::Plain)?)?,
            opcode::CREATE2 => by_mode(create(reader, CreateVariant::WithStat)?)?,
            opcode::CREATE_CONTAINER => by_mode(create(reader, CreateVariant::Container)?)?,
            opcode::CREATE_TTL => by_mode(create(reader, CreateVariant::Ttl)?)?,
            opcode::DELETE => delete(reader)?,
            opcode::SET_DATA => without_null(set_data(reader)?)?,
            opcode::CHECK => check(reader)?,
            code => return Err(not_allowed(code)),
        });
    }
    Ok(Op::Multi(ops))
}

/// Inside a multi ZooKeeper lets the mode, not the operation, say what is made: container mode
/// makes a container, a TTL operation without a TTL mode a plain znode, and a mode that does not
/// go with its operation spoils the whole record. A time to live goes with the mode it belongs to.
fn by_mode(op: Op<'_>) -> Result<Op<'_>, DecodeError> {
    let op = without_null(op)?;
    let Op::Create(mut create) = op else { return Ok(op) };
    let kind = CreateMode::from_flags(create.flags).map(|mode| mode.kind);
    match (create.variant, kind) {
        (CreateVariant::Ttl, Some(Kind::Ttl) | None) => {}
        (_, Some(Kind::Container)) => {
            create.variant = CreateVariant::Container;
            create.ttl_ms = 0;
        }
        (CreateVariant::Ttl, Some(Kind::Persistent | Kind::Ephemeral)) => {
            create.variant = CreateVariant::Plain;
            create.ttl_ms = 0;
        }
        (
            CreateVariant::Plain | CreateVariant::WithStat | CreateVariant::Container,
            Some(Kind::Ttl) | None,
        ) => return Err(DecodeError::Unknown { what: "create mode", value: create.flags.into() }),
        (
            CreateVariant::Plain | CreateVariant::WithStat | CreateVariant::Container,
            Some(Kind::Persistent | Kind::Ephemeral),
        ) => {}
    }
    Ok(Op::Create(create))
}

/// A null spoils the whole record here, whatever else is wrong with it.
fn without_null(op: Op<'_>) -> Result<Op<'_>, DecodeError> {
    let spoils_acl = matches!(&op, Op::Create(create)
        if create.acl.iter().any(|entry| entry.id == NULL));
    let has_null = op.path() == Some(NULL) || spoils_acl;
    if has_null { Err(DecodeError::Null) } else { Ok(op) }
}

/// The watch flags are read and, as in ZooKeeper, of no effect.
pub(super) fn decode_multi_read<'a>(reader: &mut Reader<'a>) -> Result<Read<'a>, DecodeError> {
    let mut reads = Vec::new();
    while let Some(code) = next(reader)? {
        reads.push(match code {
            opcode::GET_DATA => Read::Data { path: flagged(reader)?.0, watch: false },
            opcode::GET_CHILDREN => {
                Read::Children { path: flagged(reader)?.0, watch: false, with_stat: false }
            }
            code => return Err(not_allowed(code)),
        });
    }
    Ok(Read::Multi(reads))
}

/// The opcode of the next operation, `None` at the end.
pub(super) fn next(reader: &mut Reader<'_>) -> Result<Option<i32>, DecodeError> {
    let (code, done, _error) = (reader.int()?, reader.bool()?, reader.int()?);
    Ok((!done).then_some(code))
}

fn not_allowed(code: i32) -> DecodeError {
    DecodeError::Unknown { what: "operation in a multi", value: code.into() }
}

#[cfg(test)]
mod tests {
    use crate::types::{Create, CreateVariant, Op, Request, Xid};
    use crate::wire::Codec;
    use std::vec::Vec;

    /// A multi of eight: createTTL in container mode with a ttl among others. Fuzzing found it.
    const TTL_OF_A_CONTAINER: &[u8] =
        include_bytes!("../../../../tests/fuzz/corpus/jute_request/0c693cb24c0345c0");

    #[test]
    fn a_ttl_is_gone_with_the_mode_it_belongs_to() {
        let (xid, request) = Codec::Jute.decode_request(TTL_OF_A_CONTAINER).unwrap();
        let Request::Write(Op::Multi(ops)) = &request else { panic!("no multi: {request:?}") };
        assert_eq!((xid, ops.len()), (Xid(52), 8));
        let Op::Create(Create { variant, ttl_ms, .. }) = &ops[4] else { panic!("{:?}", ops[4]) };
        assert_eq!((*variant, *ttl_ms), (CreateVariant::Container, 0));
        let mut frame = Vec::new();
        Codec::Jute.encode_request(xid, &request, &mut frame);
        assert_eq!(Codec::Jute.decode_request(&frame[4..]), Ok((xid, request)));
    }
}
