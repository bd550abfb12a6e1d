//! Three pipelines with the links between them: what becomes of requests when a leader is lost.
//! Sessions that move are told of in `moves`.

use super::*;
use crate::types::limits::UNHEARD_MESSAGES_MAX;

mod flow;
mod moves;

/// Three pipelines whose elections are decided by the test, whose disks are instant and whose
/// links carry everything until they are cut.
struct Trio {
    servers: BTreeMap<ServerId, Pipeline>,
    inbox: VecDeque<(ServerId, Input)>,
    cut: BTreeSet<ServerId>,
    /// What comes to these waits.
    still: BTreeSet<ServerId>,
    /// Requests answered, by server, as (xid, whether it is a transaction).
    answered: Vec<(ServerId, i32, bool)>,
    kicked: Vec<(ServerId, ConnectionId)>,
    /// Where it was said that those who want to be vouched for may ask.
    may_ask: Vec<u64>,
    /// All transactions that each tree was given.
    applied: BTreeMap<ServerId, Vec<Zxid>>,
    /// The same with what is in them.
    history: BTreeMap<ServerId, Vec<Proposal>>,
    logs: BTreeMap<ServerId, Log>,
    now: Now,
}

/// What a server has given to its disk.
#[derive(Clone, Default)]
struct Log {
    holds: Restated,
    entries: Vec<Proposal>,
    stage: Vec<Proposal>,
}

impl Log {
    fn order(&mut self, order: LogOrder) {
        match order {
            LogOrder::Append(proposal) => self.entries.push(proposal),
            LogOrder::Accept(reign) => self.holds.accepted = reign,
            LogOrder::BeginStage { base, .. } => {
                self.stage = self.entries.clone();
                self.stage.retain(|entry| entry.zxid <= base);
            }
            LogOrder::Stage(proposal) => self.stage.push(proposal),
            LogOrder::CommitStage { reign } => {
                self.holds.current = reign;
                self.entries = core::mem::take(&mut self.stage);
            }
        }
        self.holds.last = self.entries.last().map_or(Zxid::ZERO, |last| last.zxid);
    }

    fn history(&self, after: Zxid) -> History {
        let end = self.entries.partition_point(|entry| entry.zxid <= after);
        let base = end.checked_sub(1).map_or(Zxid::ZERO, |at| self.entries[at].zxid);
        History { after, base, entries: self.entries[end..].to_vec(), reaches_back: true }
    }
}

impl Trio {
    fn new() -> Self {
        Self::of([1, 1, 1])
    }

    /// Three of these weights.
    fn of(weights: [u64; 3]) -> Self {
        let ids = [1, 2, 3].map(ServerId);
        let voters = weights.map(|weight| Role::Voter { group: 0, weight });
        let members = ids.into_iter().zip(voters).collect();
        let membership = Membership::new(Ensemble { version: Zxid::ZERO, members });
        let servers = ids.map(|id| (id, pipeline(id.0, membership.clone()))).into();
        let mut trio = Self {
            servers,
            inbox: VecDeque::new(),
            cut: BTreeSet::new(),
            still: BTreeSet::new(),
            answered: Vec::new(),
            kicked: Vec::new(),
            may_ask: Vec::new(),
            applied: BTreeMap::new(),
            history: BTreeMap::new(),
            logs: BTreeMap::new(),
            now: NOW,
        };
        trio.inbox.extend(ids.map(|id| (id, Input::Start)));
        trio.settle();
        trio
    }

    fn elect(&mut self, leader: u64) {
        let alive: Vec<_> =
            self.servers.keys().copied().filter(|id| !self.cut.contains(id)).collect();
        for id in alive {
            self.inbox.push_back((id, Input::Try(ServerId(leader))));
        }
        self.settle();
    }

    /// As an election would.
    fn elect_the_most_recent(&mut self) {
        let alive = self.servers.iter().filter(|(id, _)| !self.cut.contains(id));
        let best = alive.max_by_key(|(id, server)| (server.member().logged(), **id));
        let leader = best.map(|(id, _)| id.0).expect("somebody is alive");
        self.elect(leader);
    }

    fn give(&mut self, server: u64, input: Input) {
        self.inbox.push_back((ServerId(server), input));
    }

