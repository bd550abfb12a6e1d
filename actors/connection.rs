//! One socket: reads what is there, lets the connection machine decide, writes what it says.
//!
//! A task, not an actor: it holds about half a kilobyte while idle, because buffers for reading
//! belong to the thread and only what is unfinished is kept.

use crate::counters::{ConnectionCounters, Counters};
use crate::hub::{Hub, Lane};
use crate::ledger::Ledger;
use crate::postbox::Post;
use crate::supervisor::Guarded;
use ostler_core::rooms::connection::{Connection, Output};
use ostler_core::rooms::pipeline;
use ostler_core::rooms::tree_store::View;
use ostler_core::tree::Tree;
use ostler_core::types::limits::CONNECTION_OUTPUT_BYTES_MAX;
use ostler_core::types::{ConnectionId, SessionId};
use ostler_core::wire::FourLetterWord;
use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::io::ErrorKind;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::{Sleep, sleep, sleep_until};

const SCRATCH_BYTES: usize = 64 << 10;
/// How long a refused or finished connection may take to fetch its last bytes.
const LINGER: Duration = Duration::from_secs(5);
/// How soon a connection that was held back by the server's load looks again.
const HELD_BACK: Duration = Duration::from_millis(2);

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
    /// What the last connection that sent all it had wrote its output into.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Serves one socket until it ends.
pub(crate) async fn converse(
    hub: Rc<Hub>,
    socket: TcpStream,
    id: ConnectionId,
    machine: Connection,
    counters: Arc<ConnectionCounters>,
) {
    let lane = hub.enter(id);
    let all = hub.shared.counters.clone();
    let outstanding = Outstanding { all: all.clone(), own: 0 };
    let mut talk = Talk {
        hub: hub.clone(),
        lane: lane.clone(),
        outstanding,
        socket,
        machine,
        ledger: Ledger::new(counters.clone(), all, id.arbiter(), hub.shared.clock),
        counters,
        unread: Vec::new(),
        unsent: Vec::new(),
        word: None,
        kept_since: None,
        stalled: false,
        close: false,
        cut: false,
    };
    // A panic costs this socket and nothing else; the client comes back to its session.
    if Guarded::new("connection", async move { talk.run().await }).await.is_err() {
        hub.shared.counters.connection_panics.fetch_add(1, Ordering::Relaxed);
    }
    let session = lane.session();
    hub.leave(id);
    hub.shared.rooms.pipeline(pipeline::Input::Gone(session, id));
    hub.shared.rooms.watch_fanout(ostler_core::rooms::watch_fanout::Input::Closed(vec![id]));
}

/// Requests of one connection that travel, in the count of all connections; taken out of it when
/// the connection ends, however it does.
struct Outstanding {
    all: Arc<Counters>,
    own: u64,
}

impl Outstanding {
    fn add(&mut self, requests: usize) {
        self.own += requests as u64;
        self.all.outstanding.fetch_add(requests as u64, Ordering::Relaxed);
    }

    fn remove(&mut self, requests: usize) {
        let requests = self.own.min(requests as u64);
        self.own -= requests;
        self.all.outstanding.fetch_sub(requests, Ordering::Relaxed);
    }
}

impl Drop for Outstanding {
    fn drop(&mut self) {
        self.all.outstanding.fetch_sub(self.own, Ordering::Relaxed);
    }
}

struct Talk {
    hub: Rc<Hub>,
    lane: Rc<Lane>,
    outstanding: Outstanding,
    socket: TcpStream,
    machine: Connection,
    ledger: Ledger,
    counters: Arc<ConnectionCounters>,
    unread: Vec<u8>,
    unsent: Vec<u8>,
    word: Option<FourLetterWord>,
    /// When the reads that the machine keeps were first offered.
    kept_since: Option<Instant>,
    stalled: bool,
    close: bool,
    /// What would come next is lost: nothing that comes later may reach the client.
    cut: bool,
}

#[derive(Clone, Copy)]
enum Wake {
    Bell,
    Socket,
    Again,
    Late,
    Gone,
}

