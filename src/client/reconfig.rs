//! Dynamic reconfiguration, and the ensemble's configuration as the servers keep it.

use super::operations::data_of;
use super::{Client, ClientError};
use ostler_core::types::{Read, Request, Stat};
use ostler_core::wire::{Codec, ReplyKind};

const CONFIG_PATH: &str = "/zookeeper/config";
const RECONFIG_OPCODE: i32 = 16;

/// What a reconfiguration changes; members are written as in the dynamic configuration file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reconfiguration {
    /// Servers that join, `server.N=…` separated by commas.
    pub joining: Option<String>,
    /// Ids of servers that leave, separated by commas.
    pub leaving: Option<String>,
    /// The whole membership, instead of the two above.
    pub members: Option<String>,
}

impl Client {
    /// The ensemble's configuration as text, and its stat. Not subject to the chroot.
    pub async fn config(&self) -> Result<(Option<Vec<u8>>, Stat), ClientError> {
        let read = Read::Data { path: CONFIG_PATH, watch: false };
        data_of(self.ask(&Request::Read(read)).await?)
    }

    /// Changes the ensemble's membership if its configuration has this version, -1 for any; the
    /// new configuration. The native protocol has no words for the change yet: a server that is
    /// asked for it natively refuses.
    pub async fn reconfigure(
        &self,
        change: &Reconfiguration,
        version: i64,
    ) -> Result<(Option<Vec<u8>>, Stat), ClientError> {
        if self.handle.shared.codec() == Codec::Native {
            return data_of(self.ask(&Request::Reconfig).await?);
        }
        let answer = self.handle.shared.submit_encoded(ReplyKind::Data, &|xid, out| {
            encode(xid.0, change, version, out);
        });
        data_of(self.finish(answer).await?)
    }
}

/// ```text
/// length:i32 | xid:i32 | opcode:i32 = 16 | joining | leaving | members | version:i64
/// ```
/// with each text as a length (-1 for none) and its bytes, all numbers big-endian.
fn encode(xid: i32, change: &Reconfiguration, version: i64, out: &mut Vec<u8>) {
    let mut body = Vec::new();
    body.extend_from_slice(&xid.to_be_bytes());
    body.extend_from_slice(&RECONFIG_OPCODE.to_be_bytes());
    for text in [&change.joining, &change.leaving, &change.members] {
        let length = text.as_ref().map_or(-1, |text| text.len() as i32);
        body.extend_from_slice(&length.to_be_bytes());
        body.extend_from_slice(text.as_deref().unwrap_or_default().as_bytes());
    }
    body.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&(body.len() as i32).to_be_bytes());
    out.extend_from_slice(&body);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_frame_holds_three_texts_and_a_version() {
        let change = Reconfiguration { leaving: Some("5".into()), ..Reconfiguration::default() };
        let mut frame = Vec::new();
        encode(7, &change, -1, &mut frame);
        let mut expected = vec![0, 0, 0, 29, 0, 0, 0, 7, 0, 0, 0, 16];
        expected.extend_from_slice(&[0xff; 4]);
        expected.extend_from_slice(&[0, 0, 0, 1, b'5']);
        expected.extend_from_slice(&[0xff; 12]);
        assert_eq!(frame, expected);
    }
}
