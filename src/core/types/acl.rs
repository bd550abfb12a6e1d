//! Permissions, ACL entries, and the identities a connection has proven.

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::vec::Vec;

/// Permission bits of ZooKeeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Perms(pub i32);

impl Perms {
    /// Read data and list children.
    pub const READ: Self = Self(1);
    /// Change data.
    pub const WRITE: Self = Self(2);
    /// Create children.
    pub const CREATE: Self = Self(4);
    /// Delete children.
    pub const DELETE: Self = Self(8);
    /// Change the ACL.
    pub const ADMIN: Self = Self(16);
    /// All five.
    pub const ALL: Self = Self(31);

    /// Whether any of the wanted bits is there.
    pub fn intersects(self, wanted: Self) -> bool {
        self.0 & wanted.0 != 0
    }
}

/// One ACL entry as it stands in a request. A null scheme is read as the empty string, and so is a
/// null id, except that it is [`NULL`](super::NULL) where ZooKeeper looks at it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AclEntry<'a> {
    /// Permission bits, kept as sent.
    pub perms: Perms,
    /// `world`, `auth`, `digest`, `ip`, …
    pub scheme: &'a str,
    /// What the scheme identifies.
    pub id: &'a str,
}

/// One ACL entry as stored.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl {
    /// Permission bits, kept as sent.
    pub perms: Perms,
    /// `world`, `digest`, `ip`, …; never `auth`, which is replaced when it is stored.
    pub scheme: String,
    /// What the scheme identifies.
    pub id: String,
}

impl Acl {
    /// As a borrowed entry.
    pub fn as_entry(&self) -> AclEntry<'_> {
        AclEntry { perms: self.perms, scheme: &self.scheme, id: &self.id }
    }
}

impl AclEntry<'_> {
    /// As an owned entry.
    pub fn to_acl(&self) -> Acl {
        Acl { perms: self.perms, scheme: self.scheme.to_owned(), id: self.id.to_owned() }
    }
}

/// An identity that a connection has proven.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AuthId {
    /// `ip`, `digest`, `super`, …
    pub scheme: String,
    /// For `digest` the user and the hash, `user:base64`.
    pub id: String,
}

/// All identities of one connection, in the order they were proven; the first is its `ip`.
pub type AuthIds = Vec<AuthId>;
