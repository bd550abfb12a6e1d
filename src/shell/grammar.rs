//! The commands: their names, flags and usage, and how a line becomes one of them.
//!
//! Parsing only; nothing here talks to a server.

use super::command::{Command, Local, Read, Session, Write};
use super::failure::Failure;
use super::words::{Flags, Words};
use super::{acl, parse};

/// One command's name, usage and flags.
pub(crate) struct Grammar {
    /// As typed.
    pub(crate) name: &'static str,
    /// Name, flags and arguments.
    pub(crate) usage: &'static str,
    pub(super) flags: Flags,
    /// Fewest and most arguments.
    pub(super) arguments: (usize, usize),
    pub(super) build: fn(&Words) -> Result<Command, String>,
}

const fn grammar(
    name: &'static str,
    usage: &'static str,
    flags: Flags,
    arguments: (usize, usize),
    build: fn(&Words) -> Result<Command, String>,
) -> Grammar {
    Grammar { name, usage, flags, arguments, build }
}

const fn flags(plain: &'static [&'static str], valued: &'static [&'static str]) -> Flags {
    Flags { plain, valued }
}

const NO_FLAGS: Flags = flags(&[], &[]);
const ADD_WATCH_USAGE: &str = "addWatch [-m mode] path # optional mode is one of \
    [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE";
const RECONFIG_USAGE: &str = "reconfig [-s] [-v version] [[-file path] | \
    [-members serverID=host:port1:port2;port3[,...]*]] | \
    [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]";

