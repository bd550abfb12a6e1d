//! Supervision by toy rooms: what their senders see of panics, and what the observer is told.

use super::*;
use actix::{Actor, Addr};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::sync::oneshot;

const PATIENCE: Patience = Patience { warn: Duration::from_secs(9), end: None };
const LIMIT: Intensity = Intensity { max: 3, within: Duration::from_secs(60) };

/// Adds what it is sent, and panics at [`POISON`] half-way through it.
struct Adder {
    generation: usize,
    taken: Vec<u32>,
    keeps: bool,
}

const POISON: u32 = 13;
/// Like [`POISON`], and kept for the next tenant.
const KEPT_POISON: u32 = 14;
/// Comes back behind everything that waits, as 5.
const LATER: u32 = 50;
const SLOW: u32 = 60;

impl Tenant for Adder {
    type Input = u32;

    fn take(&mut self, input: u32, later: &mut Vec<u32>) {
        self.taken.push(input);
        match input {
            POISON => panic!("poison"),
            KEPT_POISON if !self.keeps => panic!("poison that the first tenant cannot bear"),
            LATER => later.push(5),
            SLOW => std::thread::sleep(Duration::from_millis(300)),
            _ => {}
        }
    }

    fn keep(&mut self, input: &u32) -> Option<u32> {
        (*input == KEPT_POISON).then_some(KEPT_POISON)
    }
}

impl Drop for Adder {
    fn drop(&mut self) {
        // A half-changed tenant may not even be dropped in peace.
        assert_ne!(self.taken.last(), Some(&POISON), "a destructor that panics too");
    }
}

/// What an observer was told, in words.
type Told = Arc<Mutex<Vec<String>>>;

fn supervisor(strategy: Strategy) -> (Supervisor, Told) {
    let told = Told::default();
    let notes = told.clone();
    let supervisor = Supervisor::new("root", strategy, LIMIT, move |notice| {
        notes.lock().push(match notice {
            Notice::Failed { room, .. } => format!("failed {room}"),
            Notice::Rebuilt { room, .. } => format!("rebuilt {room}"),
            Notice::Stalls { room, .. } => format!("stalls {room}"),
            Notice::End { room, reason } => format!("end {room}: {reason}"),
        });
    });
    (supervisor, told)
}

fn adder(supervisor: &Supervisor, name: &'static str) -> Addr<SupervisedRoom<Adder>> {
    adder_with(supervisor, name, PATIENCE, |_| Ok(()))
}

/// A room whose factory may refuse or panic, told how many tenants there were.
fn adder_with(
    supervisor: &Supervisor,
    name: &'static str,
    patience: Patience,
    admit: impl Fn(usize) -> Result<(), String> + Send + 'static,
) -> Addr<SupervisedRoom<Adder>> {
    let mut generation = 0;
    let factory = move |legacy: Legacy<'_, Adder>| {
        let Legacy { tenant, kept } = legacy;
        drop(tenant);
        generation += 1;
        admit(generation)?;
        let tenant = Adder { generation, taken: Vec::new(), keeps: true };
        Ok(Rebuilt { tenant, first: kept.copied().into_iter().collect() })
    };
    let seat = supervisor.seat(Supervisor::root(), name, patience);
    let first = Adder { generation: 0, taken: Vec::new(), keeps: false };
    SupervisedRoom::new(seat, first, Box::new(factory)).start()
}

/// Which tenant there is, and what it has taken in; None if there is none.
async fn look(room: &Addr<SupervisedRoom<Adder>>) -> Option<(usize, Vec<u32>)> {
    let (tell, told) = oneshot::channel();
    room.do_send(Look(Box::new(move |tenant: &Adder| {
        tell.send((tenant.generation, tenant.taken.clone())).expect("the test waits");
    })));
    told.await.ok()
}

fn run<F: Future<Output = ()>>(test: F) {
    actix_rt::System::new().block_on(test);
}

#[test]
fn after_a_panic_the_next_tenant_goes_on_behind_the_same_address() {
    run(async {
        let (supervisor, told) = supervisor(Strategy::One);
        let (room, neighbour) = (adder(&supervisor, "a"), adder(&supervisor, "b"));
        for input in [1, LATER, POISON, 2, 3] {
            room.do_send(Deliver(input));
            neighbour.do_send(Deliver(input % POISON));
        }
        assert_eq!(look(&room).await, Some((1, vec![2, 3])), "what waited is not lost");
        assert_eq!(look(&room).await, Some((1, vec![2, 3, 5])), "nor what came later");
        assert_eq!(look(&neighbour).await.expect("lives").0, 0);
        // The destructor of the broken one panicked as well, and that was borne too.
        assert_eq!(*told.lock(), ["failed a", "failed a", "rebuilt a"]);
    });
}

#[test]
fn an_input_that_is_kept_is_taken_in_again_before_all_that_waits() {
    run(async {
        let (supervisor, _) = supervisor(Strategy::One);
        let room = adder(&supervisor, "a");
        for input in [1, KEPT_POISON, 2] {
            room.do_send(Deliver(input));
        }
        assert_eq!(look(&room).await, Some((1, vec![KEPT_POISON, 2])));
    });
}

#[test]
fn one_for_all_builds_the_others_anew_before_their_next_input() {
    run(async {
        let (supervisor, _) = supervisor(Strategy::All);
        let (room, other) = (adder(&supervisor, "a"), adder(&supervisor, "b"));
        other.do_send(Deliver(1));
        assert_eq!(look(&other).await, Some((0, vec![1])));
        room.do_send(Deliver(KEPT_POISON));
        other.do_send(Deliver(2));
        assert_eq!(look(&room).await.expect("lives").0, 1);
        assert_eq!(look(&other).await, Some((1, vec![2])));
    });
}

