//! The arguments of `ostler bench`, and the plan made of them.

use crate::load::{LoadError, Mix, Pace, Plan, Skew, Workload};
use clap::{Args, Subcommand, ValueEnum};
use ostler_core::wire::Codec;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

/// Children of one znode get this many when a fill names no number.
const FILL_DEFAULT: u64 = 1_000_000;
const WATCHES_DEFAULT: u64 = 500;
/// A fill has no duration; this is where it gives up.
const FILL_MAX: Duration = Duration::from_secs(3_600);

/// Measures servers.
#[derive(Args)]
pub struct BenchArgs {
    #[command(subcommand)]
    pub(super) command: BenchCommand,
}

#[derive(Subcommand)]
pub(super) enum BenchCommand {
    /// Drives servers with a load and reports how fast they answered.
    ///
    /// Everything it makes is below a znode of its own, and removed at the end. Exit code 1 if
    /// requests failed, 2 if the run could not be made.
    Run(Box<RunArgs>),
    /// Serves nothing, at once: what the harness reaches against it is the harness's own limit.
    Null {
        /// Where to listen.
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2181")]
        address: SocketAddr,
    },
    /// Makes a page with plots of one report, or of two side by side.
    Page(PageArgs),
}

#[derive(Args)]
pub(super) struct PageArgs {
    /// JSON of a run.
    pub(super) first: PathBuf,
    /// JSON of the run to compare with it.
    pub(super) second: Option<PathBuf>,
    /// Where the page goes.
    #[arg(long, value_name = "FILE", default_value = "bench.html")]
    pub(super) html: PathBuf,
}

/// Where reports go; text goes to standard output in any case but one.
#[derive(Args)]
pub(super) struct Output {
    /// Writes the report as JSON; `-` is standard output, in place of the text.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Writes the report as one page with plots.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Protocol {
    Jute,
    Native,
}

#[derive(Args)]
pub(super) struct RunArgs {
    /// get, exists, set, create, delete, list, multi; several with weights, as get=9,set=1;
    /// keeper (the production mix of ClickHouse Keeper); fill[:ZNODES]; watches[:WATCHES];
    /// sessions (opened and closed); idle (opened and kept); returning (kept at the first server,
    /// and at the others once that is lost).
    workload: String,
    /// Servers; connections are dealt out to them in turn.
    #[arg(long, value_name = "HOST:PORT,...", default_value = "127.0.0.1:2181")]
    servers: String,
    /// ZooKeeper's protocol, or Ostler's own.
    #[arg(long, value_enum, default_value = "jute")]
    protocol: Protocol,
    /// Asks for linearizable reads, which only Ostler's own protocol has.
    #[arg(long)]
    linearizable: bool,
    /// Connections, each with a session.
    #[arg(short, long, value_name = "N", default_value_t = 16)]
    connections: usize,
    /// Requests in flight on each connection; in an open loop the most there may be.
    #[arg(short = 'd', long, value_name = "N", default_value_t = 1)]
    in_flight: usize,
    /// Requests a second, at fixed times, whatever the server does: latency counts from the time a
    /// request was due. Without it there is always as much in flight as may be.
    #[arg(long, value_name = "RATE")]
    rate: Option<f64>,
    /// Seconds of load before the measurement.
    #[arg(long, value_name = "SECONDS", default_value_t = 2.0)]
    warm_up: f64,
    /// Seconds of measurement.
    #[arg(short = 't', long, value_name = "SECONDS", default_value_t = 10.0)]
    seconds: f64,
    /// Data of each znode.
    #[arg(long, value_name = "N", default_value_t = 100)]
    value_bytes: usize,
    /// Length that paths are filled up to.
    #[arg(long, value_name = "N", default_value_t = 0)]
    path_bytes: usize,
    /// Znodes that are read and written.
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    keys: u64,
    /// uniform, or zipf:EXPONENT between 0 and 1.
    #[arg(long, value_name = "SKEW", default_value = "uniform")]
    skew: Skew,
    /// Children of the znode that is listed.
    #[arg(long, value_name = "N", default_value_t = 100)]
    listed: u64,
    /// Creates in a multi: a number, or the least and the most.
    #[arg(long, value_name = "N|N-M", default_value = "5-15")]
    multi: String,
    /// Threads of the harness; half of the cores without it.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Processes of the servers, for their CPU time and memory.
    #[arg(long, value_name = "PID,...", value_delimiter = ',')]
    pids: Vec<u32>,
    /// Session timeout asked for, in seconds.
    #[arg(long, value_name = "SECONDS", default_value_t = 30.0)]
    session_timeout: f64,
    /// Decides keys, values and operations.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Leaves what was made. A fill always does.
    #[arg(long)]
    keep: bool,
    /// Removes even what a fill made.
    #[arg(long, conflicts_with = "keep")]
    clean: bool,
    /// Tells nothing while it runs.
    #[arg(short, long)]
    quiet: bool,
    #[command(flatten)]
    pub(super) output: Output,
}

