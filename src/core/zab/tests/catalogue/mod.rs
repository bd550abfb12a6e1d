//! Failures that other coordination services have had, each as the shortest story that would show
//! it here. Those of [`ensemble`] need several servers, those of [`alone`] one and what it is told.
//!
//! Which known failure each stands for, and which guard taken away makes it fail, is data:
//! `tests/mutants/catalogue.toml`. Rows that other tests tell already are not told again.

mod alone;
mod ensemble;
mod solo;
