//! What one line asks for, sorted by who can answer.
//!
//! `grammar` makes these from lines, `interactive` and `perform` carry them out.

use super::quota::Limit;
use crate::client::{Acl, Kind, Reconfiguration, RemoveKind, WatchMode};

/// How data is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// As UTF-8.
    Text,
    /// In base64.
    Base64,
    /// As a hex dump.
    Hex,
}

/// What one line asks for. Paths are unchecked; the client checks them. Fields are named as the
/// words of the usage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    /// The shell answers by itself.
    Local(Local),
    /// A server is asked and nothing changes.
    Read(Read),
    /// The tree or the ensemble changes.
    Write(Write),
    /// The session's identities, watches and position.
    Session(Session),
}

/// See [`Command::Local`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Local {
    Close,
    Connect { servers: String },
    Help,
    History,
    PrintWatches { on: Option<bool> },
    Quit,
    Redo { number: usize },
    Version,
}

/// See [`Command::Read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Read {
    Config { client_form: bool, watch: bool, stat: bool },
    DescendantCount { path: String },
    Ephemerals { prefix: String },
    Get { path: String, stat: bool, watch: bool, form: Form },
    GetAcl { path: String, stat: bool },
    List { path: String, stat: bool, watch: bool, recursive: bool },
    ListQuota { path: String },
    Rooms,
    Stat { path: String, watch: bool },
    WhoAmI,
}

/// See [`Command::Write`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Create {
        path: String,
        data: Option<Vec<u8>>,
        acl: Option<Vec<Acl>>,
        kind: Kind,
        ttl_ms: i64,
        sequential: bool,
    },
    Delete {
        path: String,
        version: i32,
    },
    DeleteAll {
        path: String,
        batch: usize,
    },
    DeleteQuota {
        path: String,
        limit: Option<Limit>,
    },
    Reconfig {
        change: Reconfiguration,
        version: i64,
        stat: bool,
    },
    Set {
        path: String,
        data: Vec<u8>,
        version: i32,
        stat: bool,
    },
    SetAcl {
        path: String,
        acl: Vec<Acl>,
        version: i32,
        stat: bool,
        recursive: bool,
    },
    SetQuota {
        path: String,
        limit: Limit,
        value: i64,
    },
}

/// See [`Command::Session`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Session {
    AddAuth { scheme: String, auth: String },
    AddWatch { path: String, mode: WatchMode },
    RemoveWatches { path: String, kind: RemoveKind, local: bool },
    Sync { path: String },
}
