//! The four limits of a quota, as the shell's options name them.

use ostler_core::types::Quota;

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

impl Limit {
    /// The same quota with this limit replaced; -1 takes it away.
    pub(crate) fn replaced(self, mut quota: Quota, value: i64) -> Quota {
        match self {
            Self::Count => quota.count = value,
            Self::Bytes => quota.bytes = value,
            Self::CountHard => quota.count_hard = value,
            Self::BytesHard => quota.bytes_hard = value,
        }
        quota
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_its_own_and_survives_the_way_through_text() {
        let soft = Limit::Count.replaced(Quota::NONE, 5);
        assert_eq!(soft.text(), "count=5,bytes=-1");
        let hard = Limit::Bytes.replaced(Limit::BytesHard.replaced(soft, 9), 7);
        assert_eq!(hard.text(), "count=5,bytes=7=;byteHardLimit=9;countHardLimit=-1");
        for quota in [Quota::NONE, soft, hard, Limit::CountHard.replaced(hard, 3)] {
            assert_eq!(Quota::parse(quota.text().as_bytes()), quota);
        }
    }
}
