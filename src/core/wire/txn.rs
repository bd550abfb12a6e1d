//! The payload of a transaction, as the log keeps it and as servers send it to each other: who
//! asked, and for what. Its zxid and time belong to the log's entry around it.
//!
//! The bytes, in order (versions are told apart by the first byte):
//!
//! ```text
//! version   1 byte, 1, or 2 for a write that takes effect once
//! session   varint
//! cxid      zigzag          the client's xid
//! heard     zigzag          in version 2 only: its client has every answer up to this number
//! ids       varint count, then per identity: text scheme, text id
//! op        1 byte tag, then
//!   1 Create         1 byte variant (0 plain, 1 with stat, 2 container, 3 TTL), text path,
//!                    optional data, acl, zigzag flags, zigzag ttl_ms
//!   2 Delete         text path, zigzag version
//!   3 SetData        text path, optional data, zigzag version
//!   4 SetAcl         text path, acl, zigzag version
//!   5 Check          text path, zigzag version
//!   6 Multi          varint count, then that many ops, none of them a Multi
//!   7 Reap           text path
//!   8 CreateSession  zigzag timeout_ms, 16 bytes password
//!   9 CloseSession   varint session
//!  10 Fail           zigzag error code
//!  11 Configure      text text
//!
//! varint    7 bits a byte, lowest first, top bit set on all but the last, at most 10 bytes
//! zigzag    varint of (n << 1) ^ (n >> 63)
//! text      varint count of bytes, UTF-8
//! optional  varint 0 for null, else count of bytes + 1 and the bytes
//! acl       varint count, then per entry: zigzag perms, text scheme, text id
//! ```
//!
//! Nothing may follow. Decoding refuses any other bytes and never panics.

use super::DecodeError;
use crate::types::{
    AclEntry, AuthId, Create, CreateVariant, ErrorCode, Once, Op, Perms, SessionId, Xid,
};
use alloc::borrow::{Cow, ToOwned};
use alloc::vec::Vec;

const VERSION: u8 = 1;
const VERSION_ONCE: u8 = 2;

/// Elements a count may reserve room for before the first is read.
const RESERVED_ELEMENTS_MAX: usize = 1024;

/// Version, session, cxid, no identities, and the failure.
const TAKEOVER_BYTES_MAX: usize = 1 + 10 + 1 + 1 + 3;

const CREATE: u8 = 1;
const DELETE: u8 = 2;
const SET_DATA: u8 = 3;
const SET_ACL: u8 = 4;
const CHECK: u8 = 5;
const MULTI: u8 = 6;
const REAP: u8 = 7;
const CREATE_SESSION: u8 = 8;
const CLOSE_SESSION: u8 = 9;
const FAIL: u8 = 10;
const CONFIGURE: u8 = 11;

/// A decoded payload. Operations borrow from the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    /// Who asked; [`SessionId::NONE`] for the service itself.
    pub session: SessionId,
    /// The client's number of the request.
    pub cxid: Xid,
    /// Of a write that takes effect once: its client has heard all answers up to this number.
    pub heard: Option<Xid>,
    /// Identities the connection had proven when it asked.
    pub ids: Cow<'a, [AuthId]>,
    /// What is asked for.
    pub op: Op<'a>,
}

/// The identities of the payload that was decoded last. Those of the next are mostly the same, and
/// to make them anew takes longer than all else that decoding does.
#[derive(Clone, Debug, Default)]
pub struct KnownIds {
    bytes: Vec<u8>,
    ids: Vec<AuthId>,
}

impl Payload<'_> {
    /// By what it is known if it comes again.
    pub fn once(&self) -> Option<Once> {
        self.heard.map(|heard| Once { xid: self.cxid, heard })
    }
}

/// Appends a payload of a write that takes effect once, otherwise as [`encode`].
pub fn encode_once(session: SessionId, once: Once, ids: &[AuthId], op: &Op<'_>, out: &mut Vec<u8>) {
    out.push(VERSION_ONCE);
    put_varint(out, session.0 as u64);
    put_zigzag(out, once.xid.0.into());
    put_zigzag(out, once.heard.0.into());
    put_rest(ids, op, out);
}

