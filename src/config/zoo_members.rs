//! The lines of a zoo.cfg that make an ensemble: `server.N`, `group.N`, `weight.N`, the file of
//! `dynamicConfigFile`, and the keys that mean something only beside them.
//!
//! They become the texts that `ensemble` reads. `zoo` calls it when all other keys are read.

use super::ensemble::{MEMBERS, client_address, split_host};
use super::layer::{Entry, Fate, Layer, PeerType};
use super::problem::Problem;
use super::properties::{self, Property};
use super::zoo::{bare, number};
use config::{Value, ValueKind};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

/// Keys that would protect the traffic between servers; left out silently it would be open.
const PROTECTING: &[&str] = &[
    "sslQuorum",
    "quorum.auth.enableSasl",
    "quorum.auth.serverRequireSasl",
    "quorum.auth.learnerRequireSasl",
];
/// ZooKeeper's `tickTime` in milliseconds, if the file has none.
const TICK_MS: i64 = 3000;

/// A property and the file it stands in.
struct Line<'a> {
    file: &'a str,
    property: &'a Property,
}

impl Line<'_> {
    fn place(&self) -> String {
        format!("{}:{}", self.file, self.property.line)
    }

    fn problem(&self, what: impl Into<String>, remedy: &str) -> Problem {
        Problem::new(self.place(), &self.property.key, what, remedy)
    }
}

/// One `server.N` line.
struct ServerLine<'a> {
    line: Line<'a>,
    id: u64,
    /// HOST:QUORUM:ELECTION.
    addresses: String,
    observes: bool,
    client: Option<String>,
}

/// Sets the members, or what one server that stands alone takes from its line.
pub(super) fn read(layer: &mut Layer, own: &[Property], file: &str) {
    let dynamic = read_dynamic(layer, own, file);
    let (name, properties) = match &dynamic {
        Some((name, properties)) => (name.as_str(), properties.as_slice()),
        None => (file, own),
    };
    let lines = properties.iter().map(|property| Line { file: name, property });
    let lines: Vec<_> = lines.filter(|line| is_of_membership(&line.property.key)).collect();
    let begun = layer.problems.len();
    let (servers, quorums): (Vec<_>, Vec<_>) =
        lines.into_iter().partition(|line| line.property.key.starts_with("server."));
    refuse_repetitions(layer, &servers);
    let servers: Vec<_> = servers.into_iter().filter_map(|line| server(layer, line)).collect();
    if layer.problems.len() > begun {
        return;
    }
    let context = Context { own, file, quorums: &quorums };
    let voters = servers.iter().filter(|server| !server.observes).count();
    let may_be_alone = context.value("standaloneEnabled").as_deref() != Some("false");
    match (&servers[..], voters) {
        ([], _) => nobody(layer, &context, may_be_alone),
        (_, 0) => refuse_observers(layer, &servers),
        ([only], _) if may_be_alone => alone(layer, &context, only),
        (_, 1) if may_be_alone => refuse_observers(layer, &servers),
        _ => ensemble(layer, &context, &servers),
    }
}

/// What the decisions over all lines need.
struct Context<'a> {
    own: &'a [Property],
    file: &'a str,
    quorums: &'a [Line<'a>],
}

impl Context<'_> {
    fn line(&self, name: &str) -> Option<Line<'_>> {
        let property = self.own.iter().rfind(|property| bare(&property.key) == name)?;
        Some(Line { file: self.file, property })
    }

    fn value(&self, name: &str) -> Option<String> {
        self.line(name).map(|line| line.property.value.to_lowercase())
    }
}

fn is_of_membership(key: &str) -> bool {
    ["server.", "group.", "weight."].iter().any(|start| key.starts_with(start))
}

/// The file of `dynamicConfigFile`, in which ZooKeeper keeps the members once they may change.
/// Ostler reads it and does not write it.
fn read_dynamic(
    layer: &mut Layer,
    own: &[Property],
    file: &str,
) -> Option<(String, Vec<Property>)> {
    let property = own.iter().rfind(|property| property.key == "dynamicConfigFile")?;
    let line = Line { file, property };
    let name = property.value.clone();
    let text = match std::fs::read_to_string(&name) {
        Ok(text) => text,
        Err(error) => {
            let what = format!("`{name}` cannot be read: {error}");
            let remedy = "name the file with the server lines, or move them here";
            layer.problems.push(line.problem(what, remedy));
            return Some((name, Vec::new()));
        }
    };
    mark(layer, &property.key, Fate::Honoured, "the members are read from that file");
    for property in own.iter().filter(|property| is_of_membership(&property.key)) {
        let line = Line { file, property };
        let remedy = "keep the line in one of the two files";
        layer.problems.push(line.problem("the members stand in dynamicConfigFile", remedy));
    }
    let properties = properties::read(&text);
    for property in &properties {
        let line = Line { file: &name, property };
        if !is_of_membership(&property.key) && property.key != "version" {
            let remedy = "move it to the file that names this one, as ZooKeeper demands";
            layer.problems.push(line.problem("only members stand in this file", remedy));
        }
        let (key, value) = (property.key.clone(), property.value.clone());
        let (fate, meaning) = (Fate::Ignored, "the members of a file have version 0".to_owned());
        layer.entries.push(Entry { key, value, fate, meaning });
    }
    Some((name, properties))
}

