//! What a member knows whatever its role: promises, history, how far each part of it has come,
//! and what is still on its way to the disk.
//!
//! Nothing here speaks to peers. The roles stand on this ground and change it through it.

use super::window::Window;
use crate::rooms::Now;
use crate::types::{ServerId, Zxid};
use crate::zab::io::{Flow, MemberEffect, Timing};
use crate::zab::quorum::Membership;
use crate::zab::{History, HistoryReader, LogOrder, Proposal, Recovered, Reign};
use alloc::collections::btree_map::Entry;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

pub(super) type Effects = Vec<MemberEffect>;

/// What becomes true when a mark is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Promise {
    /// The promise to a reign.
    Accepted,
    /// A leader's history was adopted, or by a leader its own; it ends here.
    Adopted(Zxid),
    /// The live history reaches up to here.
    Logged(Zxid),
    /// A stage is begun.
    Begun,
    /// A piece of a stage.
    Staged,
}

/// An answer this server waits for from its own disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Read {
    History(HistoryReader),
    Snapshot(ServerId),
}

/// Whether an answer from the disk is still wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Wanted,
    /// It belongs to an earlier question. Whoever asks now has to ask again.
    Stale,
}

/// The members as far as quorums of them are asked for.
#[derive(Clone, Debug)]
pub(super) struct Electorate {
    pub(super) membership: Membership,
    pub(super) members: BTreeSet<ServerId>,
    /// Whether this server is a quorum by itself.
    pub(super) decides_alone: bool,
}

/// See the module.
///
/// Invariant: `given <= min(committed, durable)`, `committed <= logged`, `durable <= logged`,
/// where `logged` is the window's end.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    pub(super) me: ServerId,
    pub(super) electorate: Electorate,
    pub(super) timing: Timing,
    pub(super) now: Now,
    pub(super) accepted: Reign,
    pub(super) current: Reign,
    pub(super) window: Window,
    pub(super) window_bytes: usize,
    pub(super) flow: Flow,
    pub(super) durable: Zxid,
    pub(super) committed: Zxid,
    /// Handed to the host.
    pub(super) given: Zxid,
    /// Taken in by the host.
    pub(super) taken: Zxid,
    /// An adopted snapshot that the host does not know of yet.
    pub(super) unloaded: Option<Zxid>,
    /// Time of the latest entry of the history, in milliseconds since 1970.
    pub(super) time_ms: i64,
    mark: u64,
    pending: VecDeque<(u64, Promise)>,
    reads: BTreeMap<Read, Answer>,
    /// A snapshot is being written that the disk has not answered for.
    pub(super) installing: bool,
    /// The role is to be given up when the step ends.
    pub(super) is_leaving: bool,
    /// Messages and answers that came too late or too early to mean anything.
    pub(super) dropped: u64,
}

impl Electorate {
    fn new(me: ServerId, membership: Membership) -> Self {
        let members = membership.members();
        let decides_alone = membership.is_quorum(&BTreeSet::from([me]));
        Self { membership, members, decides_alone }
    }

    /// Whether these servers and `me` are a quorum.
    pub(super) fn decide(&self, me: ServerId, others: impl Iterator<Item = ServerId>) -> bool {
        self.decides_alone || self.membership.is_quorum(&others.chain([me]).collect())
    }

    /// The greatest value that a quorum has reached: `me` with `own`, others as given.
    pub(super) fn reached<T: Copy + Ord>(
        &self,
        me: ServerId,
        own: T,
        others: impl Iterator<Item = (ServerId, T)>,
    ) -> Option<T> {
        if self.members.len() == 1 {
            return Some(own);
        }
        let mut values: Vec<_> = others.chain([(me, own)]).map(|(s, value)| (value, s)).collect();
        values.sort_unstable_by(|a, b| b.cmp(a));
        let mut set = BTreeSet::new();
        for (value, server) in values {
            set.insert(server);
            if self.membership.is_quorum(&set) {
                return Some(value);
            }
        }
        None
    }
}

impl Ground {
    pub(super) fn new(
        me: ServerId,
        membership: Membership,
        timing: Timing,
        recovered: Recovered,
        window_bytes: usize,
    ) -> Self {
        let electorate = Electorate::new(me, membership);
        // Of one epoch the promise stays what it was, also if another server was followed in it.
        let is_older = recovered.accepted.epoch < recovered.current.epoch;
        let accepted = if is_older { recovered.current } else { recovered.accepted };
        // Nobody else can use the window of a server that has nobody else.
        let window_bytes = if electorate.members.len() > 1 { window_bytes } else { 0 };
        Self {
            me,
            electorate,
            timing,
            now: Now::default(),
            accepted,
            current: recovered.current,
            window: Window::new(recovered.last),
            window_bytes,
            flow: Flow::default(),
            durable: recovered.last,
            committed: recovered.committed.max(recovered.delivered),
            given: recovered.delivered,
            taken: recovered.delivered,
            unloaded: None,
            time_ms: recovered.time_ms,
            mark: 0,
            pending: VecDeque::new(),
            reads: BTreeMap::new(),
            installing: false,
            is_leaving: false,
            dropped: 0,
        }
    }

    /// The end of the history, durable or not.
    pub(super) fn logged(&self) -> Zxid {
        self.window.last()
    }

    /// Whether nothing is on its way to the disk.
    pub(super) fn is_drained(&self) -> bool {
        self.pending.is_empty() && !self.installing
    }

