//! Servers of one ensemble as processes on this machine, killed when the test ends.

use super::PATIENCE;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

/// What ends a line of the members for one server.
pub(crate) const VOTER: &str = "";
pub(crate) const OBSERVER: &str = " observer";

/// How a file of an ensemble is written.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// One TOML for all servers; each gets its number as an argument.
    Ours,
    /// A zoo.cfg for each, and a file `myid` in its data directory.
    ZooKeepers,
}

pub(crate) struct Servers {
    root: tempfile::TempDir,
    members: BTreeMap<u64, Member>,
}

struct Member {
    peer_port: u16,
    client_port: u16,
    arguments: Vec<String>,
    process: Option<Child>,
}

impl Servers {
    /// Servers 1, 2, … of these roles, not started.
    pub(crate) fn new(format: Format, roles: &[&str]) -> Self {
        let root = tempfile::tempdir().expect("makes a directory");
        let mut members = BTreeMap::new();
        for id in (1..).take(roles.len()) {
            let (peer_port, client_port) = (free_port(), free_port());
            let member = Member { peer_port, client_port, arguments: Vec::new(), process: None };
            members.insert(id, member);
        }
        let mut servers = Self { root, members };
        match format {
            Format::Ours => servers.write_toml(roles),
            Format::ZooKeepers => servers.write_zoo_cfgs(roles),
        }
        servers
    }

    /// The same, started and serving.
    pub(crate) fn started(format: Format, roles: &[&str]) -> Self {
        let mut servers = Self::new(format, roles);
        servers.start_all();
        servers
    }

