//! The rules of the house that a test can check, over every file of the repository.
//!
//! A rule that a compiler or clippy already holds is not repeated here. Each failure names file,
//! line and rule; an exception stands in one of the short lists below, with its reason.

mod mutants;

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

const FILE_LINES_MAX: usize = 500;
const FUNCTION_LINES_MAX: usize = 70;

/// Files of rooms: each performs for one machine, and no one of them knows another. Addresses
/// meet in `wiring`.
const ROOMS: [&str; 6] =
    ["log_writer", "peer", "pipeline", "session_sweeper", "tree_store", "watch_fanout"];

/// Words split so that this file does not find itself.
const BANNED: [(&str, &str); 8] = [
    (concat!("to", "do!("), "unfinished work does not reach the main branch"),
    (concat!("unimple", "mented!("), "unfinished work does not reach the main branch"),
    (concat!("db", "g!("), "a trace for its author alone"),
    (concat!("#[ig", "nore"), "a test that does not run proves nothing"),
    (concat!("#[al", "low("), "an expectation with a reason says more, and ends with its cause"),
    (concat!("#[should", "_panic"), "a test names the error it expects"),
    (concat!("fn ge", "t_"), "a noun is enough"),
    (concat!("// FIX", "ME"), "unfinished work does not reach the main branch"),
];

