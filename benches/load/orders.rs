//! What a track asks next, and the requests made of it.

use super::link::Link;
use super::names::Names;
use super::random::{Keys, Random};
use super::{Mix, Operation, Plan};
use ostler_core::types::limits::NATIVE_FRAME_REQUESTS_MAX;
use ostler_core::types::{AclEntry, Create, CreateVariant, Op, Perms, Read, Request};

/// Bytes after which a batch is sent as it is: servers refuse frames of more than 1 MiB.
const BATCH_BYTES_MAX: usize = 256 << 10;
/// Bytes of a request besides its path and data, at most.
const REQUEST_BYTES: usize = 96;

/// One request to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Order {
    pub(super) operation: Operation,
    /// Of the key, or of the first znode made or removed.
    pub(super) first: u64,
    /// Of a multi, how many znodes it makes; 1 else.
    pub(super) count: u64,
}

/// What one track has made. Znodes from `removed` up to but not including `made` are there, or
/// about to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Made {
    pub(super) made: u64,
    pub(super) removed: u64,
}

/// Chooses by weight; one for each thread.
pub(super) struct Chooser {
    weights: Vec<(Operation, u32)>,
    sum: u64,
    keys: Keys,
    multi: (u64, u64),
    random: Random,
}

impl Chooser {
    pub(super) fn new(plan: &Plan, mix: &Mix, thread: u64) -> Self {
        let weights = mix.weights().to_vec();
        Self {
            sum: weights.iter().map(|(_, weight)| u64::from(*weight)).sum(),
            weights,
            keys: Keys::new(plan.keys, plan.skew),
            multi: plan.multi,
            random: Random::new(plan.seed.wrapping_add(thread << 32)),
        }
    }

    /// The next order of the track that made these.
    pub(super) fn next(&mut self, made: &mut Made) -> Order {
        let order = |operation, first, count| Order { operation, first, count };
        match self.operation() {
            operation @ (Operation::Get | Operation::Exists | Operation::Set) => {
                order(operation, self.keys.next(&mut self.random), 1)
            }
            Operation::List => order(Operation::List, 0, 1),
            Operation::Delete if made.removed < made.made => {
                made.removed += 1;
                order(Operation::Delete, made.removed - 1, 1)
            }
            Operation::Create | Operation::Delete => {
                made.made += 1;
                order(Operation::Create, made.made - 1, 1)
            }
            Operation::Multi => {
                let (least, most) = self.multi;
                let count = least + self.random.below(most - least + 1);
                made.made += count;
                order(Operation::Multi, made.made - count, count)
            }
        }
    }

    fn operation(&mut self) -> Operation {
        if let [(operation, _)] = self.weights[..] {
            return operation;
        }
        let mut ticket = self.random.below(self.sum);
        for (operation, weight) in &self.weights {
            let weight = u64::from(*weight);
            if ticket < weight {
                return *operation;
            }
            ticket -= weight;
        }
        unreachable!("a ticket is below the sum of all weights")
    }
}

/// Makes requests of orders; one for each thread.
pub(super) struct Writer {
    names: Names,
    list: String,
    value: Vec<u8>,
    /// Paths of one batch, end to end.
    paths: String,
    ends: Vec<usize>,
}

impl Writer {
    pub(super) fn new(plan: &Plan, names: Names) -> Self {
        let list = names.list();
        Self { list, names, value: value(plan), paths: String::new(), ends: Vec::new() }
    }

    /// Queues the orders of a track, each with the time its latency counts from. The tag of each
    /// is its operation's place in [`Operation::ALL`].
    pub(super) fn ask(&mut self, link: &mut Link, track: u64, orders: &[(Order, u64)]) {
        if !link.has_frames_of_many() {
            for (order, since_ns) in orders {
                self.write_paths(track, &[(*order, *since_ns)]);
                let mut paths = Paths { text: &self.paths, ends: &self.ends, next: 0 };
                let request = self.request(*order, &mut paths);
                link.ask_alone(&request, order.operation as u8, *since_ns);
            }
            return;
        }
        let mut left = orders;
        while !left.is_empty() {
            let (batch, rest) = left.split_at(self.write_paths(track, left));
            left = rest;
            let mut requests = Vec::with_capacity(batch.len());
            let mut paths = Paths { text: &self.paths, ends: &self.ends, next: 0 };
            for (order, since_ns) in batch {
                let request = self.request(*order, &mut paths);
                requests.push((request, order.operation as u8, *since_ns));
            }
            link.ask(&requests);
        }
    }

    /// Writes the paths of as many orders as one batch may hold; returns how many those are.
    fn write_paths(&mut self, track: u64, orders: &[(Order, u64)]) -> usize {
        self.paths.clear();
        self.ends.clear();
        let mut bytes = 0;
        for (index, (order, _)) in orders.iter().enumerate() {
            let before = self.paths.len();
            for number in order.first..order.first + order.count {
                match order.operation {
                    Operation::Get | Operation::Exists | Operation::Set => {
                        self.names.write_key(number, &mut self.paths);
                    }
                    Operation::Create | Operation::Delete | Operation::Multi => {
                        self.names.write_made(track, number, &mut self.paths);
                    }
                    Operation::List => self.paths.push_str(&self.list),
                }
                self.ends.push(self.paths.len());
            }
            let each = self.value.len() + REQUEST_BYTES;
            bytes += self.paths.len() - before + each * order.count as usize;
            if bytes >= BATCH_BYTES_MAX || index + 1 == NATIVE_FRAME_REQUESTS_MAX {
                return index + 1;
            }
        }
        orders.len()
    }

    fn request<'a>(&'a self, order: Order, paths: &mut Paths<'a>) -> Request<'a> {
        let value = Some(&self.value[..]);
        match order.operation {
            Operation::Get => Request::Read(Read::Data { path: paths.take(), watch: false }),
            Operation::Exists => Request::Read(Read::Exists { path: paths.take(), watch: false }),
            Operation::Set => {
                Request::Write(Op::SetData { path: paths.take(), data: value, version: -1 })
            }
            Operation::Create => Request::Write(create(paths.take(), value)),
            Operation::Delete => Request::Write(Op::Delete { path: paths.take(), version: -1 }),
            Operation::List => {
                let (path, watch, with_stat) = (paths.take(), false, true);
                Request::Read(Read::Children { path, watch, with_stat })
            }
            Operation::Multi => {
                let ops = (0..order.count).map(|_| create(paths.take(), value)).collect();
                Request::Write(Op::Multi(ops))
            }
        }
    }
}

struct Paths<'a> {
    text: &'a str,
    ends: &'a [usize],
    next: usize,
}

impl<'a> Paths<'a> {
    fn take(&mut self) -> &'a str {
        let start = self.next.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.next += 1;
        &self.text[start..self.ends[self.next - 1]]
    }
}

/// The create of a persistent znode that anyone may use.
pub(super) fn create<'a>(path: &'a str, data: Option<&'a [u8]>) -> Op<'a> {
    let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
    Op::Create(Create { path, data, acl, flags: 0, ttl_ms: 0, variant: CreateVariant::Plain })
}

/// The data of every znode: such as no disk can make smaller.
pub(super) fn value(plan: &Plan) -> Vec<u8> {
    let mut random = Random::new(!plan.seed);
    (0..plan.value_bytes).map(|_| random.next() as u8).collect()
}
