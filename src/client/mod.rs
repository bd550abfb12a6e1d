//! The client library: a session with an Ostler or ZooKeeper ensemble, asynchronous, on tokio.
//!
//! [`Client::connect`] attaches to one of several servers and stays attached: when a connection
//! breaks it goes on to the next server with the same session, proves its identities and sets its
//! watches again. Requests are answered in the order in which they were asked and may be asked
//! without waiting for earlier answers: an operation is on its way when its future is first
//! polled. In ZooKeeper's protocol what was unanswered when a connection broke fails with
//! [`ClientError::ConnectionLoss`]; whether it happened is then unknown, and the caller decides.
//! In Ostler's own it is asked again, and each write takes effect once: see
//! [`ClientOptions::exactly_once`].
//!
//! ```no_run
//! use ostler::client::{Client, ClientError, ClientOptions, CreateOptions, Kind, WatchMode};
//!
//! # async fn example() -> Result<(), ClientError> {
//! let client = Client::connect("127.0.0.1:2181", ClientOptions::default()).await?;
//! let mut changes = client.watch("/stable", WatchMode::PersistentRecursive).await?;
//! let horse = CreateOptions::of(Kind::Ephemeral).sequential();
//! let (path, _) = client.create("/stable/horse-", Some(b"grey"), &horse).await?;
//! while let Some(change) = changes.next().await {
//!     println!("{} {}", change.kind.name(), change.path);
//! }
//! client.delete(&path, -1).await?;
//! client.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! This module must build without the server. It holds no recipes and prints nothing.

mod address;
mod chance;
mod error;
mod event;
mod handshake;
mod link;
mod multi;
mod operations;
mod paths;
mod queue;
mod reconfig;
mod shared;
mod watches;

pub use error::{ClientError, Refusal};
pub use event::{EventKind, SessionEvents, SessionState, Watch, WatchedEvent};
pub use handshake::Protocol;
pub use multi::{Multi, MultiError, MultiResult, ReadResult};
pub use operations::{CreateOptions, open_acl};
pub use ostler_core::types::{
    Acl, AuthId, ErrorCode, Kind, Perms, RemoveKind, SessionId, Stat, WatchMode,
};
pub use reconfig::Reconfiguration;
pub use shared::SessionTicket;

use address::{ConnectString, Rotation};
use chance::Chance;
use link::{Link, await_state};
use ostler_core::wire::native::HelloOptions;
use shared::Shared;
use std::sync::Arc;
use std::time::Duration;

const CLOSE_PATIENCE: Duration = Duration::from_secs(5);

/// How a client connects.
#[derive(Clone, Debug)]
pub struct ClientOptions {
    /// Session timeout to ask for; servers keep it within bounds of their own. At least 1 ms.
    pub session_timeout: Duration,
    /// Longest wait for any one answer; `None` waits as long as the session lives.
    pub request_timeout: Option<Duration>,
    /// Whether a server without a quorum, which serves reads only, will do.
    pub read_only: bool,
    /// Which protocol to speak; not every server knows Ostler's own.
    pub protocol: Protocol,
    /// Whether reads are answered only from a state that has everything that any server had
    /// acknowledged when they came; otherwise they may lag behind what other clients were told.
    /// Only [`Protocol::Native`] has such reads.
    pub linearizable: bool,
    /// Whether requests that were unanswered when a connection broke are sent again on the next
    /// one, where each write takes effect exactly once: the servers know what came of the last
    /// writes of a session. Only in [`Protocol::Native`]; in the other it has no meaning.
    pub exactly_once: bool,
    /// A session to take over instead of making one.
    pub session: Option<SessionTicket>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            session_timeout: Duration::from_secs(30),
            request_timeout: None,
            read_only: false,
            protocol: Protocol::ZooKeeper,
            linearizable: false,
            exactly_once: true,
            session: None,
        }
    }
}

/// A session. Cheap to clone; all clones are the same session.
///
/// When the last clone is dropped the connection ends, and the session lives on until its
/// timeout; [`Client::close`] ends it at once.
#[derive(Clone, Debug)]
pub struct Client {
    handle: Arc<Handle>,
}

