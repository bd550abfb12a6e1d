//! `ostler serve`: configuration, then the log, then the rooms.

use super::exit;
use crate::config::{self, LEVELS, Layer, Loaded, Problems};
use crate::logging;
use clap::Args;
use clap::builder::PossibleValuesParser;
use slog::{Logger, info, warn};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// The place of a number given by an argument.
pub(super) const SERVER_ID: &str = "--server-id";

/// Each argument wins over the environment and the file.
#[derive(Args)]
pub(crate) struct ServeArguments {
    /// Our TOML, or an unchanged zoo.cfg; without it the embedded defaults hold.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// This server's number, if it is one of an ensemble.
    #[arg(long, value_name = "N")]
    server_id: Option<u16>,
    /// Directory of snapshots and log.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<String>,
    /// Port on which clients are awaited.
    #[arg(long, value_name = "N")]
    client_port: Option<u16>,
    /// Form of log records.
    #[arg(long, value_parser = PossibleValuesParser::new(["text", "json"]))]
    log_format: Option<String>,
    /// Least severity that is logged.
    #[arg(long, value_parser = PossibleValuesParser::new(LEVELS))]
    log_level: Option<String>,
}

/// Serves until asked to stop; the exit code tells how it ended.
pub(crate) fn run(arguments: &ServeArguments) -> ExitCode {
    let Loaded { settings, logging, warnings } = match configuration(arguments) {
        Ok(loaded) => loaded,
        Err(problems) => {
            eprintln!("{problems}");
            return ExitCode::from(exit::INVALID);
        }
    };
    let (logger, _guard) = logging::start(&logging.format, &logging.level);
    for warning in warnings {
        warn!(logger, "configuration"; "told" => warning);
    }
    for directory in [&settings.data_dir, &settings.log_dir] {
        if holds_another_database(directory) {
            slog::crit!(logger, "the directory holds a database of ZooKeeper, which Ostler cannot \
                read yet; name another data directory, so that no client finds an empty service \
                where it left data"; "directory" => %directory.display());
            return ExitCode::from(exit::WRONG_DIRECTORY);
        }
    }
    say_how_to_change(&logger, arguments);
    match ostler_actors::serve(settings, logger.clone()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            slog::crit!(logger, "cannot serve"; "error" => %error);
            ExitCode::from(error.exit_code())
        }
    }
}

fn configuration(arguments: &ServeArguments) -> Result<Loaded, Problems> {
    let file = config::read_file(arguments.config.as_deref())?;
    // A variable that is no text cannot be one of ours.
    let variables: HashMap<String, String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    config::load(file, variables, layer(arguments))
}

fn layer(arguments: &ServeArguments) -> Layer {
    let mut layer = Layer::default();
    if let Some(directory) = &arguments.data_dir {
        layer.set("server.data_dir", "--data-dir", directory.as_str());
        // One directory was asked for, whatever the file says about a second.
        layer.set("server.log_dir", "--data-dir", "");
    }
    if let Some(id) = arguments.server_id {
        layer.set("server.id", SERVER_ID, id);
    }
    if let Some(port) = arguments.client_port {
        layer.set("client.port", "--client-port", port);
    }
    if let Some(format) = &arguments.log_format {
        layer.set("logging.format", "--log-format", format.as_str());
    }
    if let Some(level) = &arguments.log_level {
        layer.set("logging.level", "--log-level", level.as_str());
    }
    layer
}

/// Whether ZooKeeper has kept its files here.
fn holds_another_database(directory: &Path) -> bool {
    let Ok(files) = std::fs::read_dir(directory.join("version-2")) else { return false };
    files.flatten().any(|file| {
        let name = file.file_name();
        let name = name.to_string_lossy();
        name.starts_with("snapshot.") || name.starts_with("log.")
    })
}

/// A first start should not send its reader to a manual.
fn say_how_to_change(logger: &Logger, arguments: &ServeArguments) {
    if arguments.config.is_none() {
        info!(logger, "running on the built-in configuration"; "change_data_directory" =>
            "--data-dir DIR", "change_port" => "--client-port N", "change_anything" =>
            "--config FILE");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_of_zookeeper_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!holds_another_database(directory.path()));
        std::fs::create_dir(directory.path().join("version-2")).unwrap();
        assert!(!holds_another_database(directory.path()));
        std::fs::write(directory.path().join("version-2/snapshot.0"), b"").unwrap();
        assert!(holds_another_database(directory.path()));
    }
}
