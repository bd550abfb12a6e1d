//! The requests of this server's clients that are not decided yet, each under a number of its own.
//!
//! A write is done when the history delivers it, a confirmation when the leader vouched for a
//! state and the history has reached it. Requests that need neither wait here only behind earlier
//! ones of their connection. Whatever becomes of a leader, a request stays here until it is known
//! to have happened, or is handed out again because it can no longer have.
//!
//! The leader is told of them in their order, of so much at a time as may be under way. Those that
//! wait for that count for nothing yet.
//!
//! Connections that only want to be vouched for, and say so together, share one question, which
//! the leader gets as this server's own.
//!
//! Who leads, and how a request gets there, is not known here.

use super::relay::{Forwarded, ForwardedBody};
use super::requests::{Claim, Committed, CommittedBody, Sender};
use crate::types::{ConnectionId, SessionId, Xid, Zxid};
use crate::zab::Proposal;
use crate::zab::io::Flow;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use bytes::Bytes;
use foldhash::fast::FixedState;
use hashbrown::HashMap;

/// Places made at once for what the leader is told of.
const TOLD_PLACES_MAX: usize = 1024;

/// A request that the leader has a part in.
#[derive(Debug)]
pub(super) enum HeldBody {
    Write(Bytes),
    Confirm(Bytes),
    Vouch,
    Claim(Claim),
    Attach { session: SessionId, timeout_ms: i32 },
}

impl HeldBody {
    /// Size of what the leader gets of it.
    fn bytes(&self) -> usize {
        match self {
            Self::Write(payload) => payload.len(),
            Self::Confirm(_) | Self::Vouch | Self::Claim(_) | Self::Attach { .. } => 0,
        }
    }

    /// Whether it never has a place of its own in the history.
    fn is_confirmation(&self) -> bool {
        match self {
            Self::Confirm(_) | Self::Vouch | Self::Claim(_) => true,
            Self::Write(_) | Self::Attach { .. } => false,
        }
    }
}

#[derive(Debug)]
struct Held {
    sender: Arc<Sender>,
    xid: Xid,
    body: HeldBody,
    /// What the connection sent next and needs nothing but its turn.
    after: Vec<Committed>,
}

impl Held {
    /// What the leader is told of it.
    fn forwarded(&self, serial: u64) -> Forwarded {
        let Sender { session, connection, .. } = *self.sender;
        Forwarded { serial, session, connection, body: asked_by(&self.body) }
    }
}

/// See the module.
///
/// Invariant: `slots[i]` is the request with the number `first + i`, unless it is done; the first
/// slot is never done. `told_bytes` is what all before `untold` carry.
#[derive(Debug)]
pub(super) struct Desk {
    first: u64,
    slots: VecDeque<Option<Held>>,
    /// The first that the leader was not told of.
    untold: u64,
    told_bytes: usize,
    /// The last request under way of each connection that has any.
    lanes: HashMap<ConnectionId, u64, FixedState>,
    /// Confirmations that wait for the history to get there.
    reaching: BTreeSet<(Zxid, u64)>,
    /// How many confirmations are under way of each connection that has any.
    confirmations: HashMap<ConnectionId, usize, FixedState>,
    /// Questions under way, each known by the number of the first of those it is asked for.
    shared: BTreeMap<u64, Vec<u64>>,
}

impl Desk {
    /// An empty desk that numbers requests from `first` on.
    pub(super) fn new(first: u64) -> Self {
        Self {
            first,
            slots: VecDeque::new(),
            untold: first,
            told_bytes: 0,
            lanes: HashMap::with_hasher(FixedState::default()),
            reaching: BTreeSet::new(),
            confirmations: HashMap::with_hasher(FixedState::default()),
            shared: BTreeMap::new(),
        }
    }

    /// Requests under way.
    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    /// Takes in a request.
    pub(super) fn hold(&mut self, sender: &Arc<Sender>, xid: Xid, body: HeldBody) {
        self.seat(sender, xid, body);
    }

    /// What the leader is to be told next: no more in one message, and no more under way, than that.
    pub(super) fn tell(&mut self, flow: Flow) -> Option<Vec<Forwarded>> {
        self.untold = self.untold.max(self.first);
        let untold = place(self.first, self.untold);
        if untold == self.slots.len() {
            return None;
        }
        let places = (self.slots.len() - untold).min(TOLD_PLACES_MAX);
        let (mut told, mut bytes) = (Vec::with_capacity(places), 0);
        for slot in self.slots.range(untold..) {
            let size = slot.as_ref().map_or(0, |held| held.body.bytes());
            let is_enough = bytes > 0 && bytes + size > flow.together_bytes;
            if is_enough || self.told_bytes >= flow.under_way_bytes {
                break;
            }
            // Those who only want to be vouched for have asked already, together.
            let asking = slot.as_ref().filter(|held| !matches!(held.body, HeldBody::Vouch));
            told.extend(asking.map(|held| held.forwarded(self.untold)));
            bytes += size;
            self.told_bytes += size;
            self.untold += 1;
        }
        (!told.is_empty()).then_some(told)
    }

