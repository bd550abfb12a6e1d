//! One source of values (a file, the environment, the command line) in the form in which all of
//! them are merged. Every value knows its place, so that a later check can still name the line.

use super::problem::Problem;
use config::{ConfigError, Map, Source, Value, ValueKind};
use ostler_actors::EnsembleSettings;
use ostler_core::types::ServerId;
use ostler_core::zab::quorum::Role;

/// What one source says, and what its reader thought of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layer {
    values: Vec<(String, Value)>,
    /// One for each key that the source holds, in its order.
    pub(crate) entries: Vec<Entry>,
    /// What stops a start.
    pub(crate) problems: Vec<Problem>,
    /// What is worth a warning and stops nothing.
    pub(crate) warnings: Vec<String>,
    /// The file that has to name a data directory, as ZooKeeper demands of every zoo.cfg.
    pub(crate) data_dir_awaited_in: Option<String>,
    /// What ZooKeeper's `peerType` says beside the server lines.
    pub(crate) peer_type: Option<PeerType>,
}

/// The role that a zoo.cfg gives its own server by `peerType`.
#[derive(Clone, Debug)]
pub(crate) struct PeerType {
    /// Where it stands.
    pub(crate) place: String,
    /// Whether it says `observer`.
    pub(crate) observes: bool,
}

impl PeerType {
    /// A warning, if the line of server `id` says something else: the line counts.
    pub(crate) fn contradicts(&self, ensemble: &EnsembleSettings, id: u64) -> Option<String> {
        let observes = ensemble.members.get(&ServerId(id))?.role == Role::Observer;
        let told = "the server line says otherwise, and it counts; make the two agree";
        (observes != self.observes).then(|| format!("{}: {told}", self.place))
    }
}

/// One key of a source, for the table of `ostler config check`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The key as written.
    pub(crate) key: String,
    /// Its value; a secret is not repeated.
    pub(crate) value: String,
    /// What becomes of it.
    pub(crate) fate: Fate,
    /// What it means here, or why it means nothing.
    pub(crate) meaning: String,
}

/// What becomes of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Does what its author expects.
    Honoured,
    /// Sets this key of ours, which does nearly the same.
    Mapped(&'static str),
    /// Has nothing to act on.
    Ignored,
    /// Asks for what Ostler does not have yet, and may be left out without harm.
    NotYet,
    /// Not a key that anybody knows.
    Unknown,
    /// Stops the start.
    Refused,
}

impl Fate {
    /// The word of the table.
    pub(crate) fn word(self) -> String {
        match self {
            Self::Honoured => "honoured".to_owned(),
            Self::Mapped(target) => format!("mapped to {target}"),
            Self::Ignored => "ignored".to_owned(),
            Self::NotYet => "not yet supported".to_owned(),
            Self::Unknown => "unknown".to_owned(),
            Self::Refused => "error".to_owned(),
        }
    }
}

impl Layer {
    /// Sets `key` of ours. `place` is shown to whoever has to correct the value.
    pub(crate) fn set(&mut self, key: &str, place: &str, value: impl Into<ValueKind>) {
        self.values.push((key.to_owned(), Value::new(Some(&place.to_owned()), value)));
    }

    /// Whether the source sets `key` of ours.
    pub(crate) fn sets(&self, key: &str) -> bool {
        self.values.iter().any(|(known, _)| known == key)
    }
}

impl Source for Layer {
    fn clone_into_box(&self) -> Box<dyn Source + Send + Sync> {
        Box::new(self.clone())
    }

    fn collect(&self) -> Result<Map<String, Value>, ConfigError> {
        Ok(self.values.iter().cloned().collect())
    }
}
