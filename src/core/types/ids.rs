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

    /// Whether a client that counts up, and goes on with 1 behind the largest number, gets to this
    /// number behind the other. Numbers half of all apart, or more, are taken for a way back.
    pub fn is_after(self, other: Self) -> bool {
        let ahead = self.0.wrapping_sub(other.0) & i32::MAX;
        ahead != 0 && ahead <= i32::MAX / 2
    }
}

/// A write that takes effect once, however often it is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Once {
    /// Its number, behind those of all earlier writes of its session.
    pub xid: Xid,
    /// Its client has heard all answers up to this one; 0 says nothing.
    pub heard: Xid,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_go_on_behind_the_largest() {
        for (later, earlier) in [(2, 1), (1, 0), (1, i32::MAX), (1 << 30, 1), (5, i32::MAX - 5)] {
            assert!(Xid(later).is_after(Xid(earlier)), "{later} {earlier}");
            assert!(!Xid(earlier).is_after(Xid(later)), "{earlier} {later}");
        }
        assert!(!Xid(7).is_after(Xid(7)));
    }
}