/// Java would let the last of two lines win, and one server would be missing.
fn refuse_repetitions(layer: &mut Layer, servers: &[Line<'_>]) {
    let mut seen = BTreeMap::new();
    for line in servers {
        if let Some(first) = seen.insert(&line.property.key, line.property.line) {
            let what = format!("this key stands on line {first} already");
            let problem = line.problem(what, "give every server a number of its own");
            layer.problems.push(problem);
        }
    }
}

fn server<'a>(layer: &mut Layer, line: Line<'a>) -> Option<ServerLine<'a>> {
    match parse(&line.property.key, &line.property.value) {
        Ok((id, addresses, observes, client)) => {
            Some(ServerLine { line, id, addresses, observes, client })
        }
        Err(what) => {
            let what = format!("`{}`: {what}", line.property.value);
            let remedy = "write server.ID=HOST:QUORUM:ELECTION[:observer][;[HOST:]CLIENT]";
            layer.problems.push(line.problem(what, remedy));
            mark(layer, &line.property.key, Fate::Refused, "cannot be read");
            None
        }
    }
}

type Parsed = (u64, String, bool, Option<String>);

fn parse(key: &str, value: &str) -> Result<Parsed, String> {
    let id = key.strip_prefix("server.").and_then(|id| id.trim().parse().ok());
    let id = id.ok_or("the key ends in no number")?;
    if value.contains('|') {
        return Err("one address a server is served, and here are several".to_owned());
    }
    let (server, client) = match value.split_once(';') {
        Some((server, client)) => (server, Some(client_address(client.trim())?)),
        None => (value, None),
    };
    let (host, rest) = split_host(server.trim()).ok_or("there is no port")?;
    let mut parts = rest.split(':');
    let mut port = |name: &str| {
        let port = parts.next().and_then(|port| port.trim().parse::<u16>().ok());
        port.ok_or_else(|| format!("the {name} port is no number"))
    };
    let addresses = format!("{host}:{}:{}", port("quorum")?, port("election")?);
    let observes = match parts.next().map(str::to_lowercase).as_deref() {
        None | Some("participant") => false,
        Some("observer") => true,
        Some(role) => return Err(format!("`{role}` is neither participant nor observer")),
    };
    match parts.next() {
        None => Ok((id, addresses, observes, client)),
        Some(extra) => Err(format!("`{extra}` is one part too many")),
    }
}

/// No server lines: a server alone, unless something says that it is not.
fn nobody(layer: &mut Layer, context: &Context<'_>, may_be_alone: bool) {
    if !may_be_alone && let Some(line) = context.line("standaloneEnabled") {
        let what = "this is a server of an ensemble, and there is no server line";
        layer.problems.push(line.problem(what, "add the server lines, or remove this one"));
    }
    let observes = context.value("peerType").as_deref() == Some("observer");
    if observes && let Some(line) = context.line("peerType") {
        let what = "this is a server of an ensemble, and there is no server line";
        layer.problems.push(line.problem(what, "add the server lines of those it observes"));
    }
}

/// Observers of one server that would serve alone, as ZooKeeper refuses them too.
fn refuse_observers(layer: &mut Layer, servers: &[ServerLine<'_>]) {
    for server in servers.iter().filter(|server| server.observes) {
        let what = "an observer without an ensemble to observe";
        let remedy = "add participants, or let one be an ensemble with standaloneEnabled=false";
        layer.problems.push(server.line.problem(what, remedy));
    }
}

/// One server line is a server alone, for files have such lines from tools that always write one.
fn alone(layer: &mut Layer, context: &Context<'_>, server: &ServerLine<'_>) {
    let place = format!("{}: {}", server.line.place(), server.line.property.key);
    let meaning = "the only server: it stands alone; standaloneEnabled=false makes it an ensemble";
    mark(layer, &server.line.property.key, Fate::Ignored, meaning);
    layer.warnings.push(format!("{place}: {meaning}"));
    if let Some((host, port)) = server.client.as_deref().and_then(|known| known.rsplit_once(':')) {
        let host = host.trim_matches(['[', ']']);
        layer.set("client.port", &place, port.parse::<i64>().unwrap_or_default());
        let hosts = vec![Value::new(Some(&place), host)];
        layer.set("client.addresses", &place, ValueKind::Array(hosts));
    }
    for line in context.quorums {
        mark(layer, &line.property.key, Fate::Ignored, "the only server stands alone");
    }
}

fn ensemble(layer: &mut Layer, context: &Context<'_>, servers: &[ServerLine<'_>]) {
    let (groups, weights) = quorums(layer, context.quorums, servers);
    let mut items = Vec::new();
    for server in servers {
        let mut text = format!("{}={}", server.id, server.addresses);
        let mut add = |word: &str, value: Option<&dyn std::fmt::Display>| {
            if let Some(value) = value {
                write!(text, " {word}={value}").expect("a string takes every write");
            }
        };
        add("group", groups.get(&server.id).map(|group| group as _));
        add("weight", weights.get(&server.id).map(|weight| weight as _));
        add("client", server.client.as_ref().map(|client| client as _));
        if server.observes {
            text.push_str(" observer");
        }
        let place = format!("{}: {}", server.line.place(), server.line.property.key);
        items.push(Value::new(Some(&place), text));
        let meaning = "a member; its first port carries everything, its second is not used";
        mark(layer, &server.line.property.key, Fate::Mapped(MEMBERS), meaning);
    }
    let place = servers.first().map_or_else(String::new, |server| server.line.place());
    layer.set(MEMBERS, &place, ValueKind::Array(items));
    read_beside(layer, context);
}