#[derive(Debug)]
struct Handle {
    shared: Arc<Shared>,
    chroot: String,
    request_timeout: Option<Duration>,
}

impl Client {
    /// Opens a session and waits until a server has taken it up, at most the session timeout.
    /// `servers` is `host:port,host:port/chroot`.
    ///
    /// # Errors
    /// [`ClientError::ConnectString`] or [`ClientError::InvalidPath`] for a bad connect string,
    /// [`ClientError::Options`] for linearizable reads in ZooKeeper's protocol,
    /// [`ClientError::ConnectionLoss`] if no server was reached in time,
    /// [`ClientError::SessionExpired`] if the session to take over has ended.
    pub async fn connect(servers: &str, options: ClientOptions) -> Result<Self, ClientError> {
        let patience = options.session_timeout;
        let client = Self::open(servers, options)?;
        match client.await_connected(patience).await {
            state if state.is_connected() => Ok(client),
            state => Err(state.error()),
        }
    }

    /// Opens a session without waiting for a server. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// [`ClientError::ConnectString`] or [`ClientError::InvalidPath`] for a bad connect string,
    /// [`ClientError::Options`] for linearizable reads in ZooKeeper's protocol.
    pub fn open(servers: &str, options: ClientOptions) -> Result<Self, ClientError> {
        if options.linearizable && options.protocol != Protocol::Native {
            return Err(ClientError::Options("linearizable reads need the native protocol"));
        }
        let ConnectString { servers, chroot } = ConnectString::parse(servers)?;
        let timeout_ms = i32::try_from(options.session_timeout.as_millis()).unwrap_or(i32::MAX);
        let codec = options.protocol.codec();
        let ticket = options
            .session
            .unwrap_or(SessionTicket { session: SessionId::NONE, password: [0; 16] });
        let once = options.exactly_once && options.protocol == Protocol::Native;
        let shared = Arc::new(Shared::new(codec, once, chroot.clone(), ticket, timeout_ms));
        let mut chance = Chance::from_process();
        let link = Link {
            shared: shared.clone(),
            rotation: Rotation::new(servers, &mut chance),
            chance,
            codec,
            timeout_ms,
            read_only: options.read_only,
            options: HelloOptions {
                linearizable: options.linearizable,
                exactly_once: options.exactly_once,
            },
        };
        tokio::spawn(link.run());
        let request_timeout = options.request_timeout;
        Ok(Self { handle: Arc::new(Handle { shared, chroot, request_timeout }) })
    }

    /// Waits until a server has taken the session up or it is over; the state then, which is
    /// [`SessionState::Disconnected`] if `patience` ran out.
    pub async fn await_connected(&self, patience: Duration) -> SessionState {
        await_state(&self.handle.shared, SessionState::is_connected, patience).await
    }

    /// Ends the session: its ephemerals go. Returns when a server has confirmed it, or after five
    /// seconds without one, when the session is left to its timeout.
    pub async fn close(&self) {
        self.handle.shared.lock().submit_close();
        self.handle.shared.bell.notify_one();
        await_state(&self.handle.shared, SessionState::is_final, CLOSE_PATIENCE).await;
    }

    /// How the session stands.
    pub fn state(&self) -> SessionState {
        self.handle.shared.lock().session
    }

    /// Changes of the session's state from now on.
    pub fn session_events(&self) -> SessionEvents {
        SessionEvents { states: self.handle.shared.lock().listen() }
    }

    /// Id and password of the session, by which another client can take it over.
    pub fn ticket(&self) -> SessionTicket {
        self.handle.shared.lock().ticket
    }

    /// The server that took the session up last, as `host:port`; `None` before the first.
    pub fn server(&self) -> Option<String> {
        self.handle.shared.lock().server.clone()
    }

    /// The timeout that was agreed with the server; before that, the one asked for.
    pub fn session_timeout(&self) -> Duration {
        let timeout_ms = self.handle.shared.lock().timeout_ms;
        Duration::from_millis(timeout_ms.max(0).unsigned_abs().into())
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.lock().leaving = true;
        self.shared.bell.notify_one();
    }
}
