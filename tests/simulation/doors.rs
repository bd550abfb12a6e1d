//! Clients' connections: bytes both ways, and what a server's connection task does with them.

use crate::chance::Chance;
use crate::client::State;
use crate::server::{Post, Seat};
use crate::world::{Due, World};
use ostler_core::auth::AuthRules;
use ostler_core::rooms::connection::{Connection, Door, Output};
use ostler_core::rooms::{pipeline, watch_fanout};
use ostler_core::types::{AuthId, ConnectionId, SessionId};
use std::collections::VecDeque;
use std::sync::Arc;

/// How often a client looks what there is to do, in microseconds.
const CLIENT_US: u64 = 4000;

/// How much more seldom it does when the storm is over.
const CALM_FACTOR: u64 = 10;

/// What arrives at one end of a connection.
pub(crate) enum Segment {
    Bytes(Vec<u8>),
    End,
}

/// One connection between a client and a server.
pub(crate) struct Wire {
    client: usize,
    server: usize,
    life: u64,
    connection: ConnectionId,
    client_is_there: bool,
    server_is_there: bool,
    to_server: VecDeque<(u64, Segment)>,
    to_client: VecDeque<(u64, Segment)>,
}

fn put(queue: &mut VecDeque<(u64, Segment)>, at_us: u64, segment: Segment) -> u64 {
    let at_us = queue.back().map_or(at_us, |(last, _)| at_us.max(*last));
    queue.push_back((at_us, segment));
    at_us
}

impl World {
    fn latency(&mut self) -> u64 {
        let (low, high) = self.plan.latency_us;
        self.now_us + self.dice.within(low, high)
    }

    // The client's side.

    pub(crate) fn client_acts(&mut self, number: usize) {
        let us = CLIENT_US / 2 + self.dice.below(CLIENT_US);
        // In the calm there is little to do.
        let us = if self.storm_over { us * CALM_FACTOR } else { us };
        self.schedule_in(us, Due::Client(number));
        let now_ms = self.now_us / 1000;
        match self.clients[number].state {
            State::Vanished => return,
            State::Apart => return self.call_a_server(number),
            State::Greeting | State::Open => {}
        }
        if self.clients[number].despairs(now_ms) {
            return self.client_hangs_up(number);
        }
        let floor = self.oracle.acknowledged;
        let bytes = self.clients[number].speak(now_ms, floor, &mut self.calls);
        if let Some(wire) = self.connected.get(&number).copied() {
            self.say(wire, bytes);
        }
    }

    fn say(&mut self, wire: u64, bytes: Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        // As the network pleases, in two pieces.
        let cut = self.dice.below(bytes.len() as u64 + 1) as usize;
        for piece in [&bytes[..cut], &bytes[cut..]] {
            let at_us = self.latency();
            let Some(line) = self.wires.get_mut(&wire) else { return };
            let at_us = put(&mut line.to_server, at_us, Segment::Bytes(piece.to_vec()));
            self.schedule(at_us, Due::ToServer(wire));
        }
    }

    fn call_a_server(&mut self, number: usize) {
        let all = self.servers.len() as u64;
        let server = self.clients[number].draw(all) as usize;
        let now_us = self.now_us;
        let host = &mut self.servers[server];
        if host.is_paused(now_us) || self.given_up.contains(&server) {
            return;
        }
        let life = host.life;
        let Some(rooms) = &mut host.rooms else { return };
        host.connections += 1;
        let connection = ConnectionId::new(0, host.connections);
        let (wire, seed) = (self.next_wire, self.plan.seed);
        self.next_wire += 1;
        let password = Chance::of(seed, 1 << 40 | wire).bytes();
        let door = Door {
            frame_bytes_max: 1 << 20,
            min_session_timeout_ms: 500,
            max_session_timeout_ms: 60_000,
            alone: all == 1,
            auth: AuthRules { digest_enabled: true, super_digest: None },
        };
        let ip = AuthId { scheme: "ip".into(), id: "127.0.0.1".into() };
        let seat = Seat {
            machine: Connection::new(Arc::new(door), connection, ip, password),
            wire,
            posts: VecDeque::new(),
            unread: Vec::new(),
            is_closing: false,
        };
        rooms.seats.insert(connection, seat);
        let line = Wire {
            client: number,
            server,
            life,
            connection,
            client_is_there: true,
            server_is_there: true,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
        };
        self.wires.insert(wire, line);
        self.connected.insert(number, wire);
        let bytes = self.clients[number].greet(self.now_us / 1000, &mut self.calls);
        self.trace(|| format!("client {number} calls {server} ({connection:?})"));
        self.say(wire, bytes);
    }