/// Group and weight of each server that has one. A voter outside of all groups would never count.
fn quorums(
    layer: &mut Layer,
    lines: &[Line<'_>],
    servers: &[ServerLine<'_>],
) -> (BTreeMap<u64, u64>, BTreeMap<u64, u64>) {
    let (mut groups, mut weights) = (BTreeMap::new(), BTreeMap::new());
    let voters = servers.iter().filter(|server| !server.observes);
    let voters: BTreeSet<u64> = voters.map(|server| server.id).collect();
    for line in lines {
        let Property { key, value, .. } = line.property;
        let mut refuse = |what: String| {
            let remedy = "write group.N=ID:ID:ID and weight.ID=N, for servers that vote";
            layer.problems.push(line.problem(what, remedy));
        };
        let number = |text: &str| text.trim().parse::<u64>().ok();
        let read = match key.split_once('.') {
            Some(("group", group)) => value.split(':').try_for_each(|id| {
                let (id, group) = (number(id)?, number(group)?);
                let taken = groups.insert(id, group).is_some();
                (voters.contains(&id) && !taken).then_some(())
            }),
            Some((_, id)) => number(id).zip(number(value)).and_then(|(id, weight)| {
                weights.insert(id, weight);
                voters.contains(&id).then_some(())
            }),
            None => None,
        };
        if read.is_none() {
            refuse(format!("`{value}` names what is no voting server, or one twice"));
        }
        mark(layer, key, Fate::Mapped(MEMBERS), "a hierarchical quorum");
    }
    for server in servers.iter().filter(|server| !groups.is_empty() && !server.observes) {
        if !groups.contains_key(&server.id) {
            let remedy = "name it in one group line, for there are others";
            layer.problems.push(server.line.problem("this server is in no group", remedy));
        }
    }
    (groups, weights)
}

/// Keys that mean something only in an ensemble.
fn read_beside(layer: &mut Layer, context: &Context<'_>) {
    for name in PROTECTING {
        let on = context.value(name).as_deref() == Some("true");
        if on && let Some(line) = context.line(name) {
            let what = "traffic between servers is neither encrypted nor authenticated yet";
            let remedy = "protect the network between them, and remove the line";
            layer.problems.push(line.problem(what, remedy));
            mark(layer, &line.property.key, Fate::Refused, what);
        }
    }
    if let Some(line) = context.line("initLimit") {
        let Property { key, value, .. } = line.property;
        let tick = context.line("tickTime").and_then(|line| number(&line.property.value).ok());
        match number(value) {
            Ok(ticks) if ticks > 0 => {
                let ms = ticks.saturating_mul(tick.unwrap_or(TICK_MS).max(1));
                layer.set("ensemble.join_ms", &format!("{}: {key}", line.place()), ms);
                let meaning = "times tickTime: how long joining a leader may make no progress";
                mark(layer, key, Fate::Mapped("ensemble.join_ms"), meaning);
            }
            Ok(_) | Err(_) => {
                let remedy = "write how many ticks joining a leader may take";
                layer.problems.push(line.problem(format!("`{value}` is no number"), remedy));
            }
        }
    }
    if let Some(line) = context.line("peerType") {
        let observes = line.property.value.eq_ignore_ascii_case("observer");
        let place = format!("{}: {}", line.place(), line.property.key);
        layer.peer_type = Some(PeerType { place, observes });
        mark(layer, "peerType", Fate::Honoured, "checked against this server's line, which counts");
    }
    mark(layer, "standaloneEnabled", Fate::Honoured, "there are server lines: an ensemble");
}

fn mark(layer: &mut Layer, key: &str, fate: Fate, meaning: &str) {
    for entry in layer.entries.iter_mut().filter(|entry| entry.key == key) {
        entry.fate = fate;
        meaning.clone_into(&mut entry.meaning);
    }
}
