//! Quotas: where the servers look for them, and how they are written.

/// Limits or counts of one subtree; -1 means none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quota {
    /// Znodes, the subtree's root among them; exceeding it is only reported.
    pub(crate) count: i64,
    /// Bytes of data; exceeding it is only reported.
    pub(crate) bytes: i64,
    /// Znodes, enforced.
    pub(crate) count_hard: i64,
    /// Bytes, enforced.
    pub(crate) bytes_hard: i64,
}

/// One of the four limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Limit {
    /// `-n`
    Count,
    /// `-b`
    Bytes,
    /// `-N`
    CountHard,
    /// `-B`
    BytesHard,
}

impl Quota {
    /// No limit at all.
    pub(crate) const NONE: Self = Self { count: -1, bytes: -1, count_hard: -1, bytes_hard: -1 };

    /// Reads what the servers keep; what is missing or odd is -1.
    pub(crate) fn parse(text: &str) -> Self {
        let mut quota = Self::NONE;
        for part in text.split([',', ';']) {
            let mut sides = part.split('=');
            let name = sides.next().unwrap_or_default();
            let value = sides.next().and_then(|value| value.parse().ok()).unwrap_or(-1);
            match name {
                "count" => quota.count = value,
                "bytes" => quota.bytes = value,
                "countHardLimit" => quota.count_hard = value,
                "byteHardLimit" => quota.bytes_hard = value,
                _foreign => {}
            }
        }
        quota
    }

    /// As the servers keep it. The odd `=;` is for readers that know no hard limits.
    pub(crate) fn text(self) -> String {
        let Self { count, bytes, count_hard, bytes_hard } = self;
        let soft = format!("count={count},bytes={bytes}");
        if count_hard < 0 && bytes_hard < 0 {
            return soft;
        }
        format!("{soft}=;byteHardLimit={bytes_hard};countHardLimit={count_hard}")
    }

    /// The same with one limit replaced.
    pub(crate) fn with(mut self, limit: Limit, value: i64) -> Self {
        match limit {
            Limit::Count => self.count = value,
            Limit::Bytes => self.bytes = value,
            Limit::CountHard => self.count_hard = value,
            Limit::BytesHard => self.bytes_hard = value,
        }
        self
    }
}

/// The znode whose children hold the quota of a path.
pub(crate) fn home(path: &str) -> String {
    format!("/zookeeper/quota{path}")
}

/// The limits of a path.
pub(crate) fn limits_path(path: &str) -> String {
    format!("{}/zookeeper_limits", home(path))
}

/// What a path's subtree holds at present.
pub(crate) fn stats_path(path: &str) -> String {
    format!("{}/zookeeper_stats", home(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quota_survives_the_way_through_text() {
        let soft = Quota::NONE.with(Limit::Count, 5);
        assert_eq!(soft.text(), "count=5,bytes=-1");
        let hard = soft.with(Limit::BytesHard, 9).with(Limit::Bytes, 7);
        assert_eq!(hard.text(), "count=5,bytes=7=;byteHardLimit=9;countHardLimit=-1");
        for quota in [Quota::NONE, soft, hard, hard.with(Limit::CountHard, 3)] {
            assert_eq!(Quota::parse(&quota.text()), quota);
        }
        assert_eq!(Quota::parse("nonsense"), Quota::NONE);
    }
}
