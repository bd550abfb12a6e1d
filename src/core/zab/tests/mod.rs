//! Zab as a whole: a small ensemble in one thread, and what is told of it.
//!
//! [`trial`] is the ensemble. [`scripts`] has the rules as small stories, [`catalogue`] the failures
//! of others, [`random`] schedules by chance, [`explorer`] every order of events within bounds.

mod catalogue;
mod explorer;
mod random;
mod scripts;
mod trial;