impl Talk {
    async fn run(&mut self) {
        let deadline = Instant::now() + self.hub.shared.handshake_timeout;
        loop {
            self.collect();
            if self.flush().is_err() {
                return;
            }
            if self.may_go_on() {
                self.offer_unread();
                continue;
            }
            if self.close && self.unsent.is_empty() {
                return;
            }
            match self.wait(deadline).await {
                Wake::Bell => {}
                Wake::Socket | Wake::Again if self.close => {}
                Wake::Socket | Wake::Again => {
                    if self.may_read() && !self.read().await {
                        self.hub.shared.counters.dropped.fetch_add(1, Ordering::Relaxed);
                        return;
                    }
                }
                Wake::Late => {
                    self.hub.shared.counters.sessionless_expired.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Wake::Gone => return,
            }
        }
    }

    /// Waits for what is next. Polls sockets and bell itself: the library's futures for that would
    /// be the larger part of an idle connection's memory.
    async fn wait(&self, deadline: Instant) -> Wake {
        let may_read = self.may_read() && !self.close;
        let interest = u8::from(may_read) + 4 * u8::from(!self.unsent.is_empty());
        self.counters.interest.store(interest, Ordering::Relaxed);
        let mut alarm = self.alarm(may_read, deadline);
        poll_fn(|cx| {
            if self.lane.bell.poll_rung(cx).is_ready() {
                return Poll::Ready(Wake::Bell);
            }
            if may_read && let Poll::Ready(ready) = self.socket.poll_read_ready(cx) {
                return Poll::Ready(ready.map_or(Wake::Gone, |()| Wake::Socket));
            }
            if !self.unsent.is_empty()
                && let Poll::Ready(ready) = self.socket.poll_write_ready(cx)
            {
                return Poll::Ready(ready.map_or(Wake::Gone, |()| Wake::Bell));
            }
            match &mut alarm {
                Some((sleep, wake)) => sleep.as_mut().poll(cx).map(|()| *wake),
                None => Poll::Pending,
            }
        })
        .await
    }

    /// What happens if nothing else does, and when. Most connections wait for nothing of the kind,
    /// so it lies apart.
    fn alarm(&self, may_read: bool, deadline: Instant) -> Option<(Pin<Box<Sleep>>, Wake)> {
        if self.close {
            Some((Box::pin(sleep(LINGER)), Wake::Gone))
        } else if self.machine.session() == SessionId::NONE {
            Some((Box::pin(sleep_until(deadline.into())), Wake::Late))
        } else if !may_read && self.unsent.is_empty() {
            Some((Box::pin(sleep(HELD_BACK)), Wake::Again))
        } else {
            None
        }
    }

    /// Whether requests that were left over can be dealt with now.
    fn may_go_on(&self) -> bool {
        self.stalled && self.unsent.len() < CONNECTION_OUTPUT_BYTES_MAX && self.machine.has_room()
    }

    /// Flow control: a socket is not read while too much of what it sent is under way, or while
    /// its client does not fetch its replies, or while the whole server has its hands full.
    fn may_read(&self) -> bool {
        let shared = &self.hub.shared;
        let in_flight = self.machine.in_flight();
        !self.stalled
            && !self.machine.is_full()
            && self.unsent.len() < CONNECTION_OUTPUT_BYTES_MAX
            && (in_flight == 0
                || shared.counters.outstanding.load(Ordering::Relaxed) < shared.outstanding_max)
    }

    /// Reads once; false when the socket has ended.
    async fn read(&mut self) -> bool {
        // Polled once, not awaited. Unlike `try_read` this takes a read that came short as proof
        // that the socket is empty, which spares each request a call that finds nothing.
        let taken = poll_fn(|cx| Poll::Ready(self.poll_read(cx))).await;
        self.answer_word().await;
        taken.is_some()
    }

    /// Takes in what the socket has, if anything; `None` when it has ended.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Option<()> {
        SCRATCH.with_borrow_mut(|scratch| {
            let mut scratch = ReadBuf::new(scratch);
            match Pin::new(&mut self.socket).poll_read(cx, &mut scratch) {
                Poll::Ready(Ok(())) if scratch.filled().is_empty() => None,
                Poll::Ready(Ok(())) => {
                    self.take_in(scratch.filled());
                    Some(())
                }
                Poll::Pending => Some(()),
                Poll::Ready(Err(_)) => None,
            }
        })
    }

    fn take_in(&mut self, bytes: &[u8]) {
        self.hub.shared.faults.at_input();
        self.ledger.read(bytes.len());
        if self.machine.session() != SessionId::NONE {
            self.hub.touch(&self.lane, self.machine.session());
        }
        if self.unread.is_empty() {
            let consumed = self.offer(bytes);
            self.unread.extend_from_slice(&bytes[consumed..]);
        } else {
            self.unread.extend_from_slice(bytes);
            self.offer_unread();
        }
    }

    fn offer_unread(&mut self) {
        self.stalled = false;
        let unread = std::mem::take(&mut self.unread);
        let consumed = self.offer(&unread);
        self.unread = if consumed == 0 { unread } else { unread[consumed..].to_vec() };
    }

