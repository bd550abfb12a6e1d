//! The server in short, its connections, its settings.

use super::report::{ConnectionEntry, Report, ServerState, SessionEntry};
use alloc::format;
use alloc::string::String;
use core::fmt;
use core::net::{IpAddr, SocketAddr};

pub(super) fn srvr(report: &Report) -> String {
    let mut text = heading(report);
    text.push_str(&statistics(report));
    text
}

pub(super) fn stat(report: &Report) -> String {
    let mut text = heading(report);
    text.push_str("Clients:\n");
    for connection in &report.connections {
        text.push_str(&format!("{}\n", Brief(connection)));
    }
    text.push('\n');
    text.push_str(&statistics(report));
    text
}

pub(super) fn cons(report: &Report) -> String {
    let mut text = String::new();
    for connection in &report.connections {
        text.push_str(&format!("{}\n", Full(connection)));
    }
    text.push('\n');
    text
}

pub(super) fn conf(report: &Report) -> String {
    let mut text = pairs(&report.settings);
    if let Some(membership) = &report.membership {
        text.push_str("membership: \n");
        text.push_str(membership);
        if !membership.ends_with('\n') {
            text.push('\n');
        }
    }
    text
}

pub(super) fn envi(report: &Report) -> String {
    format!("Environment:\n{}", pairs(&report.environment))
}

pub(super) fn dirs(report: &Report) -> String {
    format!("datadir_size: {}\nlogdir_size: {}\n", report.snapshot_bytes, report.log_bytes)
}

/// What a client that can do with reads looks for.
pub(super) fn isro(report: &Report) -> &'static str {
    match (report.serving, report.state) {
        (false, _) => "null",
        (true, ServerState::ReadOnly) => "ro",
        (
            true,
            ServerState::Standalone
            | ServerState::Leader
            | ServerState::Follower
            | ServerState::Observer,
        ) => "rw",
    }
}

fn heading(report: &Report) -> String {
    let read_only = match report.state {
        ServerState::ReadOnly => "READ-ONLY mode; serving only read-only clients\n",
        ServerState::Standalone
        | ServerState::Leader
        | ServerState::Follower
        | ServerState::Observer => "",
    };
    format!("Zookeeper version: {}\n{read_only}", report.version)
}

fn statistics(report: &Report) -> String {
    let latency = &report.latency_ms;
    let mut text = format!(
        "Latency min/avg/max: {}/{}/{}\nReceived: {}\nSent: {}\nConnections: {}\n\
         Outstanding: {}\nZxid: {}\nMode: {}\nNode count: {}\n",
        latency.min,
        latency.mean(),
        latency.max,
        report.packets_received,
        report.packets_sent,
        report.connections_alive,
        report.outstanding_requests,
        report.zxid,
        report.state.name(),
        report.znodes,
    );
    if let Some(sizes) = report.proposal_sizes {
        let (last, min, max) = (sizes.last, sizes.min, sizes.max);
        text.push_str(&format!("Proposal sizes last/min/max: {last}/{min}/{max}\n"));
    }
    text
}

fn pairs(pairs: &[(String, String)]) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        text.push_str(&format!("{key}={value}\n"));
    }
    text
}

/// A connection up to its counters, without the closing bracket.
struct Counters<'a>(&'a ConnectionEntry);

impl fmt::Display for Counters<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectionEntry { address, interest, queued, received, sent, .. } = self.0;
        let address = JavaAddress(*address);
        write!(f, " {address}[{interest:x}](queued={queued},recved={received},sent={sent}")
    }
}

struct Brief<'a>(&'a ConnectionEntry);

impl fmt::Display for Brief<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{})", Counters(self.0))
    }
}

struct Full<'a>(&'a ConnectionEntry);

impl fmt::Display for Full<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", Counters(self.0))?;
        if let Some(session) = &self.0.session {
            write_session(session, f)?;
        }
        f.write_str(")")
    }
}

fn write_session(entry: &SessionEntry, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let SessionEntry { session, last_operation, established_wall_ms, timeout_ms, .. } = entry;
    write!(f, ",sid={session},lop={last_operation},est={established_wall_ms},to={timeout_ms}")?;
    if entry.last_xid >= 0 {
        write!(f, ",lcxid={:#x}", entry.last_xid)?;
    }
    let latency = &entry.latency_ms;
    write!(
        f,
        ",lzxid={},lresp={},llat={},minlat={},avglat={},maxlat={}",
        entry.last_zxid,
        entry.last_response_mono_ms,
        entry.last_latency_ms,
        latency.min,
        latency.sum / latency.count.max(1),
        latency.max,
    )
}

/// An address as Java shows it: no host name before the slash, IPv6 in brackets and never
/// shortened, IPv4 in IPv6 as plain IPv4.
pub(super) struct JavaAddress(pub(super) SocketAddr);

impl fmt::Display for JavaAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.0.port();
        match self.0.ip().to_canonical() {
            IpAddr::V4(ip) => write!(f, "/{ip}:{port}"),
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, g, h, i] = ip.segments();
                write!(f, "/[{a:x}:{b:x}:{c:x}:{d:x}:{e:x}:{g:x}:{h:x}:{i:x}]:{port}")
            }
        }
    }
}
