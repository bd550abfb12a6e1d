//! Retention: which snapshots and segments may go. The file of one segment is kept for the next.
//!
//! Called by the room that writes the log, after a snapshot was published.

use super::disk::Disk;
use super::error::LogError;
use super::tail::Spare;
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
    /// snapshots nothing goes. Valid means: not found damaged at the start, whole by its first
    /// and last bytes (reading all of it would hold up the log), and not older than all the log
    /// has. A segment that is part of an open stage stays.
    pub fn purge(&mut self, keep_snapshots: usize) -> Result<Purged, LogError> {
        // Nothing may go because of a history that might not be there after a crash.
        self.sync()?;
        let mut kept = Vec::new();
        let mut purged = Purged::default();
        let keep = keep_snapshots.max(1);
        for zxid in snapshot::list(&mut self.disk)? {
            let is_continued = zxid >= self.timeline.base;
            if kept.len() == keep || (!is_continued && !kept.is_empty()) {
                self.disk.remove(&snapshot::name(zxid))?;
                purged.snapshots += 1;
            } else if is_continued
                && !self.damaged_snapshots.contains(&zxid)
                && snapshot::is_whole(&mut self.disk, zxid)?
            {
                kept.push(zxid);
            }
        }
        let Some(&oldest) = kept.last().filter(|_| kept.len() == keep) else {
            return Ok(purged);
        };
        while self.segments.len() > 1 && self.zxid_before(1) <= oldest && !self.stage_needs_first()
        {
            self.remove_first_segment()?;
            purged.segments += 1;
        }
        Ok(purged)
    }

    fn remove_first_segment(&mut self) -> Result<(), LogError> {
        let base = self.zxid_before(1);
        let name = &self.segments[0].name;
        let kept = match &self.spare {
            Some(_) => None,
            None => Spare::take(&mut self.disk, name, self.settings.segment_bytes)?,
        };
        match kept {
            Some(_) => self.spare = kept,
            None => self.disk.remove(name)?,
        }
        // One by one, or a power cut could leave a hole.
        self.disk.sync_directory()?;
        self.segments.remove(0);
        self.timeline.purge(self.segments[0].first_seq, base);
        Ok(())
    }

    fn stage_needs_first(&self) -> bool {
        let stage = self.timeline.facts.stage;
        stage.is_some_and(|stage| stage.first_seq < self.segments[1].first_seq)
    }
}
