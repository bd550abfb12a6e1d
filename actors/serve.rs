//! One server from start to orderly end.

use crate::clock::Clock;
use crate::counters::Counters;
use crate::ensemble;
use crate::fatal;
use crate::faults::Faults;
use crate::hub::Shared;
use crate::listener::{Limits, accept, open_hub};
use crate::postbox::Postboxes;
use crate::questions::Questions;
use crate::recover::{random, recover};
use crate::room::Inspect;
use crate::session_clocks::SessionClocks;
use crate::settings::Settings;
use crate::supervision::{Endurance, Supervision};
use crate::switchboard::Switchboard;
use crate::wiring::{self, Arbiters, Plan, Rooms};
use crate::words::Words;
use actix_rt::{Arbiter, System};
use ostler_core::auth::AuthRules;
use ostler_core::log::LogError;
use ostler_core::rooms::connection::Door;
use ostler_core::rooms::{log_writer, session_sweeper, tree_store};
use ostler_core::tree::SnapshotError;
use slog::{Logger, info};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::net::{TcpListener, TcpSocket};
use tokio::signal::unix::{SignalKind, signal};

/// Why a server did not start or had to end.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory cannot be used; the text says which file, why, and what to do.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A snapshot is whole as a file, but not as a tree.
    #[error(
        "{file} holds a tree that contradicts itself ({source}); move that snapshot file \
         away and start again: an older one and the log take its place"
    )]
    Snapshot {
        /// Its file.
        file: String,
        /// The contradiction.
        source: SnapshotError,
    },
    /// A port cannot be bound.
    #[error(
        "cannot listen on {address}: {source}; stop what uses it or choose another client port"
    )]
    Bind {
        /// Where clients were to be awaited.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The port for other members of the ensemble cannot be bound.
    #[error(
        "cannot listen for other members on {address}: {source}; stop what uses it, or correct \
         this server's own address among the members"
    )]
    BindPeers {
        /// As the settings name it.
        address: String,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The operating system refused something a server cannot do without.
    #[error("the operating system refused: {0}")]
    System(#[from] std::io::Error),
}

impl ServeError {
    /// The process's exit code; those of the log are `sysexits.h`'s.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Log(error) => error.exit_code(),
            Self::Snapshot { .. } => 65,
            Self::Bind { .. } | Self::BindPeers { .. } => 14,
            Self::System(_) => 1,
        }
    }
}

/// Serves until SIGTERM or SIGINT.
///
/// # Errors
/// When the server cannot start. What goes wrong for good later ends the process with a code and
/// a message: see `fatal`.
pub fn serve(settings: Settings, logger: Logger) -> Result<(), ServeError> {
    System::new().block_on(run(settings, logger, Drill::default()))
}

/// The same, with faults that a test can arm while it serves.
///
/// # Errors
/// Like [`serve`].
#[cfg(feature = "faults")]
pub fn serve_a_drill(
    settings: Settings,
    logger: Logger,
    faults: Faults,
    endurance: Endurance,
) -> Result<(), ServeError> {
    System::new().block_on(run(settings, logger, Drill { faults, endurance }))
}

/// What is otherwise in a test.
#[derive(Default)]
struct Drill {
    faults: Faults,
    endurance: Endurance,
}

async fn run(settings: Settings, logger: Logger, drill: Drill) -> Result<(), ServeError> {
    // The ports first: a second server on the same port must not touch anything.
    let listeners = bind(&settings)?;
    let peers = ensemble::bind(&settings)?;
    let parts = wiring::split(recover(&settings, &logger)?, &drill.faults);
    fatal::heed_panics(logger.clone());
    let rooms = Switchboard::default();
    let plan = Plan {
        settings: &settings,
        questions: Questions::new(rooms.clone()),
        rooms,
        postboxes: Postboxes::new(settings.connection_arbiters),
        links: ensemble::links(&settings),
        view: parts.view.clone(),
        counters: Arc::new(Counters::new(settings.connection_arbiters, parts.measures)),
        clock: Clock::start(),
        hash_seed: u64::from_le_bytes(random()),
        session_clocks: SessionClocks::default(),
        supervision: Supervision::new(drill.endurance, &logger),
        faults: drill.faults,
        logger: &logger,
    };
    let (arbiters, rooms) =
        wiring::start(&plan, parts.log, parts.disk, parts.replayed, parts.recovered);
    plan.supervision.supervisor.watch(drill.endurance.pulse)?;
    wiring::awaken(&plan);
    if let Some(listener) = peers {
        let (links, rooms) = (plan.links.clone(), plan.rooms.clone());
        let spine = arbiters.spine.handle();
        ensemble::open_links(&settings, links, rooms, listener, &spine, &logger)?;
    }
    let doors = open_doors(&plan, &rooms, listeners);
    info!(logger, "awaiting clients"; "addresses" => ?settings.client_address,
        "data_dir" => %settings.data_dir.display());
    until_asked_to_stop(&logger).await?;
    close(doors, arbiters, &plan.rooms, &rooms).await;
    info!(logger, "stopped; sessions are kept and may come back");
    Ok(())
}

