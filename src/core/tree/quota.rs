//! Quotas: `/zookeeper/quota/<path>/zookeeper_limits`, set by clients with ordinary writes, and
//! `zookeeper_stats` beside it, kept up to date without a version, a zxid or a watch.
//!
//! Only the deepest path with a quota counts for a znode, as in ZooKeeper's `DataTree`.

use super::Tree;
use super::journal::Undo;
use super::store::Id;
use crate::types::ErrorCode;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

const QUOTA: &str = "/zookeeper/quota";
const LIMITS: &str = "zookeeper_limits";
const STATS: &str = "zookeeper_stats";

/// Paths that have a quota.
#[derive(Default)]
pub(super) struct Quotas(BTreeSet<String>);

impl Quotas {
    pub(super) fn set(&mut self, prefix: &str, known: bool) {
        if known {
            self.0.insert(String::from(prefix));
        } else {
            self.0.remove(prefix);
        }
    }

    /// The deepest path with a quota that is `path` or above it.
    fn deepest<'a>(&self, path: &'a str) -> Option<&'a str> {
        if self.0.is_empty() || path == "/" {
            return None;
        }
        let ends = path.char_indices().filter(|(at, c)| *c == '/' && *at > 0).map(|(at, _)| at);
        let mut ends: Vec<usize> = ends.collect();
        ends.push(path.len());
        ends.into_iter().rev().map(|end| &path[..end]).find(|prefix| self.0.contains(*prefix))
    }
}

/// The numbers in a limits or stats znode; -1 is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Track {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl Track {
    fn parse(data: Option<&[u8]>) -> Self {
        let text = String::from_utf8_lossy(data.unwrap_or_default());
        let mut track = Self { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };
        for pair in text.split([',', ';']) {
            let mut parts = pair.split('=');
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
            let value = value.trim().parse().unwrap_or(-1);
            match key {
                "count" => track.count = value,
                "bytes" => track.bytes = value,
                "countHardLimit" => track.count_hard = value,
                "byteHardLimit" => track.bytes_hard = value,
                _ => {}
            }
        }
        track
    }
}

impl Tree {
    /// A znode was made: a quota may begin, and one may be used.
    pub(super) fn quota_created(&mut self, path: &str, parent: &str, name: &str, bytes: usize) {
        if let Some(prefix) = quota_of(parent) {
            if name == LIMITS {
                self.know_quota(prefix, true);
            } else if name == STATS {
                self.count_quota(prefix);
            }
        }
        self.use_quota(path, bytes as i64, 1);
    }

    /// A znode was removed.
    pub(super) fn quota_removed(&mut self, path: &str, parent: &str, name: &str, bytes: usize) {
        if let Some(prefix) = quota_of(parent)
            && name == LIMITS
        {
            self.know_quota(prefix, false);
        }
        self.use_quota(path, -(bytes as i64), -1);
    }

    /// Data grew or shrank.
    pub(super) fn quota_resized(&mut self, path: &str, bytes: i64) {
        self.use_quota(path, bytes, 0);
    }

    /// Whether a write that adds so much would pass a hard limit.
    pub(super) fn check_quota(&self, path: &str, bytes: i64, count: i64) -> Result<(), ErrorCode> {
        if !self.rules.enforce_quota {
            return Ok(());
        }
        let Some(prefix) = self.quotas.deepest(path) else { return Ok(()) };
        let Some(limits) = self.quota_node(prefix, LIMITS) else { return Ok(()) };
        let used = self.quota_node(prefix, STATS).map_or(Track::parse(None), |id| self.track(id));
        let limits = self.track(limits);
        let over = |hard: i64, used: i64, more: i64| more > 0 && hard > -1 && used + more > hard;
        let exceeded = over(limits.count_hard, used.count, count)
            || over(limits.bytes_hard, used.bytes, bytes);
        if exceeded { Err(ErrorCode::QuotaExceeded) } else { Ok(()) }
    }

    /// Makes known the quotas that a loaded tree holds.
    pub(super) fn find_quotas(&mut self) {
        let limits = self.store.ids().filter(|id| &*self.store.node(*id).name == LIMITS);
        let paths: Vec<String> = limits.map(|id| self.store.path(id)).collect();
        for path in paths {
            if let Some(prefix) = super::cut(&path).and_then(|(parent, _)| quota_of(parent)) {
                self.quotas.set(prefix, true);
            }
        }
    }

    fn know_quota(&mut self, prefix: &str, known: bool) {
        self.note(|| Undo::Quota { prefix: String::from(prefix), known: !known });
        self.quotas.set(prefix, known);
    }

    fn use_quota(&mut self, path: &str, bytes: i64, count: i64) {
        let Some(prefix) = self.quotas.deepest(path) else { return };
        let Some(id) = self.quota_node(prefix, STATS) else { return };
        let used = self.track(id);
        self.write_stats(prefix, id, used.count + count, used.bytes + bytes);
    }

    fn count_quota(&mut self, prefix: &str) {
        let Some(id) = self.quota_node(prefix, STATS) else { return };
        let (count, bytes) = self.store.find(prefix).map_or((0, 0), |root| self.subtree(root));
        self.write_stats(prefix, id, count as i64, bytes as i64);
    }

    fn write_stats(&mut self, prefix: &str, id: Id, count: i64, bytes: i64) {
        let path = format!("{QUOTA}{prefix}/{STATS}");
        let text = format!("count={count},bytes={bytes}");
        self.note_change(&path, id, true);
        self.change(&path, id, |node| node.data = Some(text.into_bytes().into()));
    }

    fn quota_node(&self, prefix: &str, name: &str) -> Option<Id> {
        self.store.find(&format!("{QUOTA}{prefix}/{name}"))
    }

    fn track(&self, id: Id) -> Track {
        Track::parse(self.store.node(id).data.as_deref())
    }
}

/// The path a znode below `/zookeeper/quota` sets a quota for.
fn quota_of(parent: &str) -> Option<&str> {
    parent.strip_prefix(QUOTA).filter(|prefix| prefix.starts_with('/'))
}
