//! What the machines want done is done, one effect at a time: the part that actors play in
//! production.

use crate::audit;
use crate::plan::Promise;
use crate::server::{self, Name, Post, Rooms};
use crate::world::{Due, Timer, World};
use bytes::Bytes;
use ostler_core::rooms::pipeline::{CommittedBody, PeerMessage};
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::tree_store::View;
use ostler_core::rooms::{log_writer, peer, pipeline, session_sweeper, tree_store, watch_fanout};
use ostler_core::tree::Tree;
use ostler_core::types::{Op, ServerId, SessionId, Xid};
use ostler_core::wire::peer::LinkMessage;
use ostler_core::wire::txn;
use ostler_core::zab::Reign;
use ostler_core::zab::message::{Message, Standing};

/// How often a server looks for znodes that have outlived their use, in milliseconds.
const REAP_MS: u64 = 150;

impl World {
    pub(crate) fn rooms(&mut self, server: usize) -> &mut Rooms {
        self.servers[server].rooms.as_mut().expect("only a server that is up acts")
    }

    pub(crate) fn is_up(&self, server: usize) -> bool {
        self.servers[server].rooms.is_some()
    }

    /// One act of a room.
    pub(crate) fn act(&mut self, server: usize, name: Name) {
        let now = self.servers[server].now(self.now_us);
        let life = self.servers[server].life;
        if self.panics(server, name) {
            return;
        }
        let rooms = self.rooms(server);
        match name {
            Name::Peer => {
                rooms.peer.is_awake = false;
                if let Some(effect) = rooms.peer.next(now) {
                    self.perform_peer(server, effect);
                }
            }
            Name::Pipeline => {
                rooms.pipeline.is_awake = false;
                if let Some(effect) = rooms.pipeline.next(now) {
                    self.perform_pipeline(server, effect);
                }
            }
            Name::Log => {
                rooms.log_writer.is_awake = false;
                if let Some(input) = rooms.log_writer.inbox.front()
                    && rooms.log_writer.outbox.is_empty()
                {
                    rooms.unproven.keep(input);
                }
                if let Some(effect) = rooms.log_writer.next(now) {
                    self.perform_log(server, effect);
                }
            }
            Name::Tree => {
                rooms.tree.is_awake = false;
                if let Some(effect) = rooms.tree.next(now) {
                    self.perform_tree(server, effect);
                }
            }
            Name::Fanout => {
                rooms.fanout.is_awake = false;
                if let Some(effect) = rooms.fanout.next(now) {
                    self.perform_fanout(server, effect);
                }
            }
            Name::Sweeper => {
                rooms.sweeper.is_awake = false;
                if let Some(effect) = rooms.sweeper.next(now) {
                    self.perform_sweeper(server, effect);
                }
            }
            Name::Snapshot => {
                rooms.snapshot.is_awake = false;
                if let Some(work) = rooms.snapshot.inbox.pop_front() {
                    self.perform_snapshot(server, work);
                }
            }
        }
        if self.servers[server].life == life {
            self.wake(server, name);
        }
    }

    /// Whether the room that is about to act panics instead.
    fn panics(&mut self, server: usize, name: Name) -> bool {
        let rooms = self.rooms(server);
        let Some(moment) = rooms.doomed.remove(&name) else { return false };
        match name {
            Name::Peer => rooms.peer.is_awake = false,
            Name::Pipeline => rooms.pipeline.is_awake = false,
            Name::Log => rooms.log_writer.is_awake = false,
            Name::Tree => rooms.tree.is_awake = false,
            Name::Fanout => rooms.fanout.is_awake = false,
            Name::Sweeper => rooms.sweeper.is_awake = false,
            Name::Snapshot => rooms.snapshot.is_awake = false,
        }
        self.panic_room(server, name, moment);
        true
    }

    // Posts from room to room.

    pub(crate) fn tell_peer(&mut self, server: usize, input: peer::Input) {
        self.rooms(server).peer.inbox.push_back(input);
        self.wake(server, Name::Peer);
    }

