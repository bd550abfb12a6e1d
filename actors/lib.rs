//! The rooms: actors that perform what the machines of `ostler-core` decide.
//!
//! Nothing in here parses configuration or arguments, and no protocol decision is taken here.

mod clock;
mod connection;
mod counters;
pub mod disk;
mod ensemble;
pub mod fatal;
pub mod faults;
mod hub;
#[cfg(test)]
mod hub_test;
mod ledger;
mod links;
mod listener;
mod log_writer;
mod monitor;
mod peer;
mod pipeline;
mod postbox;
mod questions;
mod rebuilding;
mod recover;
mod room;
mod serve;
mod session_clocks;
mod session_sweeper;
pub mod settings;
mod snapshot_transfer;
mod snapshot_writer;
mod standing;
pub mod supervision;
mod supervisor;
mod switchboard;
mod system;
mod tenants;
mod tree_store;
mod view;
mod watch_fanout;
mod wiring;
mod words;

#[cfg(feature = "faults")]
pub use serve::serve_a_drill;
pub use serve::{ServeError, serve};
pub use settings::{EnsembleSettings, MemberSettings, Settings, WordsAllowed};