    /// Takes one step; false when there is none to take.
    fn step(&mut self) -> bool {
        let next = self.inbox.iter().position(|(id, _)| !self.still.contains(id));
        let Some((id, input)) = next.and_then(|at| self.inbox.remove(at)) else { return false };
        let mut effects = Vec::new();
        let server = self.servers.get_mut(&id).expect("it is one of the three");
        server.step(self.now, input, &mut effects);
        effects.into_iter().for_each(|effect| self.perform(id, effect));
        true
    }

    fn settle(&mut self) {
        while self.step() {}
    }

    fn perform(&mut self, id: ServerId, effect: Effect) {
        match effect {
            Effect::Send(to, message) if !self.cut.contains(&id) && !self.cut.contains(&to) => {
                self.inbox.push_back((to, Input::Received(id, vec![message])));
            }
            Effect::Log { mark, orders, committed } => {
                let log = self.logs.entry(id).or_default();
                orders.into_iter().for_each(|order| log.order(order));
                log.holds.committed = committed;
                self.inbox.push_back((id, Input::Durable(mark)));
            }
            Effect::ReadHistory(reader, after) => {
                let history = self.logs.entry(id).or_default().history(after);
                self.inbox.push_back((id, Input::History(reader, history)));
            }
            Effect::Restate => {
                let holds = self.logs.entry(id).or_default().holds;
                self.inbox.push_back((id, Input::Restated(holds)));
            }
            // What is on its way comes before the other side's notice.
            Effect::Disconnect(peer) => {
                self.inbox.push_back((id, Input::LinkDown(peer)));
                self.inbox.push_back((peer, Input::LinkDown(id)));
            }
            Effect::Commit(batch) => batch.into_iter().for_each(|committed| {
                if let CommittedBody::Txn(proposal) = &committed.body {
                    self.applied.entry(id).or_default().push(proposal.zxid);
                    self.history.entry(id).or_default().push(proposal.clone());
                }
                if committed.sender.is_some() {
                    let txn = matches!(committed.body, CommittedBody::Txn(_));
                    self.answered.push((id, committed.xid.0, txn));
                }
            }),
            Effect::Kick(connections) => {
                self.kicked.extend(connections.into_iter().map(|connection| (id, connection)));
            }
            Effect::MayAsk => self.may_ask.push(id.0),
            _ => {}
        }
    }

    /// Its pipeline panics: what it had decided so far is done, and the next one begins anew.
    fn panics(&mut self, server: u64) {
        let id = ServerId(server);
        let pipeline = self.servers.remove(&id).expect("it is one of the three");
        self.servers.insert(id, pipeline.heir().expect("it was changing nothing"));
        self.inbox.push_front((id, Input::Anew));
    }

    /// Takes a server off the net; the others notice.
    fn isolate(&mut self, server: u64) {
        let gone = ServerId(server);
        self.cut.insert(gone);
        self.inbox.retain(|(to, input)| {
            *to != gone && !matches!(input, Input::Received(from, _) if *from == gone)
        });
        for id in [1, 2, 3].map(ServerId) {
            if id != gone {
                self.inbox.push_back((id, Input::LinkDown(gone)));
            }
        }
        self.settle();
    }
}

/// A follower loses its link and comes back while the leader cannot prove yet that it leads. The
/// proof then covers what the follower asked first and what it asked again.
#[test]
fn what_was_asked_before_a_link_broke_is_not_confirmed_out_of_turn() {
    // Without the second nobody is a quorum, so what the first asks takes it as well.
    let mut trio = Trio::of([1, 2, 1]);
    trio.elect(3);
    let (one, two, three) = (ServerId(1), ServerId(2), ServerId(3));
    let asks = |xid| {
        let items = vec![Item { xid: Xid(xid), body: confirm() }];
        Input::Submit(Submission { sender: sender(5, 7), items })
    };
    trio.give(1, asks(1));
    trio.give(1, asks(2));
    // Both reach the leader, and the second has to wait for the round after the first one's.
    (0..4).for_each(|_| assert!(trio.step()));
    trio.inbox.retain(|(to, _)| *to == two);
    trio.inbox.push_front((three, Input::LinkDown(one)));
    trio.inbox.push_front((one, Input::LinkDown(three)));
    (0..4).for_each(|_| assert!(trio.step()));
    trio.still.insert(two);
    trio.give(1, Input::Try(three));
    trio.settle();
    trio.still.clear();
    trio.settle();
    assert_eq!(trio.answered, [(one, 1, false), (one, 2, false)]);
}

