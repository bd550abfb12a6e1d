//! How a connection begins: which protocol it speaks, and whose session it is.
//!
//! Both protocols come to one claim, which is judged once. A ZooKeeper client that this server
//! must not serve is met with silence, as ZooKeeper does; a native one is told why.

use super::bodies::Bodies;
use super::frames::{Frame, frame};
use super::{Connection, Door, Output, Phase};
use crate::rooms::pipeline::{Claim, Item, ItemBody, Sender};
use crate::rooms::tree_store::{Attached, Judgement, View, judge};
use crate::types::limits::HANDSHAKE_FRAME_BYTES_MAX;
use crate::types::{Asked, Op, SessionId, Xid};
use crate::wire::jute::{ConnectRequest, ConnectResponse};
use crate::wire::native::{GREETING_BYTES, Hello, Refusal, VERSION, Welcome, check_greeting};
use crate::wire::{Codec, Sniffed, sniff};
use bytes::Bytes;

impl Connection {
    pub(super) fn shake_hands<V: View>(
        &mut self,
        input: &[u8],
        view: &V,
        out: &mut Output,
    ) -> usize {
        match sniff(input) {
            Sniffed::NeedMore => 0,
            Sniffed::Word(word) => {
                out.word = Some(word);
                self.phase = Phase::Closing;
                4
            }
            Sniffed::Jute => self.greet_jute(input, view, out),
            Sniffed::Native => self.greet_native(input, view, out),
            Sniffed::Tls | Sniffed::TelnetInterrupt => self.hang_up(input, out),
        }
    }

    fn greet_jute<V: View>(&mut self, input: &[u8], view: &V, out: &mut Output) -> usize {
        let (length, body) = match frame(Codec::Jute, input, HANDSHAKE_FRAME_BYTES_MAX) {
            Frame::Partial => return 0,
            Frame::TooLarge => return self.hang_up(input, out),
            Frame::Whole(length, body) => (length, body),
        };
        let Ok(request) = ConnectRequest::decode(body) else {
            return self.hang_up(input, out);
        };
        let claim = Claim {
            last_zxid_seen: request.last_zxid_seen,
            timeout_ms: request.timeout_ms,
            session: request.session,
            password: request.password.into(),
        };
        self.hear(claim, request.read_only.map(|_| false), view, out);
        length
    }

    fn greet_native<V: View>(&mut self, input: &[u8], view: &V, out: &mut Output) -> usize {
        let Some((greeting, rest)) = input.split_first_chunk::<GREETING_BYTES>() else { return 0 };
        self.sender = Sender { codec: Codec::Native, ..(*self.sender).clone() }.into();
        match check_greeting(greeting) {
            Ok(VERSION) => {}
            Ok(_) => {
                // Before the hello, whose shape another version may have changed.
                self.refuse(Refusal::Version(VERSION), None, out);
                return input.len();
            }
            Err(_) => return self.hang_up(input, out),
        }
        let (length, body) = match frame(Codec::Native, rest, HANDSHAKE_FRAME_BYTES_MAX) {
            Frame::Partial => return 0,
            Frame::TooLarge => return self.hang_up(input, out),
            Frame::Whole(length, body) => (length, body),
        };
        let Ok(hello) = Hello::decode(body) else {
            return self.hang_up(input, out);
        };
        self.confirms_reads = hello.options.linearizable && !self.door.alone;
        self.once = hello.options.exactly_once.then_some(Xid(0));
        let claim = Claim {
            last_zxid_seen: hello.last_zxid_seen,
            timeout_ms: hello.timeout_ms,
            session: hello.session,
            password: Bytes::copy_from_slice(&hello.password),
        };
        self.hear(claim, None, view, out);
        GREETING_BYTES + length
    }

    /// A claim that this server's own state bears out is granted; any other is judged once more,
    /// by a state that is not stale.
    fn hear<V: View>(
        &mut self,
        mut claim: Claim,
        read_only: Option<bool>,
        view: &V,
        out: &mut Output,
    ) {
        out.received += 1;
        out.revalidates = claim.session != SessionId::NONE;
        let Door { min_session_timeout_ms, max_session_timeout_ms, .. } = *self.door;
        claim.timeout_ms = claim.timeout_ms.clamp(min_session_timeout_ms, max_session_timeout_ms);
        let (session, timeout_ms) = (claim.session, claim.timeout_ms);
        self.phase = Phase::Greeting { read_only, session, timeout_ms };
        // What cannot be judged now is judged behind all that is under way.
        match view.look(|tree| judge(tree, &claim)).unwrap_or(Judgement::Behind) {
            Judgement::Good => self.grant(session, timeout_ms, out),
            Judgement::Behind | Judgement::Unknown => {
                let body = ItemBody::Claim(claim);
                self.submit(alloc::vec![Item { xid: Xid(0), body }], out);
            }
            Judgement::WrongPassword => self.refuse(Refusal::SessionExpired, read_only, out),
        }
    }

    fn grant(&mut self, session: SessionId, timeout_ms: i32, out: &mut Output) {
        let body = if session == SessionId::NONE {
            let op = Op::CreateSession { timeout_ms, password: self.fresh_password };
            out.asked.push(Asked::SESSION);
            ItemBody::Write(self.payload(Xid(0), &op, &mut Bodies::default()))
        } else {
            ItemBody::Attach { session, timeout_ms }
        };
        self.submit(alloc::vec![Item { xid: Xid(0), body }], out);
    }

    /// The handshake's outcome arrived.
    pub fn attached(&mut self, attached: &Attached, out: &mut Output) {
        let Phase::Greeting { read_only, session, timeout_ms } = self.phase else { return };
        let (session, timeout_ms, password, last_once) = match *attached {
            Attached::Open { session, timeout_ms, password, last_once } => {
                (session, timeout_ms, password, last_once)
            }
            Attached::Judged(Judgement::Good) => return self.grant(session, timeout_ms, out),
            Attached::Judged(Judgement::Behind) => {
                return self.refuse(Refusal::Behind, read_only, out);
            }
            Attached::Judged(Judgement::Unknown | Judgement::WrongPassword) | Attached::Expired => {
                return self.refuse(Refusal::SessionExpired, read_only, out);
            }
        };
        self.phase = Phase::Open;
        self.timeout_ms = timeout_ms;
        self.sender = Sender { session, ..(*self.sender).clone() }.into();
        match self.sender.codec {
            Codec::Jute => {
                ConnectResponse { timeout_ms, session, password, read_only }.encode(&mut out.bytes);
            }
            Codec::Native => {
                let version = VERSION;
                Welcome::Accepted { version, session, timeout_ms, password, last_once }
                    .encode(&mut out.bytes);
            }
        }
    }

    fn refuse(&mut self, refusal: Refusal, read_only: Option<bool>, out: &mut Output) {
        self.phase = Phase::Closing;
        out.close = true;
        match (self.sender.codec, refusal) {
            (Codec::Native, refusal) => Welcome::Refused(refusal).encode(&mut out.bytes),
            (Codec::Jute, Refusal::SessionExpired) => {
                ConnectResponse::refusal(read_only).encode(&mut out.bytes);
            }
            // Silence sends the client to another server.
            (Codec::Jute, Refusal::Behind | Refusal::NotServing | Refusal::Version(_)) => {}
        }
    }

    fn hang_up(&mut self, input: &[u8], out: &mut Output) -> usize {
        self.phase = Phase::Closing;
        out.close = true;
        input.len()
    }
}