impl RunArgs {
    /// As a plan.
    pub(super) fn plan(&self) -> Result<Plan, LoadError> {
        let workload = workload(&self.workload)?;
        let is_fill = matches!(workload, Workload::Fill(_));
        if self.linearizable && matches!(self.protocol, Protocol::Jute) {
            return Err(LoadError::Invalid("--linearizable needs --protocol native".to_owned()));
        }
        let cores = std::thread::available_parallelism().map_or(1, Into::into);
        Ok(Plan {
            servers: servers(&self.servers)?,
            codec: match self.protocol {
                Protocol::Jute => Codec::Jute,
                Protocol::Native => Codec::Native,
            },
            linearizable: self.linearizable,
            connections: self.connections,
            in_flight: self.in_flight,
            pace: self.rate.map_or(Pace::Closed, Pace::Open),
            value_bytes: self.value_bytes,
            path_bytes: self.path_bytes,
            keys: self.keys,
            skew: self.skew,
            listed: self.listed,
            multi: range(&self.multi)?,
            warm_up: seconds("--warm-up", self.warm_up)?,
            duration: if is_fill { FILL_MAX } else { seconds("--seconds", self.seconds)? },
            threads: self.threads.unwrap_or((cores / 2).max(1)),
            pids: self.pids.clone(),
            session_timeout: seconds("--session-timeout", self.session_timeout)?,
            seed: self.seed,
            keep: (self.keep || is_fill) && !self.clean,
            progress: !self.quiet,
            workload,
        })
    }
}

fn workload(text: &str) -> Result<Workload, LoadError> {
    let (name, number) = match text.split_once(':') {
        None => (text, None),
        Some((name, number)) => {
            let number = number.parse::<u64>().ok().filter(|number| *number > 0);
            let problem = || LoadError::Invalid(format!("{text}: a number above 0 follows the :"));
            (name, Some(number.ok_or_else(problem)?))
        }
    };
    Ok(match (name, number) {
        ("fill", count) => Workload::Fill(count.unwrap_or(FILL_DEFAULT)),
        ("watches", count) => Workload::Watches(count.unwrap_or(WATCHES_DEFAULT)),
        ("sessions", None) => Workload::Sessions,
        ("idle", None) => Workload::Idle,
        ("returning", None) => Workload::Returning,
        (mix, None) => Workload::Mix(mix.parse::<Mix>()?),
        (name, Some(_)) => return Err(LoadError::Invalid(format!("{name} takes no number"))),
    })
}

fn servers(text: &str) -> Result<Vec<SocketAddr>, LoadError> {
    let mut all = Vec::new();
    for server in text.split(',') {
        let place = server.to_owned();
        let mut found =
            server.to_socket_addrs().map_err(|error| LoadError::Socket { place, error })?;
        let first = found.next();
        all.push(first.ok_or_else(|| LoadError::Invalid(format!("{server} has no address")))?);
    }
    Ok(all)
}

fn range(text: &str) -> Result<(u64, u64), LoadError> {
    let (least, most) = text.split_once('-').unwrap_or((text, text));
    match (least.parse(), most.parse()) {
        (Ok(least), Ok(most)) => Ok((least, most)),
        _ => Err(LoadError::Invalid(format!("{text} is neither a number nor two with - between"))),
    }
}

fn seconds(argument: &str, value: f64) -> Result<Duration, LoadError> {
    Duration::try_from_secs_f64(value)
        .map_err(|_| LoadError::Invalid(format!("{argument}: {value} is no length of time")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workloads_are_told_apart() {
        let read = |text| workload(text).expect("is a workload");
        assert_eq!(read("fill:7"), Workload::Fill(7));
        assert_eq!(read("fill"), Workload::Fill(FILL_DEFAULT));
        assert_eq!(read("watches"), Workload::Watches(WATCHES_DEFAULT));
        assert_eq!(read("idle"), Workload::Idle);
        assert_eq!(read("returning"), Workload::Returning);
        assert_eq!(read("keeper"), Workload::Mix(Mix::keeper()));
        for text in ["idle:3", "fill:0", "fill:x", "ride", ""] {
            assert!(workload(text).is_err(), "{text}");
        }
    }

    #[test]
    fn ranges_and_times_are_checked() {
        assert_eq!(range("10").expect("is a number"), (10, 10));
        assert_eq!(range("5-15").expect("is a range"), (5, 15));
        assert!(range("5-").is_err());
        assert!(seconds("--seconds", -1.0).is_err());
        assert!(seconds("--seconds", f64::NAN).is_err());
    }
}
