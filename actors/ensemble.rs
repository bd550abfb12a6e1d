//! What the rooms and links of an ensemble are told, from the settings; and the tick that lets
//! their machines see time pass.

use crate::links::{self, LinkSettings, Links};
use crate::serve::ServeError;
use crate::settings::{EnsembleSettings, Settings};
use crate::switchboard::Switchboard;
use actix_rt::ArbiterHandle;
use ostler_core::rooms::{peer, pipeline};
use ostler_core::types::Zxid;
use ostler_core::zab::io::Timing;
use ostler_core::zab::quorum::{Ensemble, Membership, Role};
use slog::Logger;
use std::net::ToSocketAddrs;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};

/// A server alone has nobody to wait for; its machines only have to be reminded now and then.
const ALONE: Timing =
    Timing { heartbeat_ms: 100, silence_ms: 1000, join_ms: 20_000, finalize_ms: 1 };

/// Who decides.
pub(crate) fn membership(settings: &Settings) -> Membership {
    let Some(ensemble) = &settings.ensemble else { return Membership::alone(settings.server) };
    let members = ensemble.members.iter().map(|(id, member)| (*id, member.role)).collect();
    Membership::new(Ensemble { version: Zxid::ZERO, members })
}

/// What this server is while another one leads.
pub(crate) fn learns_as(settings: &Settings) -> &'static str {
    let own = settings.ensemble.as_ref().and_then(|all| all.members.get(&settings.server));
    match own.map(|member| member.role) {
        Some(Role::Observer) => "observer",
        Some(Role::Voter { .. }) | None => "follower",
    }
}

/// How long things may take.
pub(crate) fn timing(settings: &Settings) -> Timing {
    settings.ensemble.as_ref().map_or(ALONE, |ensemble| {
        let EnsembleSettings { heartbeat_ms, silence_ms, join_ms, finalize_ms, .. } = *ensemble;
        Timing { heartbeat_ms, silence_ms, join_ms, finalize_ms }
    })
}

/// The links of this server, none of them up.
pub(crate) fn links(settings: &Settings) -> Links {
    let members = settings.ensemble.iter().flat_map(|ensemble| ensemble.members.keys());
    Links::new(members.copied().filter(|id| *id != settings.server))
}

/// Where other members are awaited; nowhere if there are none.
pub(crate) fn bind(settings: &Settings) -> Result<Option<TcpListener>, ServeError> {
    let Some(ensemble) = &settings.ensemble else { return Ok(None) };
    let Some(me) = ensemble.members.get(&settings.server) else { return Ok(None) };
    let port = me.address.rsplit_once(':').map_or("", |(_, port)| port);
    let everywhere = if me.address.starts_with('[') { "[::]" } else { "0.0.0.0" };
    let name =
        if ensemble.listen_everywhere { &format!("{everywhere}:{port}") } else { &me.address };
    let refused = |source| ServeError::BindPeers { address: name.clone(), source };
    let addresses = name.to_socket_addrs().map_err(refused)?;
    let mut last = std::io::Error::other("the name has no address");
    for address in addresses {
        let listen = || {
            let v4 = address.is_ipv4();
            let socket = if v4 { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
            socket.set_reuseaddr(true)?;
            socket.bind(address)?;
            socket.listen(64)
        };
        match listen() {
            Ok(listener) => return Ok(Some(listener)),
            Err(error) => last = error,
        }
    }
    Err(refused(last))
}

/// Begins to dial and to accept, on this arbiter.
pub(crate) fn open_links(
    settings: &Settings,
    links: Links,
    rooms: Switchboard,
    listener: TcpListener,
    arbiter: &ArbiterHandle,
    logger: &Logger,
) -> Result<(), ServeError> {
    let Some(ensemble) = &settings.ensemble else { return Ok(()) };
    let others = ensemble.members.iter().filter(|(id, _)| **id != settings.server);
    let settings = LinkSettings {
        me: settings.server,
        peers: others.map(|(id, member)| (*id, member.address.clone())).collect(),
        ensemble: ensemble.digest(),
        silence: Duration::from_millis(ensemble.silence_ms * 2),
    };
    // A socket belongs to the event loop of the thread that uses it.
    let listener = listener.into_std()?;
    let logger = logger.clone();
    arbiter.spawn_fn(move || match TcpListener::from_std(listener) {
        Ok(listener) => links::open(&settings, &links, &rooms, listener, &logger),
        Err(error) => crate::fatal::stop_at_broken_invariant(&logger, &error.to_string()),
    });
    Ok(())
}

/// Lets the machines see time pass, often enough for the shortest of their times.
pub(crate) async fn tick(settings: Timing, alone: bool, rooms: Switchboard) {
    let shortest = settings.finalize_ms.min(settings.heartbeat_ms / 4).clamp(5, 100);
    let every = if alone { settings.heartbeat_ms } else { shortest };
    let mut timer = tokio::time::interval(Duration::from_millis(every));
    timer.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        timer.tick().await;
        rooms.peer(peer::Input::Tick);
        rooms.pipeline(pipeline::Input::Tick);
    }
}
