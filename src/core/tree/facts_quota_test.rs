//! Facts about quotas: what is counted, what is refused, what is noted.

use super::*;

#[test]
fn quota_counters_follow_the_writes_and_leave_versions_alone() {
    let mut bench = Bench::new();
    for path in ["/a", "/a/b", "/zookeeper/quota/a"] {
        bench.make(path);
    }
    bench.make("/zookeeper/quota/a/zookeeper_limits");
    bench.make("/zookeeper/quota/a/zookeeper_stats");
    let stats = "/zookeeper/quota/a/zookeeper_stats";
    assert_eq!(bench.text(stats), "count=2,bytes=2");
    let stat = bench.stat(stats);
    bench.make("/a/c");
    bench.run(set("/a/c", "12345"));
    assert_eq!(bench.text(stats), "count=3,bytes=7");
    bench.run(Op::Multi(vec![create("/a/d", 0), delete("/none")]));
    assert_eq!(bench.text(stats), "count=3,bytes=7");
    bench.run(delete("/a/c"));
    assert_eq!(bench.text(stats), "count=2,bytes=2");
    let now = bench.stat(stats);
    assert_eq!((now.version, now.mzxid), (stat.version, stat.mzxid));
    bench.run(delete("/zookeeper/quota/a/zookeeper_limits"));
    bench.make("/a/e");
    assert_eq!(bench.text(stats), "count=2,bytes=2");
}

#[test]
fn a_hard_quota_refuses_growth_only_when_enforced() {
    for enforce_quota in [false, true] {
        let mut bench = Bench::with(Rules { enforce_quota, ..Rules::default() });
        for path in ["/a", "/zookeeper/quota/a"] {
            bench.make(path);
        }
        let limits = b"count=-1,bytes=-1=;byteHardLimit=4;countHardLimit=2";
        let path = "/zookeeper/quota/a/zookeeper_limits";
        bench.run(create_with(path, Some(limits), OPEN.to_vec()));
        bench.make("/zookeeper/quota/a/zookeeper_stats");
        bench.make("/a/b");
        let third = bench.run(create("/a/c", 0));
        let big = bench.run(set("/a/b", "12345"));
        let refused = failed(ErrorCode::QuotaExceeded);
        assert_eq!((third == refused, big == refused), (enforce_quota, enforce_quota));
        assert!(matches!(bench.run(set("/a/b", "")), Outcome::DataSet(_)));
    }
}

#[test]
fn a_hard_quota_judges_each_part_of_a_multi_by_what_was_before_it() {
    let mut bench = Bench::with(Rules { enforce_quota: true, ..Rules::default() });
    for path in ["/a", "/zookeeper/quota/a"] {
        bench.make(path);
    }
    let limits = b"count=-1,bytes=-1=;byteHardLimit=4;countHardLimit=2";
    bench.run(create_with("/zookeeper/quota/a/zookeeper_limits", Some(limits), OPEN.to_vec()));
    bench.make("/zookeeper/quota/a/zookeeper_stats");
    let Outcome::Multi(all) = bench.run(Op::Multi(vec![create("/a/b", 0), create("/a/c", 2)]))
    else {
        panic!("a multi");
    };
    assert!(all.iter().all(|outcome| matches!(outcome, Outcome::Created { .. })), "{all:?}");
    let refused = Outcome::Failed(ErrorCode::QuotaExceeded);
    assert_eq!(bench.run(create("/a/d", 0)), refused);
    let Outcome::Multi(all) = bench.run(Op::Multi(vec![delete("/a/b"), create("/a/d", 0)])) else {
        panic!("a multi");
    };
    assert_eq!(all[1], refused, "what a part before it gave back does not count either");
}

#[test]
fn growth_beyond_a_limit_is_noted_unless_it_is_undone() {
    let mut bench = Bench::new();
    for path in ["/a", "/a/b", "/zookeeper/quota/a"] {
        bench.make(path);
    }
    let limits = b"count=2,bytes=3=;byteHardLimit=5;countHardLimit=-1";
    bench.run(create_with("/zookeeper/quota/a/zookeeper_limits", Some(limits), OPEN.to_vec()));
    bench.make("/zookeeper/quota/a/zookeeper_stats");
    let mut noted = |op| {
        bench.run(op);
        let quotas = bench.effects.quotas.iter();
        quotas.map(|q| (q.path.clone(), q.kind, q.limit, q.used)).collect::<Vec<_>>()
    };
    assert_eq!(noted(set("/a/b", "1234")), [], "five bytes are what the hard limit allows");
    assert_eq!(noted(set("/a/b", "12345")), [("/a".to_owned(), QuotaKind::Bytes, 5, 6)]);
    assert_eq!(noted(set("/a/b", "")), []);
    assert_eq!(noted(Op::Multi(vec![create("/a/c", 0), delete("/none")])), []);
    assert_eq!(noted(create("/a/c", 0)), [("/a".to_owned(), QuotaKind::Count, 2, 3)]);
    assert_eq!(noted(delete("/a/c")), []);
}