/// Appends a payload. A multi within a multi, which no request holds, is kept as a failure.
pub fn encode(session: SessionId, cxid: Xid, ids: &[AuthId], op: &Op<'_>, out: &mut Vec<u8>) {
    out.push(VERSION);
    put_varint(out, session.0 as u64);
    put_zigzag(out, cxid.0.into());
    put_rest(ids, op, out);
}

fn put_rest(ids: &[AuthId], op: &Op<'_>, out: &mut Vec<u8>) {
    put_varint(out, ids.len() as u64);
    for id in ids {
        put_text(out, &id.scheme);
        put_text(out, &id.id);
    }
    if let Op::Multi(ops) = op {
        out.push(MULTI);
        put_varint(out, ops.len() as u64);
        for op in ops {
            put_op(out, op);
        }
    } else {
        put_op(out, op);
    }
}

/// Appends the payload that marks a takeover: from its place in the history on, nothing that an
/// earlier connection of the session sent may act. It changes nothing itself.
pub fn encode_takeover(session: SessionId, out: &mut Vec<u8>) {
    encode(session, Xid(0), &[], &Op::Fail(ErrorCode::SessionMoved), out);
}

/// The session that a payload marks as taken over.
pub fn takeover(payload: &[u8]) -> Option<SessionId> {
    // Cheap to tell apart: hardly any other payload is as short.
    if payload.len() > TAKEOVER_BYTES_MAX {
        return None;
    }
    match decode(payload) {
        Ok(Payload { session, cxid: Xid(0), op: Op::Fail(ErrorCode::SessionMoved), .. }) => {
            Some(session)
        }
        Ok(_) | Err(_) => None,
    }
}

/// Reads a payload.
///
/// # Errors
/// If the bytes are not exactly one payload.
pub fn decode(bytes: &[u8]) -> Result<Payload<'_>, DecodeError> {
    decode_by(bytes, |reader| reader.ids().map(Cow::Owned))
}

/// As [`decode`], with the identities of the payload before where they are the same.
///
/// # Errors
/// As there.
pub fn decode_knowing<'a>(
    bytes: &'a [u8],
    known: &'a mut KnownIds,
) -> Result<Payload<'a>, DecodeError> {
    decode_by(bytes, |reader| {
        if known.bytes.is_empty() || !reader.rest.starts_with(&known.bytes) {
            let begin = reader.rest;
            known.bytes.clear();
            known.ids = reader.ids()?;
            known.bytes.extend_from_slice(&begin[..begin.len() - reader.rest.len()]);
        } else {
            reader.rest = &reader.rest[known.bytes.len()..];
        }
        Ok(Cow::Borrowed(&known.ids[..]))
    })
}

/// The path that the operation of a payload looks at first, if it looks at any.
pub fn path(bytes: &[u8]) -> Option<&str> {
    let mut reader = Reader { rest: bytes };
    let version = reader.byte().ok()?;
    reader.varint().ok()?;
    reader.varint().ok()?;
    if version == VERSION_ONCE {
        reader.varint().ok()?;
    }
    for _ in 0..reader.length().ok()?.checked_mul(2)? {
        let length = reader.length().ok()?;
        reader.take(length).ok()?;
    }
    let mut tag = reader.byte().ok()?;
    if tag == MULTI {
        reader.length().ok()?;
        tag = reader.byte().ok()?;
    }
    if tag == CREATE {
        reader.byte().ok()?;
    }
    matches!(tag, CREATE | DELETE | SET_DATA | SET_ACL | CHECK | REAP)
        .then(|| reader.text().ok())?
}