/// All commands in the order of `help`.
pub(crate) static GRAMMARS: [Grammar; 32] = [
    grammar("addWatch", ADD_WATCH_USAGE, flags(&[], &["m"]), (1, 1), parse::add_watch),
    grammar("addauth", "addauth scheme auth", NO_FLAGS, (1, 2), parse::add_auth),
    grammar("close", "close", NO_FLAGS, (0, 0), |_| Ok(Command::Local(Local::Close))),
    grammar("config", "config [-c] [-w] [-s]", flags(&["c", "w", "s"], &[]), (0, 0), |words| {
        let (client_form, watch, stat) = (words.has("c"), words.has("w"), words.has("s"));
        Ok(Command::Read(Read::Config { client_form, watch, stat }))
    }),
    grammar("connect", "connect host:port", NO_FLAGS, (1, 1), |words| {
        Ok(Command::Local(Local::Connect { servers: words.arguments[0].clone() }))
    }),
    grammar(
        "create",
        "create [-s] [-e] [-c] [-t ttl] path [data] [acl]",
        flags(&["s", "e", "c"], &["t"]),
        (1, 3),
        parse::create,
    ),
    grammar("delete", "delete [-v version] path", flags(&[], &["v"]), (1, 1), |words| {
        let version = words.number("v")?.unwrap_or(-1);
        Ok(Command::Write(Write::Delete { path: words.arguments[0].clone(), version }))
    }),
    grammar(
        "deleteall",
        "deleteall path [-b batch size]",
        flags(&[], &["b"]),
        (1, 1),
        parse::delete_all,
    ),
    grammar(
        "delquota",
        "delquota [-n|-b|-N|-B] path",
        flags(&["n", "b", "N", "B"], &[]),
        (1, 1),
        parse::delete_quota,
    ),
    grammar("exit", "exit", NO_FLAGS, (0, 0), |_| Ok(Command::Local(Local::Quit))),
    grammar(
        "get",
        "get [-s] [-w] [-b] [-x] path",
        flags(&["s", "w", "b", "x"], &[]),
        (1, 1),
        parse::get,
    ),
    grammar("getAcl", "getAcl [-s] path", flags(&["s"], &[]), (1, 1), |words| {
        Ok(Command::Read(Read::GetAcl { path: words.arguments[0].clone(), stat: words.has("s") }))
    }),
    grammar("getAllChildrenNumber", "getAllChildrenNumber path", NO_FLAGS, (1, 1), |words| {
        Ok(Command::Read(Read::DescendantCount { path: words.arguments[0].clone() }))
    }),
    grammar("getEphemerals", "getEphemerals path", NO_FLAGS, (0, 1), |words| {
        let prefix = words.arguments.first().cloned().unwrap_or_else(|| "/".to_owned());
        Ok(Command::Read(Read::Ephemerals { prefix }))
    }),
    grammar("help", "help", NO_FLAGS, (0, 0), |_| Ok(Command::Local(Local::Help))),
    grammar("history", "history", NO_FLAGS, (0, 0), |_| Ok(Command::Local(Local::History))),
    grammar("listquota", "listquota path", NO_FLAGS, (1, 1), |words| {
        Ok(Command::Read(Read::ListQuota { path: words.arguments[0].clone() }))
    }),
    grammar("ls", "ls [-s] [-w] [-R] path", flags(&["s", "w", "R"], &[]), (1, 1), parse::list),
    grammar("printwatches", "printwatches on|off", NO_FLAGS, (0, 1), parse::print_watches),
    grammar("quit", "quit", NO_FLAGS, (0, 0), |_| Ok(Command::Local(Local::Quit))),
    grammar(
        "reconfig",
        RECONFIG_USAGE,
        flags(&["s"], &["v", "file", "members", "add", "remove"]),
        (0, 0),
        parse::reconfig,
    ),
    grammar("redo", "redo cmdno", NO_FLAGS, (1, 1), |words| {
        let number = words.arguments[0].parse();
        Ok(Command::Local(Local::Redo {
            number: number.map_err(|_| "cmdno must be a number".to_owned())?,
        }))
    }),
    grammar(
        "removewatches",
        "removewatches path [-c|-d|-p|-r|-a] [-l]",
        flags(&["c", "d", "p", "r", "a", "l"], &[]),
        (1, 1),
        parse::remove_watches,
    ),
    grammar("room", "room", NO_FLAGS, (0, 0), |_| Ok(Command::Read(Read::Rooms))),
    grammar(
        "set",
        "set path data [-s] [-v version] [-b]",
        flags(&["s", "b"], &["v"]),
        (2, 2),
        parse::set,
    ),
    grammar(
        "setAcl",
        "setAcl [-s] [-v version] [-R] path acl",
        flags(&["s", "R"], &["v"]),
        (2, 2),
        |words| {
            Ok(Command::Write(Write::SetAcl {
                path: words.arguments[0].clone(),
                acl: acl::parse(&words.arguments[1])?,
                version: words.number("v")?.unwrap_or(-1),
                stat: words.has("s"),
                recursive: words.has("R"),
            }))
        },
    ),
    grammar(
        "setquota",
        "setquota -n|-b|-N|-B val path",
        flags(&[], &["n", "b", "N", "B"]),
        (1, 1),
        parse::set_quota,
    ),
    grammar("stat", "stat [-w] path", flags(&["w"], &[]), (1, 1), |words| {
        Ok(Command::Read(Read::Stat { path: words.arguments[0].clone(), watch: words.has("w") }))
    }),
    grammar("sync", "sync path", NO_FLAGS, (1, 1), |words| {
        Ok(Command::Session(Session::Sync { path: words.arguments[0].clone() }))
    }),
    grammar("version", "version", NO_FLAGS, (0, 0), |_| Ok(Command::Local(Local::Version))),
    grammar("whoami", "whoami", NO_FLAGS, (0, 0), |_| Ok(Command::Read(Read::WhoAmI))),
    grammar("?", "?", NO_FLAGS, (0, 0), |_| Ok(Command::Local(Local::Help))),
];

impl Command {
    /// What a line's words ask for.
    pub(crate) fn parse(words: &[String]) -> Result<Self, Failure> {
        let Some((name, rest)) = words.split_first() else {
            return Err(Failure::Unknown(String::new()));
        };
        let grammar = GRAMMARS
            .iter()
            .find(|grammar| grammar.name == name)
            .ok_or_else(|| Failure::Unknown(name.clone()))?;
        let usage = grammar.usage;
        let fault = |reason| Failure::Usage { usage, reason: Some(reason) };
        let words = Words::parse(rest, grammar.flags).map_err(fault)?;
        let (fewest, most) = grammar.arguments;
        if !(fewest..=most).contains(&words.arguments.len()) {
            return Err(Failure::Usage { usage, reason: None });
        }
        (grammar.build)(&words).map_err(fault)
    }
}

#[cfg(test)]
#[path = "grammar_test.rs"]
mod tests;
