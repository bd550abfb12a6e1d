//! Where rooms find each other: an address book that is filled once, before the first input.
//!
//! No file of a subsystem names another subsystem's actor; it names the input it posts.

use crate::supervisor::Deliver;
use actix::Recipient;
use ostler_core::rooms::snapshot_writer::SnapshotWork;
use ostler_core::rooms::{log_writer, peer, pipeline, session_sweeper, tree_store, watch_fanout};
use std::sync::{Arc, OnceLock};

/// Addresses of all rooms.
#[derive(Default)]
pub(crate) struct Addresses {
    pub(crate) pipeline: OnceLock<Recipient<Deliver<pipeline::Input>>>,
    pub(crate) peer: OnceLock<Recipient<Deliver<peer::Input>>>,
    pub(crate) log_writer: OnceLock<Recipient<Deliver<log_writer::Input>>>,
    pub(crate) tree_store: OnceLock<Recipient<Deliver<tree_store::Input>>>,
    pub(crate) watch_fanout: OnceLock<Recipient<Deliver<watch_fanout::Input>>>,
    pub(crate) session_sweeper: OnceLock<Recipient<Deliver<session_sweeper::Input>>>,
    pub(crate) snapshot_writer: OnceLock<Recipient<Deliver<SnapshotWork>>>,
}

/// A shared address book.
#[derive(Clone, Default)]
pub(crate) struct Switchboard(Arc<Addresses>);

macro_rules! posts {
    ($($name:ident: $input:ty),* $(,)?) => {
        impl Switchboard {
            $(
                #[doc = concat!("Posts to the room `", stringify!($name), "`.")]
                pub(crate) fn $name(&self, input: $input) {
                    let room = self.0.$name.get().expect("rooms are wired before their first input");
                    room.do_send(Deliver(input));
                }
            )*
        }
    };
}

posts! {
    pipeline: pipeline::Input,
    peer: peer::Input,
    log_writer: log_writer::Input,
    tree_store: tree_store::Input,
    watch_fanout: watch_fanout::Input,
    session_sweeper: session_sweeper::Input,
    snapshot_writer: SnapshotWork,
}

impl Switchboard {
    /// The book itself, to be filled by the wiring.
    pub(crate) fn addresses(&self) -> &Addresses {
        &self.0
    }
}
