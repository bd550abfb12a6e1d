//! Sessions, ephemerals, watches and digests, listed.

use super::date::java_date;
use super::report::{ExpirySet, Report, Sessions};
use super::server::JavaAddress;
use crate::types::SessionId;
use alloc::format;
use alloc::string::String;
use core::fmt;

pub(super) fn dump(report: &Report) -> String {
    let mut text = String::from("SessionTracker dump:\n");
    match &report.sessions {
        Sessions::Tracked(sets) => {
            let shown = |session: &SessionId| format!("{session}");
            text.push_str(&expiry_sets("Session", sets, shown));
        }
        Sessions::Learned(sessions) => {
            text.push_str(&format!("Global Sessions({}):\n", sessions.len()));
            for (session, timeout_ms) in sessions {
                text.push_str(&format!("{session}\t{timeout_ms}ms\n"));
            }
        }
    }
    text.push_str("ephemeral nodes dump:\n");
    text.push_str(&format!("Sessions with Ephemerals ({}):\n", report.ephemerals.len()));
    for (session, paths) in &report.ephemerals {
        text.push_str(&format!("{session}:\n"));
        push_indented(&mut text, paths);
    }
    text.push_str("Connections dump:\n");
    text.push_str(&expiry_sets(
        "Connections",
        &report.connection_deadlines,
        |(address, session)| format!("ip: {} sessionId: {session}", JavaAddress(*address)),
    ));
    text
}

pub(super) fn wchs(report: &Report) -> String {
    let counts = &report.watches;
    format!(
        "{} connections watching {} paths\nTotal watches:{}\n",
        counts.connections, counts.paths, counts.watches
    )
}

pub(super) fn wchc(report: &Report) -> String {
    let mut text = String::new();
    for (session, paths) in &report.watches_by_session {
        text.push_str(&format!("{session}\n"));
        push_indented(&mut text, paths);
    }
    text.push('\n');
    text
}

pub(super) fn wchp(report: &Report) -> String {
    let mut text = String::new();
    for (path, sessions) in &report.watches_by_path {
        text.push_str(&format!("{path}\n"));
        push_indented(&mut text, sessions);
    }
    text.push('\n');
    text
}

pub(super) fn hash(report: &Report) -> String {
    let mut text = String::new();
    for (zxid, digest) in &report.digests {
        text.push_str(&format!("{:x}: {digest}\n", zxid.0));
    }
    text
}

fn expiry_sets<T>(what: &str, sets: &[ExpirySet<T>], shown: impl Fn(&T) -> String) -> String {
    let members: usize = sets.iter().map(|set| set.members.len()).sum();
    let mut text = format!("{what} Sets ({})/({members}):\n", sets.len());
    for set in sets {
        text.push_str(&format!("{} expire at {}:\n", set.members.len(), java_date(set.wall_ms)));
        for member in &set.members {
            text.push_str(&format!("\t{}\n", shown(member)));
        }
    }
    text
}

fn push_indented(text: &mut String, lines: &[impl fmt::Display]) {
    for line in lines {
        text.push_str(&format!("\t{line}\n"));
    }
}
