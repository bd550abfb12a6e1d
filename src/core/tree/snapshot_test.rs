//! Snapshots: exact whatever happens while they are taken, and refused when anything is wrong with
//! them.

use super::facts_test::{Bench, create, delete, set};
use super::*;
use crate::types::Zxid;

fn finish(slices: &[Vec<u8>], zxid: Zxid) -> Result<Tree, SnapshotError> {
    let mut loader = Loader::new(Rules::default(), 99);
    for slice in slices {
        loader.feed(slice)?;
    }
    loader.finish(zxid)
}

fn sample() -> (Bench, Zxid, Vec<Vec<u8>>) {
    let mut bench = Bench::new();
    bench.session = bench.open_session();
    for (path, flags) in [("/a", 0), ("/a/b", 1), ("/a/a", 0), ("/a/a/c", 0)] {
        bench.run(create(path, flags));
    }
    let zxid = bench.tree.snapshot_begin();
    let mut slices = Vec::new();
    while let Some(slice) = bench.tree.snapshot_slice(3) {
        slices.push(slice);
    }
    (bench, zxid, slices)
}

#[test]
fn a_snapshot_is_of_its_beginning_whatever_happens_meanwhile() {
    let (mut bench, ..) = sample();
    let zxid = bench.tree.snapshot_begin();
    let (digest, names) = (bench.tree.digest(), bench.names("/a"));
    let session = bench.session;
    let mut slices = vec![bench.tree.snapshot_slice(1).expect("the first slice is there")];
    bench.run(Op::CloseSession { session });
    bench.session = SessionId::NONE;
    bench.run(delete("/a/a/c"));
    bench.run(set("/a", "changed"));
    bench.make("/new");
    bench.open_session();
    while let Some(slice) = bench.tree.snapshot_slice(1) {
        slices.push(slice);
        bench.run(create("/n", 2));
        bench.run(set("/a/a", "again"));
    }
    let loaded = finish(&slices, zxid).expect("a whole snapshot");
    assert_eq!((loaded.digest(), loaded.last_applied()), (digest, zxid));
    assert_eq!(loaded.session(session).expect("the session was open").password, [3; 16]);
    assert_eq!(loaded.sessions().count(), 1);
    assert_eq!(loaded.ephemerals(session, ""), ["/a/b"]);
    let loaded = Bench { tree: loaded, ..Bench::new() };
    assert_eq!(loaded.names("/a"), names);
    assert!(bench.tree.snapshot_slice(1).is_none());
}

#[test]
fn a_snapshot_with_any_byte_changed_is_refused_or_harmless_but_never_panics() {
    let (bench, zxid, slices) = sample();
    let digest = bench.tree.digest();
    let mut refused = 0;
    for place in 0..slices.len() {
        for at in 0..slices[place].len() {
            for flip in [0xff, 0x01, 0x80] {
                let mut damaged = slices.clone();
                damaged[place][at] ^= flip;
                match finish(&damaged, zxid) {
                    Ok(tree) => assert_eq!(tree.digest(), digest),
                    Err(_) => refused += 1,
                }
            }
            let mut cut = slices.clone();
            cut[place].truncate(at);
            assert!(finish(&cut, zxid).is_err());
        }
    }
    assert!(refused > 1000);
}

#[test]
fn a_snapshot_that_lacks_or_repeats_a_slice_is_refused() {
    let (_, zxid, slices) = sample();
    for place in 0..slices.len() {
        let mut less = slices.clone();
        less.remove(place);
        let mut more = slices.clone();
        more.push(slices[place].clone());
        let harmless =
            matches!(slices[place][..], [1, 2, 0, 0, 0, 0] | [1, 3, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(finish(&less, zxid).is_ok(), harmless, "{place}");
        assert_eq!(finish(&more, zxid).is_ok(), harmless, "{place}");
    }
    assert_eq!(finish(&slices, Zxid(1)).err(), Some(SnapshotError::Zxid(zxid)));
    assert!(finish(&slices, zxid).is_ok());
}

#[test]
fn a_snapshot_tells_the_latest_time_and_one_of_the_first_version_does_not() {
    let (bench, zxid, mut slices) = sample();
    let time_ms = bench.tree.time_ms();
    assert!(time_ms > 0);
    assert_eq!(finish(&slices, zxid).expect("a whole snapshot").time_ms(), time_ms);
    slices[0][0] = 1;
    assert_eq!(finish(&slices, zxid).err(), Some(SnapshotError::Malformed));
    let without = slices[0].len() - 8;
    slices[0].truncate(without);
    assert_eq!(finish(&slices, zxid).expect("a whole snapshot").time_ms(), 0);
    slices[0][0] = 3;
    assert_eq!(finish(&slices, zxid).err(), Some(SnapshotError::Version(3)));
}

#[test]
fn a_cancelled_snapshot_is_over() {
    let (mut bench, ..) = sample();
    bench.tree.snapshot_begin();
    bench.tree.snapshot_cancel();
    assert!(bench.tree.snapshot_slice(9).is_none());
}