    pub(crate) fn tell_pipeline(&mut self, server: usize, input: pipeline::Input) {
        self.rooms(server).pipeline.inbox.push_back(input);
        self.wake(server, Name::Pipeline);
    }

    pub(crate) fn tell_pipeline_if(&mut self, server: usize, input: Option<pipeline::Input>) {
        if let Some(input) = input {
            self.tell_pipeline(server, input);
        }
    }

    pub(crate) fn tell_log(&mut self, server: usize, input: log_writer::Input) {
        self.rooms(server).log_writer.inbox.push_back(input);
        self.wake(server, Name::Log);
    }

    pub(crate) fn tell_tree(&mut self, server: usize, input: tree_store::Input) {
        self.rooms(server).tree.inbox.push_back(input);
        self.wake(server, Name::Tree);
    }

    pub(crate) fn tell_fanout(&mut self, server: usize, input: watch_fanout::Input) {
        self.rooms(server).fanout.inbox.push_back(input);
        self.wake(server, Name::Fanout);
    }

    pub(crate) fn tell_sweeper(&mut self, server: usize, input: session_sweeper::Input) {
        self.rooms(server).sweeper.inbox.push_back(input);
        self.wake(server, Name::Sweeper);
    }

    pub(crate) fn tell_snapshot(&mut self, server: usize, work: SnapshotWork) {
        self.rooms(server).snapshot.inbox.push_back(work);
        self.wake(server, Name::Snapshot);
    }

    // Peer.

    fn perform_peer(&mut self, server: usize, effect: peer::Effect) {
        match effect {
            peer::Effect::Send(to, said) => {
                if said.standing == Standing::Looking && self.audits() {
                    audit::check_vote(&self.servers[server], &self.plan, &said);
                }
                self.send(server, to, LinkMessage::Election(said));
            }
            peer::Effect::Try(leader) => {
                let chosen = self.disloyal(leader);
                self.trace(|| format!("{server}: tries {}", chosen.0));
                self.tell_pipeline(server, pipeline::Input::Try(chosen));
            }
        }
    }

    /// Safety rests on no election's outcome, so any will do.
    fn disloyal(&mut self, leader: ServerId) -> ServerId {
        let often = self.plan.disloyal_one_in;
        if often == 0 || self.storm_over || !self.dice.one_in(often) {
            return leader;
        }
        ServerId(1 + self.dice.below(self.plan.voters as u64))
    }

    // Pipeline.

