//! Quotas as clients and servers keep them: in the text of two znodes for each path.
//!
//! What a quota means is decided by the tree; who may be given one, by the shell.

use alloc::format;
use alloc::string::String;

const HOME: &str = "/zookeeper/quota";
const LIMITS: &str = "/zookeeper_limits";
const STATS: &str = "/zookeeper_stats";

/// Limits of one subtree, or what it uses; -1 where nothing is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// Znodes, the subtree's root among them; exceeding it is only reported.
    pub count: i64,
    /// Bytes of data; exceeding it is only reported.
    pub bytes: i64,
    /// Znodes; enforced where quotas are.
    pub count_hard: i64,
    /// Bytes; enforced where quotas are.
    pub bytes_hard: i64,
}

impl Quota {
    /// No limit at all.
    pub const NONE: Self = Self { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };

    /// Pairs `key=value` between any of `,` and `;`. What is not understood says nothing.
    pub fn parse(data: &[u8]) -> Self {
        let mut quota = Self::NONE;
        let text = core::str::from_utf8(data).unwrap_or_default();
        for pair in text.split([',', ';']) {
            let mut parts = pair.split('=');
            let (Some(key), Some(value)) = (parts.next(), parts.next()) else { continue };
            let Ok(value) = value.parse() else { continue };
            match key {
                "count" => quota.count = value,
                "bytes" => quota.bytes = value,
                "countHardLimit" => quota.count_hard = value,
                "byteHardLimit" => quota.bytes_hard = value,
                _ => {}
            }
        }
        quota
    }

    /// The text ZooKeeper writes; the `=` before the hard limits is for its older parsers.
    pub fn text(&self) -> String {
        let Self { count, bytes, count_hard, bytes_hard } = self;
        let mut text = format!("count={count},bytes={bytes}");
        if *count_hard != -1 || *bytes_hard != -1 {
            let hard = format!("=;byteHardLimit={bytes_hard};countHardLimit={count_hard}");
            text.push_str(&hard);
        }
        text
    }

    /// The znode whose children hold the quota of a path.
    pub fn home(path: &str) -> String {
        format!("{HOME}{path}")
    }

    /// The znode that holds the limits of a path.
    pub fn limits_path(path: &str) -> String {
        format!("{HOME}{path}{LIMITS}")
    }

    /// The znode that holds what a path's subtree uses at present.
    pub fn stats_path(path: &str) -> String {
        format!("{HOME}{path}{STATS}")
    }

    /// The path whose limits a znode at `path` holds, if it holds any. The root has no quota.
    pub fn limited_by(path: &str) -> Option<&str> {
        target(path, LIMITS)
    }

    /// The path whose use a znode at `path` holds, if it holds any.
    pub fn counted_by(path: &str) -> Option<&str> {
        target(path, STATS)
    }
}

fn target<'a>(path: &'a str, last: &str) -> Option<&'a str> {
    let target = path.strip_prefix(HOME)?.strip_suffix(last)?;
    target.starts_with('/').then_some(target)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_of_a_quota_is_zookeepers() {
        let text = "count=2,bytes=-1=;byteHardLimit=9;countHardLimit=3";
        let quota = Quota::parse(text.as_bytes());
        assert_eq!(quota, Quota { count: 2, bytes: -1, count_hard: 3, bytes_hard: 9 });
        assert_eq!(quota.text(), text);
        let used = Quota { count: 1, bytes: 7, ..Quota::NONE };
        assert_eq!(used.text(), "count=1,bytes=7");
        assert_eq!(Quota::parse(b"count=1,bytes=7"), used);
    }

    #[test]
    fn a_text_that_is_no_quota_limits_nothing() {
        for text in [&b""[..], b"x", b"count", b"count=", b"count=x", b"\xff\xfe", b",;=;="] {
            assert_eq!(Quota::parse(text), Quota::NONE);
        }
    }

    #[test]
    fn only_limits_below_the_root_of_quotas_make_a_quota() {
        assert_eq!(Quota::limited_by(&Quota::limits_path("/a/b")), Some("/a/b"));
        assert_eq!(Quota::counted_by(&Quota::stats_path("/a/b")), Some("/a/b"));
        assert_eq!(Quota::limited_by("/zookeeper/quota/zookeeper_limits"), None);
        assert_eq!(Quota::limited_by("/zookeeper/quotax/zookeeper_limits"), None);
        assert_eq!(Quota::limited_by("/a/zookeeper_limits"), None);
    }
}
