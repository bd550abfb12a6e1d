//! What watches had to bring, change by change, held against what each connection was told.
//!
//! Every change that a connection watched is told once, in the order of changes, before anything
//! is shown that has seen it; and nothing else is told. What a client says again that it watches
//! brings an event for whatever has changed meanwhile.

use crate::calls::{Ask, Call, Calls, Got, Watched};
use ostler_core::types::{EventType, WatchRegistration, Zxid};
use ostler_core::wire::OwnedReply;
use std::collections::{BTreeMap, BTreeSet};

use WatchRegistration::{Child, Data, Persistent, PersistentRecursive};

/// All changes of a history, in order.
pub(crate) struct Changes<'a> {
    all: &'a [(Zxid, EventType, String)],
    by_path: BTreeMap<&'a str, Vec<(Zxid, EventType)>>,
}

type Told<'a> = (Zxid, EventType, &'a str);

impl<'a> Changes<'a> {
    pub(crate) fn new(all: &'a [(Zxid, EventType, String)]) -> Self {
        let mut by_path: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (zxid, event, path) in all {
            by_path.entry(path.as_str()).or_default().push((*zxid, *event));
        }
        Self { all, by_path }
    }

    fn behind(&self, zxid: Zxid) -> impl Iterator<Item = Told<'a>> + use<'a> {
        let from = self.all.partition_point(|(at, ..)| *at <= zxid);
        self.all[from..].iter().map(|(zxid, event, path)| (*zxid, *event, path.as_str()))
    }

    /// The last change of these kinds up to a zxid.
    fn last(&self, path: &str, at: Zxid, kinds: &[EventType]) -> Option<(Zxid, EventType)> {
        let all = self.by_path.get(path)?;
        let until = all.partition_point(|(zxid, _)| *zxid <= at);
        all[..until].iter().rev().find(|(_, event)| kinds.contains(event)).copied()
    }

    fn exists(&self, path: &str, at: Zxid) -> bool {
        let last = self.last(path, at, &[EventType::Created, EventType::Deleted]);
        last.is_some_and(|(_, event)| event == EventType::Created)
    }

    /// What is told at `at` of a watch that was set before `since`.
    fn missed(
        &self,
        path: &str,
        kinds: &[EventType],
        of: EventType,
        since: Zxid,
        at: Zxid,
    ) -> Option<EventType> {
        if !self.exists(path, at) {
            return Some(EventType::Deleted);
        }
        let last = self.last(path, at, kinds);
        last.is_some_and(|(zxid, _)| zxid > since).then_some(of)
    }
}

/// The watches of one connection.
#[derive(Default)]
struct Held<'a>(BTreeSet<(&'a str, WatchRegistration)>);

impl<'a> Held<'a> {
    fn set(&mut self, path: &'a str, registration: WatchRegistration) {
        self.0.insert((path, registration));
    }

    /// Whether a change is told; one-shot watches are spent by it.
    fn fire(&mut self, event: EventType, path: &str) -> bool {
        let hits = |(on, registration): &(&str, WatchRegistration)| {
            let at = *on == path;
            let below = *on == "/" || path.strip_prefix(on).is_some_and(|r| r.starts_with('/'));
            match registration {
                Data => at && event != EventType::ChildrenChanged,
                Child => at && matches!(event, EventType::ChildrenChanged | EventType::Deleted),
                Persistent => at,
                PersistentRecursive => (at || below) && event != EventType::ChildrenChanged,
            }
        };
        let is_told = self.0.iter().any(hits);
        self.0.retain(|watch| matches!(watch.1, Persistent | PersistentRecursive) || !hits(watch));
        is_told
    }
}

/// Judges what one connection got.
pub(crate) fn check(stream: &[Got], calls: &Calls, changes: &Changes<'_>) {
    let mut held = Held::default();
    // Every change up to here is accounted for.
    let mut seen = Zxid::ZERO;
    let (mut told, mut made_up) = (Vec::new(), Vec::new());
    for got in stream {
        match got {
            Got::Event(event) => match event.zxid {
                Some(zxid) => told.push((zxid, event.event, &*event.path)),
                None => made_up.push((event.event, &*event.path)),
            },
            Got::Answer(number) => {
                let call = &calls.calls[*number];
                let Some((shown, _)) = call.answer else { continue };
                if call.is_again || matches!(call.ask, Ask::Auth(_)) {
                    continue;
                }
                let due = due(&mut held, changes, seen, Some(shown), usize::MAX);
                assert_eq!(told, due, "told, and due, before {:?} shows {shown}", call.ask);
                told.clear();
                seen = seen.max(shown);
                if let Ask::SetWatches(watched) = &call.ask {
                    let again = again(&mut held, changes, watched, shown);
                    made_up.sort_unstable();
                    assert_eq!(made_up, again, "told of {watched:?} at {shown}");
                    made_up.clear();
                }
                register(&mut held, call);
            }
        }
    }
    let due = due(&mut held, changes, seen, None, told.len());
    assert_eq!(told, due, "told, and due, at the end of a connection that had seen {seen}");
    assert!(made_up.is_empty() || stream.iter().all(|got| !answers_set_watches(got, calls)));
}

fn answers_set_watches(got: &Got, calls: &Calls) -> bool {
    matches!(got, Got::Answer(number) if matches!(calls.calls[*number].ask, Ask::SetWatches(_)))
}

/// The next changes that are told, up to a zxid and so many.
fn due<'a>(
    held: &mut Held<'_>,
    changes: &Changes<'a>,
    seen: Zxid,
    until: Option<Zxid>,
    count: usize,
) -> Vec<Told<'a>> {
    let mut due = Vec::new();
    if held.0.is_empty() {
        return due;
    }
    for change in changes.behind(seen) {
        if until.is_some_and(|until| change.0 > until) || due.len() == count {
            break;
        }
        if held.fire(change.1, change.2) {
            due.push(change);
        }
    }
    due
}

/// Watches that an answer sets.
fn register<'a>(held: &mut Held<'a>, call: &'a Call) {
    let Some((_, reply)) = &call.answer else { return };
    let found = !matches!(reply, OwnedReply::Error(_));
    match &call.ask {
        Ask::Get { path, watch: true } if found => held.set(path, Data),
        Ask::Exists { path, watch: true } => held.set(path, Data),
        Ask::Children { path, watch: true } if found => held.set(path, Child),
        Ask::AddWatch { path, recursive } if found => {
            held.set(path, if *recursive { PersistentRecursive } else { Persistent });
        }
        _ => {}
    }
}

/// Sets watches again; what had changed is told instead, in the order of kinds and paths.
fn again<'a>(
    held: &mut Held<'a>,
    changes: &Changes<'_>,
    watched: &'a Watched,
    at: Zxid,
) -> Vec<(EventType, &'a str)> {
    let (created, changed) = (EventType::Created, EventType::DataChanged);
    let children = EventType::ChildrenChanged;
    let mut told = Vec::new();
    let mut set = |path: &'a str, missed: Option<EventType>, registration| match missed {
        Some(event) => told.push((event, path)),
        None => held.set(path, registration),
    };
    let since = watched.relative;
    for path in &watched.data {
        set(path, changes.missed(path, &[created, changed], changed, since, at), Data);
    }
    for path in &watched.exist {
        set(path, changes.exists(path, at).then_some(created), Data);
    }
    for path in &watched.child {
        set(path, changes.missed(path, &[created, children], children, since, at), Child);
    }
    watched.persistent.iter().for_each(|path| set(path, None, Persistent));
    watched.recursive.iter().for_each(|path| set(path, None, PersistentRecursive));
    told.sort_unstable();
    told
}