    /// Starts every server and waits until all serve.
    pub(crate) fn start_all(&mut self) {
        for id in self.ids() {
            self.spawn(id);
        }
        for id in self.ids() {
            self.await_serving(id);
        }
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.members.keys().copied().collect()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    pub(crate) fn peer_port(&self, id: u64) -> u16 {
        self.members[&id].peer_port
    }

    pub(crate) fn client_port(&self, id: u64) -> u16 {
        self.members[&id].client_port
    }

    /// `host:port` of one server's clients.
    pub(crate) fn address(&self, id: u64) -> String {
        format!("127.0.0.1:{}", self.client_port(id))
    }

    /// All of them, as a client would be told.
    pub(crate) fn addresses(&self) -> String {
        self.ids().into_iter().map(|id| self.address(id)).collect::<Vec<_>>().join(",")
    }

    /// What the server has logged since its first start.
    pub(crate) fn log(&self, id: u64) -> String {
        fs::read_to_string(self.path(&format!("log-{id}"))).unwrap_or_default()
    }

    pub(crate) fn spawn(&mut self, id: u64) {
        let arguments = self.members[&id].arguments.clone();
        self.spawn_with(id, &arguments);
    }

    pub(crate) fn spawn_with(&mut self, id: u64, arguments: &[String]) {
        let log = File::options().create(true).append(true).open(self.path(&format!("log-{id}")));
        let log = log.expect("opens");
        let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
        command.arg("serve").args(arguments).current_dir(self.root.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let process = command.spawn().expect("the ostler binary starts");
        self.members.get_mut(&id).expect("a member").process = Some(process);
    }

    /// Kills a server without a warning.
    pub(crate) fn kill(&mut self, id: u64) {
        if let Some(mut process) = self.members.get_mut(&id).and_then(|one| one.process.take()) {
            // It may have ended already.
            drop(process.kill());
            drop(process.wait());
        }
    }

    /// Asks a server to stop; its exit code.
    pub(crate) fn stop(&mut self, id: u64) -> i32 {
        self.signal(id, "-TERM");
        self.ends(id)
    }

    /// Sends a signal to a server: `-TERM`, `-STOP`, `-CONT`.
    pub(crate) fn signal(&self, id: u64, signal: &str) {
        let process = self.members[&id].process.as_ref().expect("was started").id().to_string();
        let sent = Command::new("kill").args([signal, &process]).status().expect("kill runs");
        assert!(sent.success());
    }

    /// Waits until a server has ended; its exit code.
    pub(crate) fn ends(&mut self, id: u64) -> i32 {
        let begun = Instant::now();
        loop {
            let process = self.members.get_mut(&id).and_then(|one| one.process.as_mut());
            let ended = process.expect("was started").try_wait().expect("can be asked for");
            if let Some(status) = ended {
                return status.code().unwrap_or(-1);
            }
            assert!(begun.elapsed() < PATIENCE, "server {id} does not end: {}", self.log(id));
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// The answer to a four-letter word; nothing if nobody listens.
    pub(crate) fn word(&self, id: u64, word: &str) -> String {
        let ask = || {
            let mut socket = TcpStream::connect(self.address(id))?;
            socket.set_read_timeout(Some(PATIENCE))?;
            socket.write_all(word.as_bytes())?;
            let mut answer = String::new();
            socket.read_to_string(&mut answer)?;
            std::io::Result::Ok(answer)
        };
        ask().unwrap_or_default()
    }

    /// `leader`, `follower`, `observer` or, while it does not serve, nothing.
    pub(crate) fn mode(&self, id: u64) -> String {
        let answer = self.word(id, "srvr");
        let mode = answer.lines().find_map(|line| line.strip_prefix("Mode: "));
        mode.unwrap_or_default().to_owned()
    }

    /// A value that `mntr` tells.
    pub(crate) fn metric(&self, id: u64, name: &str) -> Option<String> {
        let answer = self.word(id, "mntr");
        let value = |line: &str| Some(line.strip_prefix(name)?.strip_prefix('\t')?.to_owned());
        answer.lines().find_map(value)
    }

    /// Waits until the server serves; as what.
    pub(crate) fn await_serving(&self, id: u64) -> String {
        let serves = || Some(self.mode(id)).filter(|mode| !mode.is_empty());
        self.until(&format!("server {id} serves"), serves)
    }

    /// Waits until one of these leads; which.
    pub(crate) fn await_leader(&self, of: &[u64]) -> u64 {
        self.until("somebody leads", || of.iter().copied().find(|id| self.mode(*id) == "leader"))
    }

    /// Waits until a server has logged this.
    pub(crate) fn await_log(&self, id: u64, part: &str) {
        self.until(&format!("server {id} tells `{part}`"), || self.log(id).find(part));
    }

    /// What `look` finds, as soon as it finds something.
    pub(crate) fn until<T>(&self, what: &str, look: impl Fn() -> Option<T>) -> T {
        let begun = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            if begun.elapsed() > PATIENCE {
                let logs = self.ids().into_iter().map(|id| format!("--- {id}\n{}", self.log(id)));
                panic!("not in time: {what}\n{}", logs.collect::<String>());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn write_toml(&mut self, roles: &[&str]) {
        let lines = self.members.iter().zip(roles).map(|((id, member), role)| {
            let Member { peer_port, client_port, .. } = member;
            format!("\"{id}=127.0.0.1:{peer_port} client=127.0.0.1:{client_port}{role}\",\n")
        });
        let text = format!(
            "[server]\ndata_dir = \"data-{{id}}\"\n[session]\ntick_ms = 250\n\
             timeout_ms_max = 60000\n[ensemble]\nmembers = [\n{}]\n",
            lines.collect::<String>()
        );
        fs::write(self.path("servers.toml"), text).expect("writes");
        for (id, member) in &mut self.members {
            let arguments = ["--config", "servers.toml", "--server-id", &id.to_string()];
            member.arguments = arguments.map(str::to_owned).to_vec();
        }
    }

    fn write_zoo_cfgs(&mut self, roles: &[&str]) {
        let servers = self.members.iter().zip(roles).map(|((id, member), role)| {
            let role = if role.is_empty() { "" } else { ":observer" };
            format!("server.{id}=127.0.0.1:{}:{}{role}\n", member.peer_port, member.client_port)
        });
        let servers: String = servers.collect();
        let root = self.root.path().to_owned();
        for (id, member) in &mut self.members {
            let (data, name) = (format!("data-{id}"), format!("zoo-{id}.cfg"));
            fs::create_dir(root.join(&data)).expect("makes a directory");
            fs::write(root.join(&data).join("myid"), format!("{id}\n")).expect("writes");
            let text = format!(
                "tickTime=250\ninitLimit=80\nsyncLimit=8\nmaxSessionTimeout=60000\n\
                 dataDir={data}\nclientPort={}\nclientPortAddress=127.0.0.1\n{servers}",
                member.client_port
            );
            fs::write(root.join(&name), text).expect("writes");
            member.arguments = vec!["--config".to_owned(), name];
        }
    }
}

impl Drop for Servers {
    fn drop(&mut self) {
        for id in self.ids() {
            self.kill(id);
        }
    }
}

/// Replaces `from` by `to` in a file.
pub(crate) fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("reads");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).expect("writes");
}

/// A port that stays free while its server is down for a moment: below those that the system
/// gives to outgoing connections, and in a block that few other processes share.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    loop {
        let block = u16::try_from(std::process::id() % 220).expect("is small");
        let port = 10_000 + block * 100 + NEXT.fetch_add(1, Ordering::Relaxed) % 100;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}
