//! The shapes of link frames and their bytes.
//!
//! The order of variants and fields is the protocol: add behind the last, never between, and
//! raise [`PEER_VERSION`] for anything else.

use super::LinkMessage;
use crate::rooms::pipeline::{Forwarded, ForwardedBody, Ownership, PeerMessage, Relay};
use crate::types::{ConnectionId, Epoch, ServerId, SessionId, Zxid};
use crate::wire::DecodeError;
use crate::wire::native::{List, frame, read, read_all, write};
use crate::zab::message::{Message, Notification, Standing, Vote};
use crate::zab::{Origin, Proposal, Reign};
use alloc::vec::Vec;
use bincode::{BorrowDecode, Encode};
use bytes::Bytes;

/// Version of the protocol between servers that this build speaks.
pub const PEER_VERSION: u16 = 2;
/// Largest body of a frame, in bytes: a full snapshot chunk or batch of proposals, and no more.
pub const FRAME_BYTES_MAX: usize = 64 << 20;
const MAGIC: [u8; 8] = *b"OSTLPEER";

/// What both ends of a link say first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// Who speaks.
    pub from: ServerId,
    /// Whom it believes to speak to.
    pub to: ServerId,
    /// A digest of the names and roles of all members: servers whose files disagree must not
    /// decide anything together.
    pub ensemble: u64,
}

#[derive(Encode, BorrowDecode)]
struct GreetingRecord {
    magic: [u8; 8],
    version: u16,
    from: u64,
    to: u64,
    ensemble: u64,
}

impl Greeting {
    /// Appends the whole frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let Self { from, to, ensemble } = *self;
        let (magic, version) = (MAGIC, PEER_VERSION);
        frame(out, &GreetingRecord { magic, version, from: from.0, to: to.0, ensemble });
    }

    /// From the body of a link's first frame.
    ///
    /// # Errors
    /// If the body is not a greeting, or one of another version.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let GreetingRecord { magic, version, from, to, ensemble } = read_all(body)?;
        if magic != MAGIC {
            return Err(DecodeError::Malformed("a link between servers begins with OSTLPEER"));
        }
        if version != PEER_VERSION {
            return Err(DecodeError::Unknown {
                what: "peer protocol version",
                value: version.into(),
            });
        }
        Ok(Self { from: ServerId(from), to: ServerId(to), ensemble })
    }
}

/// Appends one frame that holds these messages.
pub fn encode(messages: &[LinkMessage], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    for message in messages {
        write(out, &shape(message));
    }
    let length = u32::try_from(out.len() - start - 4).expect("a frame is shorter than 4 GiB");
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}

/// The messages of a frame's body.
///
/// # Errors
/// If the body is not a gapless sequence of messages.
pub fn decode(body: &Bytes) -> Result<Vec<LinkMessage>, DecodeError> {
    let mut messages = Vec::new();
    let mut rest = &body[..];
    while !rest.is_empty() {
        let (record, after) = read::<LinkRecord<'_>>(rest)?;
        messages.push(record.into_message(body)?);
        rest = after;
    }
    Ok(messages)
}

#[derive(Encode, BorrowDecode)]
struct ReignRecord {
    epoch: u32,
    leader: u64,
}

#[derive(Encode, BorrowDecode)]
struct ProposalRecord<'a> {
    zxid: u64,
    time_ms: i64,
    server: u64,
    serial: u64,
    payload: &'a [u8],
}

#[derive(Encode, BorrowDecode)]
struct ForwardedRecord<'a> {
    serial: u64,
    session: i64,
    connection: u64,
    body: ForwardedBodyRecord<'a>,
}

#[derive(Encode, BorrowDecode)]
enum ForwardedBodyRecord<'a> {
    Write(&'a [u8]),
    Confirm,
    Attach { session: i64, timeout_ms: i32 },
}

#[derive(Encode, BorrowDecode)]
struct OwnershipRecord {
    session: i64,
    connection: u64,
    since: u64,
}

#[derive(Encode, BorrowDecode)]
struct NotificationRecord {
    round: u64,
    standing: u8,
    epoch: u32,
    zxid: u64,
    leader: u64,
    asks: bool,
}

