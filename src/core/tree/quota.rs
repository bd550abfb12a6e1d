//! Quotas: the text of `zookeeper_limits` and `zookeeper_stats`, the upkeep of the latter, and
//! the check of hard limits. A quota on `/a` lives in `/zookeeper/quota/a`. The counters change
//! with every write below it, without version, zxid or watch. Called by `write` and `store`.

use super::store::Store;
use crate::types::ErrorCode;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

const ROOT_OF_QUOTAS: &str = "/zookeeper/quota";
const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";

/// The path whose quota a znode at `path` is the limits of.
pub(super) fn quota_path(path: &str) -> Option<&str> {
    target(path, LIMITS)
}

fn target<'a>(path: &'a str, last: &str) -> Option<&'a str> {
    let target = path.strip_prefix(ROOT_OF_QUOTAS)?.strip_suffix(last)?;
    target.starts_with('/').then_some(target)
}

/// Limits or use, -1 where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Track {
    count: i64,
    bytes: i64,
    count_hard: i64,
    bytes_hard: i64,
}

impl Track {
    /// Pairs `key=value` between any of `,` and `;`. What is not understood says nothing.
    fn parse(data: Option<&[u8]>) -> Self {
        let mut track = Self { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };
        let text = core::str::from_utf8(data.unwrap_or_default()).unwrap_or_default();
        for pair in text.split([',', ';']) {
            let mut parts = pair.split('=');
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
            let Ok(value) = value.parse() else { continue };
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

    /// The text ZooKeeper writes; the `=` before the hard limits is for its older parsers.
    fn text(&self) -> Vec<u8> {
        let mut text = format!("count={},bytes={}", self.count, self.bytes);
        if self.count_hard != -1 || self.bytes_hard != -1 {
            let hard = (self.bytes_hard, self.count_hard);
            text.push_str(&format!("=;byteHardLimit={};countHardLimit={}", hard.0, hard.1));
        }
        text.into_bytes()
    }
}

impl Store {
    /// Refuses a growth that a hard limit forbids. Shrinking is always allowed.
    pub(super) fn check_quota(&self, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        let Some(quota) = self.deepest_quota(path) else { return Ok(()) };
        let (Some(limits), Some(used)) = (self.track(&quota, LIMITS), self.track(&quota, STATS))
        else {
            return Ok(());
        };
        let over = |hard: i64, used: i64, growth: i64| {
            hard > -1 && growth > 0 && used.saturating_add(growth) > hard
        };
        if over(limits.count_hard, used.count, count) || over(limits.bytes_hard, used.bytes, bytes)
        {
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }

    fn track(&self, quota: &str, file: &str) -> Option<Track> {
        let slot = self.find(&file_path(quota, file))?;
        Some(Track::parse(self.slab.at(slot).data()))
    }

    /// A znode was created: counts it, and starts the counters if it is them.
    pub(super) fn count_created(&mut self, path: &str, bytes: i64) {
        if let Some(quota) = target(path, STATS) {
            let (count, bytes) = self.usage(quota);
            let used = Track { count, bytes, count_hard: -1, bytes_hard: -1 };
            self.write_stats(path, &used);
        }
        self.count_change(path, 1, bytes);
    }

    /// Adds to the counters of the deepest quota above `path`, if it has any.
    pub(super) fn count_change(&mut self, path: &str, count: i64, bytes: i64) {
        let Some(quota) = self.deepest_quota(path) else { return };
        let Some(mut used) = self.track(&quota, STATS) else { return };
        used.count = used.count.saturating_add(count);
        used.bytes = used.bytes.saturating_add(bytes);
        self.write_stats(&file_path(&quota, STATS), &used);
    }

    fn write_stats(&mut self, path: &str, used: &Track) {
        if let Some(slot) = self.find(path) {
            self.replace_data(slot, path, Some(&used.text()));
        }
    }
}

fn file_path(quota: &str, file: &str) -> String {
    format!("{ROOT_OF_QUOTAS}{quota}{file}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_quota_is_zookeepers() {
        let text = b"count=2,bytes=-1=;byteHardLimit=9;countHardLimit=3";
        let track = Track::parse(Some(text));
        assert_eq!(track, Track { count: 2, bytes: -1, count_hard: 3, bytes_hard: 9 });
        assert_eq!(track.text(), text);
        let used = Track { count: 1, bytes: 7, count_hard: -1, bytes_hard: -1 };
        assert_eq!(used.text(), b"count=1,bytes=7");
    }

    #[test]
    fn a_text_that_is_no_quota_limits_nothing() {
        let nothing = Track { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };
        for text in [&b""[..], b"x", b"count", b"count=", b"count=x", b"\xff\xfe", b",;=;="] {
            assert_eq!(Track::parse(Some(text)), nothing);
        }
        assert_eq!(Track::parse(None), nothing);
    }

    #[test]
    fn only_limits_below_the_root_of_quotas_make_a_quota() {
        assert_eq!(quota_path("/zookeeper/quota/a/b/zookeeper_limits"), Some("/a/b"));
        assert_eq!(quota_path("/zookeeper/quota/zookeeper_limits"), None);
        assert_eq!(quota_path("/zookeeper/quotax/zookeeper_limits"), None);
        assert_eq!(quota_path("/a/zookeeper_limits"), None);
    }
}
