//! The section `[ensemble]`: members from texts such as `4=host:2888 observer`, what they must
//! agree in, and which of them this server is.
//!
//! A zoo.cfg comes here as well: `zoo_members` puts its lines into the same texts.

use super::problem::Problem;
use ostler_actors::{EnsembleSettings, MemberSettings};
use ostler_core::types::ServerId;
use ostler_core::zab::quorum::Role;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The key of the members.
pub(super) const MEMBERS: &str = "ensemble.members";
const FORM: &str = "write ID=HOST:PORT, then if needed `observer`, `group=N`, `weight=N` or \
                    `client=HOST:PORT`";
/// Server numbers from 1 on; greater ones would make session ids that look like TTLs.
const ID_MAX: u64 = 254;

/// The section as it stands in the file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Ensemble {
    pub(super) members: Vec<String>,
    heartbeat_ms: u64,
    silence_ms: u64,
    join_ms: u64,
    finalize_ms: u64,
    window_bytes: usize,
    listen_everywhere: bool,
}

impl Ensemble {
    /// The ensemble, if members are named. `place` tells where the value of a key came from.
    pub(super) fn settings(
        &self,
        place: &dyn Fn(&str) -> String,
        problems: &mut Vec<Problem>,
    ) -> Option<EnsembleSettings> {
        let mut members: BTreeMap<ServerId, MemberSettings> = BTreeMap::new();
        for (index, text) in self.members.iter().enumerate() {
            let place = place(&format!("{MEMBERS}.{index}"));
            let mut refuse = |what: String, remedy: &str| {
                problems.push(Problem::new(&place, MEMBERS, what, remedy));
            };
            match parse(text) {
                Err(what) => refuse(format!("`{text}` is no member: {what}"), FORM),
                Ok((id, member)) => {
                    let same = members.values().find(|other| other.address == member.address);
                    if members.contains_key(&id) {
                        let what = format!("`{text}`: number {} is taken already", id.0);
                        refuse(what, "give every server a number of its own");
                    } else if same.is_some() {
                        let what = format!("`{text}`: another server has this address");
                        refuse(what, "give every server an address of its own");
                    }
                    members.entry(id).or_insert(member);
                }
            }
        }
        self.check_times(place, problems);
        if members.is_empty() {
            return None;
        }
        check_voters(&members, &place(MEMBERS), problems);
        let Self { heartbeat_ms, silence_ms, join_ms, finalize_ms, .. } = *self;
        let Self { window_bytes, listen_everywhere, .. } = *self;
        Some(EnsembleSettings {
            members,
            heartbeat_ms,
            silence_ms,
            join_ms,
            finalize_ms,
            window_bytes,
            listen_everywhere,
        })
    }

    fn check_times(&self, place: &dyn Fn(&str) -> String, problems: &mut Vec<Problem>) {
        if self.silence_ms < 2 * self.heartbeat_ms {
            let key = "ensemble.silence_ms";
            let what = format!("{} ms hold less than two heartbeats", self.silence_ms);
            let remedy = "raise it, or lower ensemble.heartbeat_ms";
            problems.push(Problem::new(place(key), key, what, remedy));
        }
    }
}

fn check_voters(
    members: &BTreeMap<ServerId, MemberSettings>,
    place: &str,
    problems: &mut Vec<Problem>,
) {
    let mut refuse = |what, remedy| problems.push(Problem::new(place, MEMBERS, what, remedy));
    let votes = |role| matches!(role, Role::Voter { weight, .. } if weight > 0);
    if !members.values().any(|member| votes(member.role)) {
        refuse("nobody votes", "make at least one server no observer, of a weight above 0");
    }
}

/// What an operator should know about the number of voters.
pub(super) fn warnings(ensemble: &EnsembleSettings, place: &str) -> Vec<String> {
    let voters = ensemble.voters();
    let told = match voters {
        1 => "one server votes: the ensemble stands still whenever that one does",
        2 => "two servers vote: if either fails, the other cannot decide; three are safer",
        _ if voters.is_multiple_of(2) => {
            "an even number of servers votes: one less bears as many failures, and is faster"
        }
        _ => return Vec::new(),
    };
    vec![format!("{place}: {told}")]
}

