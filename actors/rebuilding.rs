//! Makes the tree anew as it was at some zxid: the newest snapshot up to there, and the log behind
//! it, which the log writer reads piece by piece. Part of the snapshot writer's room, so that the
//! rooms of the spine go on meanwhile.

use crate::disk::DirectoryDisk;
use crate::fatal;
use crate::recover::{Replay, load};
use crate::settings::Settings;
use crate::switchboard::Switchboard;
use ostler_core::log::LogError;
use ostler_core::log::snapshot;
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
    target: Zxid,
    tree: Tree,
    applied: Replay,
    replayed: u64,
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
        let started = Instant::now();
        let tree = self.newest(target)?;
        info!(self.logger, "making the tree anew"; "zxid" => %target,
            "snapshot" => %tree.last_applied(), "znodes" => tree.znode_count());
        let applied = Replay::new();
        self.underway = Some(Underway { target, tree, applied, replayed: 0, started });
        self.go_on();
        Ok(())
    }

    /// Applies a piece of the log.
    pub(crate) fn take(&mut self, history: &History) -> Result<(), LogError> {
        // One that was read for an earlier attempt is not asked for again.
        let Some(underway) =
            self.underway.as_mut().filter(|underway| underway.tree.last_applied() == history.after)
        else {
            return Ok(());
        };
        for proposal in &history.entries {
            if proposal.zxid <= underway.target {
                underway.applied.entry(&mut underway.tree, proposal.into())?;
                underway.replayed += 1;
            }
        }
        if underway.tree.last_applied() == history.after {
            let reason = "the log lacks what the tree had";
            fatal::stop_at_broken_invariant(&self.logger, reason);
        }
        self.go_on();
        Ok(())
    }

    fn go_on(&mut self) {
        let Some(underway) = self.underway.take() else { return };
        let after = underway.tree.last_applied();
        if after < underway.target {
            self.underway = Some(underway);
            let reader = HistoryReader::Rebuild;
            return self.rooms.log_writer(log_writer::Input::ReadHistory { reader, after });
        }
        let Underway { tree, replayed, started, .. } = underway;
        info!(self.logger, "the tree is made anew"; "zxid" => %after, "replayed" => replayed,
            "znodes" => tree.znode_count(), "ms" => started.elapsed().as_millis());
        self.rooms.tree_store(tree_store::Input::Replaced(Box::new(tree)));
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
