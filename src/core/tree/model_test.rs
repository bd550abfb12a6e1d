//! The tree against the plain model. Random transactions run on both; outcomes, events, reads,
//! digests and reloaded snapshots have to agree.
//!
//! `OSTLER_MODEL_OPS` sets the number of transactions, `OSTLER_MODEL_SEED` the seed; both are read
//! when the test is built, for core itself knows no environment.

use super::plain_test::{Model, Told, entry, length};
use super::*;
use crate::types::{AclEntry, Create, CreateVariant, ErrorCode, NameList, Outcome};
use alloc::string::{String, ToString};
use std::format;

const SNAPSHOT_EVERY: usize = 400;
const PRUNE_EVERY: usize = 150;

/// Xorshift: the same numbers for the same seed everywhere.
struct Chance(u64);

impl Chance {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as usize % bound
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn one_in(&mut self, odds: usize) -> bool {
        self.below(odds) == 0
    }
}

/// Paths are few, so that transactions meet.
const NAMES: [&str; 6] = ["a", "b", "c", "d", "zookeeper_limits", "zookeeper_stats"];
const ODD: [&str; 12] = [
    "",
    "/",
    "x",
    "//",
    "/a/",
    "/a//b",
    "/a/..",
    "/\0",
    "/zookeeper",
    "/zookeeper/config",
    "/zookeeper/quota",
    "/.",
];
const DATA: [Option<&[u8]>; 7] = [
    None,
    Some(b""),
    Some(b"x"),
    Some(b"0123456789"),
    Some(b"count=3,bytes=20"),
    Some(b"count=-1,bytes=-1=;byteHardLimit=30;countHardLimit=4"),
    Some(b"\xff,=;"),
];

fn any_path(chance: &mut Chance, model: &Model) -> String {
    if chance.one_in(12) {
        return chance.pick(&ODD).to_string();
    }
    if chance.one_in(2) {
        let nth = chance.below(model.nodes.len());
        return model.nodes.keys().nth(nth).expect("nth is below the count").clone();
    }
    let mut path = String::new();
    if chance.one_in(5) {
        path.push_str("/zookeeper/quota");
    }
    if chance.one_in(2) {
        path.push_str("/a");
    }
    for _ in 0..=chance.below(2) {
        path.push('/');
        path.push_str(chance.pick(&NAMES));
    }
    path
}

fn any_acl(chance: &mut Chance) -> Vec<AclEntry<'static>> {
    let all = [
        entry(Perms::ALL, "world", "anyone"),
        entry(Perms::READ, "world", "anyone"),
        entry(Perms::ALL, "digest", "u:h"),
        entry(Perms(13), "digest", "v:h"),
        entry(Perms::ALL, "auth", ""),
        entry(Perms(19), "ip", "10.0.0.0/8"),
        entry(Perms::ALL, "digest", "bad"),
        entry(Perms::ALL, "nobody", "x"),
    ];
    match chance.below(10) {
        0..6 => vec![all[0]],
        6 => (0..chance.below(4)).map(|_| chance.pick(&all)).collect(),
        _ => vec![all[0], chance.pick(&all[..6])],
    }
}

fn any_simple<'a>(chance: &mut Chance, path: &'a str) -> Op<'a> {
    let version = chance.pick(&[-1, -1, -1, 0, 1, 2]);
    match chance.below(12) {
        0..7 => Op::Create(Create {
            path,
            data: chance.pick(&DATA),
            acl: any_acl(chance),
            flags: chance.pick(&[0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7]),
            ttl_ms: chance.pick(&[50, 50, 1000, 0, -1]),
            variant: chance.pick(&[
                CreateVariant::Plain,
                CreateVariant::WithStat,
                CreateVariant::WithStat,
                CreateVariant::Container,
                CreateVariant::Ttl,
            ]),
        }),
        7..9 => Op::Delete { path, version },
        9..11 => Op::SetData { path, data: chance.pick(&DATA), version },
        _ => Op::Check { path, version },
    }
}

fn any_op<'a>(chance: &mut Chance, paths: &'a [String], session: SessionId) -> Op<'a> {
    match chance.below(40) {
        0..2 => Op::CreateSession { timeout_ms: chance.below(9000) as i32, password: [9; 16] },
        2 => Op::CloseSession { session },
        3..5 => Op::SetAcl {
            path: &paths[0],
            acl: any_acl(chance),
            version: chance.pick(&[-1, -1, 0, 1]),
        },
        5..8 => Op::Reap { path: &paths[0] },
        8 => Op::Fail(ErrorCode::MarshallingError),
        17 => Op::Configure { text: &paths[0] },
        9..17 => {
            let count = chance.below(paths.len() + 1);
            Op::Multi(paths[..count].iter().map(|path| any_simple(chance, path)).collect())
        }
        _ => any_simple(chance, &paths[0]),
    }
}

