//! Where rooms find each other: an address book that is filled once, before the first input.
//!
//! No file of a subsystem names another subsystem's actor; it names the input it posts.

use crate::supervisor::Deliver;
use actix::Recipient;
use bytes::Bytes;
use ostler_core::rooms::{log_writer, peer, pipeline, session_sweeper, tree_store, watch_fanout};
use ostler_core::types::{ServerId, Zxid};
use ostler_core::zab::History;
use std::sync::{Arc, OnceLock};

/// What the snapshot writer is told.
pub(crate) enum SnapshotWork {
    /// A snapshot begins that is exact at this zxid.
    Begin(Zxid),
    /// Its next slice.
    Slice(Vec<u8>),
    /// It is complete.
    End,
    /// There will be no more of it.
    Abandon,
    /// Find the newest snapshot for this learner and read its first piece.
    Open(ServerId),
    /// Read the next piece for this learner.
    Read(ServerId),
    /// This learner needs no more.
    Close(ServerId),
    /// A leader is going to send a snapshot that is exact at this zxid.
    Receive(Zxid),
    /// Its next piece.
    Received {
        /// The content.
        bytes: Bytes,
        /// Whether it is complete with this one.
        last: bool,
    },
    /// Load the snapshot at this zxid into a new tree.
    Load(Zxid),
    /// Make the tree as it was at this zxid.
    Rebuild(Zxid),
    /// For that, what the log has behind the snapshot it began with.
    Replay(History),
}

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
