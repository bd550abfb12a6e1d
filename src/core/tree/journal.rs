//! How the first operations of a multi are undone when a later one fails.
//!
//! Entries are undone in reverse, so a removed znode finds its place in the slab free again.

use super::Tree;
use super::store::{Facts, Id, Node};
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// The opposite of one change.
pub(super) enum Undo {
    /// A znode was made.
    Insert { path: String, id: Id },
    /// A znode was taken out.
    Remove { path: String, node: Box<Node> },
    /// Data and facts were changed.
    Change { path: String, id: Id, data: Option<Option<Box<[u8]>>>, facts: Facts },
    /// A quota was made known or forgotten.
    Quota { prefix: String, known: bool },
}

impl Tree {
    /// Runs `act` so that all it did to znodes is undone if it fails.
    pub(super) fn atomically<R, E>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<R, E>,
    ) -> Result<R, E> {
        self.undo = Some(Vec::new());
        let result = act(self);
        let undo = self.undo.take().unwrap_or_default();
        if result.is_err() {
            for entry in undo.into_iter().rev() {
                self.revert(entry);
            }
        } else {
            for entry in undo {
                if let Undo::Remove { node, .. } = entry {
                    self.acls.release(node.acl);
                }
            }
        }
        result
    }

    /// Notes the state of a znode before its facts, and with `data` its data, are changed.
    pub(super) fn note_change(&mut self, path: &str, id: Id, data: bool) {
        if let Some(undo) = &mut self.undo {
            let node = self.store.node(id);
            undo.push(Undo::Change {
                path: String::from(path),
                id,
                data: data.then(|| node.data.clone()),
                facts: node.facts,
            });
        }
    }

    pub(super) fn note(&mut self, entry: impl FnOnce() -> Undo) {
        if let Some(undo) = &mut self.undo {
            undo.push(entry());
        }
    }

    fn revert(&mut self, entry: Undo) {
        match entry {
            Undo::Insert { path, id } => {
                let node = self.remove(&path, id);
                self.acls.release(node.acl);
            }
            Undo::Remove { path, node } => {
                let fresh =
                    Node::new(&node.name, node.data.as_deref(), node.acl, node.facts, node.parent);
                self.insert(&path, fresh);
            }
            Undo::Change { path, id, data, facts } => self.change(&path, id, |node| {
                node.facts = facts;
                if let Some(data) = data {
                    node.data = data;
                }
            }),
            Undo::Quota { prefix, known } => self.quotas.set(&prefix, known),
        }
    }
}
