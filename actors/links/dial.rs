//! The calling side of a link: tries until it is through, and again when it is lost.

use super::talk::{Ends, await_greeting, greet};
use crate::recover::random;
use ostler_core::wire::peer::Greeting;
use slog::{debug, warn};
use std::io;
use std::time::Duration;
use tokio::net::TcpStream;
use tokio::sync::mpsc::Sender;

/// The first attempts follow each other fast: a server just restarted must not be kept waiting.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
/// Between attempts at a server that is away for longer.
const LAST_PAUSE: Duration = Duration::from_millis(500);
/// For resolving the name, for the connection and for the greeting, each.
const PATIENCE: Duration = Duration::from_secs(2);

/// Keeps the link to `address` up until the process ends. `door` is where sockets are handed in.
pub(super) async fn dial(ends: Ends, address: String, door: Sender<TcpStream>) {
    let mut pause = FIRST_PAUSE;
    let mut told = false;
    loop {
        ends.until_down().await;
        match attempt(&ends, &address).await {
            Ok(socket) => {
                (pause, told) = (FIRST_PAUSE, false);
                if door.send(socket).await.is_err() {
                    return;
                }
            }
            Err(error) if !told && error.kind() == io::ErrorKind::InvalidData => {
                warn!(ends.logger, "the link is refused"; "address" => &address,
                    "error" => %error);
                told = true;
            }
            Err(error) => {
                debug!(ends.logger, "no link yet"; "address" => &address, "error" => %error);
                pause = (pause * 2).min(LAST_PAUSE);
            }
        }
        // Up to half more, by chance, so that servers do not call in step.
        let chance = u32::from(random::<1>()[0]);
        tokio::time::sleep(pause + pause * chance / 512).await;
    }
}

async fn attempt(ends: &Ends, address: &str) -> io::Result<TcpStream> {
    let late = |_| io::Error::from(io::ErrorKind::TimedOut);
    // Resolved every time: addresses of containers change behind their names.
    let mut socket =
        tokio::time::timeout(PATIENCE, TcpStream::connect(address)).await.map_err(late)??;
    let (me, peer, ensemble) = (ends.settings.me, ends.peer, ends.settings.ensemble);
    greet(&mut socket, Greeting { from: me, to: peer, ensemble }).await?;
    let answer = await_greeting(&mut socket, PATIENCE).await?;
    let refused = |reason: String| Err(io::Error::new(io::ErrorKind::InvalidData, reason));
    if answer.from != peer {
        return refused(format!(
            "server {} answers where server {} should be: check the addresses of the members",
            answer.from.0, peer.0
        ));
    }
    if answer.ensemble != ensemble {
        return refused(
            "its configuration names other members: make the files of all servers agree".to_owned(),
        );
    }
    Ok(socket)
}