/// The number in the file `myid`, in which ZooKeeper keeps it: decimal, with blanks around.
///
/// # Errors
/// The problem to tell: there is no such file, or no number in it.
pub(super) fn number_in_file(data_dir: &Path) -> Result<u64, Problem> {
    let file = data_dir.join("myid");
    let name = file.display().to_string();
    let remedy = "start with --server-id N, set server.id, or write the number of this server \
                  among the members, alone, into that file";
    let text = std::fs::read_to_string(&file).map_err(|error| {
        let what = format!("nothing says which member this server is: {error}");
        Problem::new(&name, "", what, remedy)
    })?;
    let number = text.trim().parse().ok().filter(|number| (1..=ID_MAX).contains(number));
    number.ok_or_else(|| {
        let what = format!("`{}` is not a number from 1 to {ID_MAX}", text.trim());
        Problem::new(&name, "", what, remedy)
    })
}

/// The problem of a server that is not among the members.
pub(super) fn stranger(id: u64, ensemble: &EnsembleSettings, place: &str) -> Option<Problem> {
    let members: BTreeSet<_> = ensemble.members.keys().map(|id| id.0).collect();
    if members.contains(&id) {
        return None;
    }
    let members: Vec<_> = members.iter().map(u64::to_string).collect();
    let what = format!("this is server {id}, and the members are {}", members.join(", "));
    let remedy = "add a line for this server, or correct its number (--server-id, server.id, myid)";
    Some(Problem::new(place, "server.id", what, remedy))
}

fn parse(text: &str) -> Result<(ServerId, MemberSettings), String> {
    let mut words = text.split_whitespace();
    let (id, addresses) =
        words.next().and_then(|word| word.split_once('=')).ok_or("it lacks `=`")?;
    let id = number(id).filter(|id| (1..=ID_MAX).contains(id));
    let id = id.ok_or_else(|| format!("its number is not one from 1 to {ID_MAX}"))?;
    let (address, election_port) = addresses_of(addresses)?;
    let (mut observer, mut group, mut weight, mut client) = (false, None, None, None);
    for word in words {
        match word.split_once('=') {
            None if word == "observer" => observer = true,
            None if word == "participant" => observer = false,
            Some(("group", value)) => group = Some(number(value).ok_or("its group is no number")?),
            Some(("weight", value)) => {
                weight = Some(number(value).ok_or("its weight is no number")?);
            }
            Some(("client", value)) => client = Some(client_address(value)?),
            Some(_) | None => return Err(format!("`{word}` means nothing here")),
        }
    }
    let role = match (observer, group, weight) {
        (true, None, None) => Role::Observer,
        (true, ..) => return Err("an observer has no group and no weight".to_owned()),
        (false, ..) => Role::Voter { group: group.unwrap_or(0), weight: weight.unwrap_or(1) },
    };
    Ok((ServerId(id), MemberSettings { role, address, election_port, client }))
}

fn number(text: &str) -> Option<u64> {
    text.parse().ok()
}

/// `HOST:PORT` or `HOST:PORT:ELECTION`.
fn addresses_of(text: &str) -> Result<(String, u16), String> {
    let (host, ports) = split_host(text).ok_or("its address is not HOST:PORT")?;
    let (port, election) = ports.split_once(':').unwrap_or((ports, ports));
    let (port, election) = (port_of(port)?, port_of(election)?);
    Ok((format!("{host}:{port}"), election))
}

/// `HOST:PORT`, or a port of all addresses.
pub(super) fn client_address(text: &str) -> Result<String, String> {
    let (host, port) = match split_host(text) {
        Some((host, port)) => (host, port),
        None => ("0.0.0.0", text),
    };
    Ok(format!("{host}:{}", port_of(port)?))
}

/// Host, in brackets if it is an IPv6 address, and what follows its colon.
pub(super) fn split_host(text: &str) -> Option<(&str, &str)> {
    let end = match text.strip_prefix('[') {
        Some(rest) => rest.find(']')? + 2,
        None => text.find(':')?,
    };
    let (host, rest) = text.split_at_checked(end)?;
    (!host.is_empty()).then_some((host, rest.strip_prefix(':')?))
}

fn port_of(text: &str) -> Result<u16, String> {
    let port = text.parse().ok().filter(|port| *port > 0);
    port.ok_or_else(|| format!("`{text}` is no port"))
}