    fn perform_pipeline(&mut self, server: usize, effect: pipeline::Effect) {
        match effect {
            pipeline::Effect::Send(to, message) => self.speak(server, to, message),
            pipeline::Effect::Disconnect(peer) => {
                let peer = self.place(peer);
                self.trace(|| format!("{server}: breaks off with {peer}"));
                if !self.links.is_up(server, peer) {
                    // One that is up is told of when it is down.
                    let id = self.servers[peer].id;
                    self.tell_pipeline(server, pipeline::Input::LinkDown(id));
                }
                self.break_link(server, peer);
            }
            pipeline::Effect::Log { mark, committed, orders } => {
                self.tell_log(server, log_writer::Input::Orders { mark, committed, orders });
            }
            pipeline::Effect::Commit(batch) => {
                for committed in &batch {
                    if let CommittedBody::Txn(proposal) = &committed.body {
                        let proposal = proposal.clone();
                        self.delivered(server, &proposal);
                    }
                }
                self.tell_tree(server, tree_store::Input::Commit(batch));
            }
            pipeline::Effect::Load(zxid) => {
                self.trace(|| format!("{server}: loads the snapshot at {zxid}"));
                self.oracle.reset(server, zxid);
                self.tell_tree(server, tree_store::Input::Replacing(zxid));
                self.tell_snapshot(server, SnapshotWork::Load(zxid));
            }
            pipeline::Effect::Kick(connections) => {
                for id in connections {
                    self.post(server, id, Post::Kick);
                }
            }
            pipeline::Effect::Look { epoch, last } => {
                self.trace(|| format!("{server}: looks, {} {last}", epoch.0));
                self.tally.count("elections", 1);
                self.tell_peer(server, peer::Input::Look { epoch, last });
            }
            pipeline::Effect::Serving(reign) => self.serving(server, reign),
            pipeline::Effect::Suspended => {
                self.trace(|| format!("{server}: has no leader"));
                self.let_clocks(server, session_sweeper::Input::Pause);
            }
            pipeline::Effect::Touch(sessions) => {
                let now = self.servers[server].now(self.now_us).mono_ms;
                let at = |ago: u32| now.saturating_sub(ago.into());
                let heard = sessions.into_iter().map(|(id, ago)| (id, at(ago))).collect();
                self.tell_sweeper(server, session_sweeper::Input::Touched(heard));
            }
            pipeline::Effect::Renew { session, timeout_ms } => {
                let at = self.servers[server].now(self.now_us).mono_ms;
                let attached = session_sweeper::Input::Attached { session, timeout_ms, at };
                self.tell_sweeper(server, attached);
            }
            pipeline::Effect::ReadHistory(reader, after) => {
                self.tell_log(server, log_writer::Input::ReadHistory { reader, after });
            }
            pipeline::Effect::OpenSnapshot(id) => {
                self.tell_snapshot(server, SnapshotWork::Open(id));
            }
            pipeline::Effect::ReadSnapshot(id) => {
                self.tell_snapshot(server, SnapshotWork::Read(id));
            }
            pipeline::Effect::CloseSnapshot(id) => {
                self.tell_snapshot(server, SnapshotWork::Close(id));
            }
            pipeline::Effect::BeginSnapshot(zxid) => {
                self.tell_snapshot(server, SnapshotWork::Receive(zxid));
            }
            pipeline::Effect::WriteSnapshot { bytes, last } => {
                self.tell_snapshot(server, SnapshotWork::Received { bytes, last });
            }
            pipeline::Effect::MayAsk => {
                let asked = self.rooms(server).asking.may_ask();
                self.tally.count("questions behind a question", u64::from(asked.is_some()));
                self.tell_pipeline_if(server, asked);
            }
            pipeline::Effect::Restate => self.tell_log(server, log_writer::Input::Restate),
            pipeline::Effect::Halt(reason) => panic!("server {server} halts: {reason}"),
        }
    }

    fn delivered(&mut self, server: usize, proposal: &ostler_core::zab::Proposal) {
        let zxid = proposal.zxid;
        let is_first = self.oracle.deliver(server, proposal);
        // With dice of its own: what is looked at must not change what happens.
        if self.auditor.one_in(self.plan.audit_one_in) {
            let is_here = audit::has(&self.servers[server], &self.plan, zxid);
            assert!(is_here, "server {server} delivers {zxid}, which is not durable there");
        }
        if !is_first || !self.audits() {
            return;
        }
        let holders = self.servers.iter().filter(|s| audit::has(s, &self.plan, zxid));
        let holders = holders.map(|server| server.id).collect();
        assert!(
            self.membership.is_quorum(&holders),
            "{zxid} is delivered by server {server}, yet durable on {holders:?} alone"
        );
    }

    fn audits(&mut self) -> bool {
        let audits = self.dice.one_in(self.plan.audit_one_in);
        self.tally.count("audits", u64::from(audits));
        audits
    }

    fn speak(&mut self, server: usize, to: ServerId, message: PeerMessage) {
        let PeerMessage::Zab(zab) = &message else {
            self.trace(|| format!("{server} → {}: {}", to.0 - 1, brief(&message)));
            return self.send(server, to, LinkMessage::Pipeline(message));
        };
        if audit::is_promise(zab) && self.audits() {
            audit::check(&self.servers[server], &self.plan, zab);
        }
        let promise = promise_of(zab);
        let is_beat = matches!(zab, Message::Ping { .. } | Message::Pong { .. });
        if self.is_traced && !is_beat {
            self.trace(|| format!("{server} → {}: {}", to.0 - 1, brief(zab)));
        }
        self.send(server, to, LinkMessage::Pipeline(message));
        if let Some(promise) = promise {
            self.addressee = Some(self.place(to));
            self.promised(server, promise);
        }
    }

