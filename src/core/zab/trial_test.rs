//! A small ensemble for tests: members, elections, links that are FIFO until they break, disks
//! that forget what was not synced, hosts that check what they are given.
//!
//! Every effect is checked where it appears: a promise against the disk at that moment, a
//! delivery against what any server was ever given.

use super::election::Election;
use super::io::{ElectionEffect, ElectionInput, MemberEffect, MemberInput, Timing};
use super::member::Member;
use super::message::{Message, Notification};
use super::quorum::{Ensemble, Membership, Role};
use super::{Draft, History, HistoryReader, LogOrder, Origin, Proposal, Recovered, Reign};
use crate::rooms::{Machine, Now};
use crate::types::{Epoch, ServerId, Zxid};
use bytes::Bytes;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::vec::Vec;

pub(super) const TIMING: Timing =
    Timing { heartbeat_ms: 50, silence_ms: 200, join_ms: 500, finalize_ms: 20 };
const STEP_MS: u64 = 10;
/// Small, so that a few writes take several reads.
const CHUNK_ENTRIES: usize = 2;

/// Numbers that look random and are the same every time.
pub(super) struct Chance(pub(super) u64);

impl Chance {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }

    pub(super) fn one_in(&mut self, bound: usize) -> bool {
        self.below(bound) == 0
    }
}

/// What is on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) accepted: Reign,
    pub(super) current: Reign,
    pub(super) committed: Zxid,
    /// The host's snapshot.
    pub(super) snapshot: Zxid,
    /// Where the log begins.
    pub(super) base: Zxid,
    pub(super) log: Vec<Proposal>,
    stage: Option<(Zxid, bool, Vec<Proposal>)>,
}

impl Image {
    pub(super) fn last(&self) -> Zxid {
        self.log.last().map_or(self.base, |last| last.zxid)
    }

    fn order(&mut self, order: &LogOrder) {
        match order {
            LogOrder::Append(proposal) => self.log.push(proposal.clone()),
            LogOrder::Accept(reign) => self.accepted = *reign,
            LogOrder::BeginStage { base, snapshot } => {
                assert!(*snapshot || self.contains(*base), "{base} is not in the history");
                self.stage = Some((*base, *snapshot, Vec::new()));
            }
            LogOrder::Stage(proposal) => self.stage.as_mut().unwrap().2.push(proposal.clone()),
            LogOrder::CommitStage { reign } => {
                self.current = *reign;
                let Some((base, snapshot, entries)) = self.stage.take() else { return };
                self.log.retain(|entry| !snapshot && entry.zxid <= base);
                if snapshot {
                    (self.base, self.snapshot) = (base, base);
                }
                self.log.extend(entries);
            }
        }
        assert!(self.log.windows(2).all(|pair| pair[0].zxid < pair[1].zxid));
    }

    fn contains(&self, zxid: Zxid) -> bool {
        zxid == self.base || self.log.iter().any(|entry| entry.zxid == zxid)
    }

    fn history(&self, after: Zxid) -> History {
        let reaches_back = after >= self.base;
        let upto = self.log.iter().filter(|entry| entry.zxid <= after);
        let base = upto.last().map_or(self.base, |last| last.zxid);
        let rest = self.log.iter().filter(|entry| entry.zxid > base);
        let entries = rest.take(CHUNK_ENTRIES).cloned().collect();
        History { after, base, entries, reaches_back }
    }
}

#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    pub(super) image: Image,
    pub(super) queue: VecDeque<(u64, Zxid, Vec<LogOrder>)>,
}

impl Disk {
    fn sync(&mut self) -> Option<u64> {
        let (mark, committed, orders) = self.queue.pop_front()?;
        for order in &orders {
            self.image.order(order);
        }
        self.image.committed = self.image.committed.max(committed.min(self.image.last()));
        Some(mark)
    }
}

#[derive(Clone, Debug)]
enum Question {
    History(HistoryReader, Zxid),
    Snapshot(ServerId),
    Installed(Zxid),
    Delivered(Zxid),
}

#[derive(Clone, Debug)]
pub(super) enum Packet {
    Zab(Message),
    Vote(Notification),
    Up,
    Down,
}