    /// Hands orders to the log; `promise` comes true with them.
    pub(super) fn log(&mut self, orders: Vec<LogOrder>, promise: Promise, out: &mut Effects) {
        self.mark += 1;
        self.pending.push_back((self.mark, promise));
        out.push(MemberEffect::Log { mark: self.mark, committed: self.committed, orders });
    }

    /// Appends to the live history.
    pub(super) fn append(&mut self, entries: Vec<Proposal>, out: &mut Effects) {
        let orders = entries.iter().cloned().map(LogOrder::Append).collect();
        for entry in entries {
            self.time_ms = self.time_ms.max(entry.time_ms);
            self.window.push(entry);
        }
        self.log(orders, Promise::Logged(self.logged()), out);
    }

    /// Promises to follow `reign` and nothing before it.
    pub(super) fn accept(&mut self, reign: Reign, out: &mut Effects) {
        assert!(reign.epoch > self.accepted.epoch, "an epoch is promised once");
        self.accepted = reign;
        self.log(alloc::vec![LogOrder::Accept(reign)], Promise::Accepted, out);
    }

    /// Adopts as the history whatever was staged after `base`, of which `tail` is what memory
    /// keeps. Everything reckoned from the old history is set anew here and nowhere else.
    pub(super) fn adopt(&mut self, reign: Reign, base: Zxid, tail: Window, snapshot: bool) {
        assert!(base >= self.committed, "what is committed stays");
        let joined = tail.base() == base && !snapshot;
        self.window.replace_after(base, tail, joined);
        self.durable = self.durable.min(base);
        self.current = reign;
        if snapshot {
            self.committed = base;
            self.unloaded = Some(base);
        }
    }

    /// What the next mark up to `mark` makes true, if there is one.
    pub(super) fn pop_durable(&mut self, mark: u64) -> Option<Promise> {
        let (front, promise) = *self.pending.front()?;
        if front > mark {
            return None;
        }
        self.pending.pop_front();
        match promise {
            Promise::Adopted(last) | Promise::Logged(last) => self.durable = last,
            Promise::Accepted | Promise::Begun | Promise::Staged => {}
        }
        Some(promise)
    }

    /// Raises what is known to be committed. False if that is more than there is.
    pub(super) fn commit(&mut self, committed: Zxid) -> bool {
        if committed > self.logged() {
            return false;
        }
        self.committed = self.committed.max(committed);
        true
    }

    /// Asks the disk, unless an earlier question of the same kind is unanswered: its answer
    /// will be the occasion to ask again.
    pub(super) fn read(&mut self, read: Read, question: MemberEffect, out: &mut Effects) {
        if let Entry::Vacant(slot) = self.reads.entry(read) {
            slot.insert(Answer::Wanted);
            out.push(question);
        }
    }

    /// Takes note that the disk answered.
    pub(super) fn answered(&mut self, read: Read) -> Answer {
        self.reads.remove(&read).unwrap_or(Answer::Stale)
    }

    /// Answers for this learner are no longer wanted.
    pub(super) fn forget_reads_for(&mut self, learner: ServerId) {
        for read in [Read::History(HistoryReader::Learner(learner)), Read::Snapshot(learner)] {
            if let Some(answer) = self.reads.get_mut(&read) {
                *answer = Answer::Stale;
            }
        }
    }

    /// Gives the host what is committed and durable and was not given yet.
    pub(super) fn deliver(&mut self, out: &mut Effects) {
        let until = self.committed.min(self.durable);
        if let Some(snapshot) = self.unloaded {
            if until < snapshot {
                return;
            }
            out.push(MemberEffect::LoadSnapshot(snapshot));
            self.given = snapshot;
            self.unloaded = None;
        }
        if until > self.given {
            if self.window.reaches(self.given) {
                let entries = self.take_or_copy(until);
                out.push(MemberEffect::Deliver(entries));
                self.given = until;
            } else if self.taken >= self.given {
                let question = MemberEffect::ReadHistory(HistoryReader::Host, self.given);
                self.read(Read::History(HistoryReader::Host), question, out);
            }
        }
        self.trim();
    }

    fn take_or_copy(&mut self, until: Zxid) -> Vec<Proposal> {
        if self.window_bytes == 0 && self.window.base() == self.given {
            return self.window.take(until);
        }
        self.window.between(self.given, until).cloned().collect()
    }

    /// Keeps the window small. What the host has not got is kept as long as the window is where
    /// the host will get it from.
    fn trim(&mut self) {
        let reaches_host = self.window.reaches(self.given);
        let floor = if reaches_host { self.durable.min(self.given) } else { self.durable };
        self.window.trim(floor, self.window_bytes);
    }

    /// History that the host's state lacks came from the disk.
    pub(super) fn history_for_host(&mut self, history: History, out: &mut Effects) {
        let until = self.committed.min(self.durable);
        if self.unloaded.is_some() || history.after != self.given {
            return self.deliver(out);
        }
        if !history.reaches_back || history.base != history.after {
            out.push(MemberEffect::Halt("the log no longer has what the host's state lacks"));
            return;
        }
        let mut entries = history.entries;
        entries.truncate(entries.partition_point(|entry| entry.zxid <= until));
        let Some(last) = entries.last() else {
            out.push(MemberEffect::Halt("the log lacks what it said was durable"));
            return;
        };
        self.given = last.zxid;
        out.push(MemberEffect::Deliver(entries));
        self.deliver(out);
    }
}