    fn serving(&mut self, server: usize, reign: Reign) {
        self.trace(|| {
            format!("{server}: serves under {} of {}", reign.leader.0 - 1, reign.epoch.0)
        });
        self.oracle.serves(reign);
        self.tell_peer(server, peer::Input::Settled(reign));
        let leads = reign.leader == self.servers[server].id;
        let clocks =
            if leads { session_sweeper::Input::Resume } else { session_sweeper::Input::Follow };
        self.let_clocks(server, clocks);
    }

    fn let_clocks(&mut self, server: usize, clocks: session_sweeper::Input) {
        self.rooms(server).clocks = clocks.clone();
        self.tell_sweeper(server, clocks);
    }

    // Tree store.

    fn perform_tree(&mut self, server: usize, effect: tree_store::Effect) {
        let state = |tree: &Tree| (tree.last_applied(), tree.digest());
        if let Some((zxid, digest)) = self.rooms(server).view.look(state) {
            self.oracle.digest(server, zxid, digest);
        }
        match effect {
            tree_store::Effect::Deliver(delivery) => {
                self.tell_fanout(server, watch_fanout::Input::Deliver(delivery));
            }
            tree_store::Effect::Attached(id, attached) => {
                self.post(server, id, Post::Attached(attached));
            }
            tree_store::Effect::Opened(sessions, zxid) => {
                for (session, timeout_ms, _) in &sessions {
                    let (session, timeout_ms) = (*session, *timeout_ms);
                    let opened = session_sweeper::Input::Opened { session, timeout_ms };
                    self.tell_sweeper(server, opened);
                }
                let owned = sessions.into_iter().filter_map(|(s, _, c)| Some((s, c?))).collect();
                self.tell_pipeline(server, pipeline::Input::Opened(owned, zxid));
            }
            tree_store::Effect::Renewed { session, timeout_ms, connection, at: zxid } => {
                let at = self.servers[server].now(self.now_us).mono_ms;
                let attached = session_sweeper::Input::Attached { session, timeout_ms, at };
                self.tell_sweeper(server, attached);
                self.tell_pipeline(server, pipeline::Input::Attached(session, connection, zxid));
            }
            tree_store::Effect::Ended(sessions) => {
                for session in &sessions {
                    let closed = session_sweeper::Input::Closed { session: *session };
                    self.tell_sweeper(server, closed);
                }
                self.tell_pipeline(server, pipeline::Input::Ended(sessions));
            }
            tree_store::Effect::SnapshotBegin(zxid) => {
                self.tell_snapshot(server, SnapshotWork::Begin(zxid));
            }
            tree_store::Effect::SnapshotSlice(slice) => {
                self.tell_snapshot(server, SnapshotWork::Slice(slice));
            }
            tree_store::Effect::SnapshotEnd => self.tell_snapshot(server, SnapshotWork::End),
            tree_store::Effect::SnapshotVoid => self.tell_snapshot(server, SnapshotWork::Abandon),
            tree_store::Effect::Replaced(zxid, sessions) => {
                let all: Vec<_> = self.rooms(server).seats.keys().copied().collect();
                self.tell_fanout(server, watch_fanout::Input::Closed(all.clone()));
                for id in all {
                    self.post(server, id, Post::Kick);
                }
                self.tell_sweeper(server, session_sweeper::Input::Restored(sessions));
                self.tell_pipeline(server, pipeline::Input::Loaded(zxid));
            }
            tree_store::Effect::Rebuild(zxid) => {
                self.tell_snapshot(server, SnapshotWork::Rebuild(zxid));
            }
            tree_store::Effect::Sessions(sessions) => {
                let sessions = self.rooms(server).with_granted(sessions);
                self.tell_sweeper(server, session_sweeper::Input::Restored(sessions));
            }
            tree_store::Effect::Propose(payloads) => {
                self.tell_pipeline(server, pipeline::Input::Propose(payloads));
            }
            tree_store::Effect::QuotasExceeded(_) => {}
        }
    }