/// The leader knows that a follower's link was made anew, and the follower does not yet: the first
/// of two writes was lost with the old link, the second comes by the new one.
#[test]
fn a_follower_that_has_not_heard_of_its_new_link_is_not_listened_to() {
    let mut trio = Trio::new();
    trio.elect(3);
    let (one, three) = (ServerId(1), ServerId(3));
    let writes = |xid| {
        let items = vec![Item { xid: Xid(xid), body: write() }];
        Input::Submit(Submission { sender: sender(5, 7), items })
    };
    trio.give(1, writes(1));
    assert!(trio.step());
    trio.inbox.clear();
    trio.give(3, Input::LinkDown(one));
    trio.settle();
    trio.give(1, writes(2));
    trio.settle();
    trio.give(1, Input::LinkDown(three));
    trio.give(1, Input::Try(three));
    trio.settle();
    assert_eq!(trio.answered, [(one, 1, true), (one, 2, true)]);
    assert_eq!(trio.applied[&one].len(), 2);
}

/// While its pipeline begins anew, another server says more to it than a server could mean.
#[test]
fn what_cannot_be_listened_to_yet_is_kept_up_to_a_limit() {
    let mut trio = Trio::new();
    trio.elect(3);
    let (one, three) = (ServerId(1), ServerId(3));
    trio.panics(1);
    assert!(trio.step());
    trio.inbox.clear();
    trio.give(1, Input::LinkDown(three));
    let talk =
        || Input::Received(three, vec![PeerMessage::Zab(Message::Leave { epoch: Epoch(1) })]);
    (0..UNHEARD_MESSAGES_MAX).for_each(|_| trio.give(1, talk()));
    trio.settle();
    assert!(trio.inbox.is_empty());
    trio.give(1, talk());
    assert!(trio.step());
    let broken = |(to, input): &(ServerId, Input)| match input {
        Input::LinkDown(peer) => (to.0, peer.0) == (3, 1),
        _ => false,
    };
    assert!(trio.inbox.iter().any(broken));
    // What still comes by that link is not kept either.
    let server = &trio.servers[&one];
    assert!(server.muted.contains(&three) && server.unheard.is_empty());
}

/// A leader vouched for a sync behind a write that only it had logged, and is lost with it. The
/// next leader's history goes beyond that state without ever having had the write.
#[test]
fn what_a_lost_leader_vouched_for_is_asked_again_behind_what_came_before() {
    let mut trio = Trio::new();
    trio.elect(3);
    let (one, three) = (ServerId(1), ServerId(3));
    trio.still.insert(one);
    trio.give(2, submit(6, vec![write(), write()]));
    trio.settle();
    // Nothing of that has come to server 1, and what it asks for is lost.
    trio.inbox.clear();
    trio.still.clear();
    trio.give(1, submit(5, vec![write(), confirm()]));
    assert!(trio.step());
    trio.inbox.clear();
    let target = Zxid::new(Epoch(1), 1);
    let vouched = Relay::Confirmed { serial: 1001, target };
    trio.give(1, Input::Received(three, vec![PeerMessage::Relay(vouched)]));
    trio.settle();
    trio.isolate(3);
    trio.elect(2);
    let mine: Vec<_> = trio.answered.iter().filter(|(id, ..)| *id == one).collect();
    assert_eq!(mine, [&(one, 1, true), &(one, 2, false)]);
}

#[test]
fn a_follower_forwards_and_answers_in_order() {
    let mut trio = Trio::new();
    trio.elect(3);
    trio.give(1, submit(5, vec![write(), travel(), confirm(), write()]));
    trio.settle();
    let one = ServerId(1);
    assert_eq!(trio.answered, [(one, 1, true), (one, 2, false), (one, 3, false), (one, 4, true)]);
    let all: BTreeSet<_> = trio.applied.values().collect();
    assert_eq!((trio.applied.len(), all.len()), (3, 1), "{:?}", trio.applied);
}

#[test]
fn operators_see_a_server_serve_when_its_tree_has_what_the_reign_began_with() {
    let mut trio = Trio::new();
    trio.elect(3);
    trio.give(1, submit(5, vec![write(), write(), write()]));
    trio.settle();
    trio.isolate(3);
    trio.elect(2);
    for id in [1, 2].map(ServerId) {
        let &[.., before, last] = trio.applied[&id].as_slice() else {
            panic!("three were applied")
        };
        let server = &trio.servers[&id];
        assert!(server.reign().is_some());
        assert_eq!(server.reign_seen_by(before), None);
        assert_eq!(server.reign_seen_by(last), server.reign());
    }
}

