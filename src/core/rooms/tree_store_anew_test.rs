//! A store whose tree was lost in a panic: what its successor tells, and what it shows when.

use super::*;

/// A view whose n-th write from now on panics when it is half done; 0 never does.
#[derive(Clone)]
struct Brittle {
    view: Shown,
    fails_in: Rc<Cell<u32>>,
    is_hidden: Rc<Cell<bool>>,
}

impl View for Brittle {
    fn write<R>(&self, f: impl FnOnce(&mut Tree) -> R) -> R {
        let is_hidden = self.is_hidden.replace(true);
        let result = self.view.write(f);
        let left = self.fails_in.get();
        self.fails_in.set(left.saturating_sub(1));
        assert_ne!(left, 1, "on purpose");
        self.is_hidden.set(is_hidden);
        result
    }

    fn read<R>(&self, f: impl FnOnce(&Tree) -> R) -> R {
        self.view.read(f)
    }

    fn look<R>(&self, f: impl FnOnce(&Tree) -> R) -> Option<R> {
        (!self.is_hidden.get()).then(|| self.view.read(f))
    }

    fn hide(&self) {
        self.is_hidden.set(true);
    }

    fn show(&self) {
        self.is_hidden.set(false);
    }
}

fn step<V: View>(store: &mut TreeStore<V>, input: Input) -> Vec<Effect> {
    let mut effects = Vec::new();
    store.step(NOW, input, &mut effects);
    effects
}

/// What effects say to others.
fn said(effects: &[Effect]) -> Vec<alloc::string::String> {
    effects.iter().map(|effect| format!("{effect:?}")).collect()
}

/// More than fits under one lock: a znode is made and set, and read in between.
fn long_batch(shop: &mut Shop) -> Vec<Committed> {
    let mut batch = vec![shop.write(1, &create("/n"))];
    for _ in 0..APPLY_BATCH_MAX {
        batch.push(shop.write(2, &Op::SetData { path: "/n", data: Some(b"x"), version: -1 }));
        batch.push(travel(3, 8, &data("/n", true)));
    }
    batch
}

/// The tree as it was when this much had been committed.
fn replayed(history: &[Committed], upto: Zxid) -> Box<Tree> {
    let mut tree = Tree::new(Rules::default(), 7);
    for committed in history {
        let CommittedBody::Txn(proposal) = &committed.body else { continue };
        if proposal.zxid <= upto {
            let payload = txn::decode(&proposal.payload).expect("a proposal is a transaction");
            let (session, ids, op) = (payload.session, &payload.ids[..], payload.op);
            let (zxid, time_ms) = (proposal.zxid, proposal.time_ms);
            tree.apply(&Txn { zxid, time_ms, session, ids, op }, &mut Effects::default());
        }
    }
    Box::new(tree)
}

#[test]
fn a_store_that_panicked_in_a_write_tells_everything_once_when_its_tree_is_made_anew() {
    let mut shop = Shop::open(IDLE);
    let earlier = shop.write(1, &begin());
    let batch = long_batch(&mut shop);
    let behind = vec![travel(4, 9, &data("/n", false)), shop.write(4, &create("/m"))];
    // One that nothing happens to.
    let calm = Brittle::new();
    let mut store = TreeStore::new(calm.clone(), IDLE, 0);
    step(&mut store, Input::Commit(vec![earlier.clone()]));
    let mut expected = step(&mut store, Input::Commit(batch.clone()));
    expected.extend(step(&mut store, Input::Commit(behind.clone())));
    for write in 1..=3 {
        let view = Brittle::new();
        let mut store = TreeStore::new(view.clone(), IDLE, 0);
        step(&mut store, Input::Commit(vec![earlier.clone()]));
        view.fails_in.set(write);
        let mut effects = Vec::new();
        let result = catch_unwind(AssertUnwindSafe(|| {
            store.step(NOW, Input::Commit(batch.clone()), &mut effects);
        }));
        assert!(result.is_err(), "write {write}");
        let mut store = store.heir();
        assert_eq!(view.look(Tree::last_applied), None, "nobody sees what is half-changed");
        let told = step(&mut store, Input::Rebuild);
        let [Effect::Rebuild(zxid)] = told[..] else { panic!("{told:?}") };
        assert!(store.is_rebuilding());
        assert!(step(&mut store, Input::Commit(behind.clone())).is_empty(), "it is held back");
        assert!(step(&mut store, Input::SessionsWanted).is_empty());
        assert!(step(&mut store, Input::Replaced(replayed(&batch, Zxid(1)))).is_empty(), "stale");
        let history = [vec![earlier.clone()], batch.clone()].concat();
        let mut told = step(&mut store, Input::Replaced(replayed(&history, zxid)));
        assert!(matches!(told.remove(0), Effect::Sessions(sessions) if sessions.len() == 1));
        assert!(!store.is_rebuilding());
        // What was held back comes in the same turns, so only the order counts.
        assert_eq!(steps_of(&told), steps_of(&expected), "write {write}");
        assert_eq!(view.look(Tree::digest), calm.look(Tree::digest));
    }
}

/// All steps of all deliveries, in order, replies to one connection in a row as one.
fn steps_of(effects: &[Effect]) -> Vec<alloc::string::String> {
    let mut all: Vec<Step> = Vec::new();
    for effect in effects {
        let Effect::Deliver(delivery) = effect else { panic!("{:?}", said(effects)) };
        for step in &delivery.steps {
            match (all.last_mut(), step) {
                (
                    Some(Step::Reply { connection, requests, bytes }),
                    Step::Reply { connection: to, requests: more, bytes: behind },
                ) if connection == to => {
                    *requests += more;
                    bytes.extend_from_slice(behind);
                }
                _ => all.push(step.clone()),
            }
        }
    }
    all.iter().map(|step| format!("{step:?}")).collect()
}

impl Brittle {
    fn new() -> Self {
        let (fails_in, is_hidden) = (Rc::default(), Rc::default());
        Self { view: Shown::fresh(), fails_in, is_hidden }
    }
}

/// What a successor says first: the zxid at which it wants the tree.
fn rebuilds(store: &mut TreeStore<Brittle>) -> Zxid {
    let told = step(store, Input::Rebuild);
    let [Effect::Rebuild(zxid)] = told[..] else { panic!("{told:?}") };
    zxid
}

#[test]
fn whoever_wants_the_sessions_is_told_them_though_the_tree_that_was_made_anew_is_lost_again() {
    let mut shop = Shop::open(IDLE);
    let earlier = shop.write(1, &begin());
    let view = Brittle::new();
    let mut store = TreeStore::new(view.clone(), IDLE, 0);
    step(&mut store, Input::Commit(vec![earlier.clone()]));
    let mut store = store.heir();
    let zxid = rebuilds(&mut store);
    assert!(step(&mut store, Input::SessionsWanted).is_empty());
    let behind = shop.write(1, &create("/n"));
    assert!(step(&mut store, Input::Commit(vec![behind])).is_empty(), "it is held back");
    // The first write puts the tree in its place, the second applies what was held back.
    view.fails_in.set(2);
    let history = [earlier];
    let lost = Input::Replaced(replayed(&history, zxid));
    assert!(catch_unwind(AssertUnwindSafe(|| step(&mut store, lost))).is_err());
    let mut store = store.heir();
    assert_eq!(rebuilds(&mut store), zxid);
    let told = step(&mut store, Input::Replaced(replayed(&history, zxid)));
    assert!(matches!(&told[0], Effect::Sessions(sessions) if sessions.len() == 1), "{told:?}");
}
