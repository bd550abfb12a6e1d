//! What commands print: for people as zkCli prints it, for programs as one JSON value a line.

use super::acl::letters;
use super::command::Form;
use super::{date, dump};
use crate::client::{Acl, AuthId, Stat, WatchedEvent};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ostler_core::types::Quota;
use serde_json::{Value, json};

/// One thing to print.
#[derive(Clone, Debug)]
pub(crate) enum Output {
    /// A znode was made; goes to stderr, as in zkCli.
    Created(String),
    /// A znode's data.
    Data { data: Option<Vec<u8>>, form: Form },
    /// A znode's stat.
    Stat(Stat),
    /// Names or paths on one line.
    List(Vec<String>),
    /// Paths, one a line.
    Lines(Vec<String>),
    /// Who may do what.
    Acl(Vec<Acl>),
    /// A number.
    Number(i32),
    /// Proven identities.
    Identities(Vec<AuthId>),
    /// The limits of a path.
    Quota { path: String, limits: Quota },
    /// What a path's subtree holds.
    Usage { path: String, usage: Quota },
    /// Lines that a server made for people, each with its end; programs get them as they are.
    Text(String),
    /// A line for people; programs get it as a message.
    Message(String),
    /// The same, on stderr.
    Note(String),
    /// A watch event.
    Event(WatchedEvent),
    /// A change of the session's state, by ZooKeeper's name.
    Session(&'static str),
}

impl Output {
    /// For people, each line with its end.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Created(path) => format!("Created {path}\n"),
            Self::Data { data, form } => data_text(data.as_deref(), *form),
            Self::Stat(stat) => stat_text(stat),
            Self::List(names) => format!("[{}]\n", names.join(", ")),
            Self::Lines(lines) => lines.iter().map(|line| format!("{line}\n")).collect(),
            Self::Acl(acl) => acl.iter().map(acl_text).collect(),
            Self::Number(number) => format!("{number}\n"),
            Self::Identities(ids) => {
                let lines = ids.iter().map(|id| format!("{}: {}\n", id.scheme, id.id));
                std::iter::once("Auth scheme: User\n".to_owned()).chain(lines).collect()
            }
            Self::Quota { path, limits } => {
                format!("Output quota for {path} {}\n", limits.text())
            }
            Self::Usage { path, usage } => format!("Output stat for {path} {}\n", usage.text()),
            Self::Text(text) => text.clone(),
            Self::Message(text) | Self::Note(text) => format!("{text}\n"),
            Self::Event(event) => {
                event_text("SyncConnected", event.kind.name(), &event.path, event.zxid)
            }
            Self::Session(state) => event_text(state, "None", "null", -1),
        }
    }

    /// For programs.
    pub(crate) fn json(&self) -> Value {
        match self {
            Self::Created(path) => json!({ "created": path }),
            Self::Data { data, .. } => data_json(data.as_deref()),
            Self::Stat(stat) => json!({ "stat": stat_json(stat) }),
            Self::List(names) => json!({ "names": names }),
            Self::Lines(paths) => json!({ "paths": paths }),
            Self::Text(text) => json!({ "text": text }),
            Self::Acl(acl) => {
                let entries: Vec<Value> = acl.iter().map(acl_json).collect();
                json!({ "acl": entries })
            }
            Self::Number(number) => json!({ "count": number }),
            Self::Identities(ids) => {
                let shown = |id: &AuthId| json!({ "scheme": id.scheme, "user": id.id });
                json!({ "identities": ids.iter().map(shown).collect::<Vec<Value>>() })
            }
            Self::Quota { path, limits } => json!({ "path": path, "limits": quota_json(limits) }),
            Self::Usage { path, usage } => {
                json!({ "path": path, "usage": { "count": usage.count, "bytes": usage.bytes } })
            }
            Self::Message(text) | Self::Note(text) => json!({ "message": text }),
            Self::Event(event) => json!({ "event": {
                "type": event.kind.name(), "path": &*event.path, "zxid": event.zxid } }),
            Self::Session(state) => json!({ "session": state }),
        }
    }

    /// Whether people find it on stderr.
    pub(crate) fn is_note(&self) -> bool {
        matches!(self, Self::Created(_) | Self::Note(_))
    }
}

fn data_text(data: Option<&[u8]>, form: Form) -> String {
    match (data, form) {
        (None, _) => "null\n".to_owned(),
        (Some(data), Form::Text) => format!("{}\n", String::from_utf8_lossy(data)),
        (Some(data), Form::Base64) => format!("{}\n", STANDARD.encode(data)),
        (Some(data), Form::Hex) => dump::hex(data),
    }
}

