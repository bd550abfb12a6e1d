//! `ostler config check FILE`: what every key of a file does, and what is wrong with it.

use super::exit;
use crate::config::{self, Layer};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Prints the table to standard output and problems to standard error.
pub(crate) fn run(file: &Path) -> ExitCode {
    let layer = match config::read_file(Some(file)) {
        Ok(layer) => layer,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(exit::INVALID);
        }
    };
    // A reader that has seen enough, such as `head`, is no failure.
    let _ = write!(std::io::stdout(), "{}", config::table(&layer));
    // The file alone is judged: variables of this shell are not those of the server.
    match config::load(layer, HashMap::new(), Layer::default()) {
        Ok(loaded) => {
            let _ = writeln!(std::io::stdout(), "\n{}: a server can start", file.display());
            for warning in loaded.warnings {
                eprintln!("warning: {warning}");
            }
            ExitCode::SUCCESS
        }
        Err(problems) => {
            eprintln!("\n{problems}");
            ExitCode::from(exit::PROBLEM_FOUND)
        }
    }
}
