//! The process's exit codes that arguments and configuration lead to. The others are the rooms':
//! `ServeError::exit_code` for a failed start, `fatal` for what goes wrong later.

/// The start asked for something impossible: arguments or configuration. `clap` ends with it too.
pub(crate) const INVALID: u8 = 2;
/// The data directory belongs to something else, as `LogError::exit_code` has it.
pub(crate) const WRONG_DIRECTORY: u8 = 78;
/// `ostler config check` found a problem.
pub(crate) const PROBLEM_FOUND: u8 = 1;

/// All codes, for whoever reads a service manager's log.
pub(crate) const HELP: &str = "\
Exit codes: 0 ended in order, 1 the system refused something, 2 invalid arguments or configuration,
14 cannot listen, 65 data damaged or missing, 70 internal error (a panic), 73 no space to start,
74 the log's disk failed, 75 data directory in use, 77 no access to it, 78 it is the wrong one";
