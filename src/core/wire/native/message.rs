//! The shapes of native frames, their bytes, and the handshake. The only file that names bincode.
//!
//! The order of variants and fields is the protocol: add behind the last, never between, and
//! raise [`VERSION`] for anything else.

use crate::types::{NameList, SessionId, Stat, Xid, Zxid};
use crate::wire::DecodeError;
use crate::wire::sniff::NATIVE_MAGIC;
use alloc::vec::Vec;
use bincode::de::{BorrowDecode, BorrowDecoder, Decode};
use bincode::enc::{Encode, Encoder, write::Writer};
use bincode::error::{DecodeError as Refused, EncodeError};
use bincode::{BorrowDecode as DeriveBorrowDecode, Encode as DeriveEncode};

/// Version of the native protocol this build speaks.
pub const VERSION: u16 = 2;
/// Bytes a client sends before its first frame.
pub const GREETING_BYTES: usize = 8;
/// Largest body bincode is let loose on, in bytes; frames are bounded far below by settings.
const BODY_BYTES_MAX: usize = 256 << 20;
/// Elements a list's count may reserve room for before the first is read.
const RESERVED_ELEMENTS_MAX: usize = 1024;

/// The bytes a client sends before its first frame.
pub fn greeting() -> [u8; GREETING_BYTES] {
    let mut bytes = [0; GREETING_BYTES];
    bytes[..6].copy_from_slice(NATIVE_MAGIC);
    bytes[6..].copy_from_slice(&VERSION.to_le_bytes());
    bytes
}

/// The version of the protocol a client asks for.
///
/// # Errors
/// If these are not the first bytes of the native protocol.
pub fn check_greeting(bytes: &[u8; GREETING_BYTES]) -> Result<u16, DecodeError> {
    match bytes {
        [magic @ .., low, high] if magic == NATIVE_MAGIC => Ok(u16::from_le_bytes([*low, *high])),
        _ => Err(DecodeError::Malformed("a native connection begins with OSTLER")),
    }
}

/// What a client opens its connection with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Newest state the client has seen; a server that is behind it must not serve the client.
    pub last_zxid_seen: Zxid,
    /// Wanted session timeout in milliseconds, any value.
    pub timeout_ms: i32,
    /// The session to take up again, [`SessionId::NONE`] for a new one.
    pub session: SessionId,
    /// Proof of ownership; zeros for a new session.
    pub password: [u8; 16],
    /// How the client wants to be served on this connection.
    pub options: HelloOptions,
}

/// What a client may choose for a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, DeriveEncode, DeriveBorrowDecode)]
pub struct HelloOptions {
    /// Its reads are answered only from a state that has everything that any server had
    /// acknowledged when they came.
    pub linearizable: bool,
    /// A write that it sends again, with the number it had, is not done again but answered with
    /// what came of it. Numbers must rise, see `PROTOCOL.md`.
    pub exactly_once: bool,
}

/// What the server answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Welcome {
    /// The session is the client's.
    Accepted {
        /// Version both sides speak from here on.
        version: u16,
        /// The session.
        session: SessionId,
        /// Negotiated timeout in milliseconds.
        timeout_ms: i32,
        /// The session's password.
        password: [u8; 16],
        /// The number of the session's last write that takes effect once, 0 if there was none:
        /// those up to it have been done, those behind it have not, and will not unless they are
        /// sent again.
        last_once: Xid,
    },
    /// It is not; the server closes.
    Refused(Refusal),
}

/// Why a server does not take a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, DeriveEncode, DeriveBorrowDecode)]
pub enum Refusal {
    /// The session has expired, never was, or the password is not its own.
    SessionExpired,
    /// The client has seen a later state than this server has: it should try another.
    Behind,
    /// This server does not serve at the moment: it should try another, or later.
    NotServing,
    /// The server speaks this version alone.
    Version(u16),
}

#[derive(DeriveEncode, DeriveBorrowDecode)]
struct HelloRecord {
    last_zxid_seen: i64,
    timeout_ms: i32,
    session: i64,
    password: [u8; 16],
    options: HelloOptions,
}

#[derive(DeriveEncode, DeriveBorrowDecode)]
enum WelcomeRecord {
    Accepted { version: u16, session: i64, timeout_ms: i32, password: [u8; 16], last_once: i32 },
    Refused(Refusal),
}

impl Hello {
    /// From the body of the client's first frame.
    ///
    /// # Errors
    /// If the body is not exactly a hello.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let HelloRecord { last_zxid_seen, timeout_ms, session, password, options } =
            read_all(body)?;
        let last_zxid_seen = Zxid::from_wire(last_zxid_seen);
        Ok(Self { last_zxid_seen, timeout_ms, session: SessionId(session), password, options })
    }

    /// Appends the whole frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let last_zxid_seen = self.last_zxid_seen.to_wire();
        let Self { timeout_ms, session, password, options, .. } = *self;
        let session = session.0;
        frame(out, &HelloRecord { last_zxid_seen, timeout_ms, session, password, options });
    }
}

