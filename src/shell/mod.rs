//! `ostler shell`: ZooKeeper's command line, against Ostler and ZooKeeper alike.
//!
//! With a command it runs that one and exits: 0 if it succeeded, 1 if not, 127 if there is no
//! such command. Without one it reads commands until `quit`. Commands, flags, outputs and error
//! texts are zkCli's. The protocol is the client library's business.

mod acl;
mod arguments;
mod command;
mod complete;
mod configuration;
mod date;
mod dump;
mod editor;
mod failure;
mod grammar;
mod interactive;
mod output;
mod parse;
mod perform;
mod printer;
mod quota;
mod quotas;
mod rooms;
mod tree;
mod words;

pub use arguments::ShellArgs;

use arguments::Parsed;
use command::{Command, Local};
use failure::{EXIT_FAILED, Failure};
use grammar::GRAMMARS;
use interactive::Prompt;
use output::Output;
use perform::Stage;
use printer::Printer;
use std::process::ExitCode;

use crate::client::{Client, ClientError, ClientOptions, Protocol};

/// Runs the shell to its end.
pub fn run(args: ShellArgs) -> ExitCode {
    let parsed = match args.parse() {
        Ok(parsed) => parsed,
        Err(reason) => {
            eprintln!("{reason}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("cannot start: {error}");
            return ExitCode::from(EXIT_FAILED);
        }
    };
    ExitCode::from(runtime.block_on(start(parsed)))
}

async fn start(parsed: Parsed) -> u8 {
    let printer = Printer::new(parsed.json);
    if parsed.command.is_empty() {
        return Prompt::new(parsed, printer).run().await;
    }
    match once(&parsed, &printer).await {
        Ok(()) => 0,
        Err(failure) => {
            printer.fail(&failure);
            failure.exit_code()
        }
    }
}

async fn once(parsed: &Parsed, printer: &Printer) -> Result<(), Failure> {
    let command = match Command::parse(&parsed.command)? {
        Command::Local(local) => {
            answer_alone(&local, printer);
            return Ok(());
        }
        asked @ (Command::Read(_) | Command::Write(_) | Command::Session(_)) => asked,
    };
    let client = Client::connect(&parsed.servers, options(parsed)).await?;
    let stage = Stage { client: client.clone(), printer: printer.clone() };
    let result = stage.perform(command).await;
    client.close().await;
    result
}

/// What a shell says that is started for this one command.
fn answer_alone(command: &Local, printer: &Printer) {
    match command {
        Local::Version => printer.print(&version()),
        Local::Help => printer.print(&help()),
        Local::PrintWatches { on } => printer.print(&print_watches(printer, *on)),
        // There is nothing yet to close, to leave or to repeat.
        Local::Close
        | Local::Quit
        | Local::Connect { .. }
        | Local::History
        | Local::Redo { .. } => {}
    }
}

/// How the shell connects.
fn options(parsed: &Parsed) -> ClientOptions {
    ClientOptions {
        session_timeout: parsed.timeout,
        read_only: parsed.read_only,
        protocol: if parsed.native { Protocol::Native } else { Protocol::ZooKeeper },
        linearizable: parsed.linearizable,
        ..ClientOptions::default()
    }
}

fn version() -> Output {
    Output::Message(format!("Ostler CLI version: {}", env!("CARGO_PKG_VERSION")))
}

fn help() -> Output {
    let usages = GRAMMARS.iter().filter(|grammar| grammar.name != "?");
    let lines: String = usages.map(|grammar| format!("\n\t{}", grammar.usage)).collect();
    Output::Note(format!("ostler shell -server host:port cmd args{lines}"))
}

fn print_watches(printer: &Printer, on: Option<bool>) -> Output {
    if let Some(on) = on {
        printer.print_events(on);
    }
    let shown = if printer.prints_events() { "on" } else { "off" };
    Output::Message(format!("printwatches is {shown}"))
}

/// What a command is told when there is no session.
fn not_connected() -> Failure {
    Failure::Refused("Not connected".to_owned())
}

/// Whether an error means that no further command can succeed.
fn is_over(error: &ClientError) -> bool {
    matches!(error, ClientError::SessionExpired | ClientError::AuthFailed)
}
