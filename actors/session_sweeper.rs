//! Room of the session sweeper.

use crate::counters::Counters;
use crate::room::Perform;
use crate::switchboard::Switchboard;
use bytes::Bytes;
use ostler_core::rooms::pipeline;
use ostler_core::rooms::session_sweeper::{Effect, Input, SessionSweeper};
use ostler_core::types::{Op, SessionId, Xid};
use ostler_core::wire::txn;
use std::sync::Arc;
use std::sync::atomic::Ordering;

pub(crate) struct SessionSweeperRoom {
    pub(crate) rooms: Switchboard,
    pub(crate) counters: Arc<Counters>,
}

impl Perform<SessionSweeper> for SessionSweeperRoom {
    fn perform(&mut self, effect: Effect, _: &mut Vec<Input>) {
        match effect {
            Effect::Expire(sessions) => {
                let expired = sessions.len() as u64;
                self.counters.stale_sessions_expired.fetch_add(expired, Ordering::Relaxed);
                let payloads = sessions.into_iter().map(close_session).collect();
                self.rooms.pipeline(pipeline::Input::Propose(payloads));
            }
            Effect::Report(sessions) => self.rooms.pipeline(pipeline::Input::Touched(sessions)),
        }
    }
}

fn close_session(session: SessionId) -> Bytes {
    let mut payload = Vec::new();
    txn::encode(SessionId::NONE, Xid(0), &[], &Op::CloseSession { session }, &mut payload);
    Bytes::from(payload)
}
