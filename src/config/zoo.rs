//! An unchanged zoo.cfg, read into values of ours. The table of `zoo_keys` says what each key
//! means; this file acts on it, and leaves what makes an ensemble to `zoo_members`.

use super::keys;
use super::layer::{Entry, Fate, Layer};
use super::problem::Problem;
use super::properties::{self, Property};
use super::zoo_keys::{self, Convert, Row, Verdict};
use super::zoo_members;
use config::ValueKind;

/// Where ZooKeeper's defaults, which hold for a key that zoo.cfg leaves out, differ from ours. Not so
/// for `snapCount`: a hundred thousand writes, which ZooKeeper takes a second and more for, are a
/// tenth of a second here, and as fast replayed.
const PLACE_OF_DEFAULTS: &str = "ZooKeeper's default";

/// Reads `text`, which stands in `file`.
pub(crate) fn read(file: &str, text: &str) -> Layer {
    let mut layer = Layer::default();
    layer.data_dir_awaited_in = Some(file.to_owned());
    layer.set("session.tick_ms", PLACE_OF_DEFAULTS, 3000_i64);
    layer.set("tree.extended_types", PLACE_OF_DEFAULTS, false);
    let properties = properties::read(text);
    for property in &properties {
        let place = format!("{file}:{}", property.line);
        read_property(&mut layer, property, &place);
    }
    keep_everything_if_told(&mut layer, &properties, file);
    zoo_members::read(&mut layer, &properties, file);
    layer
}

/// `autopurge.purgeInterval=0` switches removal off, wherever the number to retain stands. It is
/// obeyed, though somebody has to remove files by hand then, as with ZooKeeper.
fn keep_everything_if_told(layer: &mut Layer, properties: &[Property], file: &str) {
    let name = "autopurge.purgeInterval";
    let Some(line) = properties.iter().rfind(|property| bare(&property.key) == name) else {
        return;
    };
    if number(&line.value).is_ok_and(|hours| hours <= 0) {
        let place = format!("{file}:{}: {}", line.line, line.key);
        layer.set("snapshot.kept", &place, 0_i64);
        layer.warnings.push(format!(
            "{place}: no old snapshot or log file is ever removed; remove the line if the disk \
             shall not fill up"
        ));
    }
}

/// Whether a file's text looks like a zoo.cfg rather than like our own format.
pub(crate) fn looks_like_one(text: &str) -> bool {
    let sections = text.lines().any(|line| line.trim_start().starts_with('['));
    !sections
        && properties::read(text).iter().any(|found| zoo_keys::find(bare(&found.key)).is_some())
}

pub(super) fn bare(key: &str) -> &str {
    key.strip_prefix("zookeeper.").unwrap_or(key)
}

fn read_property(layer: &mut Layer, property: &Property, place: &str) {
    let Some(row) = zoo_keys::find(bare(&property.key)) else {
        warn_of_unknown(layer, property, place);
        return;
    };
    let fate = match row.fate {
        Verdict::Honoured(target, convert) => {
            set(layer, property, place, target, convert, Fate::Honoured)
        }
        Verdict::Mapped(target, convert) => {
            set(layer, property, place, target, convert, Fate::Mapped(target))
        }
        Verdict::Ignored | Verdict::Membership => Fate::Ignored,
        // Who switches off what is not there has what he wants.
        Verdict::NotYet if property.value.eq_ignore_ascii_case("false") => Fate::Ignored,
        Verdict::NotYet => {
            layer.warnings.push(format!("{place}: {}: not supported: {}", property.key, row.why));
            Fate::NotYet
        }
        Verdict::RefusedUnless(harmless) => refuse_unless(layer, property, place, row, harmless),
    };
    push_entry(layer, property, fate, row.why);
}

fn push_entry(layer: &mut Layer, property: &Property, fate: Fate, meaning: &str) {
    let secret = ["digest", "password"].iter().any(|part| {
        let key = property.key.to_lowercase();
        key.contains(part) && !key.ends_with("enabled") && !key.ends_with("alg")
    });
    layer.entries.push(Entry {
        key: property.key.clone(),
        value: if secret { "(set)".to_owned() } else { property.value.clone() },
        fate,
        meaning: meaning.to_owned(),
    });
}

