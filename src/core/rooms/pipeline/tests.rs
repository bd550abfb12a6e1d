//! Pipelines by themselves; three of them, with the links between them, are in [`trio`].

mod trio;

use super::*;
use crate::tree::{self, Rules, Tree, Txn};
use crate::types::{AclEntry, AuthId, Create, CreateVariant, Epoch, Once, Op, Outcome, Perms};
use crate::wire::{Codec, txn};
use crate::zab::io::Timing;
use crate::zab::quorum::{Ensemble, Membership, Role};
use crate::zab::{History, LogOrder, Recovered, Restated};
use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec;
use bytes::Bytes;

const TIMING: Timing = Timing { heartbeat_ms: 10, silence_ms: 100, join_ms: 1000, finalize_ms: 1 };

fn pipeline(me: u64, membership: Membership) -> Pipeline {
    Pipeline::new(PipelineSettings {
        me: ServerId(me),
        membership,
        timing: TIMING,
        recovered: Recovered::default(),
        window_bytes: 1 << 20,
        first_serial: 1000 * me,
    })
}

/// A server alone that leads its first epoch.
pub(in crate::rooms) fn leading_alone(now: Now) -> Pipeline {
    let mut pipeline = pipeline(1, Membership::alone(ServerId(1)));
    let mut inputs = vec![Input::Start, Input::Try(ServerId(1))];
    while !inputs.is_empty() {
        let mut effects = Vec::new();
        for input in core::mem::take(&mut inputs) {
            pipeline.step(now, input, &mut effects);
        }
        for effect in effects {
            if let Effect::Log { mark, .. } = effect {
                inputs.push(Input::Durable(mark));
            }
        }
    }
    assert_eq!(pipeline.reign(), Some(Reign { epoch: Epoch(1), leader: ServerId(1) }));
    pipeline
}

const NOW: Now = Now { mono_ms: 0, wall_ms: 1000 };

fn sender(connection: u64, session: i64) -> Arc<Sender> {
    let ids: Arc<[AuthId]> = Arc::from([]);
    let (connection, session) = (ConnectionId(connection), SessionId(session));
    Arc::new(Sender { connection, session, codec: Codec::Jute, ids })
}

fn submit(connection: u64, bodies: Vec<ItemBody>) -> Input {
    submit_as(connection, 7, bodies)
}

fn submit_as(connection: u64, session: i64, bodies: Vec<ItemBody>) -> Input {
    let items = bodies.into_iter().zip(1..);
    let items = items.map(|(body, xid)| Item { xid: Xid(xid), body }).collect();
    Input::Submit(Submission { sender: sender(connection, session), items })
}

fn write() -> ItemBody {
    ItemBody::Write(Bytes::from_static(b"w"))
}

fn travel() -> ItemBody {
    ItemBody::Travel(Bytes::from_static(b"r"))
}

fn confirm() -> ItemBody {
    ItemBody::Confirm(Bytes::from_static(b"s"))
}

fn attach(session: i64) -> ItemBody {
    ItemBody::Attach { session: SessionId(session), timeout_ms: 4000 }
}

fn run(pipeline: &mut Pipeline, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    pipeline.step(NOW, input, &mut effects);
    effects
}

/// What was handed to the tree store, as the xids of its requests.
fn committed(effects: &[Effect]) -> Vec<i32> {
    let batches = effects.iter().filter_map(|effect| match effect {
        Effect::Commit(batch) => Some(batch.iter().map(|committed| committed.xid.0)),
        _ => None,
    });
    batches.flatten().collect()
}

fn mark(effects: &[Effect]) -> u64 {
    let marks = effects.iter().filter_map(|effect| match effect {
        Effect::Log { mark, .. } => Some(*mark),
        _ => None,
    });
    marks.last().expect("something is logged")
}

#[test]
fn nothing_is_committed_before_its_flush_and_travellers_wait_for_their_own_connection() {
    let mut pipeline = leading_alone(NOW);
    let effects = run(&mut pipeline, submit(1, vec![write(), travel(), write()]));
    let first = mark(&effects);
    assert_eq!(committed(&effects), []);
    let effects = run(&mut pipeline, submit(2, vec![travel()]));
    assert_eq!(committed(&effects), [1], "another connection's read waits for nothing");
    let effects = run(&mut pipeline, Input::Durable(first));
    assert_eq!(committed(&effects), [1, 2, 3]);
    assert_eq!(pipeline.outstanding(), 0);
}

#[test]
fn requests_wait_for_a_leader() {
    let mut pipeline = pipeline(1, Membership::alone(ServerId(1)));
    run(&mut pipeline, Input::Start);
    let effects = run(&mut pipeline, submit(1, vec![write(), confirm()]));
    assert!(effects.is_empty(), "{effects:?}");
    let mut effects = run(&mut pipeline, Input::Try(ServerId(1)));
    let mut seen = Vec::new();
    while let Some(Effect::Log { mark, .. }) =
        effects.iter().find(|effect| matches!(effect, Effect::Log { .. }))
    {
        effects = run(&mut pipeline, Input::Durable(*mark));
        seen.extend(committed(&effects));
    }
    assert_eq!(seen, [1, 2]);
}

#[test]
fn a_connection_whose_session_moved_can_no_longer_write() {
    let mut pipeline = leading_alone(NOW);
    run(&mut pipeline, Input::Opened(vec![(SessionId(7), ConnectionId(1))], Zxid(1)));
    let effects = run(&mut pipeline, submit_as(2, 0, vec![attach(7)]));
    let kicked = |effects: &[Effect], id| {
        effects
            .iter()
            .any(|effect| matches!(effect, Effect::Kick(k) if k[..] == [ConnectionId(id)]))
    };
    assert!(kicked(&effects, 1), "{effects:?}");
    assert!(!effects.iter().any(|effect| matches!(effect, Effect::Log { .. })), "{effects:?}");
    let refused = run(&mut pipeline, submit(1, vec![write()]));
    assert!(refused.is_empty(), "its socket is being closed: {refused:?}");
    assert_eq!((pipeline.dropped, pipeline.outstanding()), (1, 0));
}

#[test]
fn a_takeover_at_a_server_alone_takes_no_zxid_and_waits_for_what_came_before() {
    let mut pipeline = leading_alone(NOW);
    run(&mut pipeline, Input::Opened(vec![(SessionId(7), ConnectionId(1))], Zxid(1)));
    let first = mark(&run(&mut pipeline, submit(1, vec![write()])));
    let logged = pipeline.member().logged();
    let effects = run(&mut pipeline, submit_as(2, 0, vec![attach(7)]));
    assert_eq!(pipeline.member().logged(), logged);
    assert_eq!(committed(&effects), []);
    let effects = run(&mut pipeline, Input::Durable(first));
    let batch: Vec<_> = effects
        .iter()
        .filter_map(|effect| match effect {
            Effect::Commit(batch) => Some(batch),
            _ => None,
        })
        .flatten()
        .map(|committed| matches!(committed.body, CommittedBody::Attach { .. }))
        .collect();
    assert_eq!(batch, [false, true]);
}

#[test]
fn time_never_goes_back() {
    let mut pipeline = leading_alone(NOW);
    run(&mut pipeline, submit(1, vec![write()]));
    let mut effects = Vec::new();
    pipeline.step(Now { mono_ms: 5, wall_ms: 10 }, submit(1, vec![write()]), &mut effects);
    let Some(Effect::Log { orders, .. }) = effects.first() else { panic!("{effects:?}") };
    let [LogOrder::Append(proposal)] = &orders[..] else { panic!("{orders:?}") };
    assert_eq!(proposal.time_ms, NOW.wall_ms);
}
