//! Our own format: TOML with two levels, section and key. Read here into a [`Layer`] whose values
//! know their lines; whether a value is in range is for `keys` to say.

use super::keys;
use super::layer::{Entry, Fate, Layer};
use super::problem::Problem;
use config::ValueKind;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Reads `text`, which stands in `file`.
pub(crate) fn read(file: &str, text: &str) -> Layer {
    let mut layer = Layer::default();
    match DeTable::parse(text) {
        Ok(sections) => {
            for (section, value) in sections.get_ref() {
                let place = place(file, text, section.span().start);
                read_section(&mut layer, section.get_ref(), value, &place, &|offset| {
                    self::place(file, text, offset)
                });
            }
        }
        Err(error) => {
            let place = place(file, text, error.span().map_or(0, |span| span.start));
            let remedy = "texts stand in quotes, sections in brackets: see config/ostler.toml";
            layer.problems.push(Problem::new(place, "", error.message(), remedy));
        }
    }
    layer
}

fn place(file: &str, text: &str, offset: usize) -> String {
    let before = text.as_bytes().get(..offset).unwrap_or_default();
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    format!("{file}:{line}")
}

fn read_section(
    layer: &mut Layer,
    section: &str,
    value: &Spanned<DeValue<'_>>,
    place: &str,
    place_of: &dyn Fn(usize) -> String,
) {
    let Some(table) = value.get_ref().as_table() else {
        let remedy = match keys::nearest(section, keys::KEYS.iter().map(|key| key.name)) {
            Some(key) => format!("did you mean `{key}`?"),
            None => "put it under a section, as [client]".to_owned(),
        };
        refuse(layer, place, section, "no key stands outside a section".to_owned(), remedy);
        return;
    };
    for (key, value) in table {
        let name = format!("{section}.{}", key.get_ref());
        read_key(layer, &name, value.get_ref(), &place_of(key.span().start), place_of);
    }
}

fn read_key(
    layer: &mut Layer,
    name: &str,
    value: &DeValue<'_>,
    place: &str,
    place_of: &dyn Fn(usize) -> String,
) {
    let Some(key) = keys::find(name) else {
        let remedy = keys::remedy_for_unknown(name);
        refuse(layer, place, name, "there is no such key".to_owned(), remedy);
        return;
    };
    let Some(kind) = convert(value, place_of) else {
        let what = format!("a {} does not fit: {}", value.type_str(), key.meaning);
        refuse(layer, place, name, what, key.remedy());
        return;
    };
    layer.entries.push(Entry {
        key: name.to_owned(),
        value: shown(name, &kind),
        fate: Fate::Honoured,
        meaning: key.meaning.to_owned(),
    });
    layer.set(name, place, kind);
}

fn refuse(layer: &mut Layer, place: &str, name: &str, what: String, remedy: String) {
    layer.entries.push(Entry {
        key: name.to_owned(),
        value: String::new(),
        fate: Fate::Refused,
        meaning: what.clone(),
    });
    layer.problems.push(Problem::new(place, name, what, remedy));
}

fn convert(value: &DeValue<'_>, place_of: &dyn Fn(usize) -> String) -> Option<ValueKind> {
    match value {
        DeValue::String(text) => Some(ValueKind::String(text.to_string())),
        DeValue::Boolean(switch) => Some(ValueKind::Boolean(*switch)),
        DeValue::Integer(digits) => {
            i64::from_str_radix(digits.as_str(), digits.radix()).ok().map(ValueKind::I64)
        }
        DeValue::Array(items) => {
            let item = |item: &Spanned<DeValue<'_>>| {
                let place = place_of(item.span().start);
                let kind = convert(item.get_ref(), place_of)?;
                Some(config::Value::new(Some(&place), kind))
            };
            items.iter().map(item).collect::<Option<_>>().map(ValueKind::Array)
        }
        DeValue::Float(_) | DeValue::Datetime(_) | DeValue::Table(_) => None,
    }
}

/// The value for the table; a secret is not repeated.
fn shown(name: &str, kind: &ValueKind) -> String {
    match kind {
        ValueKind::String(secret) if name == "auth.super_digest" && !secret.is_empty() => {
            "(set)".to_owned()
        }
        ValueKind::Array(items) => {
            items.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_named_with_its_line_and_the_nearest_one() {
        let layer = read("my.toml", "[client]\n# a comment\nprot = 2181\n");
        let told = layer.problems[0].to_string();
        assert_eq!(
            told,
            "my.toml:3: client.prot: there is no such key; did you mean `client.port`?"
        );
    }

    #[test]
    fn broken_syntax_is_named_with_its_line() {
        let layer = read("my.toml", "[client]\nport = = 1\n");
        assert!(layer.problems[0].place.starts_with("my.toml:2"), "{:?}", layer.problems);
    }

    #[test]
    fn values_keep_their_lines() {
        let layer = read("my.toml", "[client]\nport = 1_000\naddresses = [\"::1\"]\n");
        assert!(layer.problems.is_empty(), "{:?}", layer.problems);
        let values = config::Source::collect(&layer).unwrap();
        assert_eq!(values["client.port"].origin(), Some("my.toml:2"));
        assert_eq!(values["client.port"].kind, ValueKind::I64(1000));
    }
}
