//! A disk that knows what a log would: what was synced, and what is still on its way there.

use crate::types::Zxid;
use crate::zab::{History, LogOrder, Proposal, Recovered, Reign};
use std::collections::VecDeque;
use std::vec::Vec;

/// Small, so that a few writes take several reads.
const CHUNK_ENTRIES: usize = 2;

/// What is on a disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::zab) struct Image {
    pub(in crate::zab) accepted: Reign,
    pub(in crate::zab) current: Reign,
    pub(in crate::zab) committed: Zxid,
    /// The host's snapshot.
    pub(in crate::zab) snapshot: Zxid,
    /// Where the log begins.
    pub(in crate::zab) base: Zxid,
    pub(in crate::zab) log: Vec<Proposal>,
    pub(in crate::zab) stage: Option<(Zxid, bool, Vec<Proposal>)>,
}

impl Image {
    pub(in crate::zab) fn last(&self) -> Zxid {
        self.log.last().map_or(self.base, |last| last.zxid)
    }

    /// What a server finds when it starts on it.
    pub(super) fn recovered(&self) -> Recovered {
        Recovered {
            accepted: self.accepted,
            current: self.current,
            last: self.last(),
            time_ms: self.log.last().map_or(0, |last| last.time_ms),
            committed: self.committed.max(self.snapshot),
            delivered: self.snapshot,
        }
    }

    pub(super) fn order(&mut self, order: &LogOrder) {
        match order {
            LogOrder::Append(proposal) => self.log.push(proposal.clone()),
            LogOrder::Accept(reign) => self.accepted = *reign,
            LogOrder::BeginStage { base, snapshot } => {
                assert!(*snapshot || self.contains(*base), "{base} is not in the history");
                self.stage = Some((*base, *snapshot, Vec::new()));
            }
            LogOrder::Stage(proposal) => {
                let (.., entries) = self.stage.as_mut().expect("entries come after the beginning");
                entries.push(proposal.clone());
            }
            LogOrder::CommitStage { reign } => {
                self.current = *reign;
                let Some((base, snapshot, entries)) = self.stage.take() else { return };
                self.log.retain(|entry| !snapshot && entry.zxid <= base);
                if snapshot {
                    (self.base, self.snapshot) = (base, base);
                }
                self.log.extend(entries);
            }
        }
        assert!(self.log.windows(2).all(|pair| pair[0].zxid < pair[1].zxid));
    }

    pub(super) fn contains(&self, zxid: Zxid) -> bool {
        zxid == self.base || self.log.iter().any(|entry| entry.zxid == zxid)
    }

    pub(super) fn history(&self, after: Zxid) -> History {
        let reaches_back = after >= self.base;
        let upto = self.log.iter().filter(|entry| entry.zxid <= after);
        let base = upto.last().map_or(self.base, |last| last.zxid);
        let rest = self.log.iter().filter(|entry| entry.zxid > base);
        let entries = rest.take(CHUNK_ENTRIES).cloned().collect();
        History { after, base, entries, reaches_back }
    }
}

#[derive(Clone, Debug, Default)]
pub(in crate::zab) struct Disk {
    pub(in crate::zab) image: Image,
    pub(in crate::zab) queue: VecDeque<(u64, Zxid, Vec<LogOrder>)>,
}

impl Disk {
    pub(super) fn sync(&mut self) -> Option<u64> {
        let (mark, committed, orders) = self.queue.pop_front()?;
        for order in &orders {
            self.image.order(order);
        }
        self.image.committed = self.image.committed.max(committed.min(self.image.last()));
        Some(mark)
    }
}
