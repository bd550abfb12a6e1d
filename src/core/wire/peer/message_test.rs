//! Link frames, there and back, cut and garbled.

use super::*;
use crate::rooms::pipeline::{Forwarded, ForwardedBody, Ownership, Relay};
use crate::types::{ConnectionId, Epoch, ServerId, SessionId, Zxid};
use crate::wire::DecodeError;
use crate::zab::message::{Message, Standing, Vote};
use crate::zab::{Origin, Proposal, Reign};
use bytes::Bytes;
use std::vec;
use std::vec::Vec;

const E: Epoch = Epoch(7);

fn at(counter: u32) -> Zxid {
    Zxid::new(E, counter)
}

fn entries() -> Vec<Proposal> {
    let entry = |counter: u32, payload: &'static [u8]| Proposal {
        zxid: at(counter),
        time_ms: -5,
        origin: Origin { server: ServerId(3), serial: u64::MAX },
        payload: Bytes::from_static(payload),
    };
    vec![entry(1, b"one"), entry(2, b"")]
}

fn zab(message: Message) -> LinkMessage {
    LinkMessage::Pipeline(PeerMessage::Zab(message))
}

fn relay(relay: Relay) -> LinkMessage {
    LinkMessage::Pipeline(PeerMessage::Relay(relay))
}

/// Every shape there is.
fn all() -> Vec<LinkMessage> {
    let reign = Reign { epoch: E, leader: ServerId(2) };
    let bytes = Bytes::from_static(b"chunk");
    let stands = [Standing::Looking, Standing::Following, Standing::Leading, Standing::Observing];
    let vote = Vote { epoch: E, zxid: at(9), leader: ServerId(1) };
    let notices = stands.map(|standing| {
        LinkMessage::Election(Notification { round: 4, standing, vote, asks: true })
    });
    let forwarded = [
        ForwardedBody::Write(Bytes::from_static(b"w")),
        ForwardedBody::Confirm,
        ForwardedBody::Attach { session: SessionId(-1), timeout_ms: 4000 },
    ];
    let forwarded = forwarded.map(|body| Forwarded {
        serial: 8,
        session: SessionId(5),
        connection: ConnectionId(6),
        body,
    });
    let owns = Ownership { session: SessionId(5), connection: ConnectionId(6), since: at(3) };
    let mut all = notices.to_vec();
    all.extend([
        zab(Message::Info { attempt: 1, accepted: reign }),
        zab(Message::LeaderInfo { attempt: 1, epoch: E }),
        zab(Message::AckEpoch { epoch: E, current: reign, last: at(4), counts: false }),
        zab(Message::SyncFrom { epoch: E, base: at(4) }),
        zab(Message::SyncSnapshot { epoch: E, zxid: at(4), time_ms: -5 }),
        zab(Message::SnapshotChunk { epoch: E, bytes, last: true }),
        zab(Message::SyncEntries { epoch: E, entries: entries() }),
        zab(Message::SyncTaken { epoch: E, count: 3 }),
        zab(Message::NewLeader { epoch: E, last: at(4) }),
        zab(Message::AckNewLeader { epoch: E }),
        zab(Message::UpToDate { epoch: E, committed: at(4) }),
        zab(Message::Propose { epoch: E, previous: at(0), entries: entries(), committed: at(0) }),
        zab(Message::Ack { epoch: E, durable: at(2) }),
        zab(Message::Commit { epoch: E, committed: at(2) }),
        zab(Message::Ping { epoch: E, round: 12, committed: at(2) }),
        zab(Message::Pong { epoch: E, round: 12 }),
        zab(Message::Leave { epoch: E }),
        relay(Relay::Forward(forwarded.to_vec())),
        relay(Relay::Confirmed { serial: 8, target: at(2) }),
        relay(Relay::Kick(vec![ConnectionId(1), ConnectionId(2)])),
        relay(Relay::Moved { serial: 8 }),
        relay(Relay::Owns(vec![owns])),
        relay(Relay::Touched(vec![(SessionId(5), 90)])),
    ]);
    all
}

fn body(messages: &[LinkMessage]) -> Bytes {
    let mut frame = Vec::new();
    encode(messages, &mut frame);
    let (length, body) = frame.split_at(4);
    assert_eq!(u32::from_le_bytes(length.try_into().unwrap()) as usize, body.len());
    Bytes::copy_from_slice(body)
}

#[test]
fn what_is_sent_arrives_alone_and_in_company() {
    let all = all();
    for message in &all {
        assert_eq!(
            decode(&body(core::slice::from_ref(message))).as_deref(),
            Ok(&[message.clone()][..])
        );
    }
    assert_eq!(decode(&body(&all)), Ok(all));
}

#[test]
fn payloads_stay_in_their_frame() {
    let message = zab(Message::SyncEntries { epoch: E, entries: entries() });
    let frame = body(&[message]);
    let decoded = decode(&frame).unwrap();
    let LinkMessage::Pipeline(PeerMessage::Zab(Message::SyncEntries { entries, .. })) = &decoded[0]
    else {
        panic!("{decoded:?}")
    };
    let (payload, frame) = (entries[0].payload.as_ptr_range(), frame.as_ptr_range());
    assert!(frame.start <= payload.start && payload.end <= frame.end);
}

#[test]
fn every_cut_and_every_flipped_byte_is_refused_or_understood_never_more() {
    let whole = body(&all());
    for end in 0..whole.len() {
        if let Ok(messages) = decode(&whole.slice(..end)) {
            assert_eq!(body(&messages), whole.slice(..end));
        }
        let mut flipped = whole.to_vec();
        flipped[end] ^= 0xff;
        // Whatever it is taken for, it ends, and without a panic.
        let _ = decode(&Bytes::from(flipped));
    }
}

#[test]
fn the_bytes_of_a_proposal_stay_as_they_are() {
    let message = zab(Message::Propose {
        epoch: Epoch(1),
        previous: Zxid(2),
        entries: vec![Proposal {
            zxid: Zxid(3),
            time_ms: 4,
            origin: Origin { server: ServerId(5), serial: 6 },
            payload: Bytes::from_static(b"p"),
        }],
        committed: Zxid(7),
    });
    let numbers = |list: &[(u64, usize)]| -> Vec<u8> {
        list.iter().flat_map(|(n, width)| n.to_le_bytes()[..*width].to_vec()).collect()
    };
    let mut expected = numbers(&[(1, 4), (11, 4), (1, 4), (2, 8), (1, 8), (3, 8), (4, 8), (5, 8)]);
    expected.extend(numbers(&[(6, 8), (1, 8)]));
    expected.push(b'p');
    expected.extend(numbers(&[(7, 8)]));
    assert_eq!(body(&[message]), expected);
}

#[test]
fn strangers_are_told_apart_at_the_greeting() {
    let greeting = Greeting { from: ServerId(1), to: ServerId(2), ensemble: 99 };
    let mut frame = Vec::new();
    greeting.encode(&mut frame);
    assert_eq!(Greeting::decode(&frame[4..]), Ok(greeting));
    let mut other_version = frame.clone();
    other_version[12] = 9;
    let refused = Greeting::decode(&other_version[4..]);
    assert!(matches!(refused, Err(DecodeError::Unknown { value: 9, .. })), "{refused:?}");
    frame[4] = b'X';
    assert!(matches!(Greeting::decode(&frame[4..]), Err(DecodeError::Malformed(_))));
}
