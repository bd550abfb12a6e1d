//! Makes the tree anew as it was at some zxid: the newest snapshot up to there, and the log behind
//! it, which the log writer reads piece by piece. Part of the snapshot writer's room, so that the
//! rooms of the spine go on meanwhile. What is applied and read next, core decides.

use crate::disk::DirectoryDisk;
use crate::fatal;
use crate::recover::load;
use crate::settings::Settings;
use crate::switchboard::Switchboard;
use ostler_core::log::LogError;
use ostler_core::log::snapshot;
use ostler_core::rooms::rebuilding::{self, Piece};
use ostler_core::rooms::{log_writer, tree_store};
use ostler_core::tree::Tree;
use ostler_core::types::Zxid;
use ostler_core::zab::{History, HistoryReader};
use parking_lot::Mutex;
use slog::{Logger, info, warn};
use std::sync::Arc;
use std::time::Instant;

/// The tree that somebody waits for: outlives the snapshot writer's tenant.
#[derive(Clone, Default)]
pub(crate) struct Wanted(Arc<Mutex<Option<Zxid>>>);

impl Wanted {
    /// What the tree is to be exact at.
    pub(crate) fn zxid(&self) -> Option<Zxid> {
        *self.0.lock()
    }

    /// Somebody waits for this one, and for no other.
    pub(crate) fn set(&self, zxid: Option<Zxid>) {
        *self.0.lock() = zxid;
    }
}

/// See the module.
pub(crate) struct Rebuilding {
    disk: DirectoryDisk,
    settings: Arc<Settings>,
    rooms: Switchboard,
    wanted: Wanted,
    logger: Logger,
    underway: Option<Underway>,
}

struct Underway {
    rebuilding: rebuilding::Rebuilding,
    started: Instant,
}

impl Rebuilding {
    pub(crate) fn new(
        disk: DirectoryDisk,
        settings: Arc<Settings>,
        rooms: Switchboard,
        wanted: Wanted,
        logger: Logger,
    ) -> Self {
        Self { disk, settings, rooms, wanted, logger, underway: None }
    }

    /// Somebody is going to wait for the tree at this zxid.
    pub(crate) fn want(&self, target: Zxid) {
        self.wanted.set(Some(target));
    }

    /// Begins, in place of what was being made before.
    pub(crate) fn begin(&mut self, target: Zxid) -> Result<(), LogError> {
        self.underway = None;
        let started = Instant::now();
        let tree = self.newest(target)?;
        info!(self.logger, "making the tree anew"; "zxid" => %target,
            "snapshot" => %tree.last_applied(), "znodes" => tree.znode_count());
        let rebuilding = rebuilding::Rebuilding::new(tree, target);
        self.go_on(Underway { rebuilding, started });
        Ok(())
    }

    /// Applies a piece of the log.
    pub(crate) fn take(&mut self, history: &History) -> Result<(), LogError> {
        let Some(mut underway) = self.underway.take() else { return Ok(()) };
        let target = underway.rebuilding.target();
        match underway.rebuilding.take(history)? {
            Piece::Applied => self.go_on(underway),
            Piece::Stale => self.underway = Some(underway),
            Piece::CutOff if underway.rebuilding.is_superseded(&mut self.disk.share())? => {
                info!(self.logger, "a leader's snapshot takes the place of the tree made anew";
                    "zxid" => %target);
                self.wanted.set(None);
            }
            Piece::CutOff | Piece::TooShort => {
                let reason = "the log lacks what the tree had";
                fatal::stop_at_broken_invariant(&self.logger, reason);
            }
        }
        Ok(())
    }

    fn go_on(&mut self, Underway { rebuilding, started }: Underway) {
        if let Some(after) = rebuilding.reads_after() {
            self.underway = Some(Underway { rebuilding, started });
            let reader = HistoryReader::Rebuild;
            return self.rooms.log_writer(log_writer::Input::ReadHistory { reader, after });
        }
        let (tree, replayed) = rebuilding.finish();
        info!(self.logger, "the tree is made anew"; "zxid" => %tree.last_applied(),
            "replayed" => replayed, "znodes" => tree.znode_count(),
            "ms" => started.elapsed().as_millis());
        self.rooms.tree_store(tree_store::Input::Replaced(tree));
        self.wanted.set(None);
    }

    /// The tree of the newest snapshot that is whole and not newer than this.
    fn newest(&self, target: Zxid) -> Result<Tree, LogError> {
        for zxid in snapshot::list(&mut self.disk.share())? {
            if zxid > target {
                continue;
            }
            match load(&self.disk, Some(zxid), &self.settings) {
                Ok(tree) => return Ok(tree),
                Err(error) => warn!(self.logger, "a snapshot is damaged"; "error" => %error),
            }
        }
        match load(&self.disk, None, &self.settings) {
            Ok(tree) => Ok(tree),
            Err(error) => fatal::stop_at_unusable_snapshot(&self.logger, &error),
        }
    }
}