    fn offer(&mut self, bytes: &[u8]) -> usize {
        let started = self.kept_since.take().unwrap_or_else(Instant::now);
        let view = self.hub.shared.view.clone();
        if self.machine.is_watching() {
            // First how far events have been posted, then what has been posted, and only then
            // the state: see `Connection::handed`.
            let upto = view.delivered();
            self.hub.sort();
            self.take_posts();
            self.machine.handed(upto);
        }
        let mut out = self.output();
        let unsent = out.bytes.len();
        let consumed = self.machine.receive(bytes, &view, &mut out);
        self.ledger.took(&self.machine, started, &out, &out.bytes[unsent..]);
        self.kept_since = self.machine.keeps_reads().then_some(started);
        self.perform(out);
        consumed
    }

    /// An output that goes on where the unsent bytes end.
    fn output(&mut self) -> Output {
        if self.unsent.capacity() == 0 {
            self.unsent = SPARE.take();
        }
        Output { bytes: std::mem::take(&mut self.unsent), ..Output::default() }
    }

    fn perform(&mut self, out: Output) {
        self.unsent = out.bytes;
        if let Some(sender) = out.unvouched {
            self.outstanding.add(1);
            self.hub.ask_for(sender);
        }
        for submission in out.submissions {
            if self.machine.session() != SessionId::NONE {
                self.outstanding.add(submission.items.len());
            }
            self.hub.submit(submission);
        }
        self.close |= out.close;
        self.stalled |= out.stalled;
        self.word = self.word.or(out.word);
    }

    fn collect(&mut self) {
        // What was left over goes on when there is room: see `may_go_on`.
        if self.take_posts() && !self.unread.is_empty() && !self.stalled {
            self.offer_unread();
        }
    }

    /// Takes in what lies in the lane; false if there was nothing.
    fn take_posts(&mut self) -> bool {
        let posts = self.lane.take();
        let any = !posts.is_empty();
        for post in posts {
            if self.cut {
                break;
            }
            let mut out = Output { bytes: std::mem::take(&mut self.unsent), ..Output::default() };
            match post {
                Post::Parcel(parcel) => {
                    let requests = parcel.requests as usize;
                    self.ledger.arrived(&self.machine, requests, &parcel.bytes);
                    if out.bytes.is_empty() {
                        out.bytes = parcel.bytes;
                    } else {
                        out.bytes.extend_from_slice(&parcel.bytes);
                    }
                    self.outstanding.remove(requests);
                    self.machine.answered(requests, &mut out);
                }
                Post::Attached(_, attached) => {
                    let unsent = out.bytes.len();
                    self.machine.attached(&attached, &mut out);
                    let view = &self.hub.shared.view;
                    let zxid = view.look(Tree::last_applied).unwrap_or_else(|| view.delivered());
                    self.ledger.introduced(&self.machine, zxid, &out.bytes[unsent..]);
                    if self.machine.session() != SessionId::NONE {
                        self.hub.touch(&self.lane, self.machine.session());
                    }
                }
                Post::Kick(_) => self.machine.kicked(&mut out),
                // Others have lost nothing. The client comes back to its session, and its watches
                // are set again from the last state that it has seen.
                Post::Gap(_) if self.machine.is_watching() || self.machine.in_flight() > 0 => {
                    self.machine.kicked(&mut out);
                    out.close = true;
                    self.cut = true;
                }
                Post::Gap(_) => {}
            }
            self.perform(out);
        }
        any
    }

    async fn answer_word(&mut self) {
        if let Some(word) = self.word.take() {
            self.counters.interest.store(0, Ordering::Relaxed);
            self.ledger.word();
            // Its state is far larger than all else of a connection, and seldom needed.
            let text = Box::pin(self.hub.shared.words.answer(word)).await;
            self.unsent.extend_from_slice(text.as_bytes());
            self.ledger.text();
            self.close = true;
        }
    }

    fn flush(&mut self) -> Result<(), std::io::Error> {
        while !self.unsent.is_empty() {
            match self.socket.try_write(&self.unsent) {
                Ok(sent) if sent == self.unsent.len() => {
                    let mut spare = std::mem::take(&mut self.unsent);
                    // Memory that one large answer took is not kept for the small ones.
                    if spare.capacity() <= SCRATCH_BYTES {
                        spare.clear();
                        SPARE.set(spare);
                    }
                }
                Ok(sent) => drop(self.unsent.drain(..sent)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<F: Future>(_: impl FnOnce(&'static mut Talk) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn an_idle_connection_is_small() {
        let bytes = size_of::<Talk>() + size_of_future(Talk::run);
        assert!(bytes <= 512, "{bytes} bytes for each connection");
    }
}