#[derive(Clone, Debug)]
pub(super) struct Server {
    pub(super) member: Member,
    pub(super) election: Election,
    pub(super) disk: Disk,
    pub(super) is_up: bool,
    pub(super) has_slow_disk: bool,
    questions: VecDeque<Question>,
    /// Of snapshots being read: what they are exact at, and pieces read.
    reading: BTreeMap<ServerId, (Zxid, u64)>,
    /// The snapshot being received, and how many pieces of it there are.
    receiving: (Zxid, u64),
    pub(super) serving: Option<Reign>,
    /// How many of the chosen this server was given.
    pub(super) given: usize,
    /// Newest committed of all servers, at the time each token was handed in.
    tokens: BTreeMap<u64, Zxid>,
    pub(super) confirmed: u64,
    pub(super) refused: u64,
    pub(super) suspended: u64,
    /// Questions to the disk on behalf of learners.
    pub(super) history_reads: u64,
    pub(super) snapshot_reads: u64,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct World {
    membership: Membership,
    window_bytes: usize,
    counter_max: u32,
    pub(super) now: Now,
    pub(super) servers: BTreeMap<ServerId, Server>,
    pub(super) links: BTreeMap<(ServerId, ServerId), VecDeque<Packet>>,
    /// Pairs with a link, smaller first.
    up: BTreeSet<(ServerId, ServerId)>,
    cut: BTreeSet<(ServerId, ServerId)>,
    pub(super) chosen: Vec<Proposal>,
    elected: BTreeMap<Epoch, ServerId>,
    leaders: BTreeMap<Epoch, ServerId>,
    serial: u64,
    /// Whether elections take place; else candidates are named from outside.
    elects: bool,
}

/// Pieces of every snapshot.
const PIECES: u64 = 3;

fn piece(zxid: Zxid, number: u64) -> Bytes {
    Bytes::from(std::format!("piece {number} of {zxid}"))
}

impl Server {
    /// The next piece of what is being read; nothing useful for what is no longer.
    fn piece(&mut self, learner: ServerId) -> MemberInput {
        let Some((zxid, pieces)) = self.reading.get_mut(&learner) else {
            return MemberInput::SnapshotUnreadable { learner };
        };
        *pieces += 1;
        let (zxid, pieces) = (*zxid, *pieces);
        let last = pieces == PIECES;
        if last {
            self.reading.remove(&learner);
        }
        MemberInput::SnapshotRead { learner, zxid, bytes: piece(zxid, pieces), last }
    }
}

pub(super) fn id(server: u64) -> ServerId {
    ServerId(server)
}

fn pair(a: ServerId, b: ServerId) -> (ServerId, ServerId) {
    (a.min(b), a.max(b))
}

impl World {
    pub(super) fn new(voters: u64, observers: u64, window_bytes: usize) -> Self {
        let voter = |server| (ServerId(server), Role::VOTER);
        let observer = |server| (ServerId(server), Role::Observer);
        let observers = (voters + 1..=voters + observers).map(observer);
        let members = (1..=voters).map(voter).chain(observers).collect();
        Self::of(Membership::new(Ensemble { version: Zxid::ZERO, members }), window_bytes, 1 << 31)
    }

    pub(super) fn of(membership: Membership, window_bytes: usize, counter_max: u32) -> Self {
        let mut world = Self {
            membership,
            window_bytes,
            counter_max,
            now: Now { mono_ms: 1000, wall_ms: 1_000_000 },
            servers: BTreeMap::new(),
            links: BTreeMap::new(),
            up: BTreeSet::new(),
            cut: BTreeSet::new(),
            chosen: Vec::new(),
            elected: BTreeMap::new(),
            leaders: BTreeMap::new(),
            serial: 0,
            elects: true,
        };
        for server in world.membership.members() {
            world.start(server, Disk::default());
        }
        world
    }

    pub(super) fn membership(&self) -> Membership {
        self.membership.clone()
    }

    // ---- faults

    pub(super) fn start(&mut self, server: ServerId, disk: Disk) {
        let image = &disk.image;
        let recovered = Recovered {
            accepted: image.accepted,
            current: image.current,
            last: image.last(),
            time_ms: image.log.last().map_or(0, |last| last.time_ms),
            committed: image.committed.max(image.snapshot),
            delivered: image.snapshot,
        };
        let given = self.position(image.snapshot);
        let membership = self.membership.clone();
        let mut member =
            Member::new(server, membership.clone(), TIMING, recovered, self.window_bytes);
        member.roll_over_at(self.counter_max);
        let server_state = Server {
            member,
            election: Election::new(server, membership, TIMING),
            disk,
            is_up: true,
            has_slow_disk: false,
            questions: VecDeque::new(),
            reading: BTreeMap::new(),
            receiving: (Zxid::ZERO, 0),
            serving: None,
            given,
            tokens: BTreeMap::new(),
            confirmed: 0,
            refused: 0,
            suspended: 0,
            history_reads: 0,
            snapshot_reads: 0,
        };
        self.servers.insert(server, server_state);
        let mut effects = Vec::new();
        self.server(server).member.start(&mut effects);
        self.perform(server, effects);
    }