/// Text where it is text, and base64 always, so that nothing is lost.
fn data_json(data: Option<&[u8]>) -> Value {
    json!({
        "data": data.and_then(|data| std::str::from_utf8(data).ok()),
        "base64": data.map(|data| STANDARD.encode(data)),
    })
}

fn stat_text(stat: &Stat) -> String {
    let Stat { version, cversion, aversion, data_length, num_children, .. } = stat;
    format!(
        "cZxid = {:#x}\nctime = {}\nmZxid = {:#x}\nmtime = {}\npZxid = {:#x}\n\
         cversion = {cversion}\ndataVersion = {version}\naclVersion = {aversion}\n\
         ephemeralOwner = {:#x}\ndataLength = {data_length}\nnumChildren = {num_children}\n",
        stat.czxid,
        date::shown(stat.ctime),
        stat.mzxid,
        date::shown(stat.mtime),
        stat.pzxid,
        stat.ephemeral_owner,
    )
}

fn stat_json(stat: &Stat) -> Value {
    json!({
        "czxid": stat.czxid,
        "ctime": stat.ctime,
        "mzxid": stat.mzxid,
        "mtime": stat.mtime,
        "pzxid": stat.pzxid,
        "cversion": stat.cversion,
        "version": stat.version,
        "aversion": stat.aversion,
        "ephemeral_owner": stat.ephemeral_owner,
        "data_length": stat.data_length,
        "num_children": stat.num_children,
    })
}

fn acl_text(acl: &Acl) -> String {
    format!("'{},'{}\n: {}\n", acl.scheme, acl.id, letters(acl.perms))
}

fn acl_json(acl: &Acl) -> Value {
    json!({ "scheme": acl.scheme, "id": acl.id, "perms": letters(acl.perms) })
}

fn quota_json(quota: &Quota) -> Value {
    json!({
        "count": quota.count,
        "bytes": quota.bytes,
        "count_hard": quota.count_hard,
        "bytes_hard": quota.bytes_hard,
    })
}

fn event_text(state: &str, kind: &str, path: &str, zxid: i64) -> String {
    format!("\nWATCHER::\n\nWatchedEvent state:{state} type:{kind} path:{path} zxid: {zxid}\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{EventKind, open_acl};

    #[test]
    fn a_stat_prints_field_for_field() {
        let stat = Stat { czxid: 2, pzxid: 31, version: 4, data_length: 5, ..Stat::default() };
        let text = Output::Stat(stat).text();
        assert!(text.starts_with("cZxid = 0x2\nctime = Thu Jan 01 00:00:00 UTC 1970\nmZxid = 0x0"));
        assert!(text.contains("\npZxid = 0x1f\ncversion = 0\ndataVersion = 4\naclVersion = 0\n"));
        assert!(text.ends_with("ephemeralOwner = 0x0\ndataLength = 5\nnumChildren = 0\n"));
        assert_eq!(Output::Stat(stat).json()["stat"]["czxid"], 2);
    }

    #[test]
    fn data_prints_as_asked() {
        let shown = |data: Option<&[u8]>, form| {
            Output::Data { data: data.map(<[u8]>::to_vec), form }.text()
        };
        assert_eq!(shown(Some(b"hi"), Form::Text), "hi\n");
        assert_eq!(shown(Some(b"hello"), Form::Base64), "aGVsbG8=\n");
        assert_eq!(shown(None, Form::Text), "null\n");
        let json = Output::Data { data: Some(vec![0xff]), form: Form::Text }.json();
        assert!(json["data"].is_null());
        assert_eq!(json["base64"], "/w==");
    }

    #[test]
    fn lists_acls_and_events_print_as_in_zkcli() {
        assert_eq!(Output::List(vec!["a".into(), "b".into()]).text(), "[a, b]\n");
        assert_eq!(Output::List(vec![]).text(), "[]\n");
        assert_eq!(Output::Acl(open_acl()).text(), "'world,'anyone\n: cdrwa\n");
        let event = WatchedEvent { kind: EventKind::NodeDeleted, path: "/x".into(), zxid: 5 };
        assert_eq!(
            Output::Event(event).text(),
            "\nWATCHER::\n\nWatchedEvent state:SyncConnected type:NodeDeleted path:/x zxid: 5\n"
        );
    }
}
