//! The keys of our own configuration: their kind, their range, and what they mean.
//!
//! The readers of files ask here whether a key exists; the merged values are checked against this
//! table before anything is built from them. The reasons for the defaults stand in
//! `config/ostler.toml`, and a test keeps the two lists equal.

use super::problem::Problem;
use config::{Value, ValueKind};
use ostler_core::types::limits::REQUEST_BYTES_MAX;

/// One key of ours.
pub(crate) struct Key {
    /// `section.key`.
    pub(crate) name: &'static str,
    /// What values it takes.
    pub(crate) kind: Kind,
    /// What it does, in a few words.
    pub(crate) meaning: &'static str,
}

/// Values that a key takes.
#[derive(Clone, Copy)]
pub(crate) enum Kind {
    /// A whole number, both ends included.
    Number(i64, i64),
    /// `true` or `false`.
    Switch,
    /// Any text.
    Text,
    /// A list of texts.
    List,
    /// One of these.
    Choice(&'static [&'static str]),
}

/// The greatest 32-bit milliseconds, about 24 days.
const MS_MAX: i64 = i32::MAX as i64;
const COUNT_MAX: i64 = i64::MAX / 2;
const FRAME_MAX: i64 = REQUEST_BYTES_MAX as i64;

const fn key(name: &'static str, kind: Kind, meaning: &'static str) -> Key {
    Key { name, kind, meaning }
}

/// Every key, in the order of `config/ostler.toml`.
pub(crate) const KEYS: &[Key] = &[
    key("server.id", Kind::Number(1, 254), "this server's number"),
    key("server.data_dir", Kind::Text, "directory of snapshots and the lock"),
    key("server.log_dir", Kind::Text, "directory of the log"),
    key("ensemble.members", Kind::List, "servers that decide together"),
    key("ensemble.heartbeat_ms", Kind::Number(1, MS_MAX), "time between signs of a leader's life"),
    key("ensemble.silence_ms", Kind::Number(2, MS_MAX), "silence after which one is given up"),
    key("ensemble.join_ms", Kind::Number(1, MS_MAX), "time to join a leader without progress"),
    key("ensemble.finalize_ms", Kind::Number(1, MS_MAX), "time to wait for a better candidate"),
    key("ensemble.window_bytes", Kind::Number(0, 1 << 40), "history in memory for learners"),
    key("ensemble.listen_everywhere", Kind::Switch, "members are awaited on every address"),
    key("client.addresses", Kind::List, "addresses on which clients are awaited"),
    key("client.port", Kind::Number(1, 65_535), "port on which clients are awaited"),
    key("client.listen_backlog", Kind::Number(0, 1 << 20), "connections not yet accepted"),
    key("client.threads", Kind::Number(0, 256), "threads that own client sockets"),
    key("client.connections_per_ip_max", Kind::Number(0, 1 << 31), "connections of one address"),
    key("client.connections_max", Kind::Number(0, 1 << 31), "connections in all"),
    key("client.frame_bytes_max", Kind::Number(1024, FRAME_MAX), "bytes of the largest request"),
    key("client.outstanding_max", Kind::Number(1, 1 << 31), "requests in the server at a time"),
    key("client.handshake_timeout_ms", Kind::Number(1, MS_MAX), "time to open a session"),
    key("client.words", Kind::List, "four-letter words that are answered"),
    key("session.tick_ms", Kind::Number(1, 3_600_000), "unit of session expiry"),
    key("session.timeout_ms_min", Kind::Number(0, MS_MAX), "shortest session timeout"),
    key("session.timeout_ms_max", Kind::Number(0, MS_MAX), "longest session timeout"),
    key("log.segment_bytes", Kind::Number(1 << 20, 1 << 30), "bytes of one segment of the log"),
    key("snapshot.every_txns", Kind::Number(1, COUNT_MAX), "transactions between snapshots"),
    key("snapshot.every_bytes", Kind::Number(0, COUNT_MAX), "bytes of log between snapshots"),
    key("snapshot.kept", Kind::Number(0, 1 << 20), "snapshots kept"),
    key("tree.extended_types", Kind::Switch, "TTL znodes may be created"),
    key("tree.enforce_quota", Kind::Switch, "a write beyond a quota fails"),
    key("tree.skip_acl", Kind::Switch, "permissions are ignored"),
    key("reaper.interval_ms", Kind::Number(1, COUNT_MAX), "time between searches for the reaper"),
    key("reaper.per_minute", Kind::Number(1, MS_MAX), "znodes reaped in a minute at most"),
    key("reaper.never_used_ms", Kind::Number(0, COUNT_MAX), "age of an unused container's removal"),
    key("auth.digest_enabled", Kind::Switch, "the digest scheme is offered"),
    key("auth.super_digest", Kind::Text, "identity that passes every permission"),
    key("logging.format", Kind::Choice(&["text", "json"]), "form of log records"),
    key("logging.level", Kind::Choice(&LEVELS), "least severity that is logged"),
];

/// Severities by name, most severe first.
pub(crate) const LEVELS: [&str; 6] = ["critical", "error", "warning", "info", "debug", "trace"];

