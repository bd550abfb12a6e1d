//! The read view: the tree behind a lock that many connections read and one room writes, and
//! beside it how far the fan-out has handed out the events of what the tree shows.
//!
//! A write that panics leaves the tree hidden: the lock itself carries that, so it costs readers
//! nothing to be told.

use crate::faults::RoomFaults;
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
    shelf: RwLock<Shelf>,
    delivered: AtomicU64,
    faults: RoomFaults,
}

struct Shelf {
    tree: Tree,
    is_shown: bool,
}

impl ReadView {
    /// Nobody watches yet, so there is no event that a connection could miss.
    pub(crate) fn new(tree: Tree, faults: RoomFaults) -> Self {
        let delivered = AtomicU64::new(tree.last_applied().0);
        let shelf = RwLock::new(Shelf { tree, is_shown: true });
        Self(Arc::new(Shown { shelf, delivered, faults }))
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
        let mut shelf = self.0.shelf.write();
        // Unwinding unlocks what is half-changed, and nobody is to see that.
        let is_shown = std::mem::replace(&mut shelf.is_shown, false);
        let result = f(&mut shelf.tree);
        self.0.faults.at_change();
        shelf.is_shown = is_shown;
        result
    }

    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R {
        f(&self.0.shelf.read().tree)
    }

    fn look<R>(&self, f: impl FnOnce(&Tree) -> R) -> Option<R> {
        let shelf = self.0.shelf.read();
        shelf.is_shown.then(|| f(&shelf.tree))
    }

    fn hide(&self) {
        self.0.shelf.write().is_shown = false;
    }

    fn show(&self) {
        self.0.shelf.write().is_shown = true;
    }
}