    fn position(&self, zxid: Zxid) -> usize {
        self.chosen.iter().take_while(|entry| entry.zxid <= zxid).count()
    }

    pub(super) fn server(&mut self, server: ServerId) -> &mut Server {
        self.servers.get_mut(&server).unwrap()
    }

    /// The process is gone; of what was not synced, the first `kept` orders reached the disk.
    pub(super) fn crash(&mut self, server: ServerId, kept: usize) {
        let peers: Vec<_> = self.servers.keys().copied().filter(|peer| *peer != server).collect();
        for peer in peers {
            self.break_link(server, peer, 0);
            self.links.entry((peer, server)).or_default().clear();
        }
        let state = self.server(server);
        assert!(state.is_up);
        for _ in 0..kept {
            state.disk.sync();
        }
        state.disk.queue.clear();
        state.disk.image.stage = None;
        state.is_up = false;
        state.serving = None;
    }

    pub(super) fn restart(&mut self, server: ServerId) {
        let disk = core::mem::take(&mut self.server(server).disk);
        self.start(server, disk);
    }

    /// Of what is on its way each way, `arrives` messages still arrive.
    pub(super) fn break_link(&mut self, a: ServerId, b: ServerId, arrives: usize) {
        if !self.up.remove(&pair(a, b)) {
            return;
        }
        for way in [(a, b), (b, a)] {
            let link = self.links.entry(way).or_default();
            link.truncate(arrives);
            link.push_back(Packet::Down);
        }
    }

    pub(super) fn cut(&mut self, a: ServerId, b: ServerId) {
        self.cut.insert(pair(a, b));
        self.break_link(a, b, 0);
    }

    pub(super) fn is_linked(&self, a: ServerId, b: ServerId) -> bool {
        self.up.contains(&pair(a, b))
    }

    pub(super) fn isolate(&mut self, server: ServerId) {
        let peers: Vec<_> = self.servers.keys().copied().filter(|peer| *peer != server).collect();
        for peer in peers {
            self.cut(server, peer);
        }
    }

    pub(super) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Makes links where nothing is in the way.
    pub(super) fn link(&mut self) {
        let ids: Vec<_> = self.servers.keys().copied().collect();
        for a in &ids {
            for b in ids.iter().filter(|b| a < *b) {
                let alive = self.servers[a].is_up && self.servers[b].is_up;
                let ways = [(*a, *b), (*b, *a)];
                let quiet =
                    ways.iter().all(|way| self.links.get(way).is_none_or(VecDeque::is_empty));
                let free = !self.cut.contains(&(*a, *b)) && !self.up.contains(&(*a, *b));
                if alive && quiet && free {
                    self.up.insert((*a, *b));
                    for way in ways {
                        self.links.entry(way).or_default().push_back(Packet::Up);
                    }
                }
            }
        }
    }

    /// The host writes a snapshot, and the log before it is deleted.
    pub(super) fn purge(&mut self, server: ServerId) {
        let given = self.servers[&server].given;
        let Some(last) = given.checked_sub(1).map(|index| self.chosen[index].zxid) else { return };
        let image = &mut self.server(server).disk.image;
        if last > image.snapshot && image.contains(last) {
            image.snapshot = last;
            image.base = last;
            image.log.retain(|entry| entry.zxid > last);
        }
    }

    // ---- single steps; false when there was nothing to do

    pub(super) fn deliver(&mut self, from: ServerId, to: ServerId) -> bool {
        let Some(packet) = self.links.get_mut(&(from, to)).and_then(VecDeque::pop_front) else {
            return false;
        };
        if !self.servers[&to].is_up {
            return true;
        }
        match packet {
            Packet::Zab(message) => self.member(to, MemberInput::Received(from, message)),
            Packet::Vote(said) => self.election(to, ElectionInput::Received(from, said)),
            Packet::Up => self.election(to, ElectionInput::LinkUp(from)),
            Packet::Down => {
                self.election(to, ElectionInput::LinkDown(from));
                self.member(to, MemberInput::LinkDown(from));
            }
        }
        true
    }

