//! A room: a supervised actor whose tenant is a machine with its performer.
//!
//! The room decides nothing. A panic in the machine or in the performance of an effect costs both
//! of them: a half-changed machine is never used again.

use crate::clock::Clock;
use crate::faults::RoomFaults;
use crate::supervisor::{Look, SupervisedRoom, Tenant};
use actix::{Context, Handler, Message, Recipient};
use ostler_core::rooms::Machine;
use std::collections::VecDeque;
use std::time::Duration;
use tokio::sync::oneshot;

/// A look at a room's machine, for four-letter words and orderly shutdown.
pub(crate) struct Inspect<M>(pub(crate) Box<dyn FnOnce(&M) + Send>);

impl<M: 'static> Message for Inspect<M> {
    type Result = ();
}

/// Carries out what a machine asks for.
pub(crate) trait Perform<M: Machine>: Sized + Unpin + 'static {
    /// Performs one effect. Completions are posted back as inputs through `again` (which keeps
    /// the mailbox's order) or come from another room.
    ///
    /// An effect during which this panics is not performed again, so what must not be lost is
    /// posted before anything that might.
    fn perform(&mut self, effect: M::Effect, again: &mut Vec<M::Input>);

    /// Inputs for which the mailbox comes first: posted behind everything that waits already.
    fn later(&mut self) -> Option<M::Input> {
        None
    }

    /// See [`Tenant::keep`].
    fn keep(&mut self, _input: &M::Input) -> Option<M::Input> {
        None
    }

    /// See [`Tenant::is_recovering`].
    fn is_recovering(&self, _machine: &M) -> bool {
        false
    }
}

/// A machine and whoever performs for it.
pub(crate) struct Hosted<M: Machine, P> {
    machine: M,
    performer: P,
    clock: Clock,
    /// Not taken in yet.
    inputs: VecDeque<M::Input>,
    /// What the step under way has decided so far.
    decided: Vec<M::Effect>,
    /// Decided by steps that are over, and not performed yet.
    undone: VecDeque<M::Effect>,
    /// Completions of what was performed.
    again: Vec<M::Input>,
    at: At,
    faults: RoomFaults,
}

/// What a tenant is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum At {
    /// Nothing, or it is looked at.
    Rest,
    /// An input lies before it.
    Input,
    /// The machine takes an input in.
    Step,
    /// What a step decided is performed.
    Effect,
}

/// What is left of a machine whose room panicked.
pub(crate) struct Remains<M: Machine> {
    /// Whole but for what a step was changing.
    pub(crate) machine: M,
    /// What it was doing. In a step, what was kept of the input stands for it; else the input is
    /// among `inputs`, or done with.
    pub(crate) at: At,
    /// What the step under way had decided so far.
    pub(crate) decided: Vec<M::Effect>,
    /// Decided by steps that were over, and not performed.
    pub(crate) undone: VecDeque<M::Effect>,
    /// Not taken in yet.
    pub(crate) inputs: VecDeque<M::Input>,
}

/// See the module.
pub(crate) type Room<M, P> = SupervisedRoom<Hosted<M, P>>;

impl<M: Machine, P> Hosted<M, P> {
    pub(crate) fn new(machine: M, performer: P, clock: Clock, faults: RoomFaults) -> Self {
        Self {
            machine,
            performer,
            clock,
            inputs: VecDeque::new(),
            decided: Vec::new(),
            undone: VecDeque::new(),
            again: Vec::new(),
            at: At::Rest,
            faults,
        }
    }

    /// These were decided already, by a predecessor: to be performed before anything else.
    pub(crate) fn with_undone(mut self, undone: VecDeque<M::Effect>) -> Self {
        self.undone = undone;
        self
    }

    /// Takes apart what panicked.
    pub(crate) fn remains(self) -> Remains<M> {
        let Self { machine, inputs, decided, undone, again, at, .. } = self;
        let inputs = inputs.into_iter().chain(again).collect();
        Remains { machine, at, decided, undone, inputs }
    }
}

