//! Events before data, over real sockets: many connections set watches of every kind and read as
//! fast as they can, while others change what they look at.
//!
//! The writers know every change and its zxid. So it can be said afterwards, frame by frame, what
//! each connection had to get: when it is shown a zxid it has been told of every change up to it
//! that it watched, in order, each once, and of none from before the reply that set the watch.

use crate::server::Server;
use ostler_core::types::{
    AclEntry, Create, CreateVariant, EventType, Op, Outcome, Perms, Read, RemoveKind, Request,
    SessionId, WatchMode, WatchOp, Xid, Zxid, parent_of,
};
use ostler_core::wire::jute::{ConnectRequest, ConnectResponse};
use ostler_core::wire::native::{Hello, HelloOptions, Welcome, greeting};
use ostler_core::wire::{Codec, OwnedReply, ReplyHeader, ReplyKind};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io::{BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

const WATCHERS: u64 = 16;
const WRITERS: u64 = 3;
const ZNODES: usize = 5;
/// How long the connections race, in seconds; `OSTLER_RACE_SECONDS` sets another time.
const SECONDS: u64 = 4;
/// Answers not fetched beyond which a client fetches before it asks for more.
const AHEAD: usize = 24;

/// What a change tells those who watch, in order.
type Change = Vec<(EventType, Arc<str>)>;

#[test]
fn events_come_before_data_on_every_connection() {
    let server = Server::start();
    let seconds = std::env::var("OSTLER_RACE_SECONDS").ok().and_then(|text| text.parse().ok());
    let race = Arc::new(Race::prepare(&server.address()));
    let run = |number: u64, job: fn(&Race, Client) -> Client| {
        let race = race.clone();
        std::thread::spawn(move || job(&race, Client::connect(&race.address, number)))
    };
    let watchers: Vec<_> = (0..WATCHERS).map(|number| run(number, watch)).collect();
    let writers: Vec<_> = (0..WRITERS).map(|number| run(100 + number, write)).collect();
    std::thread::sleep(Duration::from_secs(seconds.unwrap_or(SECONDS)));
    race.over.store(true, Ordering::Relaxed);
    let done = watchers.into_iter().chain(writers).map(|thread| thread.join().expect("no panic"));
    let clients: Vec<Client> = done.collect();
    let all = clients.iter().flat_map(|client| client.changes.clone());
    let changes: BTreeMap<Zxid, Change> = all.collect();
    let mut events = 0;
    for client in &clients {
        events += Judge::over(&changes).judge(client);
    }
    assert!(changes.len() > 100 && events > 1_000, "{} changes, {events} events", changes.len());
}

struct Race {
    address: String,
    root: Arc<str>,
    znodes: Vec<Arc<str>>,
    over: AtomicBool,
}

impl Race {
    /// A root whose children some will change and others watch.
    fn prepare(address: &str) -> Self {
        let root: Arc<str> = format!("/race-{}", std::process::id()).into();
        let znodes = (0..ZNODES).map(|number| format!("{root}/{number}").into()).collect();
        let race = Self { address: address.to_owned(), root, znodes, over: false.into() };
        let mut client = Client::connect(address, 99);
        client.ask(create(&race.root), Note::Change(Vec::new()));
        client.send();
        client.fetch_until(0);
        race
    }

    fn any<'a>(&'a self, dice: &mut Dice) -> &'a Arc<str> {
        &self.znodes[dice.roll(ZNODES)]
    }
}

/// What the answer to a request means.
enum Note {
    Nothing,
    /// A watch is set, if the answer is no refusal.
    Watch(Kind, Arc<str>),
    Remove(Arc<str>),
    /// These changes are made, if the answer is no refusal.
    Change(Change),
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Data,
    /// Set by exists, whether or not the znode is there.
    Exist,
    Child,
    Persistent,
    Recursive,
}

/// What a client got, in the order of the wire.
enum Entry {
    /// An answer showed this zxid.
    Shown(Zxid),
    Watch(Kind, Arc<str>),
    Removed(Arc<str>, bool),
    Event(Zxid, EventType, Arc<str>),
}