fn bind(settings: &Settings) -> Result<Vec<TcpListener>, ServeError> {
    let listen = |address: &SocketAddr| {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(*address)?;
        socket.listen(settings.listen_backlog.unwrap_or(1024))
    };
    let bound = settings.client_address.iter().map(|address| {
        listen(address).map_err(|source| ServeError::Bind { address: *address, source })
    });
    bound.collect()
}

fn open_doors(plan: &Plan<'_>, rooms: &Rooms, listeners: Vec<TcpListener>) -> Vec<Arbiter> {
    let settings = plan.settings;
    let words = Words::new(plan, rooms.clone());
    let shared = Shared {
        door: Arc::new(Door {
            frame_bytes_max: settings.frame_bytes_max,
            min_session_timeout_ms: settings.min_session_timeout_ms,
            max_session_timeout_ms: settings.max_session_timeout_ms,
            auth: AuthRules {
                digest_enabled: settings.digest_enabled,
                super_digest: settings.super_digest.clone(),
            },
            alone: settings.ensemble.is_none(),
        }),
        rooms: plan.rooms.clone(),
        postboxes: plan.postboxes.clone(),
        questions: plan.questions.clone(),
        view: plan.view.clone(),
        counters: plan.counters.clone(),
        clock: plan.clock,
        faults: plan.faults.of("connection"),
        words: Arc::new(words),
        handshake_timeout: Duration::from_millis(settings.handshake_timeout_ms),
        outstanding_max: settings.outstanding_max as u64,
        logger: plan.logger.clone(),
    };
    let arbiters: Vec<_> = (0..settings.connection_arbiters).map(|_| Arbiter::new()).collect();
    let touch_every = Duration::from_millis(wiring::touch_every_ms(settings));
    for (index, arbiter) in arbiters.iter().enumerate() {
        open_hub(&arbiter.handle(), shared.clone(), index, touch_every);
    }
    let limits = Limits {
        per_ip_max: settings.connections_per_ip_max,
        connections_max: settings.connections_max,
    };
    let serial = Arc::new(AtomicU64::new(1));
    for listener in listeners {
        let handles = arbiters.iter().map(Arbiter::handle).collect();
        actix_rt::spawn(accept(listener, shared.clone(), handles, limits, serial.clone()));
    }
    start_timers(plan);
    arbiters
}

fn start_timers(plan: &Plan<'_>) {
    let (timing, alone) = (ensemble::timing(plan.settings), plan.settings.ensemble.is_none());
    actix_rt::spawn(ensemble::tick(timing, alone, plan.rooms.clone()));
    let tick = Duration::from_millis((u64::from(plan.settings.tick_ms) / 10).clamp(10, 200));
    let (rooms, clock) = (plan.rooms.clone(), plan.clock);
    actix_rt::spawn(async move {
        let mut timer = tokio::time::interval(tick);
        loop {
            timer.tick().await;
            rooms.session_sweeper(session_sweeper::Input::Tick(clock.mono_ms()));
        }
    });
    let reap = Duration::from_millis(plan.settings.reap_interval_ms.max(1));
    let rooms = plan.rooms.clone();
    actix_rt::spawn(async move {
        let mut timer = tokio::time::interval(reap);
        timer.tick().await;
        loop {
            timer.tick().await;
            rooms.tree_store(tree_store::Input::ReapDue);
        }
    });
}

async fn until_asked_to_stop(logger: &Logger) -> Result<(), ServeError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    info!(logger, "asked to stop"; "signal" => name);
    Ok(())
}

/// Doors first, then the log when it has written what it was given. Nothing acknowledged waits
/// anywhere: every acknowledgement came after its sync.
async fn close(doors: Vec<Arbiter>, arbiters: Arbiters, book: &Switchboard, rooms: &Rooms) {
    for door in &doors {
        door.stop();
    }
    for door in doors {
        // An arbiter that panicked would have ended the process before.
        let _ = door.join();
    }
    book.log_writer(log_writer::Input::End);
    let (done, written) = tokio::sync::oneshot::channel();
    rooms.log_writer.do_send(Inspect(Box::new(move |_| {
        let _ = done.send(());
    })));
    // The answer stands behind everything the log was given; a lost one means it is gone already.
    let _ = tokio::time::timeout(Duration::from_secs(5), written).await;
    arbiters.snapshot.stop();
    arbiters.spine.stop();
    if let Some(log) = arbiters.log {
        log.stop();
    }
}
