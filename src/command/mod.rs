//! The arguments of `ostler`, and what each subcommand does with them. Decides nothing about the
//! service: `serve` hands checked settings to the rooms, the others print and end.

mod config_check;
mod exit;
mod serve;

use clap::{Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// A coordination service that takes the place of Apache ZooKeeper.
#[derive(Parser)]
#[command(name = "ostler", version, after_help = exit::HELP)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs a server in the foreground until SIGTERM or SIGINT.
    #[command(after_help = exit::HELP)]
    Serve(serve::ServeArguments),
    /// Looks at configuration files without starting anything.
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// ZooKeeper's command line: one command, or many at a prompt.
    Shell(ostler::shell::ShellArgs),
    /// Measures servers: a load harness for whatever speaks ZooKeeper's protocol or Ostler's.
    Bench(ostler::bench::BenchArgs),
    /// Prints the version.
    Version,
}

#[derive(Subcommand)]
enum ConfigCommand {
    /// Prints what each key of a file does; exit code 1 if a server could not start with it.
    Check {
        /// Our TOML, or an unchanged zoo.cfg.
        file: PathBuf,
        /// The server it is judged for, if the file is one of an ensemble.
        #[arg(long, value_name = "N")]
        server_id: Option<u16>,
    },
}

/// Runs the command that the process was started with.
pub(crate) fn run() -> ExitCode {
    match Arguments::parse().command {
        Command::Serve(arguments) => serve::run(&arguments),
        Command::Config { command: ConfigCommand::Check { file, server_id } } => {
            config_check::run(&file, server_id)
        }
        Command::Shell(arguments) => ostler::shell::run(arguments),
        Command::Bench(arguments) => ostler::bench::run(arguments),
        Command::Version => {
            println!("ostler {}", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_contradict_themselves_nowhere() {
        Arguments::command().debug_assert();
    }
}
