//! What is counted of all connections of one thread together.

use super::{Distribution, ResponseSizes, Summary};
use crate::types::Zxid;
use crate::wire::Codec;

/// What some bytes on their way to a client consist of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Whole frames: answers and events.
    pub frames: u64,
    /// Bytes of their bodies; nothing of the answer to a connect request.
    pub bytes: u64,
    /// The zxid in the last of them that has one.
    pub last_zxid: Option<Zxid>,
    /// Sizes of their bodies in bytes; nothing of the answer to a connect request.
    pub sizes: Option<ResponseSizes>,
}

impl Sent {
    /// Of the answer to a connect request, which has a form of its own. `last_zxid` is the state
    /// of the tree if a session was made.
    pub fn greeting(bytes: &[u8], last_zxid: Option<Zxid>) -> Self {
        Self { frames: u64::from(!bytes.is_empty()), last_zxid, ..Self::default() }
    }

    /// Of whole frames in this protocol.
    pub fn of(codec: Codec, mut bytes: &[u8]) -> Self {
        let mut sent = Self::default();
        let mut last = None;
        while let Some((prefix, rest)) = bytes.split_first_chunk::<4>()
            && let Ok(length) = codec.frame_length(*prefix)
            && let Some((body, others)) = rest.split_at_checked(length)
        {
            sent.frames += 1;
            sent.bytes += length as u64;
            sent.add_size(length);
            last = Some(body);
            bytes = others;
        }
        let header = last.and_then(|body| codec.decode_reply_header(body).ok());
        // Answers to proofs of identity show no state.
        sent.last_zxid = header.map(|(header, _)| header.zxid).filter(|zxid| *zxid != Zxid::ZERO);
        sent
    }

    fn add_size(&mut self, length: usize) {
        let size = i64::try_from(length).unwrap_or(i64::MAX);
        let one = ResponseSizes { last: size, min: size, max: size };
        self.sizes = Some(ResponseSizes::joined(self.sizes, one));
    }
}

impl ResponseSizes {
    fn joined(before: Option<Self>, after: Self) -> Self {
        before.map_or(after, |before| Self {
            last: after.last,
            min: before.min.min(after.min),
            max: before.max.max(after.max),
        })
    }
}

/// See the module. Latencies are in microseconds, from a request's arrival to its answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traffic {
    /// Frames and words received.
    pub received: u64,
    /// Frames and texts sent.
    pub sent: u64,
    /// Bytes received.
    pub received_bytes: u64,
    /// Bytes of the bodies of all answers and events sent.
    pub sent_bytes: u64,
    /// Connect requests.
    pub connect_requests: u64,
    /// Connect requests for a session that was there already.
    pub revalidations: u64,
    /// Proofs of identity refused.
    pub auth_failed: u64,
    /// Sizes of answers and events.
    pub sizes: Option<ResponseSizes>,
    /// Of all requests.
    pub latency_us: Summary,
    /// Of requests that took no zxid.
    pub read_latency_us: Distribution,
    /// Of requests that took a zxid.
    pub update_latency_us: Distribution,
}

impl Traffic {
    /// Frames went out.
    pub fn count_sent(&mut self, sent: &Sent) {
        self.sent += sent.frames;
        self.sent_bytes += sent.bytes;
        if let Some(sizes) = sent.sizes {
            self.sizes = Some(ResponseSizes::joined(self.sizes, sizes));
        }
    }

    /// So many requests were answered, each this long after it had arrived.
    pub fn count_answered(&mut self, is_update: bool, times: u64, latency_us: u64) {
        self.latency_us.observe_many(latency_us, times);
        let kind = if is_update { &mut self.update_latency_us } else { &mut self.read_latency_us };
        kind.observe_many(latency_us, times);
    }

    /// Takes in all that was counted on another thread.
    pub fn merge(&mut self, other: &Self) {
        self.received += other.received;
        self.sent += other.sent;
        self.received_bytes += other.received_bytes;
        self.sent_bytes += other.sent_bytes;
        self.connect_requests += other.connect_requests;
        self.revalidations += other.revalidations;
        self.auth_failed += other.auth_failed;
        self.sizes = match (self.sizes, other.sizes) {
            (mine, Some(theirs)) => Some(ResponseSizes::joined(mine, theirs)),
            (mine, None) => mine,
        };
        self.latency_us.merge(&other.latency_us);
        self.read_latency_us.merge(&other.read_latency_us);
        self.update_latency_us.merge(&other.update_latency_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::{Reply, Xid};
    use alloc::vec::Vec;

    #[test]
    fn frames_are_counted_in_either_protocol() {
        for codec in [Codec::Jute, Codec::Native] {
            let mut bytes = Vec::new();
            codec.encode_reply(Xid(1), Zxid(5), &Reply::Done, &mut bytes);
            let first = bytes.len() as i64 - 4;
            codec.encode_reply(Xid(2), Zxid(6), &Reply::Path("/abc"), &mut bytes);
            let second = bytes.len() as i64 - 8 - first;
            let sizes = ResponseSizes { last: second, min: first, max: second };
            let expected = Sent {
                frames: 2,
                bytes: (first + second).unsigned_abs(),
                last_zxid: Some(Zxid(6)),
                sizes: Some(sizes),
            };
            assert_eq!(Sent::of(codec, &bytes), expected);
            assert_eq!(Sent::of(codec, &bytes[..bytes.len() - 1]).frames, 1);
            assert_eq!(Sent::of(codec, &[]), Sent::default());
        }
    }

    #[test]
    fn threads_are_told_of_as_one() {
        let (mut one, mut two) = (Traffic::default(), Traffic::default());
        one.count_answered(true, 2, 10);
        two.count_answered(false, 1, 40);
        let sizes = ResponseSizes { last: 3, min: 1, max: 9 };
        two.count_sent(&Sent { frames: 2, bytes: 20, last_zxid: None, sizes: Some(sizes) });
        one.merge(&two);
        assert_eq!(one.latency_us, Summary { min: 10, max: 40, sum: 60, count: 3 });
        assert_eq!(one.read_latency_us.quantiles(1).summary.count, 1);
        assert_eq!(one.update_latency_us.quantiles(1).summary.count, 2);
        assert_eq!((one.sent, one.sent_bytes, one.sizes), (2, 20, Some(sizes)));
    }
}