struct Client {
    number: u64,
    codec: Codec,
    dice: Dice,
    socket: TcpStream,
    input: BufReader<TcpStream>,
    unsent: Vec<u8>,
    xid: i32,
    awaited: VecDeque<(Xid, ReplyKind, Note)>,
    log: Vec<Entry>,
    changes: Vec<(Zxid, Change)>,
}

impl Client {
    /// A session of its own; waits for a server that is just starting.
    fn connect(address: &str, number: u64) -> Self {
        let deadline = Instant::now() + Duration::from_secs(20);
        let socket = loop {
            match TcpStream::connect(address) {
                Ok(socket) => break socket,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        // Every other one speaks the native protocol: the order must not depend on it.
        let codec = if number.is_multiple_of(2) { Codec::Jute } else { Codec::Native };
        let mut client = Self {
            number,
            codec,
            dice: Dice(number + 1),
            input: BufReader::new(socket.try_clone().unwrap()),
            socket,
            unsent: opening(codec),
            xid: 0,
            awaited: VecDeque::new(),
            log: Vec::new(),
            changes: Vec::new(),
        };
        client.send();
        client.be_welcome();
        client
    }

    fn be_welcome(&mut self) {
        let body = self.frame();
        match self.codec {
            Codec::Jute => {
                let response = ConnectResponse::decode(&body).expect("a handshake");
                assert_ne!(response.session, SessionId::NONE);
            }
            Codec::Native => {
                let welcome = Welcome::decode(&body).expect("a handshake");
                assert!(matches!(welcome, Welcome::Accepted { .. }), "{welcome:?}");
            }
        }
    }

    fn ask(&mut self, request: Request<'_>, note: Note) {
        self.xid += 1;
        let xid = if request == Request::Ping { Xid::PING } else { Xid(self.xid) };
        self.codec.encode_request(xid, &request, &mut self.unsent);
        self.awaited.push_back((xid, ReplyKind::of(&request), note));
    }

    fn send(&mut self) {
        self.socket.write_all(&self.unsent).expect("the server reads");
        self.unsent.clear();
    }

    fn frame(&mut self) -> Vec<u8> {
        let mut prefix = [0; 4];
        self.input.read_exact(&mut prefix).expect("the server answers in time");
        let mut body = vec![0; self.codec.frame_length(prefix).expect("a length")];
        self.input.read_exact(&mut body).expect("a whole frame");
        body
    }

    /// Takes frames until no more than so many answers are missing.
    fn fetch_until(&mut self, missing: usize) {
        while self.awaited.len() > missing {
            let body = self.frame();
            let (header, record) = self.codec.decode_reply_header(&body).expect("a header");
            if header.xid == Xid::EVENT {
                let event = self.codec.decode_event(header, record).expect("an event");
                let zxid = event.zxid.expect("events have the zxid of their change");
                self.log.push(Entry::Event(zxid, event.event, event.path));
            } else {
                self.note(header, record);
            }
        }
    }

    fn note(&mut self, header: ReplyHeader, record: &[u8]) {
        let ReplyHeader { xid, zxid, error } = header;
        let (expected, kind, note) = self.awaited.pop_front().expect("asked for");
        assert_eq!(xid, expected, "client {}: answers come in order", self.number);
        if !matches!(self.log.last(), Some(Entry::Shown(last)) if *last == zxid) {
            self.log.push(Entry::Shown(zxid));
        }
        match note {
            Note::Watch(kind, path) if error == 0 || kind == Kind::Exist => {
                self.log.push(Entry::Watch(kind, path));
            }
            Note::Remove(path) => self.log.push(Entry::Removed(path, error == 0)),
            Note::Change(change) if succeeded(self.codec, kind, header, record) => {
                self.changes.push((zxid, change));
            }
            Note::Nothing | Note::Watch(..) | Note::Change(_) => {}
        }
    }
}

/// What a client says first.
fn opening(codec: Codec) -> Vec<u8> {
    let (last_zxid_seen, timeout_ms, session) = (Zxid::ZERO, 10_000, SessionId::NONE);
    let mut bytes = Vec::new();
    match codec {
        Codec::Jute => {
            let (protocol_version, password, read_only) = (0, vec![0; 16], Some(false));
            ConnectRequest {
                protocol_version,
                last_zxid_seen,
                timeout_ms,
                session,
                password,
                read_only,
            }
            .encode(&mut bytes);
        }
        Codec::Native => {
            bytes.extend(greeting());
            let password = [0; 16];
            Hello {
                last_zxid_seen,
                timeout_ms,
                session,
                password,
                options: HelloOptions::default(),
            }
            .encode(&mut bytes);
        }
    }
    bytes
}

/// Whether a write was done: the header of a multi's answer never tells.
fn succeeded(codec: Codec, kind: ReplyKind, header: ReplyHeader, record: &[u8]) -> bool {
    let answer = codec.decode_reply(kind, header, record).expect("an answer of its kind");
    if let OwnedReply::Outcome(Outcome::Multi(results)) = &answer {
        return !results.iter().any(|result| matches!(result, Outcome::Failed(_)));
    }
    header.error == 0
}

/// Reads in place most of the time, as what travels meets its events anyway.
fn watch(race: &Race, mut client: Client) -> Client {
    while !race.over.load(Ordering::Relaxed) {
        for _ in 0..=client.dice.roll(6) {
            let path = race.any(&mut client.dice);
            let request = match client.dice.roll(8) {
                0 => Request::Ping,
                1 => children(&race.root, false),
                2 => Request::Read(Read::Exists { path, watch: false }),
                _ => Request::Read(Read::Data { path, watch: false }),
            };
            client.ask(request, Note::Nothing);
        }
        if client.dice.roll(4) == 0 {
            set_or_remove_a_watch(race, &mut client);
        }
        if client.dice.roll(60) == 0 {
            change(race, &mut client);
        }
        client.send();
        let ahead = if client.dice.roll(3) == 0 { 0 } else { AHEAD };
        client.fetch_until(ahead);
    }
    finish(race, client)
}

fn set_or_remove_a_watch(race: &Race, client: &mut Client) {
    let path = race.any(&mut client.dice);
    let held = |kind| Note::Watch(kind, path.clone());
    let add = |mode| Request::Watch(WatchOp::Add { path, mode });
    match client.dice.roll(24) {
        0 => client.ask(add(WatchMode::Persistent), held(Kind::Persistent)),
        1 => client.ask(add(WatchMode::PersistentRecursive), held(Kind::Recursive)),
        2 => {
            let mode = WatchMode::PersistentRecursive;
            let request = Request::Watch(WatchOp::Add { path: &race.root, mode });
            client.ask(request, Note::Watch(Kind::Recursive, race.root.clone()));
        }
        3..=6 => {
            let path = if client.dice.roll(2) == 0 { path } else { &race.root };
            let request = Request::Watch(WatchOp::Remove { path, kind: RemoveKind::Any });
            client.ask(request, Note::Remove(path.clone()));
        }
        7..=9 => {
            let note = Note::Watch(Kind::Child, race.root.clone());
            client.ask(children(&race.root, true), note);
        }
        10..=15 => {
            client.ask(Request::Read(Read::Exists { path, watch: true }), held(Kind::Exist));
        }
        _ => client.ask(Request::Read(Read::Data { path, watch: true }), held(Kind::Data)),
    }
}

fn write(race: &Race, mut client: Client) -> Client {
    while !race.over.load(Ordering::Relaxed) {
        for _ in 0..=client.dice.roll(4) {
            change(race, &mut client);
        }
        client.send();
        client.fetch_until(0);
    }
    finish(race, client)
}

fn change(race: &Race, client: &mut Client) {
    let (path, other) = (race.any(&mut client.dice), race.any(&mut client.dice));
    let both = |event| vec![(event, path.clone()), (EventType::ChildrenChanged, race.root.clone())];
    match client.dice.roll(8) {
        0 => {
            let request = Request::Write(Op::Delete { path, version: -1 });
            client.ask(request, Note::Change(both(EventType::Deleted)));
        }
        1 | 2 => client.ask(create(path), Note::Change(both(EventType::Created))),
        3 => {
            let set = |path| Op::SetData { path, data: Some(b"several"), version: -1 };
            let request = Request::Write(Op::Multi(vec![set(path), set(other)]));
            let changes = [path, other].map(|path| (EventType::DataChanged, path.clone()));
            client.ask(request, Note::Change(changes.to_vec()));
        }
        _ => {
            let request = Request::Write(Op::SetData { path, data: Some(b"one"), version: -1 });
            client.ask(request, Note::Change(vec![(EventType::DataChanged, path.clone())]));
        }
    }
}

/// Whatever was to be told has been when the sync is answered.
fn finish(race: &Race, mut client: Client) -> Client {
    client.ask(Request::Sync(&race.root), Note::Nothing);
    client.send();
    client.fetch_until(0);
    client
}

fn create(path: &str) -> Request<'_> {
    let acl = vec![AclEntry { perms: Perms::ALL, scheme: "world", id: "anyone" }];
    let variant = CreateVariant::Plain;
    Request::Write(Op::Create(Create { path, data: None, acl, flags: 0, ttl_ms: 0, variant }))
}

fn children(path: &str, watch: bool) -> Request<'_> {
    Request::Read(Read::Children { path, watch, with_stat: true })
}

