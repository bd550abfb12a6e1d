//! One server for one test, in a directory of its own, killed when the test ends.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

/// A server that is there as long as this value.
pub(crate) struct Server {
    address: String,
    own: Option<Own>,
}

struct Own {
    process: Child,
    directory: tempfile::TempDir,
}

impl Server {
    /// A fresh one, or the one that the environment names.
    pub(crate) fn start() -> Self {
        match std::env::var("OSTLER_TEST_SERVER") {
            Ok(address) => Self { address, own: None },
            Err(_) => Self::start_own(),
        }
    }

    /// A fresh one that may be killed.
    pub(crate) fn start_own() -> Self {
        let free = TcpListener::bind("127.0.0.1:0").expect("binds");
        let port = free.local_addr().expect("has an address").port();
        drop(free);
        let directory = tempfile::tempdir().expect("makes a directory");
        let config = format!(
            "tickTime=500\ndataDir={}\nclientPort={port}\nclientPortAddress=127.0.0.1\n\
             admin.enableServer=false\nextendedTypesEnabled=true\n4lw.commands.whitelist=*\n",
            directory.path().join("data").display()
        );
        std::fs::write(directory.path().join("zoo.cfg"), config).expect("writes");
        let process = spawn(&directory);
        Self { address: format!("127.0.0.1:{port}"), own: Some(Own { process, directory }) }
    }

    /// `host:port`.
    pub(crate) fn address(&self) -> String {
        self.address.clone()
    }

    /// What it has logged; nothing if it is not our own.
    pub(crate) fn log(&self) -> String {
        let read = |own: &Own| std::fs::read_to_string(own.directory.path().join("log"));
        self.own.as_ref().map_or_else(String::new, |own| read(own).expect("has a log"))
    }

    /// Kills it without a warning.
    pub(crate) fn kill(&mut self) {
        let own = self.own.as_mut().expect("only our own servers are killed");
        own.process.kill().expect("is there");
        own.process.wait().expect("ends");
    }

    /// Starts it again where it was.
    pub(crate) fn restart(&mut self) {
        let own = self.own.as_mut().expect("only our own servers are restarted");
        own.process = spawn(&own.directory);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(own) = &mut self.own {
            // It may have ended already.
            drop(own.process.kill());
            drop(own.process.wait());
        }
    }
}

fn spawn(directory: &tempfile::TempDir) -> Child {
    let log = std::fs::File::create(directory.path().join("log")).expect("makes a file");
    Command::new(env!("CARGO_BIN_EXE_ostler"))
        .args(["serve", "--config"])
        .arg(directory.path().join("zoo.cfg"))
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("clones"))
        .stderr(log)
        .spawn()
        .expect("the ostler binary starts")
}
