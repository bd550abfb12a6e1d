//! The two operations that hold others: each behind a header {opcode, done, error}, up to a
//! header that says done.

use super::opcode;
use super::read::Reader;
use super::request::{check, create, delete, flagged, set_data};
use crate::types::{CreateVariant, Op, Read};
use crate::wire::DecodeError;
use alloc::vec::Vec;

pub(super) fn decode_multi<'a>(reader: &mut Reader<'a>) -> Result<Op<'a>, DecodeError> {
    let mut ops = Vec::new();
    while let Some(code) = next(reader)? {
        ops.push(match code {
            opcode::CREATE => create(reader, CreateVariant::Plain)?,
            opcode::CREATE2 => create(reader, CreateVariant::WithStat)?,
            opcode::CREATE_CONTAINER => create(reader, CreateVariant::Container)?,
            opcode::CREATE_TTL => create(reader, CreateVariant::Ttl)?,
            opcode::DELETE => delete(reader)?,
            opcode::SET_DATA => set_data(reader)?,
            opcode::CHECK => check(reader)?,
            code => return Err(not_allowed(code)),
        });
    }
    Ok(Op::Multi(ops))
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
