//! What lines ask for, and how wrong ones are refused.

use super::super::words::split_line;
use super::*;
use crate::client::{Kind, Reconfiguration, RemoveKind, WatchMode};
use crate::shell::quota::Limit;

fn parsed(line: &str) -> Result<Command, Failure> {
    Command::parse(&split_line(line))
}

fn refusal(line: &str) -> String {
    parsed(line).expect_err(line).text()
}

#[test]
fn a_create_names_kind_data_and_acl() {
    let create = |kind, ttl_ms, sequential| {
        Command::Write(Write::Create {
            path: "/a".into(),
            data: None,
            acl: None,
            kind,
            ttl_ms,
            sequential,
        })
    };
    assert_eq!(parsed("create /a"), Ok(create(Kind::Persistent, 0, false)));
    assert_eq!(parsed("create -s -e /a"), Ok(create(Kind::Ephemeral, 0, true)));
    assert_eq!(parsed("create -c /a"), Ok(create(Kind::Container, 0, false)));
    assert_eq!(parsed("create /a -t 5 -s"), Ok(create(Kind::Ttl, 5, true)));
    let Ok(Command::Write(Write::Create { data, acl, .. })) =
        parsed("create /a 'x y' world:anyone:r,ip:1:c")
    else {
        panic!("does not parse");
    };
    assert_eq!((data, acl.map(|acl| acl.len())), (Some(b"x y".to_vec()), Some(2)));
    assert!(refusal("create -c -e /a").starts_with("-c cannot be combined with -s or -e."));
    assert!(refusal("create -t 5 -e /a").starts_with("TTLs cannot be used with Ephemeral"));
    assert!(refusal("create -t x /a").starts_with("-t argument must be a long value"));
}

#[test]
fn data_may_be_given_in_base64() {
    let set = |line| match parsed(line) {
        Ok(Command::Write(Write::Set { data, version, stat, .. })) => (data, version, stat),
        other => panic!("{other:?}"),
    };
    assert_eq!(set("set /a hello -s -v 3"), (b"hello".to_vec(), 3, true));
    assert_eq!(set("set -b /a aGVsbG8="), (b"hello".to_vec(), -1, false));
    assert!(refusal("set -b /a %").starts_with("data is not valid base64"));
    assert_eq!(refusal("set /a"), "set path data [-s] [-v version] [-b]");
}

#[test]
fn quotas_name_one_limit() {
    let set =
        Command::Write(Write::SetQuota { path: "/a".into(), limit: Limit::CountHard, value: 3 });
    assert_eq!(parsed("setquota -N 3 /a"), Ok(set));
    let delete =
        Command::Write(Write::DeleteQuota { path: "/a".into(), limit: Some(Limit::Bytes) });
    assert_eq!(parsed("delquota -b /a"), Ok(delete));
    assert!(refusal("setquota -n -5 /a").starts_with("the num quota must be greater than zero"));
    assert!(refusal("setquota /a").starts_with("Missing required option"));
    assert!(refusal("delquota -n -b /a").starts_with("only one of"));
}

#[test]
fn watches_are_set_and_removed_by_kind() {
    let add = |mode| Command::Session(Session::AddWatch { path: "/a".into(), mode });
    assert_eq!(parsed("addWatch /a"), Ok(add(WatchMode::PersistentRecursive)));
    assert_eq!(parsed("addWatch -m PERSISTENT /a"), Ok(add(WatchMode::Persistent)));
    assert!(refusal("addWatch -m FOO /a").starts_with("No such mode: FOO"));
    let remove =
        |kind, local| Command::Session(Session::RemoveWatches { path: "/a".into(), kind, local });
    assert_eq!(parsed("removewatches /a"), Ok(remove(RemoveKind::Any, false)));
    assert_eq!(parsed("removewatches /a -c -l"), Ok(remove(RemoveKind::Children, true)));
}

#[test]
fn a_reconfiguration_is_one_of_two_forms() {
    let change = Reconfiguration { leaving: Some("5".into()), ..Reconfiguration::default() };
    let expected = Command::Write(Write::Reconfig { change, version: 0x1f, stat: false });
    assert_eq!(parsed("reconfig -remove 5 -v 1f"), Ok(expected));
    assert!(refusal("reconfig -remove 5 -members x").starts_with("Can't use -file or -members"));
    assert!(refusal("reconfig").starts_with("one of"));
}

#[test]
fn unknown_commands_and_missing_arguments_are_refused() {
    assert_eq!(parsed("foo"), Err(Failure::Unknown("foo".into())));
    for grammar in GRAMMARS.iter().filter(|grammar| grammar.arguments.0 > 0) {
        assert_eq!(
            parsed(grammar.name),
            Err(Failure::Usage { usage: grammar.usage, reason: None })
        );
    }
    assert!(refusal("ls -z /a").starts_with("Unrecognized option: -z\nls "));
}
