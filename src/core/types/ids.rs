//! Identities: sessions, connections, servers, requests.

use core::fmt;

/// A client's lease on the service. It survives reconnects; never 0 for a real session.
///
/// Sessions made by Ostler are numbered by the zxid of their creation, so an id is never used
/// twice and its top bit is never set, which keeps it apart from the owner values of container
/// and TTL znodes. Ids taken over from elsewhere keep their value.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub i64);

impl SessionId {
    /// No session: server-made transactions carry it.
    pub const NONE: Self = Self(0);
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

/// One socket of one server's life; never used twice within it.
///
/// The low 8 bits name the connection arbiter that owns the socket, the rest is a serial number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

impl ConnectionId {
    /// The `serial`-th connection of the arbiter with this index.
    pub fn new(arbiter: u8, serial: u64) -> Self {
        Self((serial << 8) | u64::from(arbiter))
    }

    /// Index of the connection arbiter that owns the socket.
    pub fn arbiter(self) -> usize {
        (self.0 & 0xff) as usize
    }
}

/// A member of the ensemble, 1 to 254 in files and on the wire of ZooKeeper.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub u64);

/// A client's request number, echoed in the reply. Negative values are the protocol's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Xid(pub i32);

impl Xid {
    /// A watch event.
    pub const EVENT: Self = Self(-1);
    /// A ping and its reply.
    pub const PING: Self = Self(-2);
    /// An auth packet and its reply.
    pub const AUTH: Self = Self(-4);
    /// Re-registration of watches by clients that do not number it.
    pub const SET_WATCHES: Self = Self(-8);
}
