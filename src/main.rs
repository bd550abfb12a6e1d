//! The `ostler` command: arguments to configuration to rooms, and nothing else.

mod command;
mod config;
mod logging;

use std::process::ExitCode;

fn main() -> ExitCode {
    command::run()
}