fn decode_by<'a>(
    bytes: &'a [u8],
    ids: impl FnOnce(&mut Reader<'a>) -> Result<Cow<'a, [AuthId]>, DecodeError>,
) -> Result<Payload<'a>, DecodeError> {
    let mut reader = Reader { rest: bytes };
    let version = reader.byte()?;
    if version != VERSION && version != VERSION_ONCE {
        return Err(DecodeError::Unknown { what: "version of a txn", value: version.into() });
    }
    let session = SessionId(reader.varint()? as i64);
    let cxid = Xid(reader.int()?);
    let heard = if version == VERSION_ONCE { Some(Xid(reader.int()?)) } else { None };
    let ids = ids(&mut reader)?;
    let op = match reader.byte()? {
        MULTI => Op::Multi(reader.list(2, |reader| {
            let tag = reader.byte()?;
            reader.op(tag)
        })?),
        tag => reader.op(tag)?,
    };
    if reader.rest.is_empty() {
        Ok(Payload { session, cxid, heard, ids, op })
    } else {
        Err(DecodeError::Trailing)
    }
}

fn put_op(out: &mut Vec<u8>, op: &Op<'_>) {
    match op {
        Op::Create(create) => put_create(out, create),
        Op::Delete { path, version } => put_path_and_version(out, DELETE, path, *version),
        Op::SetData { path, data, version } => {
            out.push(SET_DATA);
            put_text(out, path);
            put_optional(out, *data);
            put_zigzag(out, (*version).into());
        }
        Op::SetAcl { path, acl, version } => {
            out.push(SET_ACL);
            put_text(out, path);
            put_acl(out, acl);
            put_zigzag(out, (*version).into());
        }
        Op::Check { path, version } => put_path_and_version(out, CHECK, path, *version),
        Op::Multi(_) => put_fail(out, ErrorCode::MarshallingError),
        Op::Reap { path } => {
            out.push(REAP);
            put_text(out, path);
        }
        Op::Configure { text } => {
            out.push(CONFIGURE);
            put_text(out, text);
        }
        Op::CreateSession { timeout_ms, password } => {
            out.push(CREATE_SESSION);
            put_zigzag(out, (*timeout_ms).into());
            out.extend_from_slice(password);
        }
        Op::CloseSession { session } => {
            out.push(CLOSE_SESSION);
            put_varint(out, session.0 as u64);
        }
        Op::Fail(error) => put_fail(out, *error),
    }
}

fn put_create(out: &mut Vec<u8>, create: &Create<'_>) {
    out.push(CREATE);
    out.push(match create.variant {
        CreateVariant::Plain => 0,
        CreateVariant::WithStat => 1,
        CreateVariant::Container => 2,
        CreateVariant::Ttl => 3,
    });
    put_text(out, create.path);
    put_optional(out, create.data);
    put_acl(out, &create.acl);
    put_zigzag(out, create.flags.into());
    put_zigzag(out, create.ttl_ms);
}

fn put_path_and_version(out: &mut Vec<u8>, tag: u8, path: &str, version: i32) {
    out.push(tag);
    put_text(out, path);
    put_zigzag(out, version.into());
}

fn put_fail(out: &mut Vec<u8>, error: ErrorCode) {
    out.push(FAIL);
    put_zigzag(out, error.code().into());
}

