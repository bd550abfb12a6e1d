//! Every decision Ostler makes, and nothing else.
//!
//! This crate cannot name a clock, a file, a socket, a thread or a source of randomness: it is
//! `no_std`. Time, seeds and bytes come in as arguments, effects go out as data. The same
//! machines run under the actors of `ostler-actors` and in the deterministic simulator.
#![no_std]
#![deny(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod auth;
pub mod log;
pub mod rooms;
pub mod session;
pub mod tree;
pub mod types;
pub mod watch;
pub mod wire;
pub mod words;
pub mod zab;
