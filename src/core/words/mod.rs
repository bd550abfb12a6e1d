//! The answers to the four-letter words, as the text of ZooKeeper 3.9, and the plain numbers that
//! are counted for them.
//!
//! The text is made from a [`Report`] alone: nothing here asks another room or reads a clock, and
//! `crst`, `srst` and `stmk` only say what the caller has done. Whether a word is allowed is the
//! caller's setting; [`not_allowed`] is the answer if it is not. Connections call it after
//! `wire::sniff` has recognised a word, and close once the text is sent. A [`Tally`] counts for one
//! connection, a [`Traffic`] for all of a thread; who shares them, and how, is the caller's affair.

mod date;
mod distribution;
mod lists;
mod monitor;
mod report;
mod rooms;
mod server;
mod tally;
mod traffic;

#[cfg(test)]
mod tests;

pub use date::{build_date, java_date};
pub use distribution::{Distribution, Quantiles, Summary};
pub use report::{
    ConnectionEntry, ExpirySet, Gauges, ProposalSizes, Report, ResponseSizes, ServerState,
    SessionEntry, Sessions,
};
pub use rooms::{RoomLine, RoomState};
pub use tally::Tally;
pub use traffic::{Sent, Traffic};

use crate::wire::FourLetterWord;
use alloc::format;
use alloc::string::String;

/// The whole answer to a word.
///
/// The report need only hold what the word tells; what is left out is told as zero or nothing.
pub fn answer(word: FourLetterWord, report: &Report) -> String {
    if !report.serving && needs_a_serving_server(word) {
        return String::from("This ZooKeeper instance is not currently serving requests\n");
    }
    match word {
        FourLetterWord::Crst => String::from("Connection stats reset.\n"),
        FourLetterWord::Cons => server::cons(report),
        FourLetterWord::Conf => server::conf(report),
        FourLetterWord::Dirs => server::dirs(report),
        FourLetterWord::Dump => lists::dump(report),
        FourLetterWord::Envi => server::envi(report),
        FourLetterWord::Gtmk | FourLetterWord::Stmk => format!("{}", report.trace_mask),
        FourLetterWord::Hash => lists::hash(report),
        FourLetterWord::Isro => String::from(server::isro(report)),
        FourLetterWord::Mntr => monitor::mntr(report),
        FourLetterWord::Room => rooms::room(report),
        FourLetterWord::Ruok => String::from("imok"),
        FourLetterWord::Srvr => server::srvr(report),
        FourLetterWord::Srst => String::from("Server stats reset.\n"),
        FourLetterWord::Stat => server::stat(report),
        FourLetterWord::Wchc => lists::wchc(report),
        FourLetterWord::Wchp => lists::wchp(report),
        FourLetterWord::Wchs => lists::wchs(report),
    }
}

/// The answer to a word that the settings do not allow.
pub fn not_allowed(word: FourLetterWord) -> String {
    format!("{} is not executed because it is not in the whitelist.\n", word.name())
}

/// Whether the answer to this word depends on a server that serves; one that does not says so
/// instead.
pub fn needs_a_serving_server(word: FourLetterWord) -> bool {
    match word {
        FourLetterWord::Envi
        | FourLetterWord::Gtmk
        | FourLetterWord::Isro
        | FourLetterWord::Room
        | FourLetterWord::Ruok
        | FourLetterWord::Stmk => false,
        FourLetterWord::Crst
        | FourLetterWord::Cons
        | FourLetterWord::Conf
        | FourLetterWord::Dirs
        | FourLetterWord::Dump
        | FourLetterWord::Hash
        | FourLetterWord::Mntr
        | FourLetterWord::Srvr
        | FourLetterWord::Srst
        | FourLetterWord::Stat
        | FourLetterWord::Wchc
        | FourLetterWord::Wchp
        | FourLetterWord::Wchs => true,
    }
}
