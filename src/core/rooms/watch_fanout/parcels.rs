//! What one delivery brings for each connection, gathered into one buffer a connection.

use crate::types::ConnectionId;
use alloc::vec::Vec;
use foldhash::quality::FixedState;
use hashbrown::HashMap;

/// All that one delivery brings for one connection, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parcel {
    /// For whom.
    pub connection: ConnectionId,
    /// How many of its requests are answered in here.
    pub requests: u32,
    /// How many events are in here.
    pub events: u32,
    /// Whole frames.
    pub bytes: Vec<u8>,
}

/// Parcels being filled, in the order in which their connections were first met.
#[derive(Debug)]
pub(super) struct Parcels {
    filling: Vec<Parcel>,
    place: HashMap<ConnectionId, usize, FixedState>,
}

impl Parcels {
    pub(super) fn new(hash_seed: u64) -> Self {
        let place = HashMap::with_hasher(FixedState::with_seed(hash_seed));
        Self { filling: Vec::new(), place }
    }

    pub(super) fn add_replies(&mut self, connection: ConnectionId, requests: u32, bytes: &[u8]) {
        let parcel = self.parcel_of(connection);
        parcel.requests += requests;
        parcel.bytes.extend_from_slice(bytes);
    }

    /// The same, but takes the bytes themselves if they are the first, and says then how many they
    /// were.
    pub(super) fn move_replies(
        &mut self,
        connection: ConnectionId,
        requests: u32,
        bytes: &mut Vec<u8>,
    ) -> Option<usize> {
        let parcel = self.parcel_of(connection);
        parcel.requests += requests;
        if !parcel.bytes.is_empty() {
            parcel.bytes.extend_from_slice(bytes);
            return None;
        }
        parcel.bytes = core::mem::take(bytes);
        Some(parcel.bytes.len())
    }

    /// Gives back the first bytes of a connection's parcel, which is of no use any more.
    pub(super) fn take_back(&mut self, connection: ConnectionId, length: usize) -> Option<Vec<u8>> {
        let parcel = self.filling.iter_mut().find(|parcel| parcel.connection == connection)?;
        let mut bytes = core::mem::take(&mut parcel.bytes);
        bytes.truncate(length);
        (bytes.len() == length).then_some(bytes)
    }

    pub(super) fn add_event(&mut self, connection: ConnectionId, frame: &[u8]) {
        let parcel = self.parcel_of(connection);
        parcel.events += 1;
        parcel.bytes.extend_from_slice(frame);
    }

    pub(super) fn take_all(&mut self) -> Vec<Parcel> {
        self.place.clear();
        core::mem::take(&mut self.filling)
    }

    fn parcel_of(&mut self, connection: ConnectionId) -> &mut Parcel {
        let Self { filling, place } = self;
        let at = *place.entry(connection).or_insert_with(|| {
            filling.push(Parcel { connection, requests: 0, events: 0, bytes: Vec::new() });
            filling.len() - 1
        });
        &mut filling[at]
    }
}