    /// Takes in connections that want to be vouched for; says what the leader is to be asked.
    pub(super) fn hold_unvouched(&mut self, senders: &[Arc<Sender>]) -> Option<Forwarded> {
        let serials = senders.iter().map(|sender| self.seat(sender, Xid(0), HeldBody::Vouch));
        let serials = serials.collect();
        self.ask_for(serials)
    }

    fn seat(&mut self, sender: &Arc<Sender>, xid: Xid, body: HeldBody) -> u64 {
        let serial = self.first + self.slots.len() as u64;
        if body.is_confirmation() {
            *self.confirmations.entry(sender.connection).or_default() += 1;
        }
        self.lanes.insert(sender.connection, serial);
        let held = Held { sender: sender.clone(), xid, body, after: Vec::new() };
        self.slots.push_back(Some(held));
        serial
    }

    /// Whether a question is under way for those who only want to be vouched for.
    pub(super) fn asks(&self) -> bool {
        !self.shared.is_empty()
    }

    /// The question that these share.
    fn ask_for(&mut self, serials: Vec<u64>) -> Option<Forwarded> {
        let serial = *serials.first()?;
        self.shared.insert(serial, serials);
        // The server's own: which session asks makes no difference to the answer.
        let (session, connection) = (SessionId::NONE, ConnectionId(0));
        Some(Forwarded { serial, session, connection, body: ForwardedBody::Confirm })
    }

    /// Takes in a request that needs only its turn; gives it back if that is now.
    pub(super) fn follow(&mut self, sender: &Sender, committed: Committed) -> Option<Committed> {
        let Some(serial) = self.lanes.get(&sender.connection) else { return Some(committed) };
        let slot = &mut self.slots[place(self.first, *serial)];
        slot.as_mut().expect("a lane names a request under way").after.push(committed);
        None
    }

    /// The history goes on with this proposal of this server: it is done, and so is what waited
    /// for it alone. Proposals of an earlier life of this server are nobody's.
    pub(super) fn deliver(&mut self, proposal: Proposal, out: &mut Vec<Committed>) {
        let serial = proposal.origin.serial;
        if !self.is_held(serial) {
            out.push(Committed { sender: None, xid: Xid(0), body: CommittedBody::Txn(proposal) });
            return;
        }
        self.release_earlier(serial, out);
        let Held { sender, xid, body, after } = self.remove(serial).expect("it was just seen");
        let txn = CommittedBody::Txn(proposal);
        match body {
            HeldBody::Attach { session, timeout_ms } => {
                out.push(Committed { sender: None, xid: Xid(0), body: txn });
                let body = CommittedBody::Attach { session, timeout_ms };
                out.push(Committed { sender: Some(sender), xid, body });
            }
            HeldBody::Write(_) | HeldBody::Confirm(_) | HeldBody::Vouch | HeldBody::Claim(_) => {
                out.push(Committed { sender: Some(sender), xid, body: txn });
            }
        }
        out.extend(after);
    }

    /// The leader vouches for a state that has `target`; `reached` is what was delivered.
    pub(super) fn confirmed(
        &mut self,
        serial: u64,
        target: Zxid,
        reached: Zxid,
        out: &mut Vec<Committed>,
    ) {
        let shared = self.shared.remove(&serial);
        for serial in shared.as_deref().unwrap_or(&[serial]) {
            if target <= reached {
                self.finish(*serial, out);
            } else if self.is_held(*serial) {
                self.reaching.insert((target, *serial));
            }
        }
    }

    /// The leader that vouched is none any more: what it vouched for may never come to be, nor what
    /// a connection sent before.
    pub(super) fn forget_vouchers(&mut self) {
        self.reaching.clear();
    }

    /// Everything up to `reached` was delivered.
    pub(super) fn reached(&mut self, reached: Zxid, out: &mut Vec<Committed>) {
        while let Some(&(target, serial)) = self.reaching.first() {
            if target > reached {
                break;
            }
            self.reaching.pop_first();
            self.finish(serial, out);
        }
    }

    /// Forgets a request that will never be done, with what waited for it; returns who sent it.
    pub(super) fn abandon(&mut self, serial: u64) -> Option<Arc<Sender>> {
        self.remove(serial).map(|held| held.sender)
    }

    /// The connection a request under way came on.
    pub(super) fn connection_of(&self, serial: u64) -> Option<ConnectionId> {
        let at = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        self.slots.get(at)?.as_ref().map(|held| held.sender.connection)
    }

    /// Forgets what a connection has under way. What of it is in some leader's hands already may
    /// still act.
    pub(super) fn forget(&mut self, connection: ConnectionId) {
        if !self.lanes.contains_key(&connection) {
            return;
        }
        let held = |slot: &Option<Held>| {
            slot.as_ref().is_some_and(|held| held.sender.connection == connection)
        };
        let numbered = (self.first..).zip(&self.slots);
        let serials: Vec<_> =
            numbered.filter(|(_, slot)| held(slot)).map(|(serial, _)| serial).collect();
        for serial in serials {
            self.reaching.retain(|(_, waiting)| *waiting != serial);
            self.remove(serial);
        }
    }

