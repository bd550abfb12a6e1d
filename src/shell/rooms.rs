//! `room`: the tree of rooms of the server that the session is attached to, as that server's
//! four-letter word tells it.

use super::failure::Failure;
use crate::client::{Client, ClientError};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(5);

/// # Errors
/// If there is no server, it does not answer, or it does not have this word.
pub(super) async fn ask(client: &Client) -> Result<String, Failure> {
    let server = client.server().ok_or(ClientError::ConnectionLoss)?;
    match timeout(PATIENCE, word(&server)).await {
        Ok(Ok(text)) if !text.is_empty() => Ok(text),
        Ok(Ok(_)) => Err(Failure::Refused(format!("{server} has no rooms to tell of"))),
        Ok(Err(error)) => Err(Failure::Refused(format!("{server} does not answer: {error}"))),
        Err(_) => Err(Failure::Refused(format!("{server} does not answer"))),
    }
}

async fn word(server: &str) -> io::Result<String> {
    let mut socket = TcpStream::connect(server).await?;
    socket.write_all(b"room").await?;
    let mut text = String::new();
    socket.read_to_string(&mut text).await?;
    Ok(text)
}
