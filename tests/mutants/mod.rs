//! That the faults which `tests/mutants/run` plants still fit the sources, and that the tables of
//! rules and of known failures name only what there is. Planting them takes minutes; this does not.

use super::{repository, sources};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::fs;
use toml::de::{DeTable, DeValue};

const ROWS_MIN: usize = 30;
const RULES: usize = 32;

/// One entry of one of the tables, as strings and lists of strings.
struct Entry(BTreeMap<String, Vec<String>>);

impl Entry {
    fn list(&self, key: &str) -> &[String] {
        self.0.get(key).map_or(&[], Vec::as_slice)
    }

    fn text(&self, key: &str) -> &str {
        self.list(key).first().map_or("", String::as_str)
    }
}

/// The entries of `tests/mutants/<table>.toml`.
fn table(table: &str, entries: &str) -> Vec<Entry> {
    let path = repository().join("tests/mutants").join(table).with_extension("toml");
    let text = fs::read_to_string(path).expect("the table is there");
    let table = DeTable::parse(&text).expect("the table is TOML").into_inner();
    let Some(DeValue::Array(found)) = table.get(entries).map(|found| found.get_ref()) else {
        panic!("{entries} is a list");
    };
    found.iter().map(|found| entry(found.get_ref())).collect()
}

fn entry(found: &DeValue<'_>) -> Entry {
    let DeValue::Table(table) = found else { panic!("{found:?} is no table") };
    let pairs =
        table.iter().map(|(key, value)| (key.get_ref().to_string(), words(value.get_ref())));
    Entry(pairs.collect())
}

fn words(value: &DeValue<'_>) -> Vec<String> {
    match value {
        DeValue::String(text) => vec![text.to_string()],
        DeValue::Integer(number) => vec![number.to_string()],
        DeValue::Boolean(flag) => vec![flag.to_string()],
        DeValue::Array(array) => array.iter().flat_map(|word| words(word.get_ref())).collect(),
        other => panic!("{other:?} has no place here"),
    }
}

#[test]
fn every_fault_still_applies_and_takes_something_away() {
    let mut found = String::new();
    for mutant in table("mutants", "mutant") {
        let (name, file) = (mutant.text("name"), mutant.text("file"));
        let text = fs::read_to_string(repository().join(file)).unwrap_or_default();
        let places = text.matches(mutant.text("find")).count();
        if places != 1 || mutant.text("find") == mutant.text("replace") {
            writeln!(found, "{name}: {file} has {places} times what it replaces").unwrap();
        }
        if mutant.list("scripts").is_empty() && mutant.text("simulation") != "true" {
            writeln!(found, "{name}: nobody has to kill it").unwrap();
        }
    }
    assert!(found.is_empty(), "{found}");
}

#[test]
fn every_script_that_has_to_kill_one_is_there() {
    let tests: BTreeSet<_> =
        sources("src/core").iter().flat_map(|file| named(&file.text)).collect();
    let mut found = String::new();
    for mutant in table("mutants", "mutant") {
        for script in mutant.list("scripts") {
            let name = script.rsplit("::").next().unwrap_or_default();
            if !tests.contains(name) {
                writeln!(found, "{}: there is no {script}", mutant.text("name")).unwrap();
            }
        }
    }
    assert!(found.is_empty(), "{found}");
}

/// The tests in a source.
fn named(text: &str) -> Vec<String> {
    let after = text.split("#[test]").skip(1);
    let names = after.filter_map(|text| text.split_once("fn ")?.1.split_once('('));
    names.map(|(name, _)| name.to_string()).collect()
}

#[test]
fn every_rule_and_every_known_failure_has_its_faults() {
    let mutants: Vec<_> =
        table("mutants", "mutant").iter().map(|mutant| mutant.text("name").to_string()).collect();
    let known: BTreeSet<_> = mutants.iter().collect();
    assert_eq!(known.len(), mutants.len(), "every fault has a name of its own");
    let (rules, rows) = (table("rules", "rule"), table("catalogue", "row"));
    assert_eq!(rules.len(), RULES);
    assert!(rows.len() >= ROWS_MIN, "{} known failures", rows.len());
    let mut ruled = BTreeSet::new();
    for (place, rule) in (1..).zip(&rules) {
        assert_eq!(rule.text("number"), format!("{place}"));
        let named = rule.list("mutants");
        assert!(named.is_empty() != rule.text("without").is_empty(), "rule {place}");
        ruled.extend(named);
    }
    assert_eq!(known, ruled, "every fault breaks a rule");
    for row in rows {
        let source = row.list("source");
        assert!(!source.is_empty() && !row.text("failure").is_empty(), "{source:?}");
        assert!(!row.list("mutants").is_empty(), "{source:?}");
        let unknown: Vec<_> =
            row.list("mutants").iter().filter(|name| !known.contains(name)).collect();
        assert!(unknown.is_empty(), "{source:?}: {unknown:?}");
    }
}
