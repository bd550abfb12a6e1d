//! `ostler shell` as a process: what it prints, where, and how it exits.

use crate::server::Server;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// Makes of each function named one test a protocol.
macro_rules! in_both_protocols {
    ($($name:ident,)*) => {
        mod zookeeper {
            $(#[test]
            fn $name() {
                super::$name(&[]);
            })*
        }

        mod native {
            $(#[test]
            fn $name() {
                super::$name(&["--native"]);
            })*
        }
    };
}

in_both_protocols! {
    one_command_prints_and_exits,
    failures_have_texts_and_exit_codes,
    programs_get_json,
    a_prompt_keeps_session_watches_and_history,
}

struct Shell {
    server: Server,
    options: &'static [&'static str],
    root: String,
}

struct Printed {
    out: String,
    err: String,
    code: Option<i32>,
}

impl From<Output> for Printed {
    fn from(output: Output) -> Self {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("prints UTF-8");
        Self { out: text(output.stdout), err: text(output.stderr), code: output.status.code() }
    }
}

impl Shell {
    /// One that is always given these options.
    fn open(name: &str, options: &'static [&'static str]) -> Self {
        let server = Server::start();
        let root = format!("/shell-test-{name}-{}{}", std::process::id(), options.concat());
        let shell = Self { server, options, root };
        let made = shell.once(&["create", &shell.root]);
        assert_eq!((made.err, made.code), (format!("Created {}\n", shell.root), Some(0)));
        shell
    }

    fn process(&self, words: &[&str]) -> Command {
        let home = std::env::temp_dir();
        let mut command = Command::new(env!("CARGO_BIN_EXE_ostler"));
        command.args(["shell", "-server", &self.server.address()]).args(self.options).args(words);
        command.env("HOME", home.join("ostler-no-such-home")).stdin(Stdio::null());
        command
    }

    fn once(&self, words: &[&str]) -> Printed {
        self.process(words).output().expect("runs").into()
    }

    /// Types lines at the prompt.
    fn typed(&self, lines: &str) -> Printed {
        let mut command = self.process(&[]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command.spawn().expect("runs");
        let mut input = process.stdin.take().expect("is piped");
        input.write_all(lines.as_bytes()).expect("is read");
        drop(input);
        process.wait_with_output().expect("ends").into()
    }
}

fn one_command_prints_and_exits(options: &'static [&'static str]) {
    let shell = Shell::open("once", options);
    let path = format!("{}/a", shell.root);
    assert_eq!(shell.once(&["create", &path, "hello"]).err, format!("Created {path}\n"));
    assert_eq!(shell.once(&["get", &path]).out, "hello\n");
    assert_eq!(shell.once(&["get", "-b", &path]).out, "aGVsbG8=\n");
    assert_eq!(shell.once(&["ls", &shell.root]).out, "[a]\n");
    assert_eq!(shell.once(&["ls", "-R", &shell.root]).out, format!("{}\n{path}\n", shell.root));
    assert_eq!(shell.once(&["getAcl", &path]).out, "'world,'anyone\n: cdrwa\n");
    assert_eq!(shell.once(&["sync", "/"]).out, "Sync is OK\n");
    let stat = shell.once(&["set", "-s", &path, "x"]).out;
    assert!(stat.contains("\ndataVersion = 1\n") && stat.contains("\ndataLength = 1\n"), "{stat}");
    let whole = shell.once(&["deleteall", &shell.root]);
    assert_eq!((whole.out.as_str(), whole.err.as_str(), whole.code), ("", "", Some(0)));
}

fn failures_have_texts_and_exit_codes(options: &'static [&'static str]) {
    let shell = Shell::open("failures", options);
    let missing = format!("{}/missing", shell.root);
    let fails = |words: &[&str], text: &str, code: i32| {
        let printed = shell.once(words);
        assert_eq!((printed.err.trim_end(), printed.code), (text, Some(code)), "{words:?}");
        assert_eq!(printed.out, "");
    };
    fails(&["get", &missing], &format!("Node does not exist: {missing}"), 1);
    let root = &shell.root;
    fails(&["create", root], &format!("Node already exists: {root}"), 1);
    fails(&["delete", "-v", "7", root], &format!("version No is not valid : {root}"), 1);
    fails(&["get"], "get [-s] [-w] [-b] [-x] path", 1);
    fails(&["ls", "x"], "Path must start with / character", 1);
    fails(&["nosuch"], "Command not found: Command not found nosuch", 127);
}

fn programs_get_json(options: &'static [&'static str]) {
    let shell = Shell::open("json", options);
    let root = &shell.root;
    assert_eq!(shell.once(&["--json", "ls", root]).out, "{\"names\":[]}\n");
    let got = shell.once(&["--json", "get", "-s", root]).out;
    assert!(got.starts_with("{\"base64\":null,\"data\":null}\n{\"stat\":{"), "{got}");
    let missing = shell.once(&["--json", "get", "/none"]);
    assert!(missing.err.contains("\"name\":\"NoNode\""), "{}", missing.err);
    assert_eq!(missing.code, Some(1));
}

fn a_prompt_keeps_session_watches_and_history(options: &'static [&'static str]) {
    let shell = Shell::open("prompt", options);
    let root = &shell.root;
    let printed = shell.typed(&format!(
        "create -e {root}/e x\ngetEphemerals {root}\naddWatch {root}\nset {root}/e y\n\
         get {root}/none\nhistory\nredo 1\nsetquota -n 5 {root}\nlistquota {root}\n\
         delquota {root}\nremovewatches {root}\nquit\n"
    ));
    assert_eq!(printed.code, Some(0));
    assert_eq!(printed.out.matches(&format!("[{root}/e]\n")).count(), 2, "{}", printed.out);
    let event = format!("type:NodeDataChanged path:{root}/e zxid: ");
    assert!(printed.out.contains(&event), "{}", printed.out);
    assert!(printed.out.contains(&format!("type:PersistentWatchRemoved path:{root} ")));
    assert!(printed.out.contains(&format!("1 - getEphemerals {root}\n")), "{}", printed.out);
    assert!(printed.out.contains(&format!("Output quota for {root} count=5,bytes=-1\n")));
    assert!(printed.out.contains(&format!("Output stat for {root} count=2,bytes=1\n")));
    assert!(printed.err.contains(&format!("Node does not exist: {root}/none\n")));
    assert_eq!(shell.once(&["ls", root]).out, "[]\n", "the ephemeral went with the session");
}