/// ZooKeeper takes a key it does not know for a property of some plug-in, so files have them.
fn warn_of_unknown(layer: &mut Layer, property: &Property, place: &str) {
    let meaning = match keys::nearest(bare(&property.key), zoo_keys::names()) {
        Some(name) => format!("no key of ZooKeeper 3.9; did you mean `{name}`?"),
        None => "no key of ZooKeeper 3.9, and ignored as ZooKeeper does".to_owned(),
    };
    layer.warnings.push(format!("{place}: {}: {meaning}", property.key));
    push_entry(layer, property, Fate::Unknown, &meaning);
}

fn set(
    layer: &mut Layer,
    property: &Property,
    place: &str,
    target: &str,
    convert: Convert,
    fate: Fate,
) -> Fate {
    let place_and_key = format!("{place}: {}", property.key);
    match converted(&property.value, convert, target) {
        Ok(Some(ValueKind::I64(asked))) if matches!(convert, Convert::AtMost) => {
            let most = keys::most(target);
            if asked > most {
                let told =
                    format!("{place_and_key}: {asked} is more than is possible: {most} holds");
                layer.warnings.push(told);
            }
            layer.set(target, &place_and_key, ValueKind::I64(asked.min(most)));
        }
        Ok(Some(value)) => layer.set(target, &place_and_key, value),
        Ok(None) => {}
        Err(expected) => {
            let what = format!("`{}` is not {expected}", property.value);
            let remedy = format!("correct the line, or remove it for the default ({target})");
            layer.problems.push(Problem::new(place, &property.key, what, remedy));
            return Fate::Refused;
        }
    }
    fate
}

/// The value in our terms; `None` when the line asks for the default; `Err` with what was
/// expected instead.
fn converted(
    value: &str,
    convert: Convert,
    target: &str,
) -> Result<Option<ValueKind>, &'static str> {
    Ok(Some(match convert {
        // ZooKeeper takes what is negative for zero, wherever zero means anything.
        Convert::Number | Convert::AtMost => match number(value)? {
            below if below < 0 && keys::takes_zero(target) => ValueKind::I64(0),
            number => ValueKind::I64(number),
        },
        Convert::Kib => match number(value)? {
            kib if kib > 0 => ValueKind::I64(kib.saturating_mul(1024)),
            _ => return Ok(None),
        },
        Convert::Retain => ValueKind::I64(number(value)?.max(3)),
        Convert::Purge => {
            number(value)?;
            return Ok(None);
        }
        Convert::Switch => ValueKind::Boolean(value.eq_ignore_ascii_case("true")),
        Convert::Yes => ValueKind::Boolean(value.eq_ignore_ascii_case("yes")),
        Convert::Text => ValueKind::String(value.to_owned()),
        Convert::List => {
            let items = value.split(',').map(str::trim).filter(|item| !item.is_empty());
            ValueKind::Array(items.map(|item| config::Value::new(None, item)).collect())
        }
    }))
}

/// A number as Java reads its properties: decimal, or hexadecimal after `0x` or `#`.
pub(super) fn number(value: &str) -> Result<i64, &'static str> {
    let hexadecimal = value.strip_prefix("0x").or_else(|| value.strip_prefix('#'));
    let parsed = match hexadecimal {
        Some(digits) => i64::from_str_radix(digits, 16),
        None => value.parse(),
    };
    parsed.map_err(|_| "a whole number")
}

fn refuse_unless(
    layer: &mut Layer,
    property: &Property,
    place: &str,
    row: &Row,
    harmless: &[&str],
) -> Fate {
    if harmless.iter().any(|value| property.value.eq_ignore_ascii_case(value)) {
        return Fate::Ignored;
    }
    let what = format!("`{}` cannot be granted: {}", property.value, row.why);
    let remedy = "remove the line if the server may run without it";
    layer.problems.push(Problem::new(place, &property.key, what, remedy));
    Fate::Refused
}
