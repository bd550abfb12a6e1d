//! A znode's stat as clients see it, and the owner value that hides in it.

use super::SessionId;

/// What ZooKeeper tells about a znode, field for field, as shown to clients.
///
/// `cversion` is the visible one (creates plus deletes of children) and `ephemeral_owner` is 0
/// for container and TTL znodes. Times are milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Zxid of the creation.
    pub czxid: i64,
    /// Zxid of the last change of data.
    pub mzxid: i64,
    /// Time of the creation.
    pub ctime: i64,
    /// Time of the last change of data.
    pub mtime: i64,
    /// Changes of data since the creation.
    pub version: i32,
    /// Changes of the list of children.
    pub cversion: i32,
    /// Changes of the ACL.
    pub aversion: i32,
    /// Session that owns the ephemeral znode, else 0.
    pub ephemeral_owner: i64,
    /// Bytes of data; 0 for null data.
    pub data_length: i32,
    /// Number of children.
    pub num_children: i32,
    /// Zxid of the last change of the list of children.
    pub pzxid: i64,
}

/// Why a znode goes away by itself, as encoded in ZooKeeper's persisted `ephemeralOwner`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Owner {
    /// It does not.
    Persistent,
    /// With its session.
    Session(SessionId),
    /// When its last child has gone.
    Container,
    /// When it had no children and no change for so many milliseconds, 1 to 2^40 - 1.
    Ttl(i64),
}

impl Owner {
    const CONTAINER: i64 = i64::MIN;
    const TTL_MASK: u64 = 0xff00_0000_0000_0000;

    /// The persisted 64-bit value.
    pub fn encode(self) -> i64 {
        match self {
            Self::Persistent => 0,
            Self::Session(id) => id.0,
            Self::Container => Self::CONTAINER,
            Self::Ttl(ttl) => (Self::TTL_MASK | ttl as u64) as i64,
        }
    }

    /// From the persisted 64-bit value.
    pub fn decode(value: i64) -> Self {
        match value {
            0 => Self::Persistent,
            Self::CONTAINER => Self::Container,
            v if (v as u64) & Self::TTL_MASK == Self::TTL_MASK => {
                Self::Ttl(((v as u64) & !Self::TTL_MASK) as i64)
            }
            v => Self::Session(SessionId(v)),
        }
    }

    /// The `ephemeralOwner` clients are shown.
    pub fn shown(self) -> i64 {
        match self {
            Self::Session(id) => id.0,
            Self::Persistent | Self::Container | Self::Ttl(_) => 0,
        }
    }
}