impl<M, P> Tenant for Hosted<M, P>
where
    M: Machine<Input: Send + Unpin + 'static, Effect: Unpin + 'static> + Unpin + 'static,
    P: Perform<M>,
{
    type Input = M::Input;

    fn take(&mut self, input: M::Input, later: &mut Vec<M::Input>) {
        self.inputs.push_back(input);
        while !self.inputs.is_empty() {
            self.at = At::Input;
            // Before it is taken out: an input that was not looked at is not lost.
            self.faults.at_input();
            if let Some(input) = self.inputs.pop_front() {
                self.at = At::Step;
                self.machine.step(self.clock.now(), input, &mut self.decided);
            }
            self.undone.extend(self.decided.drain(..));
            self.perform();
        }
        later.extend(self.performer.later());
    }

    fn begin(&mut self) {
        self.perform();
    }

    fn keep(&mut self, input: &M::Input) -> Option<M::Input> {
        self.performer.keep(input)
    }

    fn is_recovering(&self) -> bool {
        self.performer.is_recovering(&self.machine)
    }
}

impl<M: Machine, P: Perform<M>> Hosted<M, P> {
    fn perform(&mut self) {
        self.at = At::Effect;
        while !self.undone.is_empty() {
            self.faults.at_effect();
            if let Some(effect) = self.undone.pop_front() {
                self.performer.perform(effect, &mut self.again);
            }
        }
        self.inputs.extend(self.again.drain(..));
        self.at = At::Rest;
    }
}

impl<M, P> Handler<Inspect<M>> for Room<M, P>
where
    Hosted<M, P>: Tenant,
    M: Machine + 'static,
    P: 'static,
{
    type Result = ();

    fn handle(&mut self, Inspect(look): Inspect<M>, ctx: &mut Context<Self>) {
        self.handle(Look(Box::new(|hosted: &Hosted<M, P>| look(&hosted.machine))), ctx);
    }
}

/// A room that does not answer so soon is left out of what is told.
const PATIENCE: Duration = Duration::from_secs(2);

/// What `look` finds in a room's machine, behind everything that waits there already.
pub(crate) async fn look<M: 'static, R: Send + 'static>(
    room: &Recipient<Inspect<M>>,
    look: impl FnOnce(&M) -> R + Send + 'static,
) -> Option<R> {
    let (tell, told) = oneshot::channel();
    room.do_send(Inspect(Box::new(move |machine| {
        // Whoever asked may have lost patience.
        let _ = tell.send(look(machine));
    })));
    tokio::time::timeout(PATIENCE, told).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::faults::Faults;
    use crate::supervision::{Endurance, Supervision};
    use crate::supervisor::Deliver;
    use actix::{Actor, Addr};
    use ostler_core::rooms::Now;
    use slog::{Discard, Logger, o};
    use std::cell::RefCell;
    use std::rc::Rc;

    /// Says what it is told.
    struct Echo;

    impl Machine for Echo {
        type Input = u32;
        type Effect = u32;

        fn step(&mut self, _: Now, input: u32, effects: &mut Vec<u32>) {
            effects.push(input);
        }
    }

    /// Writes everything down; what is odd it posts to the next room, one higher, and comes back
    /// to later, tenfold.
    struct Scribe {
        seen: Rc<RefCell<Vec<u32>>>,
        next: Option<Addr<Room<Echo, Self>>>,
        later: Option<u32>,
    }

    impl Perform<Echo> for Scribe {
        fn perform(&mut self, effect: u32, _: &mut Vec<u32>) {
            self.seen.borrow_mut().push(effect);
            if let Some(next) = self.next.as_ref().filter(|_| effect % 2 == 1) {
                next.do_send(Deliver(effect + 1));
                self.later = Some(effect * 10);
            }
        }

        fn later(&mut self) -> Option<u32> {
            self.later.take()
        }
    }

    #[test]
    fn what_comes_later_comes_behind_the_other_rooms_of_its_thread() {
        let logger = Logger::root(Discard, o!());
        let supervision = Supervision::new(Endurance::default(), &logger);
        let seen = Rc::new(RefCell::new(Vec::new()));
        let room = |next| {
            let performer = Scribe { seen: seen.clone(), next, later: None };
            let faults = Faults::default().of("echo");
            let hosted = Hosted::new(Echo, performer, Clock::start(), faults);
            let seat = supervision.supervisor.seat(supervision.state, "echo", supervision.patience);
            SupervisedRoom::new(seat, hosted, Box::new(|_| Err("once".to_owned())))
        };
        actix_rt::System::new().block_on(async {
            let second = room(None).start();
            let first = room(Some(second)).start();
            tokio::task::yield_now().await;
            first.do_send(Deliver(1));
            first.do_send(Deliver(2));
            while seen.borrow().len() < 4 {
                tokio::task::yield_now().await;
            }
        });
        // The first room empties its mailbox, then the second does, and only then comes the ten.
        assert_eq!(*seen.borrow(), [1, 2, 2, 10]);
    }
}
