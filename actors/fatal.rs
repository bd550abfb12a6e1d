//! Endings of the process that nothing inside it can repair, each with its exit code.

use crate::supervisor::{note_cause, whose_panic};
use ostler_core::log::LogError;
use slog::{Logger, crit, error};

/// Exit code after a panic in a room, or another fault of the program.
pub const EXIT_PANIC: i32 = 70;
/// Exit code after the log's disk failed or was full while the server served.
pub const EXIT_DISK: i32 = 74;

/// The log cannot be written. What reached the disk is unknown; a restart finds out.
pub(crate) fn stop_at_log_error(logger: &Logger, error: &LogError) -> ! {
    let code = match error {
        // No disk is to blame for a record that should never have been made.
        LogError::TooLarge { .. }
        | LogError::OutOfOrder { .. }
        | LogError::UnknownBase { .. }
        | LogError::Committed { .. }
        | LogError::Unexpected { .. } => EXIT_PANIC,
        LogError::Disk(_)
        | LogError::Corrupt { .. }
        | LogError::MissingFile { .. }
        | LogError::Gap { .. }
        | LogError::Behind { .. }
        | LogError::ForeignServer { .. }
        | LogError::ForeignFile { .. }
        | LogError::ForeignDirectory { .. }
        | LogError::OlderFormat { .. }
        | LogError::NewerFormat { .. }
        | LogError::Refused { .. }
        | LogError::Rejected { .. } => EXIT_DISK,
    };
    crit!(logger, "the log cannot be written, stopping"; "error" => %error, "exit" => code);
    leave(code)
}

/// The protocol's invariants no longer hold here: another server or this one's disk lied.
pub(crate) fn stop_at_broken_invariant(logger: &Logger, reason: &str) -> ! {
    crit!(logger, "this server must not go on, stopping"; "reason" => reason,
        "exit" => EXIT_PANIC);
    leave(EXIT_PANIC)
}

/// The state of this server cannot be had any more; a restart finds out what can.
pub(crate) fn stop_at_unusable_snapshot(logger: &Logger, error: &dyn std::error::Error) -> ! {
    crit!(logger, "a leader's snapshot cannot be taken over, stopping";
        "error" => %error, "exit" => EXIT_DISK);
    leave(EXIT_DISK)
}

/// A room cannot be built anew, or was too often.
pub(crate) fn stop_at_end_of_a_room(logger: &Logger, room: &str, reason: &str) -> ! {
    crit!(logger, "a room cannot go on, stopping"; "room" => room, "reason" => reason,
        "exit" => EXIT_PANIC);
    leave(EXIT_PANIC)
}

/// Logs every panic. One that a supervisor catches goes on to it; any other one ends the process
/// with [`EXIT_PANIC`], while the stack and whatever it locked still stand.
pub(crate) fn heed_panics(logger: Logger) {
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed").to_owned();
        let cause = in_words(panic);
        let backtrace = std::backtrace::Backtrace::force_capture();
        let whose = whose_panic();
        let room = whose.map_or("none", |whose| whose.room);
        if whose.is_some_and(|whose| whose.caught) {
            note_cause(cause.clone());
            tell_later(logger.clone(), room, thread, cause, backtrace);
        } else {
            crit!(logger, "a panic that no room can bear, stopping"; "room" => room,
                "cause" => cause, "thread" => thread, "backtrace" => %backtrace,
                "exit" => EXIT_PANIC);
            leave(EXIT_PANIC)
        }
    }));
}

/// To put names to a backtrace takes long, the first time: the room need not wait for that.
fn tell_later(
    logger: Logger,
    room: &'static str,
    thread: String,
    cause: String,
    backtrace: std::backtrace::Backtrace,
) {
    let (own, why) = (logger.clone(), cause.clone());
    let tell = move || {
        error!(own, "a room panicked and is built anew"; "room" => room, "cause" => why,
            "thread" => thread, "backtrace" => %backtrace);
    };
    if std::thread::Builder::new().name("backtrace".to_owned()).spawn(tell).is_err() {
        error!(logger, "a room panicked and is built anew"; "room" => room, "cause" => cause);
    }
}

fn in_words(panic: &std::panic::PanicHookInfo<'_>) -> String {
    let payload = panic.payload();
    let what = payload.downcast_ref::<&str>().copied();
    let what = what.or_else(|| payload.downcast_ref::<String>().map(String::as_str));
    let what = what.unwrap_or("no message");
    panic.location().map_or_else(|| what.to_owned(), |place| format!("{what}, at {place}"))
}

/// The asynchronous log drain is given the time to write what it holds.
fn leave(code: i32) -> ! {
    std::thread::sleep(std::time::Duration::from_millis(100));
    std::process::exit(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Set in the process that is meant to end.
    const CHILD: &str = "OSTLER_TEST_PANICS";

    #[test]
    fn a_panic_ends_the_process_with_its_code() {
        if std::env::var_os(CHILD).is_some() {
            heed_panics(Logger::root(slog::Discard, slog::o!()));
            panic!("on purpose");
        }
        let me = std::env::current_exe().expect("a test has a binary");
        let name = "fatal::tests::a_panic_ends_the_process_with_its_code";
        let status = Command::new(me).args(["--exact", name]).env(CHILD, "1").output();
        assert_eq!(status.expect("it runs").status.code(), Some(EXIT_PANIC));
    }
}