    /// Forgets everything under way; returns the connections it came on.
    pub(super) fn clear(&mut self) -> Vec<ConnectionId> {
        self.first += self.slots.len() as u64;
        (self.untold, self.told_bytes) = (self.first, 0);
        let held = core::mem::take(&mut self.slots).into_iter().flatten();
        let connections: BTreeSet<_> = held.map(|held| held.sender.connection).collect();
        self.lanes.clear();
        self.reaching.clear();
        self.shared.clear();
        self.confirmations.clear();
        connections.into_iter().collect()
    }

    /// A new leader was told of nothing, what an earlier one vouched for is void. Those who want to
    /// be vouched for share one question, which may come before all else: they have nothing under
    /// way before it.
    pub(super) fn again(&mut self) -> Option<Forwarded> {
        self.forget_vouchers();
        self.shared.clear();
        (self.untold, self.told_bytes) = (self.first, 0);
        let numbered = self.slots.iter().zip(self.first..);
        let is_vouch = |slot: &Option<Held>| {
            slot.as_ref().is_some_and(|held| matches!(held.body, HeldBody::Vouch))
        };
        let unvouched = numbered.filter(|(slot, _)| is_vouch(slot)).map(|(_, serial)| serial);
        let unvouched = unvouched.collect();
        self.ask_for(unvouched)
    }

    fn is_held(&self, serial: u64) -> bool {
        serial.checked_sub(self.first).is_some_and(|at| {
            usize::try_from(at).is_ok_and(|at| matches!(self.slots.get(at), Some(Some(_))))
        })
    }

    /// Done without a transaction of its own.
    fn finish(&mut self, serial: u64, out: &mut Vec<Committed>) {
        let Some(Held { sender, xid, body, after }) = self.remove(serial) else { return };
        let body = match body {
            HeldBody::Confirm(frame) => CommittedBody::Travel(frame),
            HeldBody::Vouch => CommittedBody::Vouched,
            HeldBody::Claim(claim) => CommittedBody::Claim(claim),
            HeldBody::Attach { session, timeout_ms } => {
                CommittedBody::Attach { session, timeout_ms }
            }
            HeldBody::Write(_) => unreachable!("nobody vouches for a write"),
        };
        out.push(Committed { sender: Some(sender), xid, body });
        out.extend(after);
    }

    /// A later write of this connection is in the history, although nobody vouched for what it
    /// sent before: the leader that could have is gone. That write's place in the history is
    /// voucher enough, since its leader had not been deposed when it came.
    fn release_earlier(&mut self, serial: u64, out: &mut Vec<Committed>) {
        let end = place(self.first, serial);
        let connection = self.slots[end].as_ref().map(|held| held.sender.connection);
        if !connection.is_some_and(|connection| self.confirmations.contains_key(&connection)) {
            return;
        }
        let earlier: Vec<_> = (self.first..serial)
            .zip(self.slots.iter())
            .filter(|(_, slot)| slot.as_ref().map(|held| held.sender.connection) == connection)
            .map(|(serial, _)| serial)
            .collect();
        for serial in earlier {
            self.reaching.retain(|(_, waiting)| *waiting != serial);
            self.finish(serial, out);
        }
    }

    fn remove(&mut self, serial: u64) -> Option<Held> {
        let at = usize::try_from(serial.checked_sub(self.first)?).ok()?;
        let held = self.slots.get_mut(at)?.take()?;
        if serial < self.untold {
            self.told_bytes -= held.body.bytes();
        }
        let connection = held.sender.connection;
        if held.body.is_confirmation() {
            self.confirmed_one(connection);
        }
        if self.lanes.get(&connection) == Some(&serial) {
            self.lanes.remove(&connection);
        }
        while matches!(self.slots.front(), Some(None)) {
            self.slots.pop_front();
            self.first += 1;
        }
        Some(held)
    }

    fn confirmed_one(&mut self, connection: ConnectionId) {
        let open = self.confirmations.get_mut(&connection).expect("it was counted when it came");
        *open -= 1;
        if *open == 0 {
            self.confirmations.remove(&connection);
        }
    }
}

fn place(first: u64, serial: u64) -> usize {
    usize::try_from(serial - first).expect("a desk holds fewer requests than memory has bytes")
}

/// What a request asks of the leader.
fn asked_by(body: &HeldBody) -> ForwardedBody {
    match body {
        HeldBody::Write(payload) => ForwardedBody::Write(payload.clone()),
        HeldBody::Confirm(_) | HeldBody::Vouch | HeldBody::Claim(_) => ForwardedBody::Confirm,
        HeldBody::Attach { session, timeout_ms } => {
            ForwardedBody::Attach { session: *session, timeout_ms: *timeout_ms }
        }
    }
}