#[derive(Encode, BorrowDecode)]
enum ZabRecord<'a> {
    Info { attempt: u64, accepted: ReignRecord },
    LeaderInfo { attempt: u64, epoch: u32 },
    AckEpoch { epoch: u32, current: ReignRecord, last: u64, counts: bool },
    SyncFrom { epoch: u32, base: u64 },
    SyncSnapshot { epoch: u32, zxid: u64, time_ms: i64 },
    SnapshotChunk { epoch: u32, bytes: &'a [u8], last: bool },
    SyncEntries { epoch: u32, entries: List<ProposalRecord<'a>> },
    SyncTaken { epoch: u32, count: u64 },
    NewLeader { epoch: u32, last: u64 },
    AckNewLeader { epoch: u32 },
    UpToDate { epoch: u32, committed: u64 },
    Propose { epoch: u32, previous: u64, entries: List<ProposalRecord<'a>>, committed: u64 },
    Ack { epoch: u32, durable: u64 },
    Commit { epoch: u32, committed: u64 },
    Ping { epoch: u32, round: u64, committed: u64 },
    Pong { epoch: u32, round: u64 },
    Leave { epoch: u32 },
}

#[derive(Encode, BorrowDecode)]
enum RelayRecord<'a> {
    Forward(List<ForwardedRecord<'a>>),
    Confirmed { serial: u64, target: u64 },
    Kick(List<u64>),
    Moved { serial: u64 },
    Owns(List<OwnershipRecord>),
    Touched(List<(i64, u32)>),
}

#[derive(Encode, BorrowDecode)]
enum LinkRecord<'a> {
    Election(NotificationRecord),
    Zab(ZabRecord<'a>),
    Relay(RelayRecord<'a>),
}

fn standing(standing: Standing) -> u8 {
    match standing {
        Standing::Looking => 0,
        Standing::Following => 1,
        Standing::Leading => 2,
        Standing::Observing => 3,
    }
}

fn standing_of(byte: u8) -> Result<Standing, DecodeError> {
    [Standing::Looking, Standing::Following, Standing::Leading, Standing::Observing]
        .into_iter()
        .find(|known| standing(*known) == byte)
        .ok_or(DecodeError::Unknown { what: "standing", value: byte.into() })
}

fn reign(reign: Reign) -> ReignRecord {
    ReignRecord { epoch: reign.epoch.0, leader: reign.leader.0 }
}

fn proposals(entries: &[Proposal]) -> List<ProposalRecord<'_>> {
    List(entries.iter().map(proposal).collect())
}

fn proposal(entry: &Proposal) -> ProposalRecord<'_> {
    let Proposal { zxid, time_ms, origin, payload } = entry;
    let (server, serial) = (origin.server.0, origin.serial);
    ProposalRecord { zxid: zxid.0, time_ms: *time_ms, server, serial, payload }
}

fn shape(message: &LinkMessage) -> LinkRecord<'_> {
    match message {
        LinkMessage::Election(notification) => {
            let Notification { round, standing: stands, vote, asks } = *notification;
            let Vote { epoch, zxid, leader } = vote;
            LinkRecord::Election(NotificationRecord {
                round,
                standing: standing(stands),
                epoch: epoch.0,
                zxid: zxid.0,
                leader: leader.0,
                asks,
            })
        }
        LinkMessage::Pipeline(PeerMessage::Zab(message)) => LinkRecord::Zab(zab(message)),
        LinkMessage::Pipeline(PeerMessage::Relay(relay)) => LinkRecord::Relay(relayed(relay)),
    }
}

fn zab(message: &Message) -> ZabRecord<'_> {
    match message {
        Message::Info { attempt, accepted } => {
            ZabRecord::Info { attempt: *attempt, accepted: reign(*accepted) }
        }
        Message::LeaderInfo { attempt, epoch } => {
            ZabRecord::LeaderInfo { attempt: *attempt, epoch: epoch.0 }
        }
        Message::AckEpoch { epoch, current, last, counts } => {
            let (current, last) = (reign(*current), last.0);
            ZabRecord::AckEpoch { epoch: epoch.0, current, last, counts: *counts }
        }
        Message::SyncFrom { epoch, base } => ZabRecord::SyncFrom { epoch: epoch.0, base: base.0 },
        Message::SyncSnapshot { epoch, zxid, time_ms } => {
            ZabRecord::SyncSnapshot { epoch: epoch.0, zxid: zxid.0, time_ms: *time_ms }
        }
        Message::SnapshotChunk { epoch, bytes, last } => {
            ZabRecord::SnapshotChunk { epoch: epoch.0, bytes, last: *last }
        }
        Message::SyncEntries { epoch, entries } => {
            ZabRecord::SyncEntries { epoch: epoch.0, entries: proposals(entries) }
        }
        Message::SyncTaken { epoch, count } => {
            ZabRecord::SyncTaken { epoch: epoch.0, count: *count }
        }
        Message::NewLeader { epoch, last } => ZabRecord::NewLeader { epoch: epoch.0, last: last.0 },
        Message::AckNewLeader { epoch } => ZabRecord::AckNewLeader { epoch: epoch.0 },
        Message::UpToDate { epoch, committed } => {
            ZabRecord::UpToDate { epoch: epoch.0, committed: committed.0 }
        }
        Message::Propose { epoch, previous, entries, committed } => ZabRecord::Propose {
            epoch: epoch.0,
            previous: previous.0,
            entries: proposals(entries),
            committed: committed.0,
        },
        Message::Ack { epoch, durable } => ZabRecord::Ack { epoch: epoch.0, durable: durable.0 },
        Message::Commit { epoch, committed } => {
            ZabRecord::Commit { epoch: epoch.0, committed: committed.0 }
        }
        Message::Ping { epoch, round, committed } => {
            ZabRecord::Ping { epoch: epoch.0, round: *round, committed: committed.0 }
        }
        Message::Pong { epoch, round } => ZabRecord::Pong { epoch: epoch.0, round: *round },
        Message::Leave { epoch } => ZabRecord::Leave { epoch: epoch.0 },
    }
}