#[test]
fn core_cannot_name_the_world() {
    let root = fs::read_to_string(repository().join("src/core/lib.rs")).unwrap();
    assert!(root.contains("#![no_std]"), "src/core/lib.rs: core is no_std");
    let manifest = fs::read_to_string(repository().join("src/core/Cargo.toml")).unwrap();
    for package in ["ostler-actors", "tokio", "actix", "slog", "rand", "getrandom"] {
        let named = manifest.lines().any(|line| line.split(['.', ' ']).next() == Some(package));
        assert!(!named, "src/core/Cargo.toml: core does not know {package}");
    }
    let mut found = String::new();
    for file in sources("src/core") {
        for (number, line) in file.product() {
            for name in
                ["std::fs", "std::net", "std::thread", "std::time", "std::env", "extern crate std"]
            {
                if line.contains(name) && !file.tests_follow_at(number) {
                    file.report(&mut found, number, "core names no clock, file, socket or thread");
                }
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn rooms_do_not_parse_and_do_not_know_each_other() {
    let manifest = fs::read_to_string(repository().join("actors/Cargo.toml")).unwrap();
    for package in ["clap", "config", "toml"] {
        let named = manifest.lines().any(|line| line.split(['.', ' ']).next() == Some(package));
        assert!(!named, "actors/Cargo.toml: rooms do not parse, so no {package}");
    }
    let mut found = String::new();
    for file in sources("actors") {
        let Some(own) = ROOMS.iter().find(|room| file.name == format!("actors/{room}.rs")) else {
            continue;
        };
        for (number, line) in file.product() {
            let other = ROOMS.iter().filter(|room| *room != own);
            let mut paths = other.map(|room| format!("crate::{room}"));
            if paths.any(|path| line.contains(&path)) {
                file.report(&mut found, number, "a room names no other room: see wiring");
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn no_release_can_fail_on_command() {
    let manifest = fs::read_to_string(repository().join("Cargo.toml")).unwrap();
    let (product, tests) = manifest.split_once("[dev-dependencies]").expect("has tests");
    assert!(!product.contains("\"faults\""), "Cargo.toml: faults are armed in tests alone");
    assert!(tests.contains("\"faults\""), "Cargo.toml: the tests of supervision arm faults");
    let manifest = fs::read_to_string(repository().join("actors/Cargo.toml")).unwrap();
    assert!(manifest.contains("faults = []"), "actors/Cargo.toml: a feature of its own");
    assert!(!manifest.contains("default ="), "actors/Cargo.toml: and not a default one");
}

#[test]
fn no_banned_word_stands_in_any_source() {
    let mut found = String::new();
    for file in all_sources() {
        for (number, line) in file.lines() {
            for (word, reason) in BANNED {
                if line.contains(word) {
                    file.report(&mut found, number, &format!("`{word}`: {reason}"));
                }
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn nothing_outside_tests_unwraps() {
    let mut found = String::new();
    for file in all_sources().iter().filter(|file| !file.is_test()) {
        for (number, line) in file.product() {
            let code = line.split("//").next().unwrap_or_default();
            if code.contains(".unwrap()") {
                file.report(&mut found, number, "expect() states the invariant");
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn every_module_says_what_lives_in_it() {
    let mut found = String::new();
    for file in all_sources() {
        if !file.text.starts_with("//!") {
            file.report(&mut found, 1, "a module opens with //!");
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn files_and_functions_stay_readable() {
    let mut found = String::new();
    for file in all_sources().iter().filter(|file| !file.is_test()) {
        let lines: Vec<_> = file.product().collect();
        if lines.len() > FILE_LINES_MAX {
            let rule = format!("{} lines; a file has at most {FILE_LINES_MAX}", lines.len());
            file.report(&mut found, 1, &rule);
        }
        for (start, length) in functions(&lines) {
            if length > FUNCTION_LINES_MAX {
                let rule = format!("{length} lines; a function has at most {FUNCTION_LINES_MAX}");
                file.report(&mut found, start, &rule);
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn no_file_speaks_of_the_machine_it_was_written_on() {
    let paths = [concat!("/wo", "rk/main"), concat!("/wo", "rk/wt"), concat!("/ro", "ot/.")];
    let mut found = String::new();
    let kinds = ["rs", "toml", "md", "py", "sh", "txt", "xml", "service", "cfg"];
    for file in files(&repository(), &kinds) {
        for (number, line) in file.lines() {
            if paths.iter().any(|path| line.contains(path)) {
                file.report(&mut found, number, "a path of one machine");
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn a_long_function_is_found_and_a_short_one_is_not() {
    let body = "    step();\n".repeat(FUNCTION_LINES_MAX);
    let text = format!("fn long() {{\n{body}}}\n\nfn short() {{\n    step();\n}}\n");
    let lines: Vec<_> = text.lines().enumerate().map(|(index, line)| (index + 1, line)).collect();
    let lengths: Vec<_> = functions(&lines).into_iter().map(|(_, length)| length).collect();
    assert_eq!(lengths, [FUNCTION_LINES_MAX + 2, 3]);
}

/// One text file, by its path from the root.
struct File {
    name: String,
    text: String,
}

impl File {
    fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }

    /// Lines that are part of the product: all before the module of tests at the end.
    fn product(&self) -> impl Iterator<Item = (usize, &str)> {
        let tests = self.lines().find(|(number, line)| {
            let follows = self.text.lines().nth(*number).unwrap_or_default();
            *line == "#[cfg(test)]" && follows.starts_with("mod ") && follows.ends_with('{')
        });
        let end = tests.map_or(usize::MAX, |(number, _)| number);
        self.lines().take_while(move |(number, _)| *number < end)
    }

    /// Whether the line is for tests alone.
    fn tests_follow_at(&self, number: usize) -> bool {
        let above = number.checked_sub(2).and_then(|index| self.text.lines().nth(index));
        above.is_some_and(|line| line.trim() == "#[cfg(test)]")
    }

    fn is_test(&self) -> bool {
        let parts: Vec<_> = self.name.split('/').collect();
        self.name.ends_with("_test.rs")
            || parts.iter().any(|part| matches!(*part, "tests" | "benches" | "tests.rs"))
    }

    fn report(&self, found: &mut String, number: usize, rule: &str) {
        writeln!(found, "{}:{number}: {rule}", self.name).unwrap();
    }
}

/// First line and length of each function, by the indentation that rustfmt guarantees.
fn functions(lines: &[(usize, &str)]) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (index, (number, line)) in lines.iter().enumerate() {
        let code = line.trim_start();
        let head = code.split("fn ").next().unwrap_or_default();
        let declares = code.contains("fn ")
            && head.split_whitespace().all(|word| {
                word.starts_with("pub") || matches!(word, "const" | "async" | "unsafe" | "extern")
            });
        if !declares || code.ends_with(';') || code.ends_with('}') {
            continue;
        }
        let end = format!("{}}}", &line[..line.len() - code.len()]);
        let length = lines[index..].iter().position(|(_, line)| *line == end);
        found.extend(length.map(|length| (*number, length + 1)));
    }
    found
}

fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn all_sources() -> Vec<File> {
    ["src", "actors", "tests", "benches"].iter().flat_map(|folder| sources(folder)).collect()
}

fn sources(folder: &str) -> Vec<File> {
    files(&repository().join(folder), &["rs"])
}

/// Every file of these kinds, in order; without what builds and versions leave behind.
fn files(folder: &Path, kinds: &[&str]) -> Vec<File> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(folder) else { return found };
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !matches!(name.as_str(), "target" | ".git" | "ostler-data" | "corpus" | "artifacts")
            {
                found.extend(files(&path, kinds));
            }
            continue;
        }
        let kind = path.extension().unwrap_or_default().to_string_lossy().into_owned();
        if kinds.contains(&kind.as_str()) {
            let inside = path.strip_prefix(repository()).expect("the walk starts at the root");
            let name = inside.to_string_lossy().into_owned();
            found.push(File { name, text: fs::read_to_string(&path).unwrap() });
        }
    }
    found
}
