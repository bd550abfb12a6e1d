//! Connections of one server that want to be vouched for, and whether they may ask.
//!
//! While a question is under way, whoever wants to be vouched for waits for the next one, so
//! that all of them share it: each question wakes threads here and on the leader. The pipeline
//! says when none is under way any more. A connection that is about to ask anything else cannot
//! wait: then all ask at once.
//!
//! What a question is, and how it is answered, is not known here.

use super::pipeline::{Input, Sender};
use crate::types::ConnectionId;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// See the module.
#[derive(Debug, Default)]
pub struct Asking {
    waiting: Vec<Arc<Sender>>,
    /// The pipeline was told to ask, and has not said since that they may ask.
    is_under_way: bool,
}

impl Asking {
    /// This one wants to be vouched for. Whether it may ask: if not, it does not have to.
    pub fn want(&mut self, sender: Arc<Sender>) -> bool {
        self.waiting.push(sender);
        !self.is_under_way
    }

    /// Those who wait ask, if they may.
    pub fn ask(&mut self) -> Option<Input> {
        if self.is_under_way { None } else { self.ask_now() }
    }

    /// The pipeline is going to be told something of this connection: what it wants already
    /// stands before that.
    pub fn ask_before(&mut self, connection: ConnectionId) -> Option<Input> {
        let waits = self.waiting.iter().any(|sender| sender.connection == connection);
        if waits { self.ask_now() } else { None }
    }

    /// A connection is gone.
    pub fn forget(&mut self, connection: ConnectionId) {
        self.waiting.retain(|sender| sender.connection != connection);
    }

    /// No question is under way any more: those who wait ask.
    pub fn may_ask(&mut self) -> Option<Input> {
        self.is_under_way = false;
        self.ask_now()
    }

    fn ask_now(&mut self) -> Option<Input> {
        if self.waiting.is_empty() {
            return None;
        }
        self.is_under_way = true;
        Some(Input::Vouch(core::mem::take(&mut self.waiting)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::SessionId;
    use crate::wire::Codec;

    fn sender(connection: u64) -> Arc<Sender> {
        let (codec, ids) = (Codec::Native, Arc::from([]));
        Arc::new(Sender { connection: ConnectionId(connection), session: SessionId(1), codec, ids })
    }

    fn who(input: Option<Input>) -> Vec<u64> {
        match input {
            None => Vec::new(),
            Some(Input::Vouch(senders)) => senders.iter().map(|s| s.connection.0).collect(),
            Some(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn those_who_come_while_a_question_is_under_way_share_the_next() {
        let mut asking = Asking::default();
        assert!(asking.want(sender(1)) && asking.want(sender(2)));
        assert_eq!(who(asking.ask()), [1, 2]);
        assert!(!asking.want(sender(3)) && !asking.want(sender(4)));
        assert!(asking.ask().is_none());
        asking.forget(ConnectionId(3));
        assert!(!asking.want(sender(5)));
        assert_eq!(who(asking.may_ask()), [4, 5]);
        assert!(!asking.want(sender(6)), "the next question is under way");
        assert_eq!(who(asking.may_ask()), [6]);
        assert!(asking.may_ask().is_none());
        assert!(asking.want(sender(1)));
    }

    #[test]
    fn nobody_asks_anything_else_before_what_it_waits_for() {
        let mut asking = Asking::default();
        assert!(asking.want(sender(1)));
        assert_eq!(who(asking.ask()), [1]);
        assert!(!asking.want(sender(2)) && !asking.want(sender(3)));
        assert!(asking.ask_before(ConnectionId(4)).is_none());
        assert_eq!(who(asking.ask_before(ConnectionId(3))), [2, 3]);
        assert!(asking.ask_before(ConnectionId(3)).is_none(), "it stands before already");
        assert!(asking.may_ask().is_none());
    }
}