#[test]
fn writes_under_way_when_the_leader_dies_are_answered_once_and_in_order() {
    // The leader dies after each possible number of steps.
    for steps in 0..40 {
        let mut trio = Trio::new();
        trio.elect(3);
        trio.give(1, submit(5, vec![write(), confirm(), write(), travel(), write()]));
        for _ in 0..steps {
            trio.step();
        }
        trio.isolate(3);
        trio.elect_the_most_recent();
        let mine: Vec<_> = trio.answered.iter().filter(|(id, ..)| *id == ServerId(1)).collect();
        let xids: Vec<_> = mine.iter().map(|(_, xid, _)| *xid).collect();
        assert_eq!(xids, [1, 2, 3, 4, 5], "after {steps} steps");
        let applied = &trio.applied[&ServerId(1)];
        assert_eq!(applied.len(), 3, "each write once, after {steps} steps: {applied:?}");
        assert_eq!(applied, &trio.applied[&ServerId(2)]);
    }
}

#[test]
fn requests_survive_a_pipeline_that_panics_and_are_answered_once_and_in_order() {
    for failing in [[3, 3], [1, 1], [3, 1]] {
        for steps in 0..60 {
            let mut trio = Trio::new();
            trio.elect(3);
            for server in [1, 3] {
                let bodies = vec![write(), confirm(), write(), travel(), write()];
                trio.give(server, submit_as(server, server as i64, bodies));
            }
            for server in failing {
                for _ in 0..steps {
                    trio.step();
                }
                trio.panics(server);
            }
            trio.settle();
            trio.elect_the_most_recent();
            for server in [1, 3].map(ServerId) {
                let mine = trio.answered.iter().filter(|(id, ..)| *id == server);
                let xids: Vec<_> = mine.map(|(_, xid, _)| *xid).collect();
                assert_eq!(xids, [1, 2, 3, 4, 5], "{server:?}, {failing:?} after {steps} steps");
            }
            let applied = &trio.applied[&ServerId(1)];
            assert_eq!(applied.len(), 6, "each write once, {failing:?} after {steps} steps");
            assert_eq!(applied, &trio.applied[&ServerId(3)]);
            assert_eq!(trio.kicked, [], "{failing:?} after {steps} steps");
        }
    }
}

/// Writes with the numbers from 1 on, each of which makes a numbered znode.
fn numbered_creates(session: SessionId) -> Vec<ItemBody> {
    let payload = |xid| {
        let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
        let (variant, flags) = (CreateVariant::Plain, 2);
        let create = Create { path: "/n-", data: None, acl, flags, ttl_ms: 0, variant };
        let mut payload = Vec::new();
        let once = Once { xid: Xid(xid), heard: Xid(0) };
        txn::encode_once(session, once, &[], &Op::Create(create), &mut payload);
        ItemBody::Write(payload.into())
    };
    (1..=4).map(payload).collect()
}

/// What a tree says to each of these.
fn outcomes(history: &[Proposal]) -> Vec<Outcome> {
    let mut tree = Tree::new(Rules::default(), 1);
    let apply = |proposal: &Proposal| {
        let payload = txn::decode(&proposal.payload).unwrap();
        let (once, ids) = (payload.once(), &payload.ids[..]);
        let Proposal { zxid, time_ms, .. } = *proposal;
        let txn = Txn { zxid, time_ms, session: payload.session, ids, op: payload.op };
        tree.apply_once(&txn, once, &mut tree::Effects::default()).1
    };
    history.iter().map(apply).collect()
}