impl Welcome {
    /// From the body of the server's first frame.
    ///
    /// # Errors
    /// If the body is not exactly a welcome.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        Ok(match read_all(body)? {
            WelcomeRecord::Accepted { version, session, timeout_ms, password, last_once } => {
                let (session, last_once) = (SessionId(session), Xid(last_once));
                Self::Accepted { version, session, timeout_ms, password, last_once }
            }
            WelcomeRecord::Refused(refusal) => Self::Refused(refusal),
        })
    }

    /// Appends the whole frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let record = match *self {
            Self::Accepted { version, session, timeout_ms, password, last_once } => {
                let (session, last_once) = (session.0, last_once.0);
                WelcomeRecord::Accepted { version, session, timeout_ms, password, last_once }
            }
            Self::Refused(refusal) => WelcomeRecord::Refused(refusal),
        };
        frame(out, &record);
    }
}

/// One request and its number.
#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) struct Ask<'a> {
    pub(super) xid: i32,
    pub(super) verb: Verb<'a>,
}

/// What a client can ask for.
#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) enum Verb<'a> {
    Ping,
    Write(Change<'a>),
    Multi(List<Change<'a>>),
    Read(Look<'a>),
    MultiRead(List<Look<'a>>),
    AddWatch { path: &'a str, recursive: bool },
    RemoveWatches { path: &'a str, kind: i32 },
    CheckWatches { path: &'a str, kind: i32 },
    SetWatches(WatchLists<'a>),
    Sync(&'a str),
    Auth { scheme: &'a str, auth: &'a [u8] },
    WhoAmI,
    Sasl(&'a [u8]),
    Reconfig,
    CloseSession,
    Unknown,
}

#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) struct WatchLists<'a> {
    pub(super) relative_zxid: i64,
    pub(super) data: List<&'a str>,
    pub(super) exist: List<&'a str>,
    pub(super) child: List<&'a str>,
    pub(super) persistent: List<&'a str>,
    pub(super) persistent_recursive: List<&'a str>,
}

#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) enum Change<'a> {
    Create {
        variant: Variant,
        path: &'a str,
        data: Option<&'a [u8]>,
        acl: List<Entry<'a>>,
        flags: i32,
        ttl_ms: i64,
    },
    Delete {
        path: &'a str,
        version: i32,
    },
    SetData {
        path: &'a str,
        data: Option<&'a [u8]>,
        version: i32,
    },
    SetAcl {
        path: &'a str,
        acl: List<Entry<'a>>,
        version: i32,
    },
    Check {
        path: &'a str,
        version: i32,
    },
}

#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) enum Variant {
    Plain,
    WithStat,
    Container,
    Ttl,
}

#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) enum Look<'a> {
    Exists { path: &'a str, watch: bool },
    Data { path: &'a str, watch: bool },
    Acl { path: &'a str },
    Children { path: &'a str, watch: bool, with_stat: bool },
    Ephemerals { prefix: &'a str },
    DescendantCount { path: &'a str },
}

/// An ACL entry.
#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) struct Entry<'a> {
    pub(super) perms: i32,
    pub(super) scheme: &'a str,
    pub(super) id: &'a str,
}

/// What every frame of the server but the first begins with; nothing follows an error.
#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) struct Header {
    pub(super) xid: i32,
    pub(super) zxid: i64,
    pub(super) error: i32,
}

/// What a server can answer.
#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) enum Answer<'a> {
    Done,
    Result(Came<'a>),
    Multi(List<Came<'a>>),
    Stat(StatRecord),
    Data(Option<&'a [u8]>, StatRecord),
    Acl(List<Entry<'a>>, StatRecord),
    Children(Names<'a>, Option<StatRecord>),
    Paths(Names<'a>),
    Count(i32),
    Path(&'a str),
    WatchAdded,
    Identities(List<(&'a str, &'a str)>),
    Reads(List<Seen<'a>>),
    Token(Option<&'a [u8]>),
}

/// A stat, its fields in ZooKeeper's order.
pub(super) struct StatRecord(Stat);

impl From<Stat> for StatRecord {
    fn from(stat: Stat) -> Self {
        Self(stat)
    }
}

impl From<StatRecord> for Stat {
    fn from(StatRecord(stat): StatRecord) -> Self {
        stat
    }
}

impl Encode for StatRecord {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        let Stat { czxid, mzxid, ctime, mtime, version, cversion, aversion, .. } = self.0;
        (czxid, mzxid, ctime, mtime, version, cversion, aversion).encode(encoder)?;
        let Stat { ephemeral_owner, data_length, num_children, pzxid, .. } = self.0;
        (ephemeral_owner, data_length, num_children, pzxid).encode(encoder)
    }
}

impl<'de, C> BorrowDecode<'de, C> for StatRecord {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, Refused> {
        let (czxid, mzxid, ctime, mtime) = Decode::decode(decoder)?;
        let (version, cversion, aversion) = Decode::decode(decoder)?;
        let (ephemeral_owner, data_length, num_children, pzxid) = Decode::decode(decoder)?;
        Ok(Self(Stat {
            czxid,
            mzxid,
            ctime,
            mtime,
            version,
            cversion,
            aversion,
            ephemeral_owner,
            data_length,
            num_children,
            pzxid,
        }))
    }
}

/// What one write came to.
#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) enum Came<'a> {
    Created { path: &'a str, stat: Option<StatRecord> },
    Deleted,
    DataSet(StatRecord),
    AclSet(StatRecord),
    Checked,
    SessionClosed,
    Failed(i32),
    RolledBack,
}

/// What one read of a multiRead came to.
#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) enum Seen<'a> {
    Error(i32),
    Data(Option<&'a [u8]>, StatRecord),
    Children(Names<'a>),
}

/// A watch event.
#[derive(DeriveEncode, DeriveBorrowDecode)]
pub(super) struct Event<'a> {
    pub(super) event: i32,
    pub(super) path: &'a str,
}

/// A list whose count is not believed: room is made as elements are read, not before.
pub(in crate::wire) struct List<T>(pub(in crate::wire) Vec<T>);

impl<T: Encode> Encode for List<T> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        (self.0.len() as u64).encode(encoder)?;
        self.0.iter().try_for_each(|element| element.encode(encoder))
    }
}

impl<'de, C, T: BorrowDecode<'de, C>> BorrowDecode<'de, C> for List<T> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, Refused> {
        let count = usize::try_from(u64::decode(decoder)?).unwrap_or(usize::MAX);
        let mut elements = Vec::with_capacity(count.min(RESERVED_ELEMENTS_MAX));
        for _ in 0..count {
            elements.push(T::borrow_decode(decoder)?);
        }
        Ok(Self(elements))
    }
}

/// A list of strings, written from wherever they are stored.
pub(super) enum Names<'a> {
    Stored(&'a dyn NameList),
    Paths(&'a [alloc::string::String]),
    Read(Vec<&'a str>),
}

impl Encode for Names<'_> {
    fn encode<E: Encoder>(&self, encoder: &mut E) -> Result<(), EncodeError> {
        match self {
            Self::Stored(names) => {
                (names.count() as u64).encode(encoder)?;
                let mut outcome = Ok(());
                names.each(&mut |name| {
                    if outcome.is_ok() {
                        outcome = name.encode(encoder);
                    }
                });
                outcome
            }
            Self::Paths(paths) => {
                (paths.len() as u64).encode(encoder)?;
                paths.iter().try_for_each(|path| path.as_str().encode(encoder))
            }
            Self::Read(names) => {
                (names.len() as u64).encode(encoder)?;
                names.iter().try_for_each(|name| name.encode(encoder))
            }
        }
    }
}

impl<'de, C> BorrowDecode<'de, C> for Names<'de> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = C>>(decoder: &mut D) -> Result<Self, Refused> {
        List::borrow_decode(decoder).map(|List(names)| Self::Read(names))
    }
}

/// Appends to a buffer; cannot fail.
struct Sink<'o>(&'o mut Vec<u8>);

impl Writer for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Appends one frame with this body.
pub(in crate::wire) fn frame(out: &mut Vec<u8>, body: &impl Encode) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out, body);
    let length = u32::try_from(out.len() - start - 4).expect("a frame is shorter than 4 GiB");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// Appends one value.
pub(in crate::wire) fn write(out: &mut Vec<u8>, body: &impl Encode) {
    bincode::encode_into_writer(body, Sink(out), bincode::config::legacy())
        .expect("writing to memory does not fail, and none of our shapes refuses to be written");
}

/// Reads one value, and what follows it.
pub(in crate::wire) fn read<'a, T: BorrowDecode<'a, ()>>(
    bytes: &'a [u8],
) -> Result<(T, &'a [u8]), DecodeError> {
    let config = bincode::config::legacy().with_limit::<BODY_BYTES_MAX>();
    let (value, length) = bincode::borrow_decode_from_slice(bytes, config).map_err(reason)?;
    Ok((value, &bytes[length..]))
}

/// Reads one value, behind which there is nothing.
pub(in crate::wire) fn read_all<'a, T: BorrowDecode<'a, ()>>(
    bytes: &'a [u8],
) -> Result<T, DecodeError> {
    match read(bytes)? {
        (value, []) => Ok(value),
        _ => Err(DecodeError::Trailing),
    }
}

fn reason(error: Refused) -> DecodeError {
    match error {
        Refused::UnexpectedEnd { .. } => DecodeError::Truncated,
        Refused::LimitExceeded => DecodeError::Length,
        Refused::Utf8 { .. } => DecodeError::Utf8,
        Refused::UnexpectedVariant { type_name, found, .. } => {
            DecodeError::Unknown { what: type_name, value: found.into() }
        }
        _ => DecodeError::Malformed("the body is not of the native protocol"),
    }
}