/// The key of this name.
pub(crate) fn find(name: &str) -> Option<&'static Key> {
    KEYS.iter().find(|key| key.name == name)
}

/// The greatest that this key, a number, may be.
pub(crate) fn most(name: &str) -> i64 {
    match find(name).map(|key| key.kind) {
        Some(Kind::Number(_, most)) => most,
        _ => i64::MAX,
    }
}

/// Whether this key is a number that may be zero.
pub(crate) fn takes_zero(name: &str) -> bool {
    find(name).is_some_and(|key| matches!(key.kind, Kind::Number(least, _) if least <= 0))
}

/// What to do about a key of ours that does not exist, in a file.
pub(crate) fn remedy_for_unknown(name: &str) -> String {
    remedy_for_unknown_written(name, str::to_owned)
}

/// The same where keys are `written` otherwise.
pub(crate) fn remedy_for_unknown_written(name: &str, written: fn(&str) -> String) -> String {
    match nearest(name, KEYS.iter().map(|key| key.name)) {
        Some(key) => format!("did you mean `{}`?", written(key)),
        None => "remove it; config/ostler.toml has every key".to_owned(),
    }
}

/// The place of values that variables of the environment gave.
pub(crate) const ENVIRONMENT: &str = "the environment";

/// The variable that sets the key of this name.
pub(crate) fn variable(name: &str) -> String {
    format!("OSTLER__{}", name.replace('.', "__").to_uppercase())
}

/// The known name that `name` was most likely meant to be, if any is near enough.
pub(crate) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // A key in the wrong section is as near as a misspelt one.
    let last = |path: &str| path.rsplit('.').next().unwrap_or(path).to_lowercase();
    let likeness = |candidate: &str| {
        let whole = strsim::normalized_damerau_levenshtein(name, candidate);
        whole.max(strsim::normalized_damerau_levenshtein(&last(name), &last(candidate)))
    };
    known
        .map(|candidate| (likeness(candidate), candidate))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| candidate)
}

impl Key {
    /// What is wrong with `value`, if anything.
    pub(crate) fn problem(&self, value: &Value) -> Option<Problem> {
        let found = &value.kind;
        let fits = match self.kind {
            Kind::Number(least, most) => {
                number(found).is_some_and(|number| (least..=most).contains(&number))
            }
            Kind::Switch => matches!(found, ValueKind::Boolean(_)),
            Kind::Text => is_scalar(found),
            Kind::List => is_list(found),
            Kind::Choice(words) => {
                matches!(found, ValueKind::String(word) if words.contains(&word.as_str()))
            }
        };
        let place = value.origin().unwrap_or("the configuration");
        let what = format!("`{value}` does not fit: {}", self.meaning);
        let name = if place == ENVIRONMENT { variable(self.name) } else { self.name.to_owned() };
        (!fits).then(|| Problem::new(place, name, what, self.remedy()))
    }

    /// How a right value looks.
    pub(crate) fn remedy(&self) -> String {
        match self.kind {
            Kind::Number(least, most) => format!("write a whole number from {least} to {most}"),
            Kind::Switch => "write true or false".to_owned(),
            Kind::Text => "write a text in quotes".to_owned(),
            Kind::List => "write a list of texts, as [\"first\", \"second\"]".to_owned(),
            Kind::Choice(words) => format!("write one of {}", words.join(", ")),
        }
    }
}

fn number(value: &ValueKind) -> Option<i64> {
    match value {
        ValueKind::I64(number) => Some(*number),
        ValueKind::U64(number) => i64::try_from(*number).ok(),
        ValueKind::I128(number) => i64::try_from(*number).ok(),
        ValueKind::U128(number) => i64::try_from(*number).ok(),
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::Float(_)
        | ValueKind::String(_)
        | ValueKind::Table(_)
        | ValueKind::Array(_) => None,
    }
}

/// A variable of the environment that looks like a number is one by the time it comes here, and
/// is a text none the less.
fn is_scalar(value: &ValueKind) -> bool {
    matches!(value, ValueKind::String(_) | ValueKind::Boolean(_)) || number(value).is_some()
}

fn is_list(value: &ValueKind) -> bool {
    matches!(value, ValueKind::Array(items) if items.iter().all(|item| is_scalar(&item.kind)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_named() {
        assert_eq!(remedy_for_unknown("client.prot"), "did you mean `client.port`?");
        assert_eq!(remedy_for_unknown("session.ticks_ms"), "did you mean `session.tick_ms`?");
        assert_eq!(remedy_for_unknown("server.port"), "did you mean `client.port`?");
    }

    #[test]
    fn a_number_out_of_range_is_a_problem_that_names_the_range() {
        let value = Value::new(Some(&"my.toml:7".to_owned()), 70_000_i64);
        let problem = find("client.port").and_then(|key| key.problem(&value)).unwrap();
        let told = problem.to_string();
        assert!(told.starts_with("my.toml:7: client.port: `70000`"), "{told}");
        assert!(told.ends_with("write a whole number from 1 to 65535"), "{told}");
    }
}
