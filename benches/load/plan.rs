//! What to run: the arguments of a run as data, checked.

use super::{LoadError, Skew};
use ostler_core::wire::Codec;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::Duration;

/// One run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Servers; connections are dealt out to them in turn. At least one.
    pub servers: Vec<SocketAddr>,
    /// Which protocol to speak.
    pub codec: Codec,
    /// Whether sessions ask for linearizable reads; only the native protocol can.
    pub linearizable: bool,
    /// What to ask.
    pub workload: Workload,
    /// Connections, each with a session of its own. At least 1.
    pub connections: usize,
    /// Requests that each connection may have in flight. At least 1.
    pub in_flight: usize,
    /// When to ask.
    pub pace: Pace,
    /// Bytes of data of each znode.
    pub value_bytes: usize,
    /// Bytes that paths of keys and made znodes are filled up to.
    pub path_bytes: usize,
    /// Number of keys that are read and written. At least 1.
    pub keys: u64,
    /// How unevenly they are asked for.
    pub skew: Skew,
    /// Children of the znode that is listed.
    pub listed: u64,
    /// Operations of a multi, least and most. At least 1.
    pub multi: (u64, u64),
    /// Load before the measurement.
    pub warm_up: Duration,
    /// The measurement; of a fill the longest it may take.
    pub duration: Duration,
    /// Threads of the harness. At least 1.
    pub threads: usize,
    /// Processes of the servers, for their CPU time and memory.
    pub pids: Vec<u32>,
    /// Session timeout asked for.
    pub session_timeout: Duration,
    /// Decides keys, values and operations.
    pub seed: u64,
    /// Whether to leave what was made.
    pub keep: bool,
    /// Whether to tell how it goes on standard error.
    pub progress: bool,
}

/// What to ask of the servers.
#[derive(Clone, Debug, PartialEq)]
pub enum Workload {
    /// Operations, chosen by weight.
    Mix(Mix),
    /// One parent gets this many children, as fast as they can be made. Leaves them.
    Fill(u64),
    /// This many watches in all, set on as few znodes as the connections allow; then rounds of:
    /// one change of all of them, everybody is told, everybody watches again.
    Watches(u64),
    /// Sessions are opened and closed, one after another on each connection.
    Sessions,
    /// One session for each connection is opened and kept, asking nothing.
    Idle,
    /// As many sessions at the first server, which go on at the others when they lose it.
    Returning,
}

/// Operations and how often each is chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Mix {
    weights: Vec<(Operation, u32)>,
}

/// One kind of request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Data of a key.
    Get,
    /// Stat of a key.
    Exists,
    /// New data for a key.
    Set,
    /// A new znode.
    Create,
    /// Removes a znode that the same connection made. Where there is none, one is made instead.
    Delete,
    /// Names of the children of one znode.
    List,
    /// Creates in one multi.
    Multi,
}

/// When to ask.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// As soon as there is room among the requests in flight.
    Closed,
    /// At this many requests a second in all, above 0, whatever the server does.
    Open(f64),
}

impl Operation {
    /// Every operation.
    pub const ALL: [Self; 7] =
        [Self::Get, Self::Exists, Self::Set, Self::Create, Self::Delete, Self::List, Self::Multi];

    /// As the command line and reports call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Exists => "exists",
            Self::Set => "set",
            Self::Create => "create",
            Self::Delete => "delete",
            Self::List => "list",
            Self::Multi => "multi",
        }
    }
}

impl FromStr for Operation {
    type Err = LoadError;

    fn from_str(text: &str) -> Result<Self, LoadError> {
        let found = Self::ALL.into_iter().find(|operation| operation.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            LoadError::Invalid(format!("{text} is no operation; there are {names}"))
        })
    }
}

impl Mix {
    /// What ClickHouse reported of the requests its Keeper gets in production, in percent. It
    /// leaves 4 of 100 unnamed; weights need no round sum.
    pub fn keeper() -> Self {
        let weights = [
            (Operation::Get, 38),
            (Operation::Create, 34),
            (Operation::Set, 9),
            (Operation::Multi, 11),
            (Operation::List, 4),
        ];
        Self { weights: weights.into() }
    }

