//! Where log records go: formatted on a thread of their own, to standard error, as text or as one
//! JSON object a line. Made once by `command`; nothing is ever logged for a single request.

use slog::{Drain, LevelFilter, Logger, o};
use std::io::{LineWriter, stderr};
use std::str::FromStr;

/// Records the logging thread may be behind; more are dropped, counted and reported, for a full
/// disk behind standard error must not stop the service.
const RECORDS_MAX: usize = 8192;

/// Keeps the logging thread; dropped last, it writes what is left.
pub(crate) struct Guard {
    _records_of_libraries: slog_scope::GlobalLoggerGuard,
    _thread: slog_async::AsyncGuard,
}

/// Starts logging in `format` ("text" or "json") from `level` up, and takes over the records that
/// libraries write by the crate `log`.
///
/// # Panics
/// When `level` is none of the levels of the configuration, which has been checked before.
pub(crate) fn start(format: &str, level: &str) -> (Logger, Guard) {
    let level = slog::Level::from_str(level).expect("levels are checked with the configuration");
    let (drain, thread) = if format == "json" {
        // The formatter writes token by token, so that a line has to be gathered first.
        let lines = slog_json::Json::new(LineWriter::new(stderr())).add_default_keys().build();
        spawn(lines.fuse())
    } else {
        let decorator = slog_term::TermDecorator::new().stderr().build();
        spawn(slog_term::FullFormat::new(decorator).build().fuse())
    };
    let logger = Logger::root(LevelFilter::new(drain, level).fuse(), o!());
    let scope = slog_scope::set_global_logger(logger.clone());
    // Libraries below a warning speak of their own insides.
    let bridged = slog_stdlog::init_with_level(log::Level::Warn);
    if let Err(error) = bridged {
        slog::warn!(logger, "the records of libraries are not logged"; "error" => %error);
    }
    (logger, Guard { _records_of_libraries: scope, _thread: thread })
}

fn spawn<D>(drain: D) -> (slog::Fuse<slog_async::Async>, slog_async::AsyncGuard)
where
    D: Drain<Ok = (), Err = slog::Never> + Send + 'static,
{
    let (drain, guard) = slog_async::Async::new(drain)
        .chan_size(RECORDS_MAX)
        .overflow_strategy(slog_async::OverflowStrategy::DropAndReport)
        .thread_name("ostler-log".to_owned())
        .build_with_guard();
    (drain.fuse(), guard)
}
