//! From files, environment and arguments to one checked [`Settings`]; nobody else parses.
//!
//! Later layers win: the embedded `config/ostler.toml`, the file (our TOML, or an unchanged
//! zoo.cfg), variables OSTLER__SECTION__KEY, arguments. `command` calls this and hands the result
//! to the rooms, which never learn where a value came from.

mod ensemble;
mod keys;
mod layer;
mod problem;
mod properties;
mod schema;
mod table;
mod toml_file;
mod zoo;
mod zoo_keys;
mod zoo_members;

#[cfg(test)]
mod config_test;
#[cfg(test)]
mod ensemble_test;

pub(crate) use keys::LEVELS;
pub(crate) use layer::Layer;
pub(crate) use problem::{Problem, Problems};
pub(crate) use schema::Logging;
pub(crate) use table::table;

use config::{Config, Environment, Source, Value, ValueKind};
use ostler_actors::{EnsembleSettings, Settings};
use schema::Document;
use std::collections::HashMap;
use std::path::Path;

/// The defaults, with every key and its reason.
pub(crate) const DEFAULTS: &str = include_str!("../../config/ostler.toml");

/// The place of values that nobody has chosen.
const BUILT_IN: &str = "the built-in config/ostler.toml";

const TELL_NUMBER: &str = "start with --server-id N, or set OSTLER__SERVER__ID=N";

/// A configuration that a server can start with.
#[derive(Debug)]
pub(crate) struct Loaded {
    /// For the rooms.
    pub(crate) settings: Settings,
    /// For the log.
    pub(crate) logging: Logging,
    /// What the operator should know, one line each.
    pub(crate) warnings: Vec<String>,
}

/// Reads `file` (our TOML or a zoo.cfg), or nothing but defaults if there is none.
///
/// # Errors
/// The file cannot be read.
pub(crate) fn read_file(file: Option<&Path>) -> Result<Layer, Problems> {
    let Some(path) = file else { return Ok(Layer::default()) };
    let name = path.display().to_string();
    let bytes = std::fs::read(path).map_err(|error| {
        Problem::new(&name, "", error.to_string(), "name a file that can be read")
    })?;
    Ok(read_text(&name, &String::from_utf8_lossy(&bytes)))
}

fn read_text(name: &str, text: &str) -> Layer {
    let extension = Path::new(name).extension().and_then(|extension| extension.to_str());
    let properties = match extension {
        Some("toml") => false,
        Some("cfg" | "properties") => true,
        Some(_) | None => zoo::looks_like_one(text),
    };
    if !properties {
        return toml_file::read(name, text);
    }
    zoo::read(name, text)
}

/// Merges all layers and checks every value.
///
/// # Errors
/// Everything that is wrong, in all layers.
pub(crate) fn load(
    file: Layer,
    variables: HashMap<String, String>,
    arguments: Layer,
) -> Result<Loaded, Problems> {
    let environment = environment(variables);
    let mut problems = file.problems.clone();
    problems.extend(unknown_variables(&environment));
    problems.extend(missing_data_dir(&[&file, &arguments], &environment));
    let mut warnings = file.warnings.clone();
    let peer_type = file.peer_type.clone();
    let merged = Config::builder()
        .add_source(toml_file::read(BUILT_IN, DEFAULTS))
        .add_source(file)
        .add_source(environment)
        .add_source(arguments)
        .build()
        .map_err(unreadable)?;
    let value = |key: &str| lookup(&merged.cache, key);
    problems.extend(keys::KEYS.iter().filter_map(|key| key.problem(value(key.name)?)));
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    let mut document: Document = merged.clone().try_deserialize().map_err(unreadable)?;
    let logging = document.logging.clone();
    let place = |key: &str| {
        let found = value(key).and_then(|value| value.origin());
        let list = || key.rsplit_once('.').and_then(|(list, _)| value(list)?.origin());
        found.or_else(list).unwrap_or("the configuration").to_owned()
    };
    let ensemble = document.ensemble.settings(&place, &mut problems);
    if let Some(ensemble) = &ensemble {
        problems.extend(find_own(&mut document, ensemble, &place));
        warnings.extend(ensemble::warnings(ensemble, &place(ensemble::MEMBERS)));
        warnings.extend(peer_type.and_then(|said| said.contradicts(ensemble, document.server.id)));
    }
    let settings = document.settings(ensemble, &place, &mut problems);
    if !problems.is_empty() {
        return Err(Problems(problems));
    }
    Ok(Loaded { settings, logging, warnings })
}

