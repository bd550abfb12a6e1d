//! What waits to be written to one link: encoded frames, in order, of bounded size.

use ostler_core::types::limits::LINK_QUEUE_BYTES_MAX;
use ostler_core::wire::peer::{LinkMessage, encode};
use parking_lot::Mutex;
use tokio::sync::Notify;

#[derive(Default)]
struct Queue {
    up: bool,
    broken: bool,
    bytes: Vec<u8>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    bell: Notify,
    down: Notify,
}

impl Outbox {
    /// A new link: nothing of an older one is sent.
    pub(super) fn open(&self) {
        *self.queue.lock() = Queue { up: true, ..Queue::default() };
    }

    /// The link is gone, and with it what it was to carry.
    pub(super) fn close(&self) {
        *self.queue.lock() = Queue::default();
        self.down.notify_one();
    }

    /// Returns when the link is down, at once if it is.
    pub(super) async fn until_down(&self) {
        while self.is_up() {
            self.down.notified().await;
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.queue.lock().up
    }

    pub(super) fn put(&self, message: &LinkMessage) {
        let mut queue = self.queue.lock();
        if !queue.up || queue.broken {
            return;
        }
        encode(std::slice::from_ref(message), &mut queue.bytes);
        queue.broken = queue.bytes.len() > LINK_QUEUE_BYTES_MAX;
        drop(queue);
        self.bell.notify_one();
    }

    pub(super) fn break_off(&self) {
        self.queue.lock().broken = true;
        self.bell.notify_one();
    }

    /// Waits for frames and takes them all; `None` when the link is to be broken.
    pub(super) async fn take(&self) -> Option<Vec<u8>> {
        loop {
            {
                let mut queue = self.queue.lock();
                if queue.broken {
                    return None;
                }
                if !queue.bytes.is_empty() {
                    return Some(std::mem::take(&mut queue.bytes));
                }
            }
            self.bell.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ostler_core::rooms::pipeline::PeerMessage;
    use ostler_core::types::Epoch;
    use ostler_core::zab::message::Message;

    fn leave() -> LinkMessage {
        LinkMessage::Pipeline(PeerMessage::Zab(Message::Leave { epoch: Epoch(1) }))
    }

    #[test]
    fn nothing_is_kept_for_a_link_that_is_down() {
        let outbox = Outbox::default();
        outbox.put(&leave());
        outbox.open();
        assert!(outbox.queue.lock().bytes.is_empty());
        outbox.put(&leave());
        assert!(!outbox.queue.lock().bytes.is_empty());
        outbox.close();
        outbox.open();
        assert!(outbox.queue.lock().bytes.is_empty());
    }

    #[test]
    fn a_peer_that_does_not_read_loses_its_link() {
        let outbox = Outbox::default();
        outbox.open();
        outbox.queue.lock().bytes = vec![0; LINK_QUEUE_BYTES_MAX];
        outbox.put(&leave());
        let full = outbox.queue.lock().bytes.len();
        outbox.put(&leave());
        assert_eq!(outbox.queue.lock().bytes.len(), full);
        assert!(outbox.queue.lock().broken);
    }
}
