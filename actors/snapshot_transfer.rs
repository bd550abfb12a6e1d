//! Snapshots that go to other servers or come from one, and the tree made of the latter. Part of
//! the snapshot writer's room, so that only its arbiter waits for the disk.
//!
//! A snapshot that cannot be sent costs one attempt of one server to join. One that cannot be
//! received or loaded ends the process: a new start tries again.

use crate::disk::DirectoryDisk;
use crate::recover::load;
use crate::settings::Settings;
use crate::switchboard::Switchboard;
use bytes::Bytes;
use ostler_core::log::LogError;
use ostler_core::log::transfer::{Sink, Source};
use ostler_core::rooms::{pipeline, tree_store};
use ostler_core::types::{ServerId, Zxid};
use ostler_core::zab::HISTORY_CHUNK_BYTES;
use slog::{Logger, error, info};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// See the module.
pub(crate) struct Transfers {
    pub(crate) disk: DirectoryDisk,
    pub(crate) settings: Arc<Settings>,
    pub(crate) rooms: Switchboard,
    pub(crate) logger: Logger,
    pub(crate) sources: BTreeMap<ServerId, Source<DirectoryDisk>>,
    pub(crate) sink: Option<Sink<DirectoryDisk>>,
    /// Whether a leader is sending a snapshot.
    pub(crate) receiving: Arc<AtomicBool>,
}

impl Transfers {
    pub(crate) fn open(&mut self, learner: ServerId) {
        match Source::open(self.disk.share()) {
            Ok(Some(source)) => {
                info!(self.logger, "sending a snapshot"; "to" => learner.0, "zxid" => %source.zxid());
                self.sources.insert(learner, source);
                self.read(learner);
            }
            Ok(None) => {
                error!(self.logger, "there is no good snapshot to send"; "to" => learner.0);
                self.rooms.pipeline(pipeline::Input::SnapshotUnreadable(learner));
            }
            Err(failure) => self.unreadable(learner, &failure),
        }
    }

    pub(crate) fn read(&mut self, learner: ServerId) {
        let Some(source) = self.sources.get_mut(&learner) else {
            // The learner left while this was on its way; the question is answered all the same.
            self.rooms.pipeline(pipeline::Input::SnapshotUnreadable(learner));
            return;
        };
        let zxid = source.zxid();
        match source.next(HISTORY_CHUNK_BYTES) {
            Ok((piece, last)) => {
                if last {
                    self.sources.remove(&learner);
                }
                let bytes = Bytes::from(piece);
                let read = pipeline::Input::SnapshotRead { learner, zxid, bytes, last };
                self.rooms.pipeline(read);
            }
            Err(failure) => self.unreadable(learner, &failure),
        }
    }

    pub(crate) fn close(&mut self, learner: ServerId) {
        self.sources.remove(&learner);
    }

    pub(crate) fn receive(&mut self, zxid: Zxid) {
        info!(self.logger, "receiving a snapshot"; "zxid" => %zxid);
        self.receiving.store(true, Ordering::SeqCst);
        match Sink::create(self.disk.share(), zxid) {
            Ok(sink) => self.sink = Some(sink),
            Err(failure) => self.given_up(&failure),
        }
    }

    pub(crate) fn received(&mut self, bytes: &[u8], last: bool) {
        let Some(mut sink) = self.sink.take() else { return };
        if let Err(failure) = sink.write(bytes) {
            self.given_up(&failure);
        }
        if !last {
            self.sink = Some(sink);
            return;
        }
        match sink.publish() {
            Ok(zxid) => {
                self.rooms.pipeline(pipeline::Input::SnapshotInstalled(zxid));
                self.receiving.store(false, Ordering::SeqCst);
            }
            Err(failure) => self.given_up(&failure),
        }
    }

    /// Makes a tree of a snapshot that was received and adopted.
    pub(crate) fn load(&self, zxid: Zxid) {
        match load(&self.disk, Some(zxid), &self.settings) {
            Ok(tree) => {
                info!(self.logger, "the snapshot is loaded"; "zxid" => %zxid,
                    "znodes" => tree.znode_count());
                self.rooms.tree_store(tree_store::Input::Replaced(Box::new(tree)));
            }
            // It was whole when it was adopted; what it replaces is gone.
            Err(failure) => crate::fatal::stop_at_unusable_snapshot(&self.logger, &failure),
        }
    }

    fn unreadable(&mut self, learner: ServerId, failure: &LogError) {
        error!(self.logger, "a snapshot cannot be sent"; "to" => learner.0, "error" => %failure);
        self.sources.remove(&learner);
        self.rooms.pipeline(pipeline::Input::SnapshotUnreadable(learner));
    }

    /// Without the leader's snapshot this server can neither go on nor go back.
    fn given_up(&self, failure: &LogError) -> ! {
        crate::fatal::stop_at_unusable_snapshot(&self.logger, failure)
    }
}