    // Fan-out and sweeper.

    fn perform_fanout(&mut self, server: usize, effect: watch_fanout::Effect) {
        match effect {
            watch_fanout::Effect::Post(parcels) => {
                for parcel in parcels {
                    self.post(server, parcel.connection, Post::Parcel(parcel));
                }
            }
            watch_fanout::Effect::Delivered(upto) => self.rooms(server).delivered = upto,
        }
    }

    fn perform_sweeper(&mut self, server: usize, effect: session_sweeper::Effect) {
        match effect {
            session_sweeper::Effect::Expire(sessions) => {
                self.trace(|| format!("{server}: expires {sessions:?}"));
                let payloads = sessions.into_iter().map(close_session).collect();
                self.tell_pipeline(server, pipeline::Input::Propose(payloads));
            }
            session_sweeper::Effect::Report(sessions) => {
                self.tell_pipeline(server, pipeline::Input::Touched(sessions));
            }
        }
    }

    pub(crate) fn timer(&mut self, server: usize, timer: Timer) {
        let life = self.servers[server].life;
        let again_ms = match timer {
            Timer::Tick => {
                self.watch_silence(server);
                self.tell_peer(server, peer::Input::Tick);
                self.tell_pipeline(server, pipeline::Input::Tick);
                self.plan.tick_ms
            }
            Timer::Sweep => {
                let at = self.servers[server].now(self.now_us).mono_ms;
                self.tell_sweeper(server, session_sweeper::Input::Tick(at));
                server::sweep_ms(&self.plan) / 4
            }
            Timer::Report => {
                let heard = std::mem::take(&mut self.rooms(server).heard);
                if !heard.is_empty() {
                    let heard = heard.into_iter().collect();
                    self.tell_sweeper(server, session_sweeper::Input::Touched(heard));
                }
                server::touch_ms(&self.plan)
            }
            Timer::Reap => {
                self.tell_tree(server, tree_store::Input::ReapDue);
                REAP_MS
            }
            Timer::Quiet => return self.tell_log(server, log_writer::Input::QuietDue),
        };
        self.schedule_in(again_ms * 1000, Due::Timer(server, life, timer));
    }
}

fn close_session(session: SessionId) -> Bytes {
    let mut payload = Vec::new();
    txn::encode(SessionId::NONE, Xid(0), &[], &Op::CloseSession { session }, &mut payload);
    Bytes::from(payload)
}

fn promise_of(message: &Message) -> Option<Promise> {
    Some(match message {
        Message::LeaderInfo { .. } => Promise::LeaderInfo,
        Message::AckEpoch { .. } => Promise::AckEpoch,
        Message::NewLeader { .. } => Promise::NewLeader,
        Message::AckNewLeader { .. } => Promise::AckNewLeader,
        Message::UpToDate { .. } => Promise::UpToDate,
        Message::Propose { .. } => Promise::Propose,
        Message::Ack { .. } => Promise::Ack,
        Message::Commit { .. } => Promise::Commit,
        Message::Info { .. }
        | Message::SyncFrom { .. }
        | Message::SyncSnapshot { .. }
        | Message::SnapshotChunk { .. }
        | Message::SyncEntries { .. }
        | Message::SyncTaken { .. }
        | Message::Ping { .. }
        | Message::Pong { .. }
        | Message::Leave { .. } => return None,
    })
}

/// A message in so many words that a line has room for it.
fn brief(message: &impl std::fmt::Debug) -> String {
    let mut line = format!("{message:?}");
    if let Some((end, _)) = line.char_indices().nth(2000) {
        line.truncate(end);
    }
    line
}