#[test]
fn writes_that_are_sent_again_at_another_server_take_effect_once() {
    let mut sent_in_vain = 0;
    // The server that the client is at dies after each possible number of steps.
    for (home, other, steps) in [(1, 2), (3, 1)]
        .iter()
        .flat_map(|(home, other)| (0..40).map(move |steps| (*home, *other, steps)))
    {
        let mut trio = Trio::new();
        trio.elect(3);
        let mut payload = Vec::new();
        let op = Op::CreateSession { timeout_ms: 4000, password: [0; 16] };
        txn::encode(SessionId::NONE, Xid(0), &[], &op, &mut payload);
        trio.give(home, submit_as(5, 0, vec![ItemBody::Write(payload.into())]));
        trio.settle();
        let opened = trio.applied[&ServerId(home)][0];
        let session = SessionId(opened.to_wire());
        trio.give(home, Input::Opened(vec![(session, ConnectionId(5))], opened));
        trio.settle();
        trio.give(home, submit_as(5, session.0, numbered_creates(session)));
        for _ in 0..steps {
            trio.step();
        }
        trio.isolate(home);
        if home == 3 {
            trio.elect_the_most_recent();
        }
        trio.give(other, submit_as(8, 0, vec![attach(session.0)]));
        trio.settle();
        trio.give(other, submit_as(8, session.0, numbered_creates(session)));
        trio.settle();
        let history = &trio.history[&ServerId(other)];
        let told = outcomes(history);
        sent_in_vain += history.len() - 5;
        let expected = ["/n-0000000000", "/n-0000000001", "/n-0000000002", "/n-0000000003"];
        let told = told[told.len() - 4..].iter().map(|outcome| match outcome {
            Outcome::Created { path, .. } => path.as_str(),
            other => panic!("{other:?} is no create"),
        });
        assert_eq!(told.collect::<Vec<_>>(), expected, "{home} died after {steps} steps");
    }
    assert!(sent_in_vain > 40, "many were in the history already: {sent_in_vain}");
}

#[test]
fn a_leader_that_was_deposed_without_noticing_vouches_for_nothing() {
    let mut trio = Trio::new();
    trio.elect(3);
    trio.give(3, submit(5, vec![confirm()]));
    trio.settle();
    assert_eq!(trio.answered, [(ServerId(3), 1, false)]);
    trio.isolate(3);
    trio.elect(2);
    trio.give(2, submit(6, vec![write()]));
    trio.settle();
    trio.answered.clear();
    trio.give(3, submit(5, vec![confirm(), travel()]));
    trio.settle();
    assert_eq!(trio.answered, [], "its state lacks what was acknowledged elsewhere");
}

/// Whoever asks is as good as one that echoes, where it and the leader decide.
#[test]
fn a_follower_of_three_is_answered_without_a_round() {
    let mut trio = Trio::new();
    trio.elect(3);
    trio.give(1, submit(5, vec![confirm()]));
    // The connection asks, the follower asks, the leader answers.
    (0..3).for_each(|_| assert!(trio.step()));
    assert_eq!(trio.answered, [(ServerId(1), 1, false)]);
    assert!(!trio.step(), "nobody else was asked");
}

/// Connections that ask together, some of which go away, and what they send behind it.
#[test]
fn those_who_ask_together_are_vouched_for_together_and_behind_their_own_place() {
    for (asked_at, dies) in [(1, false), (3, false), (1, true), (3, true)] {
        let mut trio = Trio::new();
        trio.elect(3);
        trio.give(asked_at, submit(8, vec![write()]));
        trio.give(asked_at, Input::Vouch([5, 6, 7].map(|id| sender(id, 7)).into()));
        trio.give(asked_at, submit(6, vec![travel(), write(), travel()]));
        trio.give(asked_at, Input::Gone(SessionId(7), ConnectionId(5)));
        if dies {
            (0..4).for_each(|_| assert!(trio.step()));
            trio.isolate(if asked_at == 3 { 1 } else { 3 });
            trio.elect_the_most_recent();
        }
        trio.settle();
        let mine = trio.answered.iter().filter(|(id, ..)| *id == ServerId(asked_at));
        let mut mine: Vec<_> = mine.map(|(_, xid, is_txn)| (*xid, *is_txn)).collect();
        let of_six: Vec<_> = mine.iter().copied().filter(|(xid, _)| *xid != 0).collect();
        assert!(of_six.windows(2).any(|pair| pair == [(2, true), (3, false)]), "{mine:?}");
        mine.sort_unstable();
        let expected = [(0, false), (0, false), (1, false), (1, true), (2, true), (3, false)];
        assert_eq!(mine, expected, "two are left, and each is told once; asked at {asked_at}");
        assert_eq!(trio.servers[&ServerId(asked_at)].outstanding(), 0);
        assert_eq!(trio.may_ask, [asked_at], "once, and whoever died meanwhile");
    }
}

