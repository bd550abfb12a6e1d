//! Links to the other servers: one TCP connection a pair, kept up as long as both live.
//!
//! Of two servers the one with the higher number dials. A link greets, then carries frames both
//! ways in order; whatever breaks it, the peer and pipeline rooms are told, and it is made anew.
//! A peer that does not read what it is sent loses its link before its queue grows beyond a bound.
//! What the messages mean is not known here.

mod dial;
mod outbox;
mod talk;

use crate::switchboard::Switchboard;
use dial::dial;
use ostler_core::types::ServerId;
use ostler_core::wire::peer::{Greeting, LinkMessage};
use outbox::Outbox;
use slog::{Logger, o, warn};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use talk::{Ends, await_greeting, converse};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Where another server is, and what links need to know besides.
#[derive(Clone)]
pub(crate) struct LinkSettings {
    pub(crate) me: ServerId,
    /// Host and port of each other server, resolved at every attempt.
    pub(crate) peers: BTreeMap<ServerId, String>,
    /// A digest of the members; links join only servers that agree on it.
    pub(crate) ensemble: u64,
    /// How long a link may be silent in either direction. Each side says something twice as often.
    pub(crate) silence: Duration,
}

/// The links of a server, from the rooms' side.
#[derive(Clone, Default)]
pub(crate) struct Links(Arc<BTreeMap<ServerId, Outbox>>);

impl Links {
    /// No link is up yet.
    pub(crate) fn new(peers: impl IntoIterator<Item = ServerId>) -> Self {
        Self(Arc::new(peers.into_iter().map(|peer| (peer, Outbox::default())).collect()))
    }

    /// Hands a message to a link that is up; without one it is lost, as the machines expect.
    pub(crate) fn send(&self, to: ServerId, message: &LinkMessage) {
        if let Some(outbox) = self.0.get(&to) {
            outbox.put(message);
        }
    }

    /// Breaks a link; it is made anew.
    pub(crate) fn disconnect(&self, peer: ServerId) {
        if let Some(outbox) = self.0.get(&peer) {
            outbox.break_off();
        }
    }

    /// Peers whose link is up.
    pub(crate) fn up(&self) -> Vec<ServerId> {
        self.0.iter().filter(|(_, outbox)| outbox.is_up()).map(|(peer, _)| *peer).collect()
    }

    fn outbox(&self, peer: ServerId) -> &Outbox {
        &self.0[&peer]
    }
}

/// Starts a task for each link and one that accepts, on the arbiter it is called on.
pub(crate) fn open(
    settings: &LinkSettings,
    links: &Links,
    rooms: &Switchboard,
    listener: TcpListener,
    logger: &Logger,
) {
    let mut doors = BTreeMap::new();
    for (peer, address) in &settings.peers {
        let (door, sockets) = mpsc::channel(1);
        doors.insert(*peer, door.clone());
        let ends = Ends {
            settings: settings.clone(),
            peer: *peer,
            links: links.clone(),
            rooms: rooms.clone(),
            logger: logger.new(o!("peer" => peer.0)),
        };
        if settings.me > *peer {
            actix_rt::spawn(dial(ends.clone(), address.clone(), door));
        }
        actix_rt::spawn(keep(ends, sockets));
    }
    actix_rt::spawn(accept(settings.clone(), listener, doors, logger.clone()));
}

/// One link's life: socket after socket, a newer one ending the older.
async fn keep(ends: Ends, mut sockets: mpsc::Receiver<TcpStream>) {
    let mut next = sockets.recv().await;
    while let Some(socket) = next.take() {
        let newer = tokio::select! {
            () = converse(&ends, socket) => None,
            newer = sockets.recv() => Some(newer),
        };
        // Told before anything is awaited: a dialler waits for it.
        ends.went_down();
        next = match newer {
            Some(newer) => newer,
            None => sockets.recv().await,
        };
    }
}

async fn accept(
    settings: LinkSettings,
    listener: TcpListener,
    doors: BTreeMap<ServerId, mpsc::Sender<TcpStream>>,
    logger: Logger,
) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let (settings, doors, logger) = (settings.clone(), doors.clone(), logger.clone());
                actix_rt::spawn(async move { admit(socket, &settings, &doors, &logger).await });
            }
            Err(error) => {
                warn!(logger, "cannot accept a link"; "error" => %error);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

/// Lets a dialling server in, if it is one of those that dial this one.
async fn admit(
    mut socket: TcpStream,
    settings: &LinkSettings,
    doors: &BTreeMap<ServerId, mpsc::Sender<TcpStream>>,
    logger: &Logger,
) {
    let heard = await_greeting(&mut socket, settings.silence).await;
    let answer = |to| Greeting { from: settings.me, to, ensemble: settings.ensemble };
    let refusal = match &heard {
        Err(error) => error.to_string(),
        Ok(Greeting { to, .. }) if *to != settings.me => {
            format!("it takes this server for server {}: check both configurations", to.0)
        }
        Ok(Greeting { ensemble, .. }) if *ensemble != settings.ensemble => {
            "its configuration names other members: make the files of all servers agree".to_owned()
        }
        Ok(Greeting { from, .. }) => match doors.get(from).filter(|_| *from > settings.me) {
            Some(door) => {
                if talk::greet(&mut socket, answer(*from)).await.is_ok() {
                    // Whoever waits to hand over an older socket of this peer loses it.
                    let _ = door.send(socket).await;
                }
                return;
            }
            None => format!("server {} is not one that dials this one", from.0),
        },
    };
    if let Ok(Greeting { from, .. }) = heard {
        // The other side's log shows its own reason when it learns who this is.
        let _ = talk::greet(&mut socket, answer(from)).await;
    }
    warn!(logger, "a link was refused"; "reason" => refusal,
        "from" => socket.peer_addr().map(|address| address.to_string()).unwrap_or_default());
}
