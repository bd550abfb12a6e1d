//! One daemon for one test, in directories of its own, killed when the test ends.

use super::PATIENCE;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Exit code for a port that somebody else was faster to take.
const PORT_TAKEN: i32 = 14;

pub(crate) struct Daemon {
    /// Holds the data directory `data`, the trap's directory `trap` and the daemon's log `told`.
    root: tempfile::TempDir,
    port: u16,
    process: Option<Child>,
    /// Keys of the configuration, as variables of the environment.
    settings: Vec<(&'static str, String)>,
    trapped: bool,
    user: Option<u32>,
    /// A shell script that runs before the daemon, in a name space of mounts for both alone.
    mounts: Option<String>,
}

impl Daemon {
    /// A daemon that was not started yet.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().expect("makes a directory");
        Self {
            root,
            port: free_port(),
            process: None,
            settings: Vec::new(),
            trapped: false,
            user: None,
            mounts: None,
        }
    }

    /// Sets a key of the configuration: `SECTION__KEY`.
    pub(crate) fn with(mut self, key: &'static str, value: impl ToString) -> Self {
        self.settings.push((key, value.to_string()));
        self
    }

    /// Lays the trap under it.
    pub(crate) fn trapped(mut self) -> Self {
        fs::create_dir(self.trap()).expect("makes a directory");
        self.trapped = true;
        self
    }

    /// Runs as this user, if the test may choose.
    pub(crate) fn run_by(mut self, user: u32) -> Self {
        self.user = Some(user);
        self
    }

    /// Runs `script` first, as root of a name space whose mounts end with the daemon.
    pub(crate) fn with_mounts(mut self, script: String) -> Self {
        self.mounts = Some(script);
        self
    }

    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    pub(crate) fn data(&self) -> PathBuf {
        self.root.path().join("data")
    }

    fn trap(&self) -> PathBuf {
        self.root.path().join("trap")
    }

    /// From now on the disk has this fault, see `trap.c`.
    pub(crate) fn arm(&self, fault: &str) {
        fs::write(self.trap().join(fault), "").expect("writes");
    }

    pub(crate) fn disarm(&self, fault: &str) {
        fs::remove_file(self.trap().join(fault)).expect("removes");
    }

    /// What was done to files, a line each.
    pub(crate) fn trace(&self) -> Vec<String> {
        let text = fs::read_to_string(self.trap().join("trace")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// What its log records say, from all its starts.
    pub(crate) fn told(&self) -> String {
        fs::read_to_string(self.root.path().join("told")).unwrap_or_default()
    }

    /// Waits until it has told all of these; it writes its records a little later than it acts.
    pub(crate) fn tells(&self, parts: &[&str]) {
        let begun = Instant::now();
        while let Some(missing) = parts.iter().find(|part| !self.told().contains(**part)) {
            assert!(begun.elapsed() < PATIENCE, "`{missing}` is not in: {}", self.told());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Starts it and returns when it answers.
    pub(crate) fn start(&mut self) {
        self.spawn();
        self.await_answer();
    }

    /// Returns when it answers.
    pub(crate) fn await_answer(&mut self) {
        let begun = Instant::now();
        while !self.is_well() {
            if let Some(code) = self.code() {
                assert_eq!(code, PORT_TAKEN, "{}", self.told());
                self.port = free_port();
                self.spawn();
            }
            assert!(begun.elapsed() < PATIENCE, "it does not answer: {}", self.told());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Starts it, which must fail; its exit code, and what it said this time.
    pub(crate) fn refuses(&mut self) -> (i32, String) {
        let before = self.told().len();
        self.spawn();
        let code = self.ends();
        (code, self.told()[before..].to_owned())
    }

    pub(crate) fn spawn(&mut self) {
        let told = self.root.path().join("told");
        let told = File::options().create(true).append(true).open(told).expect("opens");
        let mut command = self.command();
        command.stdin(Stdio::null()).stderr(told).stdout(Stdio::null());
        self.process = Some(command.spawn().expect("the ostler binary starts"));
    }

    fn command(&self) -> Command {
        let binary = self.binary();
        let mut command = match &self.mounts {
            None => Command::new(&binary),
            Some(script) => {
                let mut command = super::mounts::name_space();
                command.args(["sh", "-ec", &format!("{script}\nexec \"$0\" \"$@\"")]).arg(&binary);
                command
            }
        };
        command.args(["serve", "--client-port", &self.port.to_string(), "--data-dir"]);
        command.arg(self.data()).env("OSTLER__CLIENT__ADDRESSES", "127.0.0.1");
        command.env("ROOT", self.root.path());
        for (key, value) in &self.settings {
            command.env(format!("OSTLER__{key}"), value);
        }
        if self.trapped {
            command.env("LD_PRELOAD", trap_library()).env("TRAP", self.trap());
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command
    }

    /// The binary; for another user a copy, for the original may lie where only we can look.
    fn binary(&self) -> PathBuf {
        let original = PathBuf::from(env!("CARGO_BIN_EXE_ostler"));
        if self.user.is_none() {
            return original;
        }
        let copy = self.root.path().join("ostler");
        // By another process: had this one the copy open for writing while another test's thread
        // forks, the child would hold it, and what is open for writing cannot be run.
        let copied = Command::new("cp").arg(original).arg(&copy).status();
        assert!(copied.expect("cp runs").success());
        copy
    }

    fn is_well(&self) -> bool {
        let Ok(mut socket) = TcpStream::connect(self.address()) else { return false };
        let mut answer = String::new();
        let asked = socket.write_all(b"ruok").and_then(|()| socket.read_to_string(&mut answer));
        asked.is_ok() && answer == "imok"
    }

    fn code(&mut self) -> Option<i32> {
        let process = self.process.as_mut().expect("was started");
        let status = process.try_wait().expect("can be asked for")?;
        Some(status.code().unwrap_or(-1))
    }

    /// Waits until it has ended by itself; its exit code.
    pub(crate) fn ends(&mut self) -> i32 {
        let begun = Instant::now();
        loop {
            if let Some(code) = self.code() {
                return code;
            }
            assert!(begun.elapsed() < PATIENCE, "it does not end: {}", self.told());
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks it to stop; its exit code.
    pub(crate) fn stop(&mut self) -> i32 {
        let process = self.process.as_ref().expect("was started").id().to_string();
        let asked = Command::new("kill").args(["-TERM", &process]).status().expect("kill runs");
        assert!(asked.success());
        self.ends()
    }

    /// Kills it without a warning.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended already.
            drop(process.kill());
            drop(process.wait());
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let free = TcpListener::bind("127.0.0.1:0").expect("binds");
    free.local_addr().expect("has an address").port()
}

/// The compiled trap.
fn trap_library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/daemon/trap.c");
        let library =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("trap-{}.so", std::process::id()));
        let compiled = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"])
            .args([library.as_os_str(), source.as_os_str()])
            .output()
            .expect("failing disks are made by a C compiler: install `cc`");
        assert!(compiled.status.success(), "{}", String::from_utf8_lossy(&compiled.stderr));
        library
    })
}
