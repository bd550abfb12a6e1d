//! The door: accepts sockets, turns away those over the limits, and hands each to a connection
//! arbiter.

use crate::clock::wall_ms;
use crate::connection::converse;
use crate::counters::ConnectionCounters;
use crate::hub::{Hub, Shared};
use crate::recover::random;
use actix_rt::ArbiterHandle;
use ostler_core::rooms::connection::Connection;
use ostler_core::types::{AuthId, ConnectionId};
use slog::{debug, warn};
use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};

thread_local! {
    /// The hub of this thread's arbiter.
    static HUB: RefCell<Option<Rc<Hub>>> = const { RefCell::new(None) };
}

/// Limits at the door.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) per_ip_max: usize,
    pub(crate) connections_max: usize,
}

/// Starts the hub of a connection arbiter.
pub(crate) fn open_hub(
    arbiter: &ArbiterHandle,
    shared: Shared,
    index: usize,
    touch_every: Duration,
) {
    arbiter.spawn_fn(move || {
        let hub = Hub::start(shared, index, touch_every);
        HUB.with(|slot| *slot.borrow_mut() = Some(hub));
    });
}

/// Accepts until the process ends.
pub(crate) async fn accept(
    listener: TcpListener,
    shared: Shared,
    arbiters: Vec<ArbiterHandle>,
    limits: Limits,
    serial: Arc<AtomicU64>,
) {
    loop {
        match listener.accept().await {
            Ok((socket, address)) => {
                let next = serial.fetch_add(1, Ordering::Relaxed);
                let index = (next % arbiters.len() as u64) as usize;
                admit(socket, address, &shared, &arbiters[index], limits, (index, next));
            }
            Err(error) => {
                // Out of descriptors, most likely: wait for some to come back.
                warn!(shared.logger, "cannot accept a connection"; "error" => %error);
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

fn admit(
    socket: TcpStream,
    address: SocketAddr,
    shared: &Shared,
    arbiter: &ArbiterHandle,
    limits: Limits,
    (index, serial): (usize, u64),
) {
    let counters = &shared.counters;
    if !counters.admit(address.ip(), limits.per_ip_max, limits.connections_max) {
        counters.rejected.fetch_add(1, Ordering::Relaxed);
        debug!(shared.logger, "too many connections, one turned away"; "client" => %address);
        return;
    }
    let index = u8::try_from(index).expect("there are at most 256 connection arbiters");
    let id = ConnectionId::new(index, serial);
    let counts = Arc::new(ConnectionCounters::new(address, wall_ms()));
    counters.connections.insert(id, counts.clone());
    let Ok(socket) = socket.into_std() else {
        counters.connections.remove(&id);
        counters.dismiss(address.ip());
        return;
    };
    let all = counters.clone();
    let door = shared.door.clone();
    arbiter.spawn_fn(move || {
        let hub = HUB.with(|slot| slot.borrow().clone()).expect("hubs start before the door opens");
        actix_rt::spawn(async move {
            if let Ok(socket) = TcpStream::from_std(socket) {
                // Replies are written whole; waiting for more would only delay them.
                let _ = socket.set_nodelay(true);
                let machine = Connection::new(door, id, ip_id(address.ip()), random());
                converse(hub, socket, id, machine, counts).await;
            }
            all.connections.remove(&id);
            all.dismiss(address.ip());
        });
    });
}

fn ip_id(ip: IpAddr) -> AuthId {
    AuthId { scheme: "ip".to_owned(), id: ip.to_canonical().to_string() }
}