    pub(super) fn sync(&mut self, server: ServerId) -> bool {
        let state = self.server(server);
        if !state.is_up {
            return false;
        }
        let Some(mark) = state.disk.sync() else { return false };
        self.member(server, MemberInput::Durable(mark));
        true
    }

    pub(super) fn answer(&mut self, server: ServerId) -> bool {
        let state = self.server(server);
        let Some(question) = state.questions.pop_front().filter(|_| state.is_up) else {
            return false;
        };
        let input = match question {
            Question::History(reader, after) => {
                MemberInput::History(reader, state.disk.image.history(after))
            }
            Question::Snapshot(learner) => state.piece(learner),
            Question::Installed(zxid) => MemberInput::SnapshotInstalled(zxid),
            Question::Delivered(zxid) => MemberInput::Delivered(zxid),
        };
        self.member(server, input);
        true
    }

    pub(super) fn tick(&mut self, server: ServerId) {
        if self.servers[&server].is_up {
            self.member(server, MemberInput::Tick);
            self.election(server, ElectionInput::Tick);
        }
    }

    pub(super) fn pass(&mut self, ms: u64) {
        self.now.mono_ms += ms;
        self.now.wall_ms += ms as i64;
    }

    pub(super) fn propose(&mut self, server: ServerId, count: usize) {
        let drafts = (0..count).map(|_| {
            self.serial += 1;
            let payload = Bytes::from(std::format!("write {}", self.serial));
            Draft { origin: Origin { server, serial: self.serial }, payload }
        });
        let drafts = drafts.collect();
        self.member(server, MemberInput::Propose(drafts));
    }

    pub(super) fn confirm(&mut self, server: ServerId) {
        self.serial += 1;
        let token = self.serial;
        let newest = self.chosen.last().map_or(Zxid::ZERO, |last| last.zxid);
        self.server(server).tokens.insert(token, newest);
        self.member(server, MemberInput::Confirm { token, asker: server });
    }

    pub(super) fn member(&mut self, server: ServerId, input: MemberInput) {
        let now = self.now;
        let mut effects = Vec::new();
        self.server(server).member.step(now, input, &mut effects);
        self.perform(server, effects);
    }

    /// From now on there are no elections, no pings and no other messages that need time.
    pub(super) fn without_elections(mut self) -> Self {
        self.elects = false;
        self
    }

    /// Elections take place again: those that look begin to.
    pub(super) fn with_elections(&mut self) {
        self.elects = true;
        for (server, state) in &mut self.servers {
            state.election = Election::new(*server, self.membership.clone(), TIMING);
        }
        let looking = self.servers.iter().filter(|(_, state)| state.member.is_looking());
        let looking: Vec<_> = looking.map(|(server, _)| *server).collect();
        for server in looking {
            let image = &self.servers[&server].disk.image;
            let (epoch, last) = (image.current.epoch, image.last());
            self.election(server, ElectionInput::Look { epoch, last });
        }
        for (server, reign) in self.servers.clone() {
            if let Some(reign) = reign.serving {
                self.election(server, ElectionInput::Settled(reign));
            }
        }
    }

    fn election(&mut self, server: ServerId, input: ElectionInput) {
        if !self.elects {
            return;
        }
        let now = self.now;
        let mut effects = Vec::new();
        self.server(server).election.step(now, input, &mut effects);
        for effect in effects {
            match effect {
                ElectionEffect::Send(to, said) => self.send(server, to, Packet::Vote(said)),
                ElectionEffect::Try(leader) => self.member(server, MemberInput::Try(leader)),
            }
        }
    }

    fn send(&mut self, from: ServerId, to: ServerId, packet: Packet) {
        let beats = matches!(packet, Packet::Zab(Message::Ping { .. } | Message::SyncTaken { .. }));
        if !self.elects && beats {
            return;
        }
        if self.up.contains(&pair(from, to)) {
            self.links.entry((from, to)).or_default().push_back(packet);
        }
    }

    // ---- effects

