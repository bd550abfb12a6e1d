//! A snapshot whose slices hold anything: the loader makes a whole tree of it, one that makes the
//! same snapshot again, or says what is wrong.
#![no_main]

mod edits;

use edits::{Choices, edit};
use libfuzzer_sys::fuzz_target;
use ostler_core::tree::{Effects, Loader, Rules, SnapshotError, Tree, Txn};
use ostler_core::types::{AclEntry, Create, CreateVariant, Op, Perms, SessionId, Zxid};
use std::sync::OnceLock;

/// Small, so that there are many slices to mix up.
const ZNODES_A_SLICE: usize = 3;

fuzz_target!(|bytes: &[u8]| {
    let mut choices = Choices(bytes);
    let mut slices = match choices.number(1) % 2 {
        0 => anything(&mut choices),
        _ => sound().1.clone(),
    };
    edit(&mut slices, &mut choices);
    let zxid = sound().0;
    if let Ok(mut tree) = load(zxid, &slices) {
        assert_eq!(tree.last_applied(), zxid);
        let (digest, znodes) = (tree.digest(), tree.znode_count());
        let again = load(zxid, &taken(&mut tree).1).expect("its own snapshot is sound");
        assert_eq!((again.digest(), again.znode_count()), (digest, znodes));
    }
});

fn load(zxid: Zxid, slices: &[Vec<u8>]) -> Result<Tree, SnapshotError> {
    let mut loader = Loader::new(Rules::default(), 3);
    for slice in slices {
        loader.feed(slice)?;
    }
    loader.finish(zxid)
}

fn anything(choices: &mut Choices<'_>) -> Vec<Vec<u8>> {
    let mut slices = Vec::new();
    for _ in 0..choices.number(1) % 6 {
        let length = choices.below(1024);
        slices.push(choices.bytes(length).to_vec());
    }
    slices
}

/// The snapshot of a tree with znodes of every kind, and its position.
fn sound() -> &'static (Zxid, Vec<Vec<u8>>) {
    static SOUND: OnceLock<(Zxid, Vec<Vec<u8>>)> = OnceLock::new();
    SOUND.get_or_init(|| {
        let mut tree = Tree::new(Rules { extended_types: true, ..Rules::default() }, 5);
        apply(&mut tree, Op::CreateSession { timeout_ms: 4000, password: [3; 16] });
        let container = CreateVariant::Container;
        for (path, flags, variant) in [
            ("/a", 0, CreateVariant::Plain),
            ("/a/b", 0, CreateVariant::Plain),
            ("/a/b/n-", 2, CreateVariant::Plain),
            ("/a/mine", 1, CreateVariant::Plain),
            ("/box", 4, container),
            ("/a/c", 0, CreateVariant::Plain),
        ] {
            let anyone = AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" };
            let acl = vec![anyone];
            let data = Some(&b"data"[..]);
            apply(&mut tree, Op::Create(Create { path, data, acl, flags, ttl_ms: 0, variant }));
        }
        taken(&mut tree)
    })
}

fn apply(tree: &mut Tree, op: Op<'_>) {
    let zxid = Zxid(tree.last_applied().0 + 1);
    let txn = Txn { zxid, time_ms: 1, session: SessionId(1), ids: &[], op };
    tree.apply(&txn, &mut Effects::default());
}

fn taken(tree: &mut Tree) -> (Zxid, Vec<Vec<u8>>) {
    let zxid = tree.snapshot_begin();
    let slices = std::iter::from_fn(|| tree.snapshot_slice(ZNODES_A_SLICE)).collect();
    (zxid, slices)
}
