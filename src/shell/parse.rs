//! The commands whose flags exclude each other or need a look at their values.
//!
//! Each takes words whose number was checked against the grammar; errors are for the user.

use super::acl;
use super::command::{Command, Form, Local, Read, Session, Write};
use super::quota::Limit;
use super::words::Words;
use crate::client::{Kind, Reconfiguration, RemoveKind, WatchMode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

const BATCH_DEFAULT: usize = 1000;
const LIMITS: [(&str, Limit); 4] =
    [("n", Limit::Count), ("b", Limit::Bytes), ("N", Limit::CountHard), ("B", Limit::BytesHard)];

pub(super) fn add_auth(words: &Words) -> Result<Command, String> {
    let auth = words.arguments.get(1).cloned().unwrap_or_default();
    Ok(Command::Session(Session::AddAuth { scheme: words.arguments[0].clone(), auth }))
}

pub(super) fn add_watch(words: &Words) -> Result<Command, String> {
    let mode = match words.value("m") {
        None | Some("PERSISTENT_RECURSIVE") => WatchMode::PersistentRecursive,
        Some("PERSISTENT") => WatchMode::Persistent,
        Some(other) => return Err(format!("No such mode: {other}")),
    };
    Ok(Command::Session(Session::AddWatch { path: words.arguments[0].clone(), mode }))
}

pub(super) fn create(words: &Words) -> Result<Command, String> {
    let (sequential, ephemeral) = (words.has("s"), words.has("e"));
    let container = words.has("c");
    if container && (sequential || ephemeral) {
        return Err("-c cannot be combined with -s or -e. \
            Containers cannot be ephemeral or sequential."
            .to_owned());
    }
    let ttl: Option<i64> = match words.value("t") {
        None => None,
        Some(text) => {
            let ttl = text.parse().map_err(|_| "-t argument must be a long value".to_owned())?;
            Some(ttl)
        }
    };
    if ttl.is_some() && ephemeral {
        return Err("TTLs cannot be used with Ephemeral znodes".to_owned());
    }
    if ttl.is_some() && container {
        return Err("TTLs cannot be used with Container znodes".to_owned());
    }
    let kind = match (ephemeral, container, ttl) {
        (true, _, _) => Kind::Ephemeral,
        (_, true, _) => Kind::Container,
        (_, _, Some(_)) => Kind::Ttl,
        (false, false, None) => Kind::Persistent,
    };
    let mut arguments = words.arguments.iter();
    Ok(Command::Write(Write::Create {
        path: arguments.next().cloned().unwrap_or_default(),
        data: arguments.next().map(|data| data.clone().into_bytes()),
        acl: arguments.next().map(|text| acl::parse(text)).transpose()?,
        kind,
        ttl_ms: ttl.unwrap_or(0),
        sequential,
    }))
}

pub(super) fn delete_all(words: &Words) -> Result<Command, String> {
    let batch = words.number("b")?.unwrap_or(BATCH_DEFAULT);
    if batch == 0 {
        return Err("the batch size must be greater than zero".to_owned());
    }
    Ok(Command::Write(Write::DeleteAll { path: words.arguments[0].clone(), batch }))
}

pub(super) fn delete_quota(words: &Words) -> Result<Command, String> {
    let mut given = LIMITS.iter().filter(|(flag, _)| words.has(flag));
    let limit = given.next().map(|(_, limit)| *limit);
    match given.next() {
        None => Ok(Command::Write(Write::DeleteQuota { path: words.arguments[0].clone(), limit })),
        Some(_) => Err("only one of -n, -b, -N and -B can be given".to_owned()),
    }
}

pub(super) fn set_quota(words: &Words) -> Result<Command, String> {
    let mut given = LIMITS.iter().filter(|(flag, _)| words.has(flag));
    let Some((flag, limit)) = given.next() else {
        return Err("Missing required option: [-n num soft quota, -b bytes soft quota, \
            -N num hard quota, -B bytes hard quota]"
            .to_owned());
    };
    if given.next().is_some() {
        return Err("only one of -n, -b, -N and -B can be given".to_owned());
    }
    let value: i64 = words.number(flag)?.unwrap_or_default();
    let counts = matches!(limit, Limit::Count | Limit::CountHard);
    match value {
        ..=0 if counts => Err("the num quota must be greater than zero".to_owned()),
        ..=-1 => Err("the bytes quota must be greater than or equal to zero".to_owned()),
        value => Ok(Command::Write(Write::SetQuota {
            path: words.arguments[0].clone(),
            limit: *limit,
            value,
        })),
    }
}

pub(super) fn get(words: &Words) -> Result<Command, String> {
    let form = match (words.has("b"), words.has("x")) {
        (true, true) => return Err("only one of -b and -x can be given".to_owned()),
        (true, false) => Form::Base64,
        (false, true) => Form::Hex,
        (false, false) => Form::Text,
    };
    let (stat, watch) = (words.has("s"), words.has("w"));
    Ok(Command::Read(Read::Get { path: words.arguments[0].clone(), stat, watch, form }))
}

pub(super) fn list(words: &Words) -> Result<Command, String> {
    let recursive = words.has("R");
    if recursive && (words.has("w") || words.has("s")) {
        return Err("-R cannot be combined with -s or -w".to_owned());
    }
    let (stat, watch) = (words.has("s"), words.has("w"));
    Ok(Command::Read(Read::List { path: words.arguments[0].clone(), stat, watch, recursive }))
}

pub(super) fn print_watches(words: &Words) -> Result<Command, String> {
    let on = words.arguments.first().map(|word| word == "on");
    Ok(Command::Local(Local::PrintWatches { on }))
}

pub(super) fn reconfig(words: &Words) -> Result<Command, String> {
    let incremental = words.has("add") || words.has("remove");
    let (file, members) = (words.value("file"), words.value("members"));
    if incremental && (file.is_some() || members.is_some()) {
        return Err("Can't use -file or -members together with -add or -remove (mixing \
            incremental and non-incremental modes is not allowed)"
            .to_owned());
    }
    if file.is_some() && members.is_some() {
        return Err("Can't use -file and -members together".to_owned());
    }
    if !incremental && file.is_none() && members.is_none() {
        return Err("one of -file, -members, -add and -remove must be given".to_owned());
    }
    let version = match words.value("v") {
        None => -1,
        Some(text) => i64::from_str_radix(text.trim_start_matches("0x"), 16)
            .map_err(|_| "-v argument must be a hexadecimal number".to_owned())?,
    };
    let members = match file {
        None => members.map(str::to_owned),
        Some(file) => Some(members_of(file)?),
    };
    let joining = words.value("add").map(str::to_owned);
    let leaving = words.value("remove").map(str::to_owned);
    let change = Reconfiguration { joining, leaving, members };
    Ok(Command::Write(Write::Reconfig { change, version, stat: words.has("s") }))
}

pub(super) fn remove_watches(words: &Words) -> Result<Command, String> {
    const KINDS: [(&str, RemoveKind); 5] = [
        ("c", RemoveKind::Children),
        ("d", RemoveKind::Data),
        ("p", RemoveKind::Persistent),
        ("r", RemoveKind::PersistentRecursive),
        ("a", RemoveKind::Any),
    ];
    let mut given = KINDS.iter().filter(|(flag, _)| words.has(flag)).map(|(_, kind)| *kind);
    let kind = given.next().unwrap_or(RemoveKind::Any);
    if given.next().is_some() {
        return Err("only one of -c, -d, -p, -r and -a can be given".to_owned());
    }
    let local = words.has("l");
    Ok(Command::Session(Session::RemoveWatches { path: words.arguments[0].clone(), kind, local }))
}

pub(super) fn set(words: &Words) -> Result<Command, String> {
    let text = &words.arguments[1];
    let data = match words.has("b") {
        true => STANDARD.decode(text).map_err(|_| "data is not valid base64".to_owned())?,
        false => text.clone().into_bytes(),
    };
    Ok(Command::Write(Write::Set {
        path: words.arguments[0].clone(),
        data,
        version: words.number("v")?.unwrap_or(-1),
        stat: words.has("s"),
    }))
}

fn members_of(file: &str) -> Result<String, String> {
    let text =
        std::fs::read_to_string(file).map_err(|error| format!("cannot read {file}: {error}"))?;
    let members: Vec<&str> =
        text.lines().map(str::trim).filter(|line| line.starts_with("server.")).collect();
    match members.is_empty() {
        true => Err(format!("{file} names no server")),
        false => Ok(members.join(",")),
    }
}
