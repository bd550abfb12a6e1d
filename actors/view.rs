//! The read view: the tree behind a lock that many connections read and one room writes, and
//! beside it how far the fan-out has handed out the events of what the tree shows.

use crate::supervisor::shared;
use ostler_core::rooms::tree_store::View;
use ostler_core::tree::Tree;
use ostler_core::types::Zxid;
use parking_lot::RwLock;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Shared access to the tree. The lock is held for microseconds and never across an await.
#[derive(Clone)]
pub(crate) struct ReadView(Arc<Shown>);

struct Shown {
    tree: RwLock<Tree>,
    delivered: AtomicU64,
}

impl ReadView {
    /// Nobody watches yet, so there is no event that a connection could miss.
    pub(crate) fn new(tree: Tree) -> Self {
        let delivered = AtomicU64::new(tree.last_applied().0);
        Self(Arc::new(Shown { tree: RwLock::new(tree), delivered }))
    }

    /// Every event up to this zxid lies in the postbox of its connection, or went further.
    pub(crate) fn delivered(&self) -> Zxid {
        Zxid(self.0.delivered.load(Ordering::Acquire))
    }

    /// Says so. To be called after the events have been posted: whoever learns of it finds them.
    pub(crate) fn set_delivered(&self, upto: Zxid) {
        self.0.delivered.store(upto.0, Ordering::Release);
    }
}

impl View for ReadView {
    fn write<R>(&self, f: impl FnOnce(&mut Tree) -> R) -> R {
        // Unwinding would unlock what is half-changed, for everybody to see.
        shared(|| f(&mut self.0.tree.write()))
    }

    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R {
        f(&self.0.tree.read())
    }
}
