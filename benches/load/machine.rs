//! What the system knows: CPU time and memory of the servers, of the harness, of everybody.

use super::LoadError;
use super::tally::Window;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io;

/// Where the run was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Name of the processor.
    pub processor: String,
    /// Cores that the harness may use.
    pub cores: usize,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// Release of the kernel.
    pub kernel: String,
}

impl Machine {
    /// This machine, as far as the system tells.
    pub(super) fn here() -> Self {
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, key: &str| {
            let line = text.lines().find(|line| line.starts_with(key));
            line.and_then(|line| line.split_once(':')).map(|(_, value)| value.trim().to_owned())
        };
        let memory = value(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
        let kilobytes = memory.trim_end_matches(" kB").parse::<u64>().unwrap_or_default();
        Self {
            processor: value(&read("/proc/cpuinfo"), "model name").unwrap_or_default(),
            cores: cores(),
            memory_bytes: kilobytes << 10,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
        }
    }
}

/// Cores that this process may use.
pub(super) fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, Into::into)
}

/// What processes have used up to now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Used {
    pub(super) cpu_us: u64,
    pub(super) rss_bytes: u64,
    pub(super) rss_peak_bytes: u64,
    /// Handed to the system by write calls.
    pub(super) written_bytes: u64,
}

impl Used {
    /// By all of these processes together.
    pub(super) fn by(pids: &[u32]) -> Result<Self, LoadError> {
        let mut all = Self::default();
        for pid in pids {
            let one = Self::by_one(*pid).map_err(LoadError::machine("looking at a process"))?;
            all.cpu_us += one.cpu_us;
            all.rss_bytes += one.rss_bytes;
            all.rss_peak_bytes += one.rss_peak_bytes;
            all.written_bytes += one.written_bytes;
        }
        Ok(all)
    }

    fn by_one(pid: u32) -> io::Result<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
        let ticks = cpu_ticks(&stat).ok_or(io::ErrorKind::InvalidData)?;
        let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
        let kilobytes = |key: &str| number_after(&status, key).unwrap_or_default() << 10;
        // Another user's processes do not show it; then nothing is said about it.
        let io = fs::read_to_string(format!("/proc/{pid}/io")).unwrap_or_default();
        Ok(Self {
            cpu_us: ticks * 1_000_000 / rustix::param::clock_ticks_per_second(),
            rss_bytes: kilobytes("VmRSS:"),
            rss_peak_bytes: kilobytes("VmHWM:"),
            // Not write_bytes: that counts whole folios, of megabytes each, for every byte in them.
            written_bytes: number_after(&io, "wchar:").unwrap_or_default(),
        })
    }
}

/// CPU time in user and system mode, from /proc/PID/stat.
fn cpu_ticks(stat: &str) -> Option<u64> {
    // The name of the command may hold anything, so fields are counted behind its last bracket.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    Some(fields.next()?.parse::<u64>().ok()? + fields.next()?.parse::<u64>().ok()?)
}

fn number_after(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().next()?.parse().ok()
}

/// Time of all cores together since the machine started.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Cores {
    busy: u64,
    all: u64,
}

impl Cores {
    pub(super) fn now() -> Self {
        Self::parse(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    fn parse(stat: &str) -> Self {
        let line = stat.lines().next().unwrap_or_default();
        let fields: Vec<u64> =
            line.split_whitespace().skip(1).filter_map(|field| field.parse().ok()).collect();
        // user nice system idle iowait irq softirq steal; guests are in user already.
        let all = fields.iter().take(8).sum();
        let idle = fields.iter().skip(3).take(2).sum::<u64>();
        Self { busy: all - idle, all }
    }

    /// The share of all cores that was busy since an earlier time, from 0 to 1.
    pub(super) fn busy_since(self, before: Self) -> f64 {
        let all = self.all.saturating_sub(before.all);
        self.busy.saturating_sub(before.busy) as f64 / all.max(1) as f64
    }
}

/// How much of its core a thread of the harness used while it measured.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Share {
    pub(super) cpu_ns: u64,
    pub(super) wall_ns: u64,
}

impl Share {
    /// From 0 to 1.
    pub(super) fn of_core(self) -> f64 {
        self.cpu_ns as f64 / self.wall_ns.max(1) as f64
    }
}

/// Takes a thread's own CPU time as the window begins and ends.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ThreadTime {
    from: Option<(u64, u64)>,
    last: (u64, u64),
    over: bool,
}

impl ThreadTime {
    /// Tells it the time.
    pub(super) fn pass(&mut self, now_ns: u64, window: Window) {
        if now_ns < window.from_ns || self.over {
            return;
        }
        // Reading the clock of a thread is a system call: now and then is enough.
        let is_first = self.from.is_none();
        self.over = now_ns >= window.to_ns;
        if is_first || self.over || now_ns - self.last.0 > 10_000_000 {
            let time = clock_gettime(ClockId::ThreadCPUTime);
            let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
            let cpu_ns = seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or_default();
            self.last = (now_ns, cpu_ns);
            self.from.get_or_insert(self.last);
        }
    }

    pub(super) fn share(&self) -> Share {
        let (wall_ns, cpu_ns) = self.from.unwrap_or(self.last);
        Share { cpu_ns: self.last.1 - cpu_ns, wall_ns: self.last.0 - wall_ns }
    }
}

/// Sees to it that so many sockets can be open.
pub(super) fn allow_sockets(count: usize) -> Result<(), LoadError> {
    /// Files of the harness besides its sockets, generously.
    const OTHERS: u64 = 64;
    let wanted = count as u64 + OTHERS;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    if maximum.is_some_and(|maximum| maximum < wanted) {
        return Err(LoadError::Invalid(format!(
            "{count} connections need {wanted} open files; the limit is {}",
            maximum.unwrap_or_default()
        )));
    }
    setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum })
        .map_err(|error| LoadError::Machine { what: "more open files", error: error.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_found_behind_any_name() {
        let stat = "7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 300 41 0 0 20 0";
        assert_eq!(cpu_ticks(stat), Some(341));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn busy_cores_are_a_share() {
        let before = Cores::parse("cpu  100 0 100 800 0 0 0 0 0 0\ncpu0 1");
        let after = Cores::parse("cpu  150 0 150 850 50 0 0 0 50 0\n");
        assert!((after.busy_since(before) - 0.5).abs() < 1e-9);
        assert!(Cores::default().busy_since(Cores::default()).abs() < 1e-9);
    }

    #[test]
    fn this_process_is_seen() {
        let used = Used::by(&[std::process::id()]).unwrap();
        assert!(used.rss_bytes > 1 << 20, "{used:?}");
        assert!(used.rss_peak_bytes >= used.rss_bytes, "{used:?}");
        assert!(Machine::here().cores >= 1);
        assert!(Used::by(&[u32::MAX]).is_err());
    }
}
