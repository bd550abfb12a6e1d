//! What kind of znode a create asks for.

/// The `flags` of a create, decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CreateMode {
    /// Which kind of znode.
    pub kind: Kind,
    /// Whether the parent's counter is appended to the name.
    pub sequential: bool,
}

/// The kinds of znode that `flags` can name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Stays until deleted.
    Persistent,
    /// Goes with its session.
    Ephemeral,
    /// Goes when its last child has gone.
    Container,
    /// Goes when it had no children and no change for its time to live.
    Ttl,
}

impl CreateMode {
    /// From ZooKeeper's flag value 0 to 6; `None` for any other.
    pub fn from_flags(flags: i32) -> Option<Self> {
        let (kind, sequential) = match flags {
            0 => (Kind::Persistent, false),
            1 => (Kind::Ephemeral, false),
            2 => (Kind::Persistent, true),
            3 => (Kind::Ephemeral, true),
            4 => (Kind::Container, false),
            5 => (Kind::Ttl, false),
            6 => (Kind::Ttl, true),
            _ => return None,
        };
        Some(Self { kind, sequential })
    }

    /// ZooKeeper's flag value. A sequential container does not exist and is given as container.
    pub fn to_flags(self) -> i32 {
        match (self.kind, self.sequential) {
            (Kind::Persistent, false) => 0,
            (Kind::Ephemeral, false) => 1,
            (Kind::Persistent, true) => 2,
            (Kind::Ephemeral, true) => 3,
            (Kind::Container, _) => 4,
            (Kind::Ttl, false) => 5,
            (Kind::Ttl, true) => 6,
        }
    }
}
