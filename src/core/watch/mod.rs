//! Watches: who is told about which change, once.
//!
//! Watches belong to connections and vanish with them. The table holds no bytes, no identities
//! and no zxids; the room `watch_fanout` calls it and turns its verdicts into frames. The rules
//! are those of ZooKeeper 3.9: a *data table* (getData, exists, persistent, recursive) and a
//! *child table* (getChildren, persistent), here kept as bits of one entry per path and
//! connection.

mod bag;
mod holders;
mod kinds;
mod paths;
mod table;
mod watchers;

pub use table::{WatchSummary, WatchTable};

#[cfg(test)]
mod model_test;
#[cfg(test)]
mod table_test;
