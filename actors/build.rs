//! When this build's sources were committed, and which commit it was, for what the four-letter
//! words tell. The same sources give the same text: `SOURCE_DATE_EPOCH` counts first, then the
//! commit; sources without either (an unpacked archive) tell the Unix epoch and no commit.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo::rerun-if-env-changed=SOURCE_DATE_EPOCH");
    println!("cargo::rerun-if-changed=build.rs");
    // Every commit, checkout and rebase adds to this file.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"])
        && Path::new(&log).exists()
    {
        println!("cargo::rerun-if-changed={log}");
    }
    let chosen = std::env::var("SOURCE_DATE_EPOCH").ok().filter(|text| is_number(text));
    let committed = || git(&["log", "-1", "--format=%ct"]).filter(|text| is_number(text));
    let seconds = chosen.or_else(committed).unwrap_or_else(|| "0".to_owned());
    println!("cargo::rustc-env=OSTLER_BUILD_SECONDS={seconds}");
    let commit = git(&["rev-parse", "--short=12", "HEAD"]).unwrap_or_default();
    println!("cargo::rustc-env=OSTLER_BUILD_COMMIT={commit}");
}

fn is_number(text: &str) -> bool {
    text.parse::<u32>().is_ok()
}

/// What git prints, if there is a git and a repository.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}
