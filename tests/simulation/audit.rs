//! A promise is held against the disk at the moment it leaves: were the power to fail now, would
//! the server still know what it says it will not forget?

use crate::plan::Plan;
use crate::server::Server;
use ostler_core::log::mem_disk::MemDisk;
use ostler_core::log::{Log, LogSettings, Recovered};
use ostler_core::types::Zxid;
use ostler_core::zab::Reign;
use ostler_core::zab::message::{Message, Notification, Standing};

/// What a server would recover if its power failed now.
pub(crate) fn image(server: &Server, plan: &Plan) -> (Log<MemDisk>, Recovered) {
    let settings =
        LogSettings { segment_bytes: plan.segment_bytes, server: server.id, directory: [0; 16] };
    Log::open(server.disk.image(), settings)
        .unwrap_or_else(|e| panic!("server {} could not start after a power cut: {e}", server.id.0))
}

/// Whether it would still have this entry.
pub(crate) fn has(server: &Server, plan: &Plan, zxid: Zxid) -> bool {
    let (mut log, found) = image(server, plan);
    if found.snapshot.is_some_and(|snapshot| snapshot >= zxid) {
        return true;
    }
    found.last_zxid >= zxid
        && log.history(zxid, 1).is_ok_and(|piece| !piece.reaches_back || piece.base == zxid)
}

/// Whether a message binds its sender.
pub(crate) fn is_promise(message: &Message) -> bool {
    matches!(
        message,
        Message::LeaderInfo { .. }
            | Message::AckEpoch { .. }
            | Message::AckNewLeader { .. }
            | Message::Ack { .. }
    )
}

/// Checks what a message promises.
pub(crate) fn check(server: &Server, plan: &Plan, message: &Message) {
    let me = server.id;
    let (_, found) = image(server, plan);
    let says = |what: &str, holds: bool| {
        assert!(holds, "server {}: {message:?} leaves, but {what}: {found:?}", me.0);
    };
    match message {
        Message::LeaderInfo { epoch, .. } => {
            let mine = Reign { epoch: *epoch, leader: me };
            says("its own promise is not durable", found.accepted == mine);
        }
        Message::AckEpoch { epoch, current, last, .. } => {
            says("the promise is not durable", found.accepted.epoch >= *epoch);
            says("it follows another reign", found.current == *current);
            // Where an epoch follows another in place, more may be on its way to the disk.
            says("it has less history", found.last_zxid >= *last);
        }
        Message::AckNewLeader { epoch } => {
            says("the adoption is not durable", found.current.epoch == *epoch);
        }
        Message::Ack { durable, .. } => {
            says("that is not durable", found.last_zxid >= *durable);
        }
        Message::Info { .. }
        | Message::SyncFrom { .. }
        | Message::SyncSnapshot { .. }
        | Message::SnapshotChunk { .. }
        | Message::SyncEntries { .. }
        | Message::SyncTaken { .. }
        | Message::NewLeader { .. }
        | Message::UpToDate { .. }
        | Message::Propose { .. }
        | Message::Commit { .. }
        | Message::Ping { .. }
        | Message::Pong { .. }
        | Message::Leave { .. } => {}
    }
}

/// Checks what a server says of itself in an election.
pub(crate) fn check_vote(server: &Server, plan: &Plan, said: &Notification) {
    if said.standing != Standing::Looking || said.vote.leader != server.id {
        return;
    }
    let (_, found) = image(server, plan);
    let backed = found.last_zxid == said.vote.zxid && found.current.epoch == said.vote.epoch;
    assert!(backed, "server {}: {said:?} leaves, the disk has {found:?}", server.id.0);
}