    /// The client ends its connection. The server hears of it later, after some of what is still
    /// under way to it.
    pub(crate) fn client_hangs_up(&mut self, number: usize) {
        let Some(wire) = self.connected.remove(&number) else { return };
        self.trace(|| format!("client {number} loses its connection"));
        self.clients[number].lost(&self.calls);
        let late_us = if self.dice.one_in(2) { 0 } else { self.dice.below(800_000) };
        let at_us = self.latency() + late_us;
        let Some(line) = self.wires.get_mut(&wire) else { return };
        line.client_is_there = false;
        line.to_client.clear();
        let arrive = self.dice.below(line.to_server.len() as u64 + 1) as usize;
        line.to_server.truncate(arrive);
        if late_us > 0 {
            // What does arrive, arrives late: another connection may have the session by then.
            line.to_server.iter_mut().for_each(|(at, _)| *at = at_us);
        }
        let at_us = put(&mut line.to_server, at_us, Segment::End);
        self.schedule(at_us, Due::ToServer(wire));
        self.forget_if_over(wire);
    }

    pub(crate) fn client_hears(&mut self, wire: u64) {
        let now_us = self.now_us;
        while let Some(line) = self.wires.get_mut(&wire).filter(|line| line.client_is_there) {
            if line.to_client.front().is_none_or(|(at, _)| *at > now_us) {
                return;
            }
            let client = line.client;
            match line.to_client.pop_front() {
                Some((_, Segment::Bytes(bytes))) => {
                    let calls = &mut self.calls;
                    let before = self.clients[client].session();
                    let goes_on = self.clients[client].hear(&bytes, now_us / 1000, calls);
                    let after = self.clients[client].session();
                    if before != after {
                        self.trace(|| format!("client {client} has session {after:?}"));
                    }
                    self.note_acknowledged();
                    if !goes_on {
                        self.client_hangs_up(client);
                    }
                }
                Some((_, Segment::End)) | None => self.client_hangs_up(client),
            }
        }
    }

    /// Notes the greatest zxid of an acknowledged write.
    fn note_acknowledged(&mut self) {
        while let Some(call) = self.calls.fresh() {
            let Some((zxid, _)) = &call.answer else { continue };
            self.tally.count("answers", 1);
            if call.ask.is_write() {
                self.tally.count("writes acknowledged", 1);
                self.oracle.acknowledged = self.oracle.acknowledged.max(*zxid);
            }
        }
    }

    // The server's side.

    pub(crate) fn server_hears(&mut self, wire: u64) {
        let now_us = self.now_us;
        let Some(line) = self.wires.get(&wire) else { return };
        let (server, life) = (line.server, line.life);
        if self.servers[server].rooms.is_none() || self.servers[server].life != life {
            return;
        }
        if self.waits_for_wake(server, Due::ToServer(wire)) {
            return;
        }
        while let Some(line) = self.wires.get_mut(&wire).filter(|line| line.server_is_there) {
            let connection = line.connection;
            if line.to_server.front().is_none_or(|(at, _)| *at > now_us) {
                return;
            }
            match line.to_server.pop_front() {
                Some((_, Segment::Bytes(bytes))) => self.seat_reads(server, connection, &bytes),
                Some((_, Segment::End)) | None => self.seat_ends(server, connection),
            }
        }
    }

    /// For a connection: into its lane, if it is still there.
    pub(crate) fn post(&mut self, server: usize, id: ConnectionId, post: Post) {
        let life = self.servers[server].life;
        let Some(seat) = self.rooms(server).seats.get_mut(&id) else {
            // A watch may have been set for it after its end had been told.
            return self.tell_fanout(server, watch_fanout::Input::Closed(vec![id]));
        };
        seat.posts.push_back(post);
        let us = 1 + self.dice.below(self.plan.act_us);
        self.schedule_in(us, Due::Seat(server, life, id));
    }

    fn seat_reads(&mut self, server: usize, id: ConnectionId, bytes: &[u8]) {
        let mono_ms = self.servers[server].now(self.now_us).mono_ms;
        let rooms = self.rooms(server);
        let Some(seat) = rooms.seats.get_mut(&id) else { return };
        let session = seat.machine.session();
        if session != SessionId::NONE {
            rooms.heard.insert(session, mono_ms);
        }
        seat.unread.extend_from_slice(bytes);
        self.offer(server, id);
    }

    /// The connection's task looks into its lane.
    pub(crate) fn seat_looks(&mut self, server: usize, id: ConnectionId) {
        if self.take_posts(server, id) {
            self.offer(server, id);
        }
    }

    fn offer(&mut self, server: usize, id: ConnectionId) {
        let rooms = self.rooms(server);
        let upto = rooms.delivered;
        let view = rooms.view.clone();
        let Some(seat) = rooms.seats.get_mut(&id) else { return };
        if seat.is_closing || seat.unread.is_empty() || seat.machine.is_full() {
            return;
        }
        if seat.machine.is_watching() {
            self.take_posts(server, id);
        }
        let Some(seat) = self.rooms(server).seats.get_mut(&id) else { return };
        seat.machine.handed(upto);
        let unread = std::mem::take(&mut seat.unread);
        let mut out = Output::default();
        let consumed = seat.machine.receive(&unread, &view, &mut out);
        seat.unread = unread[consumed..].to_vec();
        self.perform_seat(server, id, out);
    }