/// Goes through what one client got beside what happened.
struct Judge<'a> {
    changes: std::iter::Peekable<std::collections::btree_map::Iter<'a, Zxid, Change>>,
    held: BTreeSet<(Arc<str>, Kind)>,
    /// What is to be told next.
    due: VecDeque<(Zxid, EventType, Arc<str>)>,
}

impl<'a> Judge<'a> {
    fn over(changes: &'a BTreeMap<Zxid, Change>) -> Self {
        let changes = changes.iter().peekable();
        Self { changes, held: BTreeSet::new(), due: VecDeque::new() }
    }

    /// How many events it got.
    fn judge(mut self, client: &Client) -> usize {
        let number = client.number;
        let (mut newest, mut events) = (Zxid::ZERO, 0);
        for entry in &client.log {
            match entry {
                Entry::Shown(zxid) => {
                    assert!(*zxid >= newest, "client {number}: {zxid} after {newest}");
                    newest = *zxid;
                    self.advance(newest);
                    let missing = self.due.front();
                    assert_eq!(missing, None, "client {number}: shown {newest}, and not told");
                }
                Entry::Event(zxid, event, path) => {
                    newest = newest.max(*zxid);
                    self.advance(newest);
                    let told = Some((*zxid, *event, path.clone()));
                    assert_eq!(told, self.due.pop_front(), "client {number}: told, and due");
                    events += 1;
                }
                Entry::Watch(kind, path) => {
                    let kind = if *kind == Kind::Exist { Kind::Data } else { *kind };
                    self.held.insert((path.clone(), kind));
                }
                Entry::Removed(path, removed) => {
                    let before = self.held.len();
                    self.held.retain(|(held, _)| held != path);
                    let held = before > self.held.len();
                    assert_eq!(held, *removed, "client {number}: watches of {path} to remove");
                }
            }
        }
        events
    }

    /// Lets everything happen up to this zxid.
    fn advance(&mut self, upto: Zxid) {
        while let Some((zxid, change)) = self.changes.next_if(|(zxid, _)| **zxid <= upto) {
            for (event, path) in change {
                if self.is_told(*event, path) {
                    self.due.push_back((*zxid, *event, path.clone()));
                }
            }
        }
    }

    fn is_told(&mut self, event: EventType, path: &Arc<str>) -> bool {
        let spent: &[Kind] = match event {
            EventType::Created | EventType::DataChanged => &[Kind::Data],
            EventType::Deleted => &[Kind::Data, Kind::Child],
            EventType::ChildrenChanged => &[Kind::Child],
        };
        let mut told = self.held.contains(&(path.clone(), Kind::Persistent));
        for kind in spent {
            told |= self.held.remove(&(path.clone(), *kind));
        }
        if event != EventType::ChildrenChanged {
            told |= self.held.contains(&(path.clone(), Kind::Recursive));
            let parent = parent_of(path).expect("below the root");
            told |= self.held.contains(&(parent.into(), Kind::Recursive));
        }
        told
    }
}

/// Small, and the same everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) as usize % sides
    }
}