#[test]
fn beyond_the_limit_the_observer_is_told_why_and_the_room_stays_empty() {
    run(async {
        let (supervisor, told) = supervisor(Strategy::One);
        let room = adder_with(&supervisor, "a", PATIENCE, |_| panic!("no tenant to be had"));
        room.do_send(Deliver(KEPT_POISON));
        assert_eq!(look(&room).await, None);
        let told = told.lock();
        assert_eq!(told[..4], ["failed a"; 4]);
        let expected = "end a: rooms of the group `root` failed 4 times within 60 s";
        assert!(told[4].starts_with(expected), "{told:?}");
        let StatusLine::Room { room: status, .. } = &supervisor.status()[1] else {
            panic!("a room")
        };
        assert_eq!((status.state, status.restarts), (State::Ended, 0));
    });
}

#[test]
fn a_factory_may_refuse_with_a_reason() {
    run(async {
        let (supervisor, told) = supervisor(Strategy::One);
        let refuse = |_| Err("the disk is gone".to_owned());
        let room = adder_with(&supervisor, "a", PATIENCE, refuse);
        room.do_send(Deliver(KEPT_POISON));
        assert_eq!(look(&room).await, None);
        assert_eq!(*told.lock(), ["failed a", "end a: the disk is gone"]);
    });
}

#[test]
fn a_look_that_panics_costs_the_tenant_and_not_the_room() {
    run(async {
        let (supervisor, _) = supervisor(Strategy::One);
        let room = adder(&supervisor, "a");
        room.do_send(Look(Box::new(|_: &Adder| panic!("a bad look"))));
        assert_eq!(look(&room).await, Some((1, vec![])));
    });
}

#[test]
fn operators_see_groups_rooms_restarts_and_causes() {
    run(async {
        let (supervisor, _) = supervisor(Strategy::One);
        let room = adder(&supervisor, "a");
        room.do_send(Deliver(KEPT_POISON));
        look(&room).await;
        let lines = supervisor.status();
        let StatusLine::Group { depth: 0, name: "root", failures: 1, .. } = lines[0] else {
            panic!("{lines:?}")
        };
        let StatusLine::Room { depth: 1, room: status } = &lines[1] else { panic!("{lines:?}") };
        assert_eq!((status.name, status.state, status.restarts), ("a", State::Working, 1));
        assert!(status.last_cause.is_some() && status.last_down.is_some(), "{status:?}");
    });
}

#[test]
fn a_room_that_stalls_is_told_of_and_then_blamed_but_not_its_neighbour() {
    let (supervisor, told) = supervisor(Strategy::One);
    let rooms = supervisor.clone();
    let started = Arc::new(AtomicBool::new(false));
    let ready = started.clone();
    let thread = std::thread::spawn(move || {
        run(async move {
            let patience =
                Patience { warn: Duration::from_millis(20), end: Some(Duration::from_millis(100)) };
            let slow = adder_with(&rooms, "slow", patience, |_| Ok(()));
            let neighbour = adder_with(&rooms, "neighbour", patience, |_| Ok(()));
            look(&neighbour).await;
            ready.store(true, Ordering::SeqCst);
            slow.do_send(Deliver(SLOW));
            look(&slow).await;
        });
    });
    while !started.load(Ordering::SeqCst) {
        std::thread::yield_now();
    }
    while !thread.is_finished() {
        watchdog::look_round(&supervisor.0);
        std::thread::sleep(Duration::from_millis(5));
    }
    let told = told.lock().clone();
    assert_eq!(told[0], "stalls slow", "{told:?}");
    assert!(
        told[1].starts_with("end slow: the room `slow` has shown no progress for 1"),
        "{told:?}"
    );
    assert_eq!(told.len(), 2, "{told:?}");
}

#[test]
fn many_panics_under_load_lose_nothing_but_what_they_struck() {
    run(async {
        let limit = Intensity { max: 100, within: Duration::from_secs(60) };
        let supervisor = Supervisor::new("root", Strategy::One, limit, |_| {});
        let (failed, taken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (fails, takes) = (failed.clone(), taken.clone());
        let factory = move |_: Legacy<'_, Counter>| {
            fails.fetch_add(1, Ordering::Relaxed);
            Ok(Rebuilt { tenant: Counter(takes.clone()), first: Vec::new() })
        };
        let seat = supervisor.seat(Supervisor::root(), "counter", PATIENCE);
        let first = Counter(taken.clone());
        let room = SupervisedRoom::new(seat, first, Box::new(factory)).start();
        let senders: Vec<_> = (0..4)
            .map(|_| {
                let room = room.clone();
                std::thread::spawn(move || {
                    (0..500).for_each(|n| room.do_send(Deliver(n % 100 == 0)));
                })
            })
            .collect();
        while senders.iter().any(|sender| !sender.is_finished()) {
            tokio::task::yield_now().await;
        }
        let (tell, told) = oneshot::channel();
        room.do_send(Look(Box::new(move |_: &Counter| {
            tell.send(()).expect("the test waits");
        })));
        told.await.expect("the room lives");
        assert_eq!((failed.load(Ordering::SeqCst), taken.load(Ordering::SeqCst)), (20, 1980));
    });
}

/// Counts what it takes in; panics at `true`.
struct Counter(Arc<AtomicUsize>);

impl Tenant for Counter {
    type Input = bool;

    fn take(&mut self, poison: bool, _: &mut Vec<bool>) {
        assert!(!poison, "poison");
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