/// Which member this server is: one that nobody has told is to be found in the file `myid`, for a
/// default would make every server the same one.
fn find_own(
    document: &mut Document,
    ensemble: &EnsembleSettings,
    place: &dyn Fn(&str) -> String,
) -> Option<Problem> {
    let mut place_of_id = place("server.id");
    let data_dir = &document.server.data_dir;
    if is_built_in(&place_of_id) && data_dir.contains(schema::ID) {
        let what = "nothing says which member this server is";
        return Some(Problem::new(place(ensemble::MEMBERS), "server.id", what, TELL_NUMBER));
    }
    if is_built_in(&place_of_id) {
        let directory = Path::new(data_dir);
        match ensemble::number_in_file(directory) {
            Ok(number) => document.server.id = number,
            Err(problem) => return Some(problem),
        }
        place_of_id = directory.join("myid").display().to_string();
    }
    ensemble::stranger(document.server.id, ensemble, &place_of_id)
}

/// Whether nobody has chosen the value that came from this place.
fn is_built_in(place: &str) -> bool {
    place.starts_with(BUILT_IN)
}

/// The merged value of `section.key`, with the place it came from; of an element, if a number
/// follows.
fn lookup<'a>(root: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(root, |value, name| match &value.kind {
        ValueKind::Table(table) => table.get(name),
        ValueKind::Array(items) => items.get(name.parse::<usize>().ok()?),
        ValueKind::Nil
        | ValueKind::Boolean(_)
        | ValueKind::I64(_)
        | ValueKind::I128(_)
        | ValueKind::U64(_)
        | ValueKind::U128(_)
        | ValueKind::Float(_)
        | ValueKind::String(_) => None,
    })
}

/// ZooKeeper starts on no zoo.cfg without `dataDir`: a default would be an empty database where
/// the operator expects a full one.
fn missing_data_dir(layers: &[&Layer], environment: &Environment) -> Option<Problem> {
    let file = layers.iter().find_map(|layer| layer.data_dir_awaited_in.clone())?;
    let key = "server.data_dir";
    let named = layers.iter().any(|layer| layer.sets(key))
        || environment.collect().is_ok_and(|values| values.contains_key(key));
    let remedy = "add the line dataDir=DIRECTORY, or start with --data-dir DIRECTORY";
    (!named).then(|| Problem::new(file, "dataDir", "the key is missing", remedy))
}

/// What the library for layers itself objects to; every value has been checked before.
fn unreadable(error: config::ConfigError) -> Problems {
    let remedy = "`ostler config check FILE` shows every key";
    Problem::new("the configuration", "", error.to_string(), remedy).into()
}

fn environment(variables: HashMap<String, String>) -> Environment {
    let lists = keys::KEYS.iter().filter(|key| matches!(key.kind, keys::Kind::List));
    // The separator behind the prefix has to be named too: without that the library expects a
    // single underscore there once another separator is set.
    let environment = Environment::with_prefix("OSTLER")
        .prefix_separator("__")
        .separator("__")
        .try_parsing(true)
        .list_separator(",")
        .source(Some(variables));
    lists.fold(environment, |environment, key| environment.with_list_parse_key(key.name))
}

fn unknown_variables(environment: &Environment) -> Vec<Problem> {
    let mut names: Vec<String> = match environment.collect() {
        Ok(values) => values.into_keys().collect(),
        Err(error) => return unreadable(error).0,
    };
    names.sort();
    names.retain(|name| keys::find(name).is_none());
    let told = |name: &String| {
        let remedy = keys::remedy_for_unknown_written(name, keys::variable);
        Problem::new(keys::ENVIRONMENT, keys::variable(name), "there is no such key", remedy)
    };
    names.iter().map(told).collect()
}
