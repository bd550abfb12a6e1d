//! The tree of znodes. So far only what a change tells the rooms behind it.

mod effects;

pub use effects::{Change, Effects, Readers, SessionChange};
