//! Which exceeded quotas the operator is told of: each at most once a minute, and not more than a
//! few at a time, however many writes go beyond them. Called by the tree store.

use crate::tree::{QuotaExceeded, QuotaKind};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;

/// How long a quota is not told of again, in milliseconds.
const SILENCE_MS: u64 = 60_000;
/// How many quotas are told of within that time; also what is remembered at most.
const TOLD_MAX: usize = 100;

/// See the module.
#[derive(Default)]
pub(super) struct QuotaWarnings {
    /// When each was last told of, in milliseconds of the monotonic clock.
    told: BTreeMap<(String, QuotaKind), u64>,
}

impl QuotaWarnings {
    /// Takes out of `exceeded` what is to be told now, and leaves nothing.
    pub(super) fn sift(
        &mut self,
        mono_ms: u64,
        exceeded: &mut Vec<QuotaExceeded>,
    ) -> Vec<QuotaExceeded> {
        if exceeded.is_empty() {
            return Vec::new();
        }
        self.told.retain(|_, at| at.saturating_add(SILENCE_MS) > mono_ms);
        let mut news = Vec::new();
        for over in exceeded.drain(..) {
            let key = (over.path.clone(), over.kind);
            if self.told.len() < TOLD_MAX && !self.told.contains_key(&key) {
                self.told.insert(key, mono_ms);
                news.push(over);
            }
        }
        news
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::format;
    use alloc::vec;

    fn over(path: &str) -> QuotaExceeded {
        QuotaExceeded { path: path.into(), kind: QuotaKind::Count, limit: 1, used: 2 }
    }

    #[test]
    fn a_quota_is_told_of_once_a_minute() {
        let mut warnings = QuotaWarnings::default();
        let mut tell = |at, path| warnings.sift(at, &mut vec![over(path), over(path)]);
        assert_eq!(tell(5, "/a"), [over("/a")]);
        assert_eq!(tell(6, "/b"), [over("/b")]);
        assert_eq!(tell(60_004, "/a"), []);
        assert_eq!(tell(60_005, "/a"), [over("/a")]);
    }

    #[test]
    fn a_crowd_of_quotas_is_cut_short() {
        let mut warnings = QuotaWarnings::default();
        let mut crowd: Vec<_> = (0..1000).map(|n| over(&format!("/{n}"))).collect();
        assert_eq!(warnings.sift(0, &mut crowd).len(), TOLD_MAX);
        assert_eq!(crowd, []);
        assert_eq!(warnings.sift(0, &mut vec![over("/other")]), []);
        assert_eq!(warnings.sift(SILENCE_MS, &mut vec![over("/other")]), [over("/other")]);
    }
}