    /// One operation alone.
    pub fn only(operation: Operation) -> Self {
        Self { weights: vec![(operation, 1)] }
    }

    /// Operations with their weights, none of which is 0.
    pub(super) fn weights(&self) -> &[(Operation, u32)] {
        &self.weights
    }

    pub(super) fn has(&self, operation: Operation) -> bool {
        self.weights.iter().any(|(one, _)| *one == operation)
    }
}

impl FromStr for Mix {
    type Err = LoadError;

    /// `keeper`, one operation's name, or names with weights: `get=9,set=1`.
    fn from_str(text: &str) -> Result<Self, LoadError> {
        if text == "keeper" {
            return Ok(Self::keeper());
        }
        let mut weights: Vec<(Operation, u32)> = Vec::new();
        for part in text.split(',') {
            let (name, weight) = part.split_once('=').unwrap_or((part, "1"));
            let operation = name.trim().parse::<Operation>()?;
            let weight = weight.trim().parse::<u32>().ok().filter(|weight| *weight > 0);
            let weight = weight.ok_or_else(|| {
                LoadError::Invalid(format!("{part}: a weight is a whole number above 0"))
            })?;
            if weights.iter().any(|(one, _)| *one == operation) {
                return Err(LoadError::Invalid(format!("{name} stands twice in the mix")));
            }
            weights.push((operation, weight));
        }
        Ok(Self { weights })
    }
}

impl fmt::Display for Mix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let [(operation, _)] = self.weights[..] {
            return f.write_str(operation.name());
        }
        for (index, (operation, weight)) in self.weights.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{}={weight}", operation.name())?;
        }
        Ok(())
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mix(mix) => mix.fmt(f),
            Self::Fill(count) => write!(f, "fill {count}"),
            Self::Watches(count) => write!(f, "watches {count}"),
            Self::Sessions => f.write_str("sessions"),
            Self::Idle => f.write_str("idle"),
            Self::Returning => f.write_str("returning"),
        }
    }
}

impl Plan {
    /// Refuses what could only end badly.
    ///
    /// # Errors
    /// Names the argument.
    pub(super) fn check(&self) -> Result<(), LoadError> {
        let rate = match self.pace {
            Pace::Closed => 1.0,
            Pace::Open(rate) => rate,
        };
        let demands = [
            (!self.servers.is_empty(), "a server is needed"),
            (self.connections >= 1, "at least one connection is needed"),
            (self.in_flight >= 1, "at least one request has to be in flight"),
            (rate.is_finite() && rate > 0.0, "a rate is above 0"),
            (self.keys >= 1, "at least one key is needed"),
            (self.threads >= 1, "at least one thread is needed"),
            (self.multi.0 >= 1 && self.multi.0 <= self.multi.1, "a multi has at least one create"),
            (!self.duration.is_zero(), "the duration is above 0"),
            (self.value_bytes <= VALUE_BYTES_MAX, "a value has at most 1000000 bytes"),
            (self.path_bytes <= PATH_BYTES_MAX, "a path has at most 4096 bytes"),
        ];
        match demands.iter().find(|(met, _)| !met) {
            Some((_, demand)) => Err(LoadError::Invalid((*demand).to_owned())),
            None => Ok(()),
        }
    }
}

/// Servers refuse a request longer than 1 MiB.
const VALUE_BYTES_MAX: usize = 1_000_000;
const PATH_BYTES_MAX: usize = 4_096;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mixes_are_read_as_they_are_written() {
        for text in ["get", "get=9,set=1", "get=38,create=34,set=9,multi=11,list=4"] {
            assert_eq!(text.parse::<Mix>().unwrap().to_string(), text);
        }
        assert_eq!("keeper".parse::<Mix>().unwrap(), Mix::keeper());
        for text in ["", "get=0", "get=-1", "get,get", "put", "get=1,,set=1"] {
            assert!(text.parse::<Mix>().is_err(), "{text}");
        }
    }
}
