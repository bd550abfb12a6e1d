//! Endings of the process that nothing inside it can repair, each with its exit code.

use ostler_core::log::LogError;
use slog::{Logger, crit};

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

/// Makes any panic end the process with [`EXIT_PANIC`], once it has been logged.
pub(crate) fn stop_at_panic(logger: Logger) {
    std::panic::set_hook(Box::new(move |panic| {
        let thread = std::thread::current();
        let thread = thread.name().unwrap_or("unnamed").to_owned();
        let backtrace = std::backtrace::Backtrace::force_capture();
        crit!(logger, "a room panicked, stopping"; "cause" => %panic, "thread" => thread,
            "backtrace" => %backtrace, "exit" => EXIT_PANIC);
        leave(EXIT_PANIC)
    }));
}

/// The asynchronous log drain is given the time to write what it holds.
fn leave(code: i32) -> ! {
    std::thread::sleep(std::time::Duration::from_millis(100));
    std::process::exit(code)
}
