//! The read view: the tree behind a lock that many connections read and one room writes.

use ostler_core::rooms::tree_store::View;
use ostler_core::tree::Tree;
use parking_lot::RwLock;
use std::sync::Arc;

/// Shared access to the tree. The lock is held for microseconds and never across an await.
#[derive(Clone)]
pub(crate) struct ReadView(Arc<RwLock<Tree>>);

impl ReadView {
    pub(crate) fn new(tree: Tree) -> Self {
        Self(Arc::new(RwLock::new(tree)))
    }
}

impl View for ReadView {
    fn write<R>(&self, f: impl FnOnce(&mut Tree) -> R) -> R {
        f(&mut self.0.write())
    }

    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R {
        f(&self.0.read())
    }
}
