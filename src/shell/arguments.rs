//! The arguments of `ostler shell`: zkCli's, with its single dashes, and `--json`.

use std::time::Duration;

const SERVERS_DEFAULT: &str = "localhost:2181";
const TIMEOUT_MS_DEFAULT: u64 = 30_000;

/// ZooKeeper's command line: one command, or many at a prompt.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Options, before the command:\n  \
    -server HOST:PORT,…[/CHROOT]  servers to choose from [localhost:2181]\n  \
    -timeout MS                   session timeout [30000]\n  \
    -r                            a server that serves reads only will do\n  \
    --native                      speak Ostler's own protocol\n  \
    --linearizable                reads show all that anybody was told before; with --native\n  \
    --json                        print JSON, one value a line\n\n\
    Exit code: 0 success, 1 failure, 127 unknown command")]
pub struct ShellArgs {
    /// Options and the command; without a command the shell asks for commands.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "OPTIONS AND COMMAND")]
    pub words: Vec<String>,
}

/// The arguments, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parsed {
    pub(crate) servers: String,
    pub(crate) timeout: Duration,
    pub(crate) read_only: bool,
    pub(crate) native: bool,
    pub(crate) linearizable: bool,
    pub(crate) json: bool,
    pub(crate) command: Vec<String>,
}

impl ShellArgs {
    /// Reads the options up to the command; the error is for the user.
    pub(crate) fn parse(self) -> Result<Parsed, String> {
        let mut parsed = Parsed {
            servers: SERVERS_DEFAULT.to_owned(),
            timeout: Duration::from_millis(TIMEOUT_MS_DEFAULT),
            read_only: false,
            native: false,
            linearizable: false,
            json: false,
            command: Vec::new(),
        };
        let mut words = self.words.into_iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} needs a value"));
            match word.as_str() {
                "-server" | "--server" => parsed.servers = value()?,
                "-timeout" | "--timeout" => parsed.timeout = timeout(&value()?)?,
                "-r" | "--read-only" => parsed.read_only = true,
                "--native" | "-native" => parsed.native = true,
                "--linearizable" | "-linearizable" => parsed.linearizable = true,
                "--json" | "-json" => parsed.json = true,
                // The shell always waits.
                "-waitforconnection" | "--waitforconnection" => {}
                option if option.starts_with('-') => {
                    return Err(format!("unknown option {option}; see ostler shell --help"));
                }
                _command => {
                    parsed.command.push(word);
                    parsed.command.extend(words.by_ref());
                }
            }
        }
        if parsed.linearizable && !parsed.native {
            return Err("--linearizable needs --native".to_owned());
        }
        Ok(parsed)
    }
}

fn timeout(text: &str) -> Result<Duration, String> {
    match text.parse::<u32>() {
        Ok(timeout_ms) if timeout_ms > 0 => Ok(Duration::from_millis(timeout_ms.into())),
        Ok(_) | Err(_) => Err(format!("-timeout must be a number of milliseconds, not {text:?}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Result<Parsed, String> {
        ShellArgs { words: line.split_whitespace().map(str::to_owned).collect() }.parse()
    }

    #[test]
    fn options_end_where_the_command_begins() {
        let parsed = parse("-server a:1,b:2/x -timeout 500 -r --json get -s /a").expect("parses");
        assert_eq!(parsed.servers, "a:1,b:2/x");
        assert_eq!(parsed.timeout, Duration::from_millis(500));
        assert!(parsed.read_only && parsed.json && !parsed.native);
        assert_eq!(parsed.command, ["get", "-s", "/a"]);
        let parsed = parse("--linearizable --native ls /").expect("parses");
        assert!(parsed.native && parsed.linearizable);
        let parsed = parse("").expect("parses");
        assert_eq!((parsed.servers.as_str(), parsed.json), ("localhost:2181", false));
        assert!(parsed.command.is_empty());
    }

    #[test]
    fn wrong_options_are_refused() {
        for bad in ["-server", "-timeout x", "-timeout 0", "-nosuch", "--linearizable"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
