//! Ostler as a library: the client, and what the `ostler` command is made of.

#[cfg(feature = "bench")]
pub mod bench;
pub mod client;
#[cfg(feature = "bench")]
#[path = "../benches/load/mod.rs"]
pub mod load;

#[cfg(feature = "shell")]
pub mod shell;