    fn perform(&mut self, server: ServerId, effects: Vec<MemberEffect>) {
        let mut look = None;
        for effect in effects {
            assert!(look.is_none(), "Look is the last effect");
            match effect {
                MemberEffect::Send(to, message) => {
                    self.check_promise(server, to, &message);
                    self.send(server, to, Packet::Zab(message));
                }
                MemberEffect::Disconnect(peer) => self.break_link(server, peer, 1),
                MemberEffect::Log { mark, committed, orders } => {
                    assert!(!orders.is_empty());
                    self.check_elected(server, &orders);
                    self.server(server).disk.queue.push_back((mark, committed, orders));
                }
                MemberEffect::Deliver(entries) => self.given(server, &entries),
                MemberEffect::LoadSnapshot(zxid) => {
                    let given = self.position(zxid);
                    assert!(given >= self.servers[&server].given, "the host's state went back");
                    assert_eq!(self.chosen[given - 1].zxid, zxid, "nobody was given the snapshot");
                    self.server(server).given = given;
                    self.server(server).questions.push_back(Question::Delivered(zxid));
                }
                MemberEffect::Serve { reign, history } => self.serve(server, reign, history),
                MemberEffect::Suspend => {
                    assert!(self.server(server).serving.take().is_some(), "suspended twice");
                    self.server(server).suspended += 1;
                }
                MemberEffect::Look { epoch, last } => look = Some((epoch, last)),
                MemberEffect::Refused(origins) => {
                    self.server(server).refused += origins.len() as u64;
                }
                MemberEffect::Confirmed { token, target } => {
                    let newest = self.server(server).tokens.remove(&token).unwrap();
                    assert!(target >= newest, "{server:?} confirmed a read of the past");
                    self.server(server).confirmed += 1;
                }
                MemberEffect::ReadHistory(reader, after) => {
                    self.ask(server, Question::History(reader, after));
                }
                MemberEffect::OpenSnapshot(learner) => {
                    let snapshot = self.servers[&server].disk.image.snapshot;
                    self.server(server).reading.insert(learner, (snapshot, 0));
                    self.ask(server, Question::Snapshot(learner));
                }
                MemberEffect::ReadSnapshot(learner) => {
                    assert!(self.servers[&server].reading.contains_key(&learner), "not open");
                    self.ask(server, Question::Snapshot(learner));
                }
                MemberEffect::CloseSnapshot(learner) => {
                    self.server(server).reading.remove(&learner);
                }
                MemberEffect::BeginSnapshot(zxid) => self.server(server).receiving = (zxid, 0),
                MemberEffect::WriteSnapshot { bytes, last } => {
                    let (zxid, pieces) = &mut self.server(server).receiving;
                    *pieces += 1;
                    let expected = piece(*zxid, *pieces);
                    assert_eq!((&bytes, last), (&expected, *pieces == PIECES), "wrong piece");
                    let zxid = *zxid;
                    if last {
                        self.ask(server, Question::Installed(zxid));
                    }
                }
                MemberEffect::Halt(reason) => panic!("{server:?} halts: {reason}"),
            }
        }
        if let Some((epoch, last)) = look {
            let disk = &self.servers[&server].disk;
            assert!(disk.queue.is_empty(), "looks with writes on their way");
            assert_eq!((disk.image.current.epoch, disk.image.last()), (epoch, last));
            self.election(server, ElectionInput::Look { epoch, last });
        }
    }

    fn ask(&mut self, server: ServerId, question: Question) {
        let state = self.server(server);
        match &question {
            Question::History(HistoryReader::Learner(_), _) => state.history_reads += 1,
            Question::Snapshot(_) => state.snapshot_reads += 1,
            Question::History(HistoryReader::Host, _)
            | Question::Installed(_)
            | Question::Delivered(_) => {}
        }
        state.questions.push_back(question);
    }

    /// Whatever a message promises is on the disk of its sender now.
    fn check_promise(&mut self, server: ServerId, to: ServerId, message: &Message) {
        let image = &self.servers[&server].disk.image;
        match message {
            Message::LeaderInfo { epoch, .. } => {
                assert_eq!(image.accepted, Reign { epoch: *epoch, leader: server });
            }
            Message::AckEpoch { epoch, current, last, counts } => {
                assert_eq!(image.accepted.epoch, *epoch);
                assert!(!counts || image.accepted.leader == to, "promised to another");
                assert_eq!((image.current, image.last()), (*current, *last));
            }
            Message::AckNewLeader { epoch } => {
                assert_eq!(image.current, Reign { epoch: *epoch, leader: to });
            }
            Message::Ack { durable, .. } => assert_eq!(image.last(), *durable),
            Message::UpToDate { epoch, committed } | Message::Commit { epoch, committed } => {
                assert_eq!(self.leaders.get(epoch), Some(&server));
                self.check_committed(*committed);
            }
            Message::Propose { epoch, committed, .. } => {
                assert_eq!(self.leaders.get(epoch), Some(&server));
                self.check_committed(*committed);
            }
            Message::Ping { committed, .. } => self.check_committed(*committed),
            Message::Info { .. }
            | Message::SyncFrom { .. }
            | Message::SyncSnapshot { .. }
            | Message::SnapshotChunk { .. }
            | Message::SyncEntries { .. }
            | Message::SyncTaken { .. }
            | Message::NewLeader { .. }
            | Message::Pong { .. }
            | Message::Leave { .. } => {}
        }
    }

