//! What `ostler config check` prints: a row for each key of a file, then what is wrong.

use super::layer::{Entry, Layer};
use std::fmt::Write;

/// The longest value shown whole, in characters; a longer one would push the reasons off the line.
const VALUE_CHARACTERS_MAX: usize = 40;

/// Key, value, what becomes of it and what it means, in columns.
pub(crate) fn table(layer: &Layer) -> String {
    let rows: Vec<[String; 4]> = layer.entries.iter().map(row).collect();
    let heading = ["key", "value", "", "meaning"].map(str::to_owned);
    let rows: Vec<[String; 4]> = std::iter::once(heading).chain(rows).collect();
    let width = |column: usize| {
        rows.iter().map(|row| row[column].chars().count()).max().unwrap_or_default()
    };
    let (key_width, value_width, fate_width) = (width(0), width(1), width(2));
    let mut text = String::new();
    for [key, value, fate, meaning] in &rows {
        writeln!(text, "{key:key_width$}  {value:value_width$}  {fate:fate_width$}  {meaning}")
            .expect("a string takes every write");
    }
    text
}

fn row(entry: &Entry) -> [String; 4] {
    let mut value: String = entry.value.chars().take(VALUE_CHARACTERS_MAX).collect();
    if value.len() < entry.value.len() {
        value.push('…');
    }
    [entry.key.clone(), value, entry.fate.word(), entry.meaning.clone()]
}