fn any_ids(chance: &mut Chance) -> Vec<AuthId> {
    let id = |scheme: &str, id: &str| AuthId { scheme: scheme.to_string(), id: id.to_string() };
    let mut ids = vec![id("ip", chance.pick(&["10.1.2.3", "11.1.2.3"]))];
    match chance.below(6) {
        0..2 => ids.push(id("digest", "u:h")),
        2 => ids.extend([id("digest", "v:h"), id("digest", "u:h")]),
        3 => ids.push(id("super", "")),
        _ => {}
    }
    ids
}

fn compare(tree: &Tree, model: &Model) {
    let everyone = [AuthId { scheme: "super".to_string(), id: String::new() }];
    assert_eq!(tree.digest(), tree.store.digest_from_scratch());
    assert_eq!(tree.znode_count(), model.nodes.len());
    let bytes: i64 = model.nodes.iter().map(|(path, node)| path.len() as i64 + length(node)).sum();
    assert_eq!(tree.data_size(), bytes as u64);
    let sessions: Vec<_> = tree.sessions().collect();
    assert_eq!(sessions, model.sessions.clone().into_iter().collect::<Vec<_>>());
    for (path, node) in &model.nodes {
        let (data, stat) = tree.data(path, &everyone).expect("the model has it");
        assert_eq!((data, stat), (node.data.as_deref(), node.shown()), "{path}");
        assert_eq!(tree.acl(path, &everyone).expect("the model has it").0, node.acl, "{path}");
        let mut names = Vec::new();
        tree.children(path, &everyone)
            .expect("the model has it")
            .0
            .each(&mut |name| names.push(name.to_string()));
        assert_eq!(names, node.children, "{path}");
        let below = |at: &&String| path == "/" || at.starts_with(&format!("{path}/"));
        let count = model.nodes.keys().filter(below).count() - usize::from(path == "/");
        assert_eq!(tree.descendant_count(path, &everyone), Ok(count as i32), "{path}");
    }
    let mut ephemerals = 0;
    for session in model.sessions.keys() {
        let own = model.ephemerals(*session);
        ephemerals += own.len();
        assert_eq!(tree.ephemerals(*session, ""), own);
    }
    assert_eq!(tree.ephemeral_count(), ephemerals);
}

/// A quota on `/a` that random writes soon reach.
fn limit(tree: &mut Tree, model: &mut Model) {
    let ids = [AuthId { scheme: "super".to_string(), id: String::new() }];
    for (path, data) in [
        ("/a", &b""[..]),
        ("/zookeeper/quota/a", b""),
        (
            "/zookeeper/quota/a/zookeeper_limits",
            b"count=1,bytes=1=;byteHardLimit=30;countHardLimit=4",
        ),
        ("/zookeeper/quota/a/zookeeper_stats", b""),
    ] {
        let zxid = Zxid(tree.last_applied().0 + 1);
        let op = Op::Create(Create {
            path,
            data: Some(data),
            acl: vec![entry(Perms::ALL, "world", "anyone")],
            flags: 0,
            ttl_ms: 0,
            variant: CreateVariant::WithStat,
        });
        let txn = Txn { zxid, time_ms: 0, session: SessionId::NONE, ids: &ids, op };
        let outcome = tree.apply(&txn, &mut Effects::default());
        assert_eq!(outcome, model.apply(&txn, &mut Told::new()));
        assert!(matches!(outcome, Outcome::Created { .. }), "{outcome:?}");
    }
}

/// Empties the tree, so that transactions keep meeting few znodes.
fn prune(tree: &mut Tree, model: &mut Model, told: &mut Told) {
    let ids = [AuthId { scheme: "super".to_string(), id: String::new() }];
    let paths: Vec<String> = model.nodes.keys().rev().cloned().collect();
    for path in paths.iter().filter(|path| !PROTECTED.contains(&path.as_str())) {
        let zxid = Zxid(tree.last_applied().0 + 1);
        let op = Op::Delete { path, version: -1 };
        let txn = Txn { zxid, time_ms: 0, session: SessionId::NONE, ids: &ids, op };
        let outcome = tree.apply(&txn, &mut Effects::default());
        assert_eq!(outcome, model.apply(&txn, told));
    }
}

