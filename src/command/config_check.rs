//! `ostler config check FILE`: what every key of a file does, and what is wrong with it.

use super::exit;
use super::serve::SERVER_ID;
use crate::config::{self, Layer};
use std::collections::HashMap;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// Prints the table to standard output and problems to standard error.
pub(crate) fn run(file: &Path, server_id: Option<u16>) -> ExitCode {
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
    let mut arguments = Layer::default();
    if let Some(id) = server_id {
        arguments.set("server.id", SERVER_ID, id);
    }
    match config::load(layer, HashMap::new(), arguments) {
        Ok(loaded) => {
            let as_what = match &loaded.settings.ensemble {
                Some(all) => {
                    format!("as server {} of {}", loaded.settings.server.0, all.members.len())
                }
                None => "alone".to_owned(),
            };
            let mut out = std::io::stdout();
            let _ = writeln!(out, "\n{}: a server can start, {as_what}", file.display());
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
