//! A link that is up: frames out, frames in, and the watch on its silence.

use super::{LinkSettings, Links};
use crate::switchboard::Switchboard;
use bytes::{Buf, Bytes, BytesMut};
use ostler_core::rooms::{peer, pipeline};
use ostler_core::types::ServerId;
use ostler_core::wire::peer::{FRAME_BYTES_MAX, Greeting, LinkMessage, decode};
use slog::{Logger, info, warn};
use std::io;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};

/// A frame without messages: only says that the sender lives.
const SIGN_OF_LIFE: [u8; 4] = [0; 4];
const GREETING_BYTES_MAX: usize = 256;
/// Room made for each read, in bytes.
const READ_BYTES: usize = 64 << 10;

/// What the tasks of one link share.
#[derive(Clone)]
pub(super) struct Ends {
    pub(super) settings: LinkSettings,
    pub(super) peer: ServerId,
    pub(super) links: Links,
    pub(super) rooms: Switchboard,
    pub(super) logger: Logger,
}

impl Ends {
    pub(super) async fn until_down(&self) {
        self.links.outbox(self.peer).until_down().await;
    }

    /// Tells the rooms, once for each time it was up.
    pub(super) fn went_down(&self) {
        let outbox = self.links.outbox(self.peer);
        if outbox.is_up() {
            outbox.close();
            self.rooms.peer(peer::Input::LinkDown(self.peer));
            self.rooms.pipeline(pipeline::Input::LinkDown(self.peer));
        }
    }
}

/// Carries frames until the link breaks.
pub(super) async fn converse(ends: &Ends, mut socket: TcpStream) {
    // Messages are small and each waits for an answer; more of them travel in one write anyway.
    let _ = socket.set_nodelay(true);
    ends.links.outbox(ends.peer).open();
    info!(ends.logger, "link up");
    ends.rooms.peer(peer::Input::LinkUp(ends.peer));
    let (reader, writer) = socket.split();
    let reason = tokio::select! {
        reason = hear(ends, reader) => reason,
        reason = say(ends, writer) => reason,
    };
    info!(ends.logger, "link down"; "reason" => %reason);
}

async fn say(ends: &Ends, mut writer: WriteHalf<'_>) -> io::Error {
    let outbox = ends.links.outbox(ends.peer);
    let pause = ends.settings.silence / 2;
    loop {
        let written = match tokio::time::timeout(pause, outbox.take()).await {
            Err(_) => writer.write_all(&SIGN_OF_LIFE).await,
            Ok(Some(frames)) => writer.write_all(&frames).await,
            Ok(None) => return io::Error::other("broken off by this server"),
        };
        if let Err(error) = written {
            return error;
        }
    }
}

async fn hear(ends: &Ends, mut reader: ReadHalf<'_>) -> io::Error {
    let mut unread = BytesMut::new();
    loop {
        unread.reserve(READ_BYTES);
        match tokio::time::timeout(ends.settings.silence, reader.read_buf(&mut unread)).await {
            Err(_) => return io::Error::from(io::ErrorKind::TimedOut),
            Ok(Err(error)) => return error,
            Ok(Ok(0)) => return io::Error::from(io::ErrorKind::UnexpectedEof),
            Ok(Ok(_)) => {}
        }
        if let Err(error) = take_frames(ends, &mut unread) {
            warn!(ends.logger, "what the peer sent makes no sense"; "error" => %error);
            return error;
        }
    }
}

/// Posts all whole frames, the pipeline's in one batch.
fn take_frames(ends: &Ends, unread: &mut BytesMut) -> io::Result<()> {
    let mut batch = Vec::new();
    while let Some(body) = next_frame(unread, FRAME_BYTES_MAX)? {
        for message in decode(&body).map_err(invalid)? {
            match message {
                LinkMessage::Election(notification) => {
                    ends.rooms.peer(peer::Input::Received(ends.peer, notification));
                }
                LinkMessage::Pipeline(message) => batch.push(message),
            }
        }
    }
    if !batch.is_empty() {
        ends.rooms.pipeline(pipeline::Input::Received(ends.peer, batch));
    }
    Ok(())
}

/// The next whole frame, in memory of its own: what is kept of it would else keep the whole buffer
/// that it was read into, and the next read would need another one.
fn next_frame(unread: &mut BytesMut, bytes_max: usize) -> io::Result<Option<Bytes>> {
    let Some(length) = unread.first_chunk() else { return Ok(None) };
    let length = u32::from_le_bytes(*length) as usize;
    if length > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame is too long"));
    }
    if unread.len() < 4 + length {
        unread.reserve(4 + length - unread.len());
        return Ok(None);
    }
    unread.advance(4);
    let frame = Bytes::copy_from_slice(&unread[..length]);
    unread.advance(length);
    Ok(Some(frame))
}

fn invalid(error: impl std::error::Error + Send + Sync + 'static) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error)
}

/// Says who this server is.
pub(super) async fn greet(socket: &mut TcpStream, greeting: Greeting) -> io::Result<()> {
    let mut frame = Vec::new();
    greeting.encode(&mut frame);
    socket.write_all(&frame).await
}

/// Hears who the other is.
pub(super) async fn await_greeting(
    socket: &mut TcpStream,
    patience: Duration,
) -> io::Result<Greeting> {
    let mut unread = BytesMut::new();
    let whole = async {
        loop {
            // Byte by byte: what follows the greeting belongs to the conversation.
            if let Some(body) = next_frame(&mut unread, GREETING_BYTES_MAX)? {
                return Greeting::decode(&body).map_err(invalid);
            }
            let byte = socket.read_u8().await?;
            unread.extend_from_slice(&[byte]);
        }
    };
    tokio::time::timeout(patience, whole)
        .await
        .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_frame_does_not_keep_the_buffer_it_was_read_into() {
        let mut unread = BytesMut::with_capacity(READ_BYTES);
        let buffer = unread.as_ptr();
        let mut kept = Vec::new();
        for byte in 0..100 {
            unread.extend_from_slice(&[3, 0, 0, 0, byte, byte, byte, 2]);
            let frame = next_frame(&mut unread, 100).expect("it is short enough");
            kept.push(frame.expect("it is whole"));
            assert!(next_frame(&mut unread, 100).expect("it is short enough").is_none());
            unread.advance(1);
            unread.reserve(READ_BYTES);
        }
        assert_eq!(unread.as_ptr(), buffer, "there was room in it all the time");
        assert!(kept.iter().zip(0..).all(|(frame, byte)| frame[..] == [byte; 3]));
    }
}