/// Whatever becomes of a question, those who come after it are not kept from asking.
#[test]
fn the_next_may_ask_when_nobody_is_left_who_asked_or_the_pipeline_was_lost() {
    let mut trio = Trio::new();
    trio.elect(3);
    for asked_at in [1, 3] {
        trio.may_ask.clear();
        trio.give(asked_at, Input::Vouch(vec![sender(5, 7)]));
        trio.give(asked_at, Input::Gone(SessionId(7), ConnectionId(5)));
        trio.settle();
        assert_eq!(trio.may_ask, [asked_at]);
        trio.give(asked_at, Input::Vouch(Vec::new()));
        trio.settle();
        assert_eq!(trio.may_ask, [asked_at; 2], "nobody was there from the beginning");
    }
    trio.still.insert(ServerId(3));
    trio.give(1, Input::Vouch(vec![sender(5, 7)]));
    trio.settle();
    trio.may_ask.clear();
    trio.panics(1);
    trio.settle();
    assert_eq!(trio.may_ask, [], "it is asked again by the next pipeline");
    trio.still.clear();
    trio.settle();
    trio.elect(3);
    assert_eq!(trio.may_ask, [1]);
}

/// The one question that a crowd shared is not lost with the leader it was put to, and stays
/// before what those in the crowd asked later.
#[test]
fn a_question_that_a_lost_leader_had_is_put_to_the_next() {
    let mut trio = Trio::new();
    trio.elect(3);
    trio.still.insert(ServerId(3));
    trio.give(1, Input::Vouch([5, 6].map(|id| sender(id, 7)).into()));
    trio.give(1, submit(6, vec![travel(), confirm(), travel()]));
    trio.give(1, submit(8, vec![confirm()]));
    trio.give(1, Input::Vouch(vec![sender(9, 7)]));
    trio.settle();
    assert_eq!((&trio.answered[..], &trio.may_ask[..]), (&[][..], &[][..]));
    trio.isolate(3);
    trio.elect(2);
    assert_eq!(trio.may_ask, [1], "all that was asked is answered");
    let mine = trio.answered.iter().map(|(id, xid, _)| (id.0, *xid));
    let expected = [0, 0, 1, 0, 2, 3, 1].map(|xid| (1, xid));
    assert_eq!(mine.collect::<Vec<_>>(), expected);
}

#[test]
fn what_was_acknowledged_anywhere_is_seen_by_what_is_confirmed_later() {
    let mut trio = Trio::new();
    trio.elect(3);
    for (writer, reader) in [(1, 2), (2, 3), (3, 1), (1, 1)] {
        trio.give(writer, submit(5, vec![write()]));
        while !trio.answered.contains(&(ServerId(writer), 1, true)) {
            assert!(trio.step(), "the write is acknowledged");
        }
        let seen = trio.applied[&ServerId(writer)].len();
        trio.answered.clear();
        trio.give(reader, submit(6, vec![confirm()]));
        while trio.answered.is_empty() {
            assert!(trio.step(), "the read is confirmed");
        }
        assert_eq!(trio.answered, [(ServerId(reader), 1, false)]);
        assert!(trio.applied[&ServerId(reader)].len() >= seen, "{writer} to {reader}");
        trio.settle();
        trio.answered.clear();
    }
}

#[test]
fn a_request_that_a_snapshot_may_hold_is_not_asked_for_again() {
    let trio = [1, 2, 3].map(|id| (ServerId(id), Role::VOTER)).into_iter().collect();
    let membership = Membership::new(Ensemble { version: Zxid::ZERO, members: trio });
    let mut pipeline = pipeline(1, membership);
    run(&mut pipeline, Input::Start);
    run(&mut pipeline, submit(5, vec![write(), travel()]));
    let (mut effects, mut answered) = (Vec::new(), Vec::new());
    pipeline.carry_out(MemberEffect::LoadSnapshot(Zxid::new(Epoch(1), 9)), &mut effects);
    answered.extend(committed(&effects));
    let kick = |effect: &Effect| matches!(effect, Effect::Kick(k) if k[..] == [ConnectionId(5)]);
    assert!(effects.iter().any(kick), "{effects:?}");
    // What was on its way from the socket is let in no more.
    answered.extend(committed(&run(&mut pipeline, submit(5, vec![write(), travel()]))));
    assert_eq!((pipeline.outstanding(), answered.len()), (0, 0));
    run(&mut pipeline, Input::Gone(SessionId(7), ConnectionId(5)));
    assert!(pipeline.lost.is_empty(), "a connection that is gone is forgotten");
}