fn relayed(relay: &Relay) -> RelayRecord<'_> {
    match relay {
        Relay::Forward(requests) => {
            RelayRecord::Forward(List(requests.iter().map(forwarded).collect()))
        }
        Relay::Confirmed { serial, target } => {
            RelayRecord::Confirmed { serial: *serial, target: target.0 }
        }
        Relay::Kick(connections) => {
            RelayRecord::Kick(List(connections.iter().map(|connection| connection.0).collect()))
        }
        Relay::Moved { serial } => RelayRecord::Moved { serial: *serial },
        Relay::Owns(owns) => {
            let record = |Ownership { session, connection, since }: &Ownership| OwnershipRecord {
                session: session.0,
                connection: connection.0,
                since: since.0,
            };
            RelayRecord::Owns(List(owns.iter().map(record).collect()))
        }
        Relay::Touched(sessions) => {
            RelayRecord::Touched(List(sessions.iter().map(|(id, ago)| (id.0, *ago)).collect()))
        }
    }
}

fn forwarded(request: &Forwarded) -> ForwardedRecord<'_> {
    let Forwarded { serial, session, connection, body } = request;
    let body = match body {
        ForwardedBody::Write(payload) => ForwardedBodyRecord::Write(payload),
        ForwardedBody::Confirm => ForwardedBodyRecord::Confirm,
        ForwardedBody::Attach { session, timeout_ms } => {
            ForwardedBodyRecord::Attach { session: session.0, timeout_ms: *timeout_ms }
        }
    };
    ForwardedRecord { serial: *serial, session: session.0, connection: connection.0, body }
}

impl ReignRecord {
    fn into_reign(self) -> Reign {
        Reign { epoch: Epoch(self.epoch), leader: ServerId(self.leader) }
    }
}

fn entries_of(records: List<ProposalRecord<'_>>, frame: &Bytes) -> Vec<Proposal> {
    let entry = |ProposalRecord { zxid, time_ms, server, serial, payload }| Proposal {
        zxid: Zxid(zxid),
        time_ms,
        origin: Origin { server: ServerId(server), serial },
        payload: frame.slice_ref(payload),
    };
    records.0.into_iter().map(entry).collect()
}

fn forwarded_of(record: ForwardedRecord<'_>, frame: &Bytes) -> Forwarded {
    let ForwardedRecord { serial, session, connection, body } = record;
    let body = match body {
        ForwardedBodyRecord::Write(payload) => ForwardedBody::Write(frame.slice_ref(payload)),
        ForwardedBodyRecord::Confirm => ForwardedBody::Confirm,
        ForwardedBodyRecord::Attach { session, timeout_ms } => {
            ForwardedBody::Attach { session: SessionId(session), timeout_ms }
        }
    };
    let (session, connection) = (SessionId(session), ConnectionId(connection));
    Forwarded { serial, session, connection, body }
}

impl NotificationRecord {
    fn into_notification(self) -> Result<Notification, DecodeError> {
        let Self { round, standing, epoch, zxid, leader, asks } = self;
        let (epoch, zxid, leader) = (Epoch(epoch), Zxid(zxid), ServerId(leader));
        let vote = Vote { epoch, zxid, leader };
        Ok(Notification { round, standing: standing_of(standing)?, vote, asks })
    }
}