fn put_acl(out: &mut Vec<u8>, acl: &[AclEntry<'_>]) {
    put_varint(out, acl.len() as u64);
    for entry in acl {
        put_zigzag(out, entry.perms.0.into());
        put_text(out, entry.scheme);
        put_text(out, entry.id);
    }
}

fn put_optional(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        None => put_varint(out, 0),
        Some(bytes) => {
            put_varint(out, bytes.len() as u64 + 1);
            out.extend_from_slice(bytes);
        }
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    put_varint(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)) as u64);
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// The rest of a payload.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn ids(&mut self) -> Result<Vec<AuthId>, DecodeError> {
        self.list(2, |reader| {
            Ok(AuthId { scheme: reader.text()?.to_owned(), id: reader.text()?.to_owned() })
        })
    }

    fn op(&mut self, tag: u8) -> Result<Op<'a>, DecodeError> {
        Ok(match tag {
            CREATE => Op::Create(self.create()?),
            DELETE => Op::Delete { path: self.text()?, version: self.int()? },
            SET_DATA => {
                Op::SetData { path: self.text()?, data: self.optional()?, version: self.int()? }
            }
            SET_ACL => Op::SetAcl { path: self.text()?, acl: self.acl()?, version: self.int()? },
            CHECK => Op::Check { path: self.text()?, version: self.int()? },
            REAP => Op::Reap { path: self.text()? },
            CONFIGURE => Op::Configure { text: self.text()? },
            CREATE_SESSION => {
                Op::CreateSession { timeout_ms: self.int()?, password: self.array()? }
            }
            CLOSE_SESSION => Op::CloseSession { session: SessionId(self.varint()? as i64) },
            FAIL => {
                let code = self.int()?;
                Op::Fail(
                    ErrorCode::from_code(code)
                        .ok_or(DecodeError::Unknown { what: "error code", value: code.into() })?,
                )
            }
            tag => return Err(DecodeError::Unknown { what: "op of a txn", value: tag.into() }),
        })
    }

    fn create(&mut self) -> Result<Create<'a>, DecodeError> {
        let variant = match self.byte()? {
            0 => CreateVariant::Plain,
            1 => CreateVariant::WithStat,
            2 => CreateVariant::Container,
            3 => CreateVariant::Ttl,
            tag => {
                return Err(DecodeError::Unknown {
                    what: "variant of a create",
                    value: tag.into(),
                });
            }
        };
        Ok(Create {
            path: self.text()?,
            data: self.optional()?,
            acl: self.acl()?,
            flags: self.int()?,
            ttl_ms: self.zigzag()?,
            variant,
        })
    }

    fn acl(&mut self) -> Result<Vec<AclEntry<'a>>, DecodeError> {
        self.list(3, |reader| {
            Ok(AclEntry { perms: Perms(reader.int()?), scheme: reader.text()?, id: reader.text()? })
        })
    }

    /// A counted list whose elements have at least `element_bytes_min` bytes each, so that
    /// a lying count is refused before anything is read.
    fn list<T>(
        &mut self,
        element_bytes_min: usize,
        mut element: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.length()?;
        if count > self.rest.len() / element_bytes_min {
            return Err(DecodeError::Length);
        }
        let mut elements = Vec::with_capacity(count.min(RESERVED_ELEMENTS_MAX));
        for _ in 0..count {
            elements.push(element(self)?);
        }
        Ok(elements)
    }

    fn text(&mut self) -> Result<&'a str, DecodeError> {
        let length = self.length()?;
        str::from_utf8(self.take(length)?).map_err(|_| DecodeError::Utf8)
    }

    fn optional(&mut self) -> Result<Option<&'a [u8]>, DecodeError> {
        match self.length()?.checked_sub(1) {
            None => Ok(None),
            Some(length) => self.take(length).map(Some),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], DecodeError> {
        let (bytes, rest) = self.rest.split_at_checked(length).ok_or(DecodeError::Length)?;
        self.rest = rest;
        Ok(bytes)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (bytes, rest) = self.rest.split_first_chunk().ok_or(DecodeError::Truncated)?;
        self.rest = rest;
        Ok(*bytes)
    }

    fn byte(&mut self) -> Result<u8, DecodeError> {
        self.array().map(|[byte]| byte)
    }

    fn length(&mut self) -> Result<usize, DecodeError> {
        usize::try_from(self.varint()?).map_err(|_| DecodeError::Length)
    }

    fn int(&mut self) -> Result<i32, DecodeError> {
        i32::try_from(self.zigzag()?)
            .map_err(|_| DecodeError::Malformed("a number exceeds 32 bits"))
    }

    fn zigzag(&mut self) -> Result<i64, DecodeError> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn varint(&mut self) -> Result<u64, DecodeError> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(DecodeError::Malformed("a varint exceeds 64 bits"))
    }
}

#[cfg(test)]
#[path = "txn_test.rs"]
pub(super) mod tests;
