//! The connect string, and the order in which its servers are tried.
//!
//! `host:port,host:port/chroot`: the port defaults to 2181, an IPv6 address stands in brackets,
//! and the chroot is a path that only the client knows of. Nothing here opens a socket.

use super::ClientError;
use super::chance::Chance;
use ostler_core::types::is_valid_path;
use std::time::Duration;

const PORT_DEFAULT: u16 = 2181;
const DELAY_FIRST_MS: u64 = 50;
const DELAY_MAX_MS: u64 = 2_000;

/// Servers to choose from, and the path under which this client lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConnectString {
    /// `host:port` each, as the operating system resolves them; never empty.
    pub(crate) servers: Vec<String>,
    /// "" or an absolute path.
    pub(crate) chroot: String,
}

impl ConnectString {
    /// From `host:port,host:port/chroot`.
    pub(crate) fn parse(text: &str) -> Result<Self, ClientError> {
        let (hosts, chroot) = match text.find('/') {
            Some(slash) => text.split_at(slash),
            None => (text, ""),
        };
        let chroot = if chroot == "/" { "" } else { chroot };
        if !chroot.is_empty() && !is_valid_path(chroot) {
            return Err(ClientError::InvalidPath(chroot.to_owned()));
        }
        let servers = hosts
            .split(',')
            .map(str::trim)
            .filter(|host| !host.is_empty())
            .map(with_port)
            .collect::<Result<Vec<_>, _>>()?;
        if servers.is_empty() {
            return Err(ClientError::ConnectString(format!("no server in {text:?}")));
        }
        Ok(Self { servers, chroot: chroot.to_owned() })
    }
}

fn with_port(host: &str) -> Result<String, ClientError> {
    let after_address = host.rfind(']').map_or(0, |bracket| bracket + 1);
    let Some(colon) = host[after_address..].rfind(':') else {
        return Ok(format!("{host}:{PORT_DEFAULT}"));
    };
    let port = &host[after_address + colon + 1..];
    match port.parse::<u16>() {
        Ok(port) if port != 0 => Ok(host.to_owned()),
        Ok(_) | Err(_) => Err(ClientError::ConnectString(format!("bad port in {host:?}"))),
    }
}

/// Whose turn it is, and how long to wait before.
///
/// The first round over all servers goes without delay, so that losing one server costs nothing;
/// after that the delay doubles per round, with jitter so that clients do not return in step.
#[derive(Debug)]
pub(crate) struct Rotation {
    servers: Vec<String>,
    next: usize,
    failures: u32,
}

impl Rotation {
    /// In a random order, so that clients spread over the servers.
    pub(crate) fn new(mut servers: Vec<String>, chance: &mut Chance) -> Self {
        for last in (1..servers.len()).rev() {
            servers.swap(last, chance.below(last as u64 + 1) as usize);
        }
        Self { servers, next: 0, failures: 0 }
    }

    /// The next server, and how long to wait before trying it.
    pub(crate) fn advance(&mut self, chance: &mut Chance) -> (String, Duration) {
        let server = self.servers[self.next].clone();
        self.next = (self.next + 1) % self.servers.len();
        let round = self.failures / self.servers.len() as u32;
        self.failures = self.failures.saturating_add(1);
        let delay_max_ms = match round {
            0 => 0,
            round => (DELAY_FIRST_MS << round.min(10)).min(DELAY_MAX_MS),
        };
        let delay_ms = delay_max_ms / 2 + chance.below(delay_max_ms / 2 + 1);
        (server, Duration::from_millis(delay_ms))
    }

    /// A session was set up: the next round goes without delay again.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// How many servers there are.
    pub(crate) fn count(&self) -> usize {
        self.servers.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, String)> {
        let string = ConnectString::parse(text).ok()?;
        Some((string.servers.join(" "), string.chroot))
    }

    #[test]
    fn a_connect_string_names_servers_and_a_chroot() {
        let is = |text, servers: &str, chroot: &str| {
            assert_eq!(parsed(text), Some((servers.to_owned(), chroot.to_owned())), "{text}");
        };
        is("a:1,b:2/x/y", "a:1 b:2", "/x/y");
        is("a", "a:2181", "");
        is("a/", "a:2181", "");
        is("[::1]:77, [::1]", "[::1]:77 [::1]:2181", "");
        for bad in ["", "/x", "a:0", "a:b", "a:1/x/", "a:70000"] {
            assert_eq!(parsed(bad), None, "{bad}");
        }
    }

    #[test]
    fn only_the_first_round_goes_without_delay() {
        let mut chance = Chance::new(7);
        let mut rotation = Rotation::new(vec!["a:1".into(), "b:1".into()], &mut chance);
        let delays: Vec<u128> =
            (0..40).map(|_| rotation.advance(&mut chance).1.as_millis()).collect();
        assert_eq!(delays[..2], [0, 0]);
        assert!(delays[2..].iter().all(|delay| (50..=2_000).contains(delay)), "{delays:?}");
        assert!(delays[39] >= 1_000);
        rotation.succeeded();
        assert_eq!(rotation.advance(&mut chance).1, Duration::ZERO);
    }
}
