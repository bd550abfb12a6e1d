//! Links to the other servers: one TCP connection a pair, kept up as long as both live.
//!
//! Of two servers the one with the higher number dials. A link greets, then carries frames both
//! ways in order; whatever breaks it, the peer and pipeline rooms are told, and it is made anew.
//! A peer that does not read what it is sent loses its link before its queue grows beyond a bound.
//! What the messages mean is not known here.

mod dial;
mod outbox;
mod talk;

use crate::supervisor::Guarded;
use crate::switchboard::Switchboard;
use dial::dial;
use ostler_core::types::ServerId;
use ostler_core::wire::peer::{Greeting, LinkMessage};
use outbox::Outbox;
use slog::{Logger, o, warn};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};
use talk::{Ends, await_greeting, converse};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// A link refused for the same reason is told of again after so long.
const SAME_REFUSAL_AGAIN_AFTER: Duration = Duration::from_secs(60);

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

    /// Breaks a link; it is made anew. False if it is down already.
    pub(crate) fn disconnect(&self, peer: ServerId) -> bool {
        let up = self.0.get(&peer).filter(|outbox| outbox.is_up());
        up.map(Outbox::break_off).is_some()
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
    let (settings, logger) = (settings.clone(), logger.clone());
    let gate = Gate { settings, doors, refused: RefCell::default(), logger };
    actix_rt::spawn(accept(listener, Rc::new(gate)));
}

/// One link's life: socket after socket, a newer one ending the older.
async fn keep(ends: Ends, mut sockets: mpsc::Receiver<TcpStream>) {
    let mut next = sockets.recv().await;
    while let Some(socket) = next.take() {
        let newer = tokio::select! {
            // A panic has been told of; it costs this socket.
            _ = Guarded::new("link", converse(&ends, socket)) => None,
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

/// What the sockets of servers that dial this one go through.
struct Gate {
    settings: LinkSettings,
    doors: BTreeMap<ServerId, mpsc::Sender<TcpStream>>,
    /// The last reason for which one was refused, and when that was told.
    refused: RefCell<Option<(String, Instant)>>,
    logger: Logger,
}

async fn accept(listener: TcpListener, gate: Rc<Gate>) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let gate = gate.clone();
                actix_rt::spawn(async move { gate.admit(socket).await });
            }
            Err(error) => {
                warn!(gate.logger, "cannot accept a link"; "error" => %error);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

impl Gate {
    /// Lets a dialling server in, if it is one of those that dial this one.
    async fn admit(&self, mut socket: TcpStream) {
        let LinkSettings { me, ensemble, silence, .. } = self.settings;
        let heard = await_greeting(&mut socket, silence).await;
        let answer = |to| Greeting { from: me, to, ensemble };
        let refusal = match &heard {
            Err(error) => error.to_string(),
            Ok(greeting) => match self.refusal(greeting) {
                Some(refusal) => refusal,
                None => {
                    let from = greeting.from;
                    if talk::greet(&mut socket, answer(from)).await.is_ok()
                        && let Some(door) = self.doors.get(&from)
                    {
                        // Whoever waits to hand over an older socket of this peer loses it.
                        let _ = door.send(socket).await;
                    }
                    return;
                }
            },
        };
        if let Ok(Greeting { from, .. }) = heard {
            // The other side's log shows its own reason when it learns who this is.
            let _ = talk::greet(&mut socket, answer(from)).await;
        }
        self.tell(refusal, &socket);
    }

    /// Why a server that greets so is not let in.
    fn refusal(&self, greeting: &Greeting) -> Option<String> {
        let Greeting { from, to, ensemble } = greeting;
        if *to != self.settings.me {
            let told = "it takes this server for server";
            return Some(format!("{told} {}: check both configurations", to.0));
        }
        if *ensemble != self.settings.ensemble {
            let told = "its configuration names other members";
            return Some(format!("{told}: make the files of all servers agree"));
        }
        let dials = *from > self.settings.me && self.doors.contains_key(from);
        (!dials).then(|| format!("server {} is not one that dials this one", from.0))
    }

    /// One that is refused comes again twice a second; its reason is told now and then.
    fn tell(&self, reason: String, socket: &TcpStream) {
        let mut refused = self.refused.borrow_mut();
        let told_lately = |(told, at): &(String, Instant)| {
            *told == reason && at.elapsed() < SAME_REFUSAL_AGAIN_AFTER
        };
        if refused.as_ref().is_some_and(told_lately) {
            return;
        }
        warn!(self.logger, "a link was refused"; "reason" => &reason,
            "from" => socket.peer_addr().map(|address| address.to_string()).unwrap_or_default());
        *refused = Some((reason, Instant::now()));
    }
}
