//! Retention: which snapshots and segments may go.
//!
//! Called by the room that writes the log, after a snapshot was published.

use super::disk::Disk;
use super::error::LogError;
use super::{Log, snapshot};
use alloc::vec::Vec;

/// What was removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Purged {
    /// Snapshot files.
    pub snapshots: usize,
    /// Log segments.
    pub segments: usize,
}

impl<D: Disk> Log<D> {
    /// Keeps the `keep_snapshots` newest valid snapshots (at least one) and every segment needed
    /// to replay after the oldest of them; removes what is older. Without that many valid
    /// snapshots nothing goes. Valid means: not found damaged at the start, and whole by its
    /// first and last bytes; reading all of it would hold up the log.
    pub fn purge(&mut self, keep_snapshots: usize) -> Result<Purged, LogError> {
        self.check_usable()?;
        let mut kept = Vec::new();
        let mut purged = Purged::default();
        let keep = keep_snapshots.max(1);
        for zxid in snapshot::list(&mut self.disk)? {
            if kept.len() == keep {
                self.disk.remove(&snapshot::name(zxid))?;
                purged.snapshots += 1;
            } else if !self.damaged_snapshots.contains(&zxid)
                && snapshot::is_whole(&mut self.disk, zxid)?
            {
                kept.push(zxid);
            }
        }
        let Some(&oldest) = kept.last().filter(|_| kept.len() == keep) else {
            return Ok(purged);
        };
        while self.segments.get(1).is_some_and(|second| second.previous <= oldest) {
            self.disk.remove(&self.segments[0].name)?;
            // One by one, or a power cut could leave a hole.
            self.disk.sync_directory()?;
            self.segments.remove(0);
            purged.segments += 1;
        }
        if let Some(first) = self.segments.first_mut() {
            first.base = true;
        }
        Ok(purged)
    }
}
