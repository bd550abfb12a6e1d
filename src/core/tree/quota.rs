//! Quotas: the upkeep of `zookeeper_stats`, the check of hard limits, and who is over a limit. A
//! quota on `/a` lives in `/zookeeper/quota/a`. The counters change with every write below it,
//! without version, zxid or watch. Called by `write` and `store`.

use super::store::Store;
use super::{QuotaExceeded, QuotaKind};
use crate::types::{Create, ErrorCode, Op, Quota, parent_of};
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::iter::successors;

/// Quotas by path, each with its limits and counters if it has both.
pub(super) type Judged = BTreeMap<String, Option<LimitsAndCounters>>;
type LimitsAndCounters = (Quota, Quota);

impl Store {
    /// Until the multi now beginning has ended, growth is judged by the limits and counters of
    /// now. As in ZooKeeper, where each part is judged by what was applied before the multi: so
    /// one multi can pass a limit by parts that keep to it one by one.
    pub(super) fn judge_by_now(&mut self, ops: &[Op<'_>]) {
        let mut judged = Judged::new();
        for op in ops {
            let (Op::Create(Create { path, .. }) | Op::SetData { path, .. }) = op else { continue };
            if let Some(quota) = self.deepest_quota(path) {
                let found = self.limits_and_counters(&quota);
                judged.insert(quota, found);
            }
        }
        self.judged_by = Some(judged);
    }

    /// Refuses a growth that a hard limit forbids. Shrinking is always allowed.
    pub(super) fn check_quota(&self, path: &str, count: i64, bytes: i64) -> Result<(), ErrorCode> {
        let found = match &self.judged_by {
            Some(judged) => above(path).find_map(|above| judged.get(above)).copied().flatten(),
            None => self.deepest_quota(path).and_then(|quota| self.limits_and_counters(&quota)),
        };
        let Some((limits, used)) = found else { return Ok(()) };
        let over = |hard: i64, used: i64, growth: i64| {
            hard > -1 && growth > 0 && used.saturating_add(growth) > hard
        };
        if over(limits.count_hard, used.count, count) || over(limits.bytes_hard, used.bytes, bytes)
        {
            return Err(ErrorCode::QuotaExceeded);
        }
        Ok(())
    }

    fn limits_and_counters(&self, quota: &str) -> Option<LimitsAndCounters> {
        let limits = self.quota_at(&Quota::limits_path(quota))?;
        Some((limits, self.quota_at(&Quota::stats_path(quota))?))
    }

    fn quota_at(&self, file: &str) -> Option<Quota> {
        let slot = self.find(file)?;
        Some(Quota::parse(self.slab.at(slot).data().unwrap_or_default()))
    }

    /// A znode was created: counts it, and starts the counters if it is them.
    pub(super) fn count_created(&mut self, path: &str, bytes: i64, over: &mut Vec<QuotaExceeded>) {
        if let Some(quota) = Quota::counted_by(path) {
            let (count, bytes) = self.usage(quota);
            self.write_stats(path, &Quota { count, bytes, ..Quota::NONE });
        }
        self.count_change(path, 1, bytes, over);
    }

    /// Adds to the counters of the deepest quota above `path`, if it has any, and notes which of
    /// its limits this growth is beyond.
    pub(super) fn count_change(
        &mut self,
        path: &str,
        count: i64,
        bytes: i64,
        over: &mut Vec<QuotaExceeded>,
    ) {
        let Some(quota) = self.deepest_quota(path) else { return };
        let stats = Quota::stats_path(&quota);
        let Some(mut used) = self.quota_at(&stats) else { return };
        used.count = used.count.saturating_add(count);
        used.bytes = used.bytes.saturating_add(bytes);
        self.write_stats(&stats, &used);
        if (count > 0 || bytes > 0)
            && let Some(limits) = self.quota_at(&Quota::limits_path(&quota))
        {
            let count = (count > 0).then_some((QuotaKind::Count, used.count));
            let bytes = (bytes > 0).then_some((QuotaKind::Bytes, used.bytes));
            let grown = [count, bytes].into_iter().flatten();
            over.extend(grown.filter_map(|(kind, used)| exceeded(&quota, kind, used, &limits)));
        }
    }

    fn write_stats(&mut self, path: &str, used: &Quota) {
        if let Some(slot) = self.find(path) {
            self.replace_data(slot, path, Some(used.text().as_bytes()));
        }
    }
}

/// A path and its ancestors, the deepest first.
fn above(path: &str) -> impl Iterator<Item = &str> {
    successors(Some(path), |path| parent_of(path))
}

/// A hard limit stands in for the soft one of its kind, as in ZooKeeper.
fn exceeded(quota: &str, kind: QuotaKind, used: i64, limits: &Quota) -> Option<QuotaExceeded> {
    let (soft, hard) = match kind {
        QuotaKind::Count => (limits.count, limits.count_hard),
        QuotaKind::Bytes => (limits.bytes, limits.bytes_hard),
    };
    let limit = if hard > -1 { hard } else { soft };
    let over = limit > -1 && used > limit;
    over.then(|| QuotaExceeded { path: String::from(quota), kind, limit, used })
}