impl LinkRecord<'_> {
    fn into_message(self, frame: &Bytes) -> Result<LinkMessage, DecodeError> {
        Ok(match self {
            LinkRecord::Election(record) => LinkMessage::Election(record.into_notification()?),
            LinkRecord::Zab(record) => {
                LinkMessage::Pipeline(PeerMessage::Zab(record.into_message(frame)))
            }
            LinkRecord::Relay(record) => {
                LinkMessage::Pipeline(PeerMessage::Relay(record.into_relay(frame)))
            }
        })
    }
}

impl ZabRecord<'_> {
    fn into_message(self, frame: &Bytes) -> Message {
        match self {
            ZabRecord::Info { attempt, accepted } => {
                Message::Info { attempt, accepted: accepted.into_reign() }
            }
            ZabRecord::LeaderInfo { attempt, epoch } => {
                Message::LeaderInfo { attempt, epoch: Epoch(epoch) }
            }
            ZabRecord::AckEpoch { epoch, current, last, counts } => {
                let (current, last) = (current.into_reign(), Zxid(last));
                Message::AckEpoch { epoch: Epoch(epoch), current, last, counts }
            }
            ZabRecord::SyncFrom { epoch, base } => {
                Message::SyncFrom { epoch: Epoch(epoch), base: Zxid(base) }
            }
            ZabRecord::SyncSnapshot { epoch, zxid, time_ms } => {
                Message::SyncSnapshot { epoch: Epoch(epoch), zxid: Zxid(zxid), time_ms }
            }
            ZabRecord::SnapshotChunk { epoch, bytes, last } => {
                let bytes = frame.slice_ref(bytes);
                Message::SnapshotChunk { epoch: Epoch(epoch), bytes, last }
            }
            ZabRecord::SyncEntries { epoch, entries } => {
                let entries = entries_of(entries, frame);
                Message::SyncEntries { epoch: Epoch(epoch), entries }
            }
            ZabRecord::SyncTaken { epoch, count } => {
                Message::SyncTaken { epoch: Epoch(epoch), count }
            }
            ZabRecord::NewLeader { epoch, last } => {
                Message::NewLeader { epoch: Epoch(epoch), last: Zxid(last) }
            }
            ZabRecord::AckNewLeader { epoch } => Message::AckNewLeader { epoch: Epoch(epoch) },
            ZabRecord::UpToDate { epoch, committed } => {
                Message::UpToDate { epoch: Epoch(epoch), committed: Zxid(committed) }
            }
            ZabRecord::Propose { epoch, previous, entries, committed } => Message::Propose {
                epoch: Epoch(epoch),
                previous: Zxid(previous),
                entries: entries_of(entries, frame),
                committed: Zxid(committed),
            },
            ZabRecord::Ack { epoch, durable } => {
                Message::Ack { epoch: Epoch(epoch), durable: Zxid(durable) }
            }
            ZabRecord::Commit { epoch, committed } => {
                Message::Commit { epoch: Epoch(epoch), committed: Zxid(committed) }
            }
            ZabRecord::Ping { epoch, round, committed } => {
                Message::Ping { epoch: Epoch(epoch), round, committed: Zxid(committed) }
            }
            ZabRecord::Pong { epoch, round } => Message::Pong { epoch: Epoch(epoch), round },
            ZabRecord::Leave { epoch } => Message::Leave { epoch: Epoch(epoch) },
        }
    }
}

impl RelayRecord<'_> {
    fn into_relay(self, frame: &Bytes) -> Relay {
        match self {
            RelayRecord::Forward(requests) => Relay::Forward(
                requests.0.into_iter().map(|record| forwarded_of(record, frame)).collect(),
            ),
            RelayRecord::Confirmed { serial, target } => {
                Relay::Confirmed { serial, target: Zxid(target) }
            }
            RelayRecord::Kick(connections) => {
                Relay::Kick(connections.0.into_iter().map(ConnectionId).collect())
            }
            RelayRecord::Moved { serial } => Relay::Moved { serial },
            RelayRecord::Owns(owns) => {
                let report = |OwnershipRecord { session, connection, since }| Ownership {
                    session: SessionId(session),
                    connection: ConnectionId(connection),
                    since: Zxid(since),
                };
                Relay::Owns(owns.0.into_iter().map(report).collect())
            }
            RelayRecord::Touched(sessions) => Relay::Touched(
                sessions.0.into_iter().map(|(id, ago)| (SessionId(id), ago)).collect(),
            ),
        }
    }
}
