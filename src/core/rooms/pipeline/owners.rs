//! The leader's table of owners: which connection of which server speaks for a session, so that
//! nothing an earlier connection still sends can take effect after the session has moved.
//!
//! Volatile: a new leader learns it from its learners. Sessions nobody has claimed have no owner,
//! and then anybody may speak for them.

use super::relay::Ownership;
use crate::types::{ConnectionId, ServerId, SessionId, Zxid};
use alloc::collections::BTreeMap;

/// A connection somewhere in the ensemble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) server: ServerId,
    pub(super) connection: ConnectionId,
    since: Zxid,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Owners(BTreeMap<SessionId, Owner>);

impl Owners {
    /// Whether this connection may speak for the session.
    pub(super) fn admits(
        &self,
        session: SessionId,
        server: ServerId,
        connection: ConnectionId,
    ) -> bool {
        self.0
            .get(&session)
            .is_none_or(|owner| owner.server == server && owner.connection == connection)
    }

    /// A takeover; returns the owner that lost the session.
    pub(super) fn take(
        &mut self,
        session: SessionId,
        server: ServerId,
        connection: ConnectionId,
        since: Zxid,
    ) -> Option<Owner> {
        let owner = Owner { server, connection, since };
        self.0
            .insert(session, owner)
            .filter(|old| old.server != server || old.connection != connection)
    }

    /// A report of a server about its own connection; the latest takeover wins. Returns the owner
    /// that is not one any more, which may be the one reported.
    pub(super) fn learn(&mut self, server: ServerId, report: Ownership) -> Option<Owner> {
        let Ownership { session, connection, since } = report;
        let reported = Owner { server, connection, since };
        match self.0.get(&session) {
            Some(known) if *known == reported => None,
            Some(known) if known.server == server && known.connection == connection => None,
            Some(known) if known.since >= since => Some(reported),
            Some(_) | None => self.take(session, server, connection, since),
        }
    }

    /// The session has ended.
    pub(super) fn end(&mut self, session: SessionId) {
        self.0.remove(&session);
    }

    /// Nothing is known under a new leader.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::Epoch;

    const S: SessionId = SessionId(9);

    fn at(counter: u32) -> Zxid {
        Zxid::new(Epoch(1), counter)
    }

    fn owns(connection: u64, since: u32) -> Ownership {
        Ownership { session: S, connection: ConnectionId(connection), since: at(since) }
    }

    #[test]
    fn the_latest_takeover_wins_whatever_order_the_reports_come_in() {
        let mut owners = Owners::default();
        assert_eq!(owners.take(S, ServerId(2), ConnectionId(5), at(7)), None);
        let late = owners.learn(ServerId(1), owns(3, 4));
        assert!(late.is_some_and(|lost| lost.server == ServerId(1)));
        assert!(owners.admits(S, ServerId(2), ConnectionId(5)));
        let lost = owners.learn(ServerId(3), owns(8, 9));
        assert!(lost.is_some_and(|lost| lost.server == ServerId(2)));
        assert!(!owners.admits(S, ServerId(2), ConnectionId(5)));
    }

    #[test]
    fn an_owner_takes_nothing_from_itself() {
        let mut owners = Owners::default();
        owners.take(S, ServerId(1), ConnectionId(3), at(1));
        assert_eq!(owners.learn(ServerId(1), owns(3, 1)), None);
        assert_eq!(owners.take(S, ServerId(1), ConnectionId(3), at(2)), None);
    }
}
