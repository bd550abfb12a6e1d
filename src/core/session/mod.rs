//! Deadlines of sessions: which session is to be given up when.
//!
//! Knows nothing of clients, znodes or transactions. The room
//! `rooms::session_sweeper` feeds it and has the end of what has expired proposed.

mod deadlines;

pub use deadlines::Deadlines;