    fn take_posts(&mut self, server: usize, id: ConnectionId) -> bool {
        let mono_ms = self.servers[server].now(self.now_us).mono_ms;
        let mut any = false;
        loop {
            let rooms = self.rooms(server);
            let Some(seat) = rooms.seats.get_mut(&id) else { return false };
            let Some(post) = seat.posts.pop_front() else { return any };
            any = true;
            let mut out = Output::default();
            match post {
                Post::Parcel(parcel) => {
                    out.bytes.extend_from_slice(&parcel.bytes);
                    seat.machine.answered(parcel.requests as usize, &mut out);
                }
                Post::Attached(attached) => {
                    seat.machine.attached(&attached, &mut out);
                    let session = seat.machine.session();
                    if session != SessionId::NONE {
                        rooms.heard.insert(session, mono_ms);
                    }
                }
                Post::Kick => seat.machine.kicked(&mut out),
                // Others have lost nothing.
                Post::Gap if seat.machine.is_watching() || seat.machine.in_flight() > 0 => {
                    seat.machine.kicked(&mut out);
                    out.close = true;
                }
                Post::Gap => {}
            }
            self.perform_seat(server, id, out);
        }
    }

    fn perform_seat(&mut self, server: usize, id: ConnectionId, out: Output) {
        let Some(seat) = self.rooms(server).seats.get_mut(&id) else { return };
        let wire = seat.wire;
        seat.is_closing |= out.close;
        let ends = seat.is_closing;
        if !out.bytes.is_empty() {
            let at_us = self.latency();
            if let Some(line) = self.wires.get_mut(&wire).filter(|line| line.client_is_there) {
                let at_us = put(&mut line.to_client, at_us, Segment::Bytes(out.bytes));
                self.schedule(at_us, Due::ToClient(wire));
            }
        }
        if let Some(sender) = out.unvouched
            && self.rooms(server).asking.want(sender)
        {
            // Others have their turn first, and may join in.
            let life = self.servers[server].life;
            let us = self.dice.below(self.plan.act_us);
            self.schedule_in(us, Due::Ask(server, life));
        }
        for submission in out.submissions {
            let asked = self.rooms(server).asking.ask_before(submission.sender.connection);
            self.tell_pipeline_if(server, asked);
            self.tell_pipeline(server, pipeline::Input::Submit(submission));
        }
        if ends {
            self.seat_ends(server, id);
        }
    }

    /// Those who want to be vouched for ask, if they may.
    pub(crate) fn doors_ask(&mut self, server: usize) {
        let asked = self.rooms(server).asking.ask();
        self.tell_pipeline_if(server, asked);
    }

    /// The server's end of a connection is gone.
    fn seat_ends(&mut self, server: usize, id: ConnectionId) {
        let Some(seat) = self.rooms(server).seats.remove(&id) else { return };
        self.rooms(server).asking.forget(id);
        let session = seat.machine.session();
        self.tell_pipeline(server, pipeline::Input::Gone(session, id));
        self.tell_fanout(server, watch_fanout::Input::Closed(vec![id]));
        self.server_end_is_gone(seat.wire);
    }

    fn server_end_is_gone(&mut self, wire: u64) {
        let at_us = self.latency();
        let Some(line) = self.wires.get_mut(&wire) else { return };
        line.server_is_there = false;
        line.to_server.clear();
        let at_us = put(&mut line.to_client, at_us, Segment::End);
        self.schedule(at_us, Due::ToClient(wire));
        self.forget_if_over(wire);
    }

    fn forget_if_over(&mut self, wire: u64) {
        let is_over = |line: &Wire| !line.client_is_there && !line.server_is_there;
        if self.wires.get(&wire).is_some_and(is_over) {
            self.wires.remove(&wire);
        }
    }

    /// The process behind these connections is gone. Without power nobody tells the clients.
    pub(crate) fn doors_close(&mut self, server: usize, life: u64, is_dark: bool) {
        let of = |line: &Wire| line.server == server && line.life == life;
        let wires = self.wires.iter().filter(|(_, line)| of(line) && line.server_is_there);
        let wires: Vec<_> = wires.map(|(wire, _)| *wire).collect();
        for wire in wires {
            let Some(line) = self.wires.get_mut(&wire) else { continue };
            let arrive = self.dice.below(line.to_client.len() as u64 + 1) as usize;
            line.to_client.truncate(arrive);
            if is_dark {
                line.server_is_there = false;
                line.to_server.clear();
                self.forget_if_over(wire);
            } else {
                self.server_end_is_gone(wire);
            }
        }
    }

    /// The server a client is connected to.
    pub(crate) fn host_of(&self, client: usize) -> Option<usize> {
        let wire = self.connected.get(&client)?;
        self.wires.get(wire).map(|line| line.server)
    }
}
