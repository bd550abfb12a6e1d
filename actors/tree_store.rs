//! Room of the tree store.

use crate::clock::Clock;
use crate::counters::Counters;
use crate::postbox::{Post, Postboxes};
use crate::room::Perform;
use crate::switchboard::Switchboard;
use crate::view::ReadView;
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::tree_store::{Effect, Input, TreeStore};
use ostler_core::rooms::{pipeline, session_sweeper, watch_fanout};
use ostler_core::tree::{QuotaExceeded, QuotaKind};
use slog::{Logger, warn};
use std::sync::Arc;

pub(crate) struct TreeStoreRoom {
    pub(crate) rooms: Switchboard,
    pub(crate) postboxes: Postboxes,
    pub(crate) counters: Arc<Counters>,
    pub(crate) clock: Clock,
    pub(crate) logger: Logger,
}

impl Perform<TreeStore<ReadView>> for TreeStoreRoom {
    fn perform(&mut self, effect: Effect, _: &mut Vec<Input>) {
        match effect {
            Effect::Deliver(delivery) => {
                self.rooms.watch_fanout(watch_fanout::Input::Deliver(delivery));
            }
            Effect::Attached(connection, attached) => {
                self.postboxes.post([Post::Attached(connection, attached)]);
            }
            Effect::Opened(sessions, zxid) => {
                for (session, timeout_ms, _) in &sessions {
                    let (session, timeout_ms) = (*session, *timeout_ms);
                    self.rooms
                        .session_sweeper(session_sweeper::Input::Opened { session, timeout_ms });
                }
                let owned = sessions.into_iter().filter_map(|(s, _, c)| Some((s, c?))).collect();
                self.rooms.pipeline(pipeline::Input::Opened(owned, zxid));
            }
            Effect::Renewed { session, timeout_ms, connection, at: zxid } => {
                let at = self.clock.mono_ms();
                self.rooms.session_sweeper(session_sweeper::Input::Attached {
                    session,
                    timeout_ms,
                    at,
                });
                self.rooms.pipeline(pipeline::Input::Attached(session, connection, zxid));
            }
            Effect::Ended(sessions) => {
                for session in &sessions {
                    self.rooms
                        .session_sweeper(session_sweeper::Input::Closed { session: *session });
                }
                self.rooms.pipeline(pipeline::Input::Ended(sessions));
            }
            Effect::SnapshotBegin(zxid) => self.rooms.snapshot_writer(SnapshotWork::Begin(zxid)),
            Effect::SnapshotSlice(slice) => self.rooms.snapshot_writer(SnapshotWork::Slice(slice)),
            Effect::SnapshotEnd => self.rooms.snapshot_writer(SnapshotWork::End),
            Effect::SnapshotVoid => self.rooms.snapshot_writer(SnapshotWork::Abandon),
            Effect::Replaced(zxid, sessions) => {
                let all: Vec<_> = self.counters.connections.iter().map(|c| *c.key()).collect();
                // The watches first: what changed in between has no events, so those of later
                // changes must not reach a client before its socket is closed.
                self.rooms.watch_fanout(watch_fanout::Input::Closed(all.clone()));
                self.postboxes.post(all.into_iter().map(Post::Kick));
                self.rooms.session_sweeper(session_sweeper::Input::Restored(sessions));
                self.rooms.pipeline(pipeline::Input::Loaded(zxid));
            }
            Effect::Rebuild(zxid) => self.rooms.snapshot_writer(SnapshotWork::Rebuild(zxid)),
            Effect::Sessions(sessions) => {
                let sessions = self.counters.with_granted(sessions);
                self.rooms.session_sweeper(session_sweeper::Input::Restored(sessions));
            }
            Effect::Propose(payloads) => self.rooms.pipeline(pipeline::Input::Propose(payloads)),
            Effect::QuotasExceeded(quotas) => quotas.iter().for_each(|quota| self.warn(quota)),
        }
    }

    fn is_recovering(&self, store: &TreeStore<ReadView>) -> bool {
        store.is_rebuilding()
    }
}

impl TreeStoreRoom {
    fn warn(&self, over: &QuotaExceeded) {
        let quantity = match over.kind {
            QuotaKind::Count => "znodes",
            QuotaKind::Bytes => "bytes",
        };
        warn!(self.logger, "quota exceeded"; "path" => &over.path, "quantity" => quantity,
            "limit" => over.limit, "used" => over.used);
    }
}
