//! The process's exit codes that arguments and configuration lead to. The others are the rooms':
//! `ServeError::exit_code` for a failed start, `fatal` for what goes wrong later.

/// The start asked for something impossible: arguments or configuration. `clap` ends with it too.
pub(crate) const INVALID: u8 = 2;
/// The data directory cannot be used.
pub(crate) const DATA_DIRECTORY: u8 = 3;
/// `ostler config check` found a problem.
pub(crate) const PROBLEM_FOUND: u8 = 1;

/// All codes, for whoever reads a service manager's log.
pub(crate) const HELP: &str = "\
Exit codes: 0 ended in order, 1 the system refused something, 2 invalid arguments or configuration,
3 data directory unusable, 14 port in use, 70 internal error (a panic), 74 the log's disk failed";
