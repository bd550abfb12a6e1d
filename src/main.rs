//! The `ostler` command: arguments to configuration to rooms, and nothing else.

mod command;
mod config;
mod logging;

use std::process::ExitCode;

/// A request is taken in on one thread and let go on another, thousands at a time, which the
/// system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    command::run()
}
