//! The load harness: drives any server that speaks Jute, and Ostler natively, and says how fast it
//! answered.
//!
//! It has a driver of its own on bare sockets: requests are written in batches, replies decoded as
//! many at a time as one read gave, and nothing waits but in `epoll`. So it stays far cheaper than
//! the server it measures; where it does not, the report says so ([`Verdict`]). It uses the codecs
//! of `ostler-core` and nothing else of ours: the comfortable client would measure itself.
//!
//! `src/bench` hands it a [`Plan`]; what comes back is a [`Report`], which becomes text, JSON or a
//! page of plots. The null server in `null` is the harness's own yardstick.

mod churn;
mod comparison;
mod crew;
mod driver;
mod error;
mod fanout;
mod html;
mod idle;
mod link;
mod machine;
mod names;
pub mod null;
mod orders;
mod plan;
mod plot;
mod poller;
mod prepare;
mod probe;
mod progress;
mod random;
mod report;
mod returning;
mod run;
mod schedule;
mod tally;
mod text;
mod track;
mod verdict;

pub use comparison::{Ratio, compare};
pub use error::LoadError;
pub use html::page;
pub use plan::{Mix, Operation, Pace, Plan, Workload};
pub use random::Skew;
pub use report::Report;
pub use run::run;
pub use text::summary;
pub use verdict::Verdict;