    /// A server that adopts its own reign was elected: nobody else was for this epoch.
    fn check_elected(&mut self, server: ServerId, orders: &[LogOrder]) {
        for order in orders {
            if let LogOrder::CommitStage { reign } = order
                && reign.leader == server
            {
                let before = self.elected.insert(reign.epoch, server);
                assert_eq!(before, None, "two were elected for {reign:?}");
            }
        }
    }

    /// What is called committed is durable on a quorum.
    fn check_committed(&self, committed: Zxid) {
        let holds = |state: &Server| {
            committed == Zxid::ZERO
                || state.disk.image.contains(committed)
                || state.disk.image.base >= committed
        };
        let holders = self.servers.iter().filter(|(_, state)| holds(state));
        let holders: BTreeSet<_> = holders.map(|(server, _)| *server).collect();
        assert!(self.membership.is_quorum(&holders), "{committed} is not on a quorum");
    }

    fn serve(&mut self, server: ServerId, reign: Reign, history: Zxid) {
        let newest = self.chosen.last().map_or(Zxid::ZERO, |last| last.zxid);
        if reign.leader == server {
            assert!(newest <= history, "{server:?} leads without all that is committed");
            let before = self.leaders.insert(reign.epoch, server);
            assert_eq!(before, None, "two leaders of {reign:?}");
        } else {
            assert_eq!(self.leaders.get(&reign.epoch), Some(&reign.leader));
        }
        assert_eq!(self.servers[&server].disk.image.current, reign);
        self.server(server).serving = Some(reign);
        self.election(server, ElectionInput::Settled(reign));
    }

    fn given(&mut self, server: ServerId, entries: &[Proposal]) {
        assert!(!entries.is_empty());
        let state = self.servers.get_mut(&server).unwrap();
        for entry in entries {
            let reign = state.serving.unwrap_or(state.disk.image.current);
            assert!(entry.zxid.epoch() <= reign.epoch, "{} is given too early", entry.zxid);
            match self.chosen.get(state.given) {
                Some(chosen) => assert_eq!(chosen, entry, "{server:?} differs"),
                None => self.chosen.push(entry.clone()),
            }
            state.given += 1;
        }
        let last = entries.last().unwrap().zxid;
        assert!(state.disk.image.last() >= last, "given before it was durable");
        state.questions.push_back(Question::Delivered(last));
    }

    // ---- runs

    /// Lets everything happen that does not need time.
    pub(super) fn settle(&mut self) {
        for _ in 0..10_000 {
            self.link();
            let mut quiet = true;
            let ids: Vec<_> = self.servers.keys().copied().collect();
            for a in &ids {
                for b in &ids {
                    quiet &= !self.deliver(*a, *b);
                }
                let slow = self.servers[a].has_slow_disk;
                quiet &= slow || !self.sync(*a);
                quiet &= !self.answer(*a);
            }
            if quiet {
                return;
            }
        }
        panic!("never quiet");
    }

    pub(super) fn run(&mut self, ms: u64) {
        self.settle();
        for _ in 0..ms / STEP_MS {
            self.pass(STEP_MS);
            let ids: Vec<_> = self.servers.keys().copied().collect();
            for server in ids {
                self.tick(server);
            }
            self.settle();
        }
    }

    /// The server that leads, if all that are up agree and were given everything.
    pub(super) fn agreed(&self) -> Option<ServerId> {
        let up = || self.servers.values().filter(|state| state.is_up);
        let reign = up().next()?.serving?;
        let agree = up().all(|s| s.serving == Some(reign) && s.given == self.chosen.len());
        agree.then_some(reign.leader)
    }

    /// Runs until all that are up agree, and a write reaches all of them.
    pub(super) fn converge(&mut self) -> ServerId {
        for _ in 0..40 {
            self.run(500);
            let Some(leader) = self.agreed() else { continue };
            let before = self.chosen.len();
            self.propose(leader, 1);
            self.run(100);
            if self.agreed() == Some(leader) && self.chosen.len() > before {
                return leader;
            }
        }
        let state: Vec<_> = self.servers.values().map(|s| (s.is_up, s.serving, s.given)).collect();
        panic!("no convergence: {state:?}, {} chosen", self.chosen.len());
    }
}