fn run(rules: Rules, seed: u64, ops: usize, reach: &mut Reach) {
    let mut chance = Chance(seed | 1);
    let mut tree = Tree::new(rules, seed);
    let mut model = Model::new(rules);
    limit(&mut tree, &mut model);
    let mut under_way: Option<(Zxid, u64, Model, Vec<Vec<u8>>)> = None;
    for step in 0..ops {
        let paths: Vec<String> =
            (0..1 + chance.below(5)).map(|_| any_path(&mut chance, &model)).collect();
        let nth = chance.below(model.sessions.len() + 1);
        let session = model.sessions.keys().nth(nth).copied().unwrap_or_default();
        let session = if chance.one_in(30) { SessionId(-5) } else { session };
        let ids = any_ids(&mut chance);
        let zxid = Zxid(tree.last_applied().0 + 1);
        let time_ms = step as i64 * 10;
        let op = any_op(&mut chance, &paths, session);
        let is_service =
            matches!(op, Op::Reap { .. }) || step % 2 == 0 && matches!(op, Op::Configure { .. });
        let session = if is_service { SessionId::NONE } else { session };
        let txn = Txn { zxid, time_ms, session, ids: &ids, op };

        let (mut effects, mut told) = (Effects::default(), Told::new());
        let outcome = tree.apply(&txn, &mut effects);
        assert_eq!(outcome, model.apply(&txn, &mut told), "seed {seed} step {step}: {txn:?}");
        let events: Told = effects.changes.iter().map(|c| (c.event, c.path.to_string())).collect();
        assert_eq!(events, told, "seed {seed} step {step}: {txn:?}");
        assert_eq!(tree.last_applied(), zxid);
        reach.note(&outcome);

        let path = any_path(&mut chance, &model);
        let read = tree.data(&path, &ids).map(|(data, stat)| (data.map(<[u8]>::to_vec), stat));
        let expected = model.node(&path).and_then(|node| {
            model.may(&node.acl, 1, &ids)?;
            Ok((node.data.clone(), node.shown()))
        });
        assert_eq!(read, expected, "seed {seed} step {step}: {path}");

        if step % SNAPSHOT_EVERY == 0 {
            compare(&tree, &model);
            let zxid = tree.snapshot_begin();
            under_way = Some((zxid, tree.digest(), model.clone(), Vec::new()));
        } else if let Some((zxid, digest, then, mut slices)) = under_way.take() {
            if let Some(slice) = tree.snapshot_slice(1 + chance.below(4)) {
                slices.push(slice);
                under_way = Some((zxid, digest, then, slices));
            } else {
                let mut loader = Loader::new(rules, seed ^ 0xabcd);
                for slice in &slices {
                    loader.feed(slice).expect("a slice of ours");
                }
                let loaded = loader.finish(zxid).expect("a whole snapshot");
                assert_eq!(loaded.digest(), digest);
                compare(&loaded, &then);
                if chance.one_in(2) {
                    // Go on from the loaded tree: it has to behave as the first one did.
                    compare(&tree, &model);
                    tree = loaded;
                    model = then;
                }
            }
        }
        if step % PRUNE_EVERY == 0 {
            prune(&mut tree, &mut model, &mut Told::new());
            limit(&mut tree, &mut model);
        }
    }
    compare(&tree, &model);
}

/// What the random transactions came to: a test that reaches little shows little.
#[derive(Debug, Default)]
struct Reach {
    succeeded: usize,
    rolled_back: usize,
    refusals: BTreeMap<ErrorCode, usize>,
}

impl Reach {
    fn note(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Failed(code) => *self.refusals.entry(*code).or_default() += 1,
            Outcome::Multi(all) if all.contains(&Outcome::RolledBack) => self.rolled_back += 1,
            _ => self.succeeded += 1,
        }
    }
}

fn number(setting: Option<&str>, default: u64) -> u64 {
    setting.map_or(default, |text| text.parse().expect("the setting is a number"))
}

#[test]
fn the_tree_does_what_the_plain_model_does() {
    let ops = number(option_env!("OSTLER_MODEL_OPS"), 20_000) as usize;
    let seed = number(option_env!("OSTLER_MODEL_SEED"), 0x5eed);
    let rules = [
        Rules { extended_types: true, enforce_quota: true, skip_acl: false },
        Rules { extended_types: true, enforce_quota: false, skip_acl: true },
        Rules { extended_types: false, enforce_quota: true, skip_acl: false },
        Rules { extended_types: false, enforce_quota: false, skip_acl: false },
    ];
    let share = ops / rules.len();
    let mut reach = Reach::default();
    for (nth, rules) in rules.into_iter().enumerate() {
        run(rules, seed + nth as u64 * 7919, share, &mut reach);
    }
    assert!(reach.succeeded * 5 > ops, "{reach:?}");
    assert!(reach.rolled_back * 100 > ops, "{reach:?}");
    assert_eq!(reach.refusals.len(), 12, "{reach:?}");
}
