//! How rooms reach connections: one box per connection arbiter, emptied by its hub, so that a
//! batch for a thousand connections wakes each thread once.

use crate::supervisor::shared;
use ostler_core::rooms::tree_store::Attached;
use ostler_core::rooms::watch_fanout::Parcel;
use ostler_core::types::ConnectionId;
use parking_lot::Mutex;
use std::sync::Arc;
use tokio::sync::Notify;

/// Something for one connection.
pub(crate) enum Post {
    /// Encoded replies and events.
    Parcel(Parcel),
    /// The outcome of its handshake.
    Attached(ConnectionId, Attached),
    /// Its session was taken over or has ended.
    Kick(ConnectionId),
    /// Replies and events were lost behind everything posted so far: whoever waits for any must
    /// not be told of anything later.
    Gap(ConnectionId),
}

impl Post {
    pub(crate) fn connection(&self) -> ConnectionId {
        match self {
            Self::Parcel(parcel) => parcel.connection,
            Self::Attached(connection, _) | Self::Kick(connection) | Self::Gap(connection) => {
                *connection
            }
        }
    }
}

#[derive(Default)]
pub(crate) struct Postbox {
    posts: Mutex<Vec<Post>>,
    bell: Notify,
}

impl Postbox {
    /// Waits until something has been posted since it last returned.
    pub(crate) async fn rung(&self) {
        self.bell.notified().await;
    }

    /// Takes all that lies in it.
    pub(crate) fn take(&self) -> Vec<Post> {
        std::mem::take(&mut *self.posts.lock())
    }
}

/// The boxes of all connection arbiters.
#[derive(Clone)]
pub(crate) struct Postboxes(Arc<Vec<Postbox>>);

impl Postboxes {
    pub(crate) fn new(arbiters: usize) -> Self {
        Self(Arc::new((0..arbiters).map(|_| Postbox::default()).collect()))
    }

    pub(crate) fn of(&self, arbiter: usize) -> &Postbox {
        &self.0[arbiter]
    }

    /// Posts everything, in order, and rings each box that got something once.
    pub(crate) fn post(&self, posts: impl IntoIterator<Item = Post>) {
        // Whoever cannot tell what has been posted could only lose or repeat it.
        shared(|| self.post_all(posts));
    }

    fn post_all(&self, posts: impl IntoIterator<Item = Post>) {
        let mut sorted: Vec<Vec<Post>> = self.0.iter().map(|_| Vec::new()).collect();
        for post in posts {
            sorted[post.connection().arbiter()].push(post);
        }
        for (postbox, mut posts) in self.0.iter().zip(sorted) {
            if !posts.is_empty() {
                postbox.posts.lock().append(&mut posts);
                postbox.bell.notify_one();
            }
        }
    }
}
