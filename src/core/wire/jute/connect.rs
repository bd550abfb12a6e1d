//! The handshake: the first frame each way, which has no header.

use super::read::Reader;
use super::write::Writer;
use crate::types::{SessionId, Zxid};
use crate::wire::DecodeError;
use alloc::vec::Vec;

/// What a client opens its connection with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectRequest {
    /// 0 from every known client.
    pub protocol_version: i32,
    /// Newest state the client has seen; a server that is behind it must not serve the client.
    pub last_zxid_seen: Zxid,
    /// Wanted session timeout in milliseconds, any value.
    pub timeout_ms: i32,
    /// The session to take up again, [`SessionId::NONE`] for a new one.
    pub session: SessionId,
    /// Proof of ownership; 16 bytes from honest clients, null is read as empty.
    pub password: Vec<u8>,
    /// Whether a server that only reads will do; `None` from clients that do not know the field,
    /// which must not find it in the answer either.
    pub read_only: Option<bool>,
}

/// What the server answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectResponse {
    /// Negotiated timeout in milliseconds; 0 if the session is refused.
    pub timeout_ms: i32,
    /// The session, or [`SessionId::NONE`] if it is refused.
    pub session: SessionId,
    /// Its password.
    pub password: [u8; 16],
    /// Whether this server only reads; `None` if the client did not send the field.
    pub read_only: Option<bool>,
}

impl ConnectRequest {
    /// From the body of the first frame.
    ///
    /// # Errors
    /// If the body is too short; the connection is closed then.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        Ok(Self {
            protocol_version: reader.int()?,
            last_zxid_seen: Zxid::from_wire(reader.long()?),
            timeout_ms: reader.int()?,
            session: SessionId(reader.long()?),
            password: reader.buffer()?.unwrap_or_default().to_vec(),
            read_only: reader.bool().ok(),
        })
    }

    /// Appends the whole frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::frame(out);
        writer.int(self.protocol_version);
        writer.long(self.last_zxid_seen.to_wire());
        writer.int(self.timeout_ms);
        writer.long(self.session.0);
        writer.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            writer.bool(read_only);
        }
        writer.finish();
    }
}

impl ConnectResponse {
    /// The answer that tells a client its session is gone.
    pub fn refusal(read_only: Option<bool>) -> Self {
        Self { timeout_ms: 0, session: SessionId::NONE, password: [0; 16], read_only }
    }

    /// From the body of the first frame.
    ///
    /// # Errors
    /// If the body is too short or the password has not 16 bytes.
    pub fn decode(body: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(body);
        reader.int()?;
        Ok(Self {
            timeout_ms: reader.int()?,
            session: SessionId(reader.long()?),
            password: reader
                .buffer()?
                .and_then(|bytes| bytes.try_into().ok())
                .ok_or(DecodeError::Malformed("a password has 16 bytes"))?,
            read_only: reader.bool().ok(),
        })
    }

    /// Appends the whole frame.
    pub fn encode(&self, out: &mut Vec<u8>) {
        let mut writer = Writer::frame(out);
        writer.int(0);
        writer.int(self.timeout_ms);
        writer.long(self.session.0);
        writer.buffer(Some(&self.password));
        if let Some(read_only) = self.read_only {
            writer.bool(read_only);
        }
        writer.finish();
    }
}
