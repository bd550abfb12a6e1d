//! The rooms: actors that perform what the machines of `ostler-core` decide.
//!
//! Nothing in here parses configuration or arguments, and no protocol decision is taken here.

pub mod settings;

pub use settings::{Settings, WordsAllowed};
