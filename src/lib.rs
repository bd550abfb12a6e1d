//! Ostler as a library: the client, and what the `ostler` command is made of.

pub mod client;

#[cfg(feature = "shell")]
pub mod shell;
