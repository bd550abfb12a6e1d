//! A room: an actor that hosts a machine, hands it its inputs and performs its effects.
//!
//! The room decides nothing. A panic in a machine or in the performance of an effect reaches the
//! process's panic hook, which ends the process: a half-changed machine is never used again.

use crate::clock::Clock;
use actix::{Actor, Context, Handler, Message, Recipient};
use ostler_core::rooms::Machine;
use std::time::Duration;
use tokio::sync::oneshot;

/// An input on its way to a room.
pub(crate) struct Deliver<I>(pub(crate) I);

impl<I: 'static> Message for Deliver<I> {
    type Result = ();
}

/// A look at a room's machine, for four-letter words and orderly shutdown.
pub(crate) struct Inspect<M>(pub(crate) Box<dyn FnOnce(&M) + Send>);

impl<M: 'static> Message for Inspect<M> {
    type Result = ();
}

/// A machine that an actor can own: said once, for everything that a room does with it.
pub(crate) trait Tenant:
    Machine<Input: Send + 'static, Effect: Unpin + 'static> + Unpin + 'static
{
}

impl<M> Tenant for M where
    M: Machine<Input: Send + 'static, Effect: Unpin + 'static> + Unpin + 'static
{
}

/// Carries out what a machine asks for.
pub(crate) trait Perform<M: Machine>: Sized + Unpin + 'static {
    /// Performs one effect. Completions are posted back as inputs through `again` (which keeps
    /// the mailbox's order) or come from another room.
    fn perform(&mut self, effect: M::Effect, again: &mut Vec<M::Input>);

    /// Inputs for which the mailbox comes first: posted behind everything that waits already.
    fn later(&mut self) -> Option<M::Input> {
        None
    }
}

/// See the module.
pub(crate) struct Room<M: Machine, P> {
    machine: M,
    performer: P,
    clock: Clock,
    effects: Vec<M::Effect>,
}

impl<M: Machine, P: Perform<M>> Room<M, P> {
    /// A room for this machine.
    pub(crate) fn new(machine: M, performer: P, clock: Clock) -> Self {
        Self { machine, performer, clock, effects: Vec::new() }
    }
}

impl<M: Tenant, P: Perform<M>> Actor for Room<M, P> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Queues are bounded at the door; the mailbox's own bound would reorder senders.
        ctx.set_mailbox_capacity(0);
    }
}

impl<M: Tenant, P: Perform<M>> Handler<Deliver<M::Input>> for Room<M, P> {
    type Result = ();

    fn handle(&mut self, Deliver(input): Deliver<M::Input>, ctx: &mut Context<Self>) {
        let mut inputs = vec![input];
        while !inputs.is_empty() {
            let mut again = Vec::new();
            for input in inputs {
                self.machine.step(self.clock.now(), input, &mut self.effects);
                for effect in self.effects.drain(..) {
                    self.performer.perform(effect, &mut again);
                }
            }
            inputs = again;
        }
        if let Some(input) = self.performer.later() {
            use actix::AsyncContext;
            // By a task of its own, which comes after the other rooms of this thread.
            let this = ctx.address();
            actix_rt::spawn(async move { this.do_send(Deliver(input)) });
        }
    }
}

impl<M: Tenant, P: Perform<M>> Handler<Inspect<M>> for Room<M, P> {
    type Result = ();

    fn handle(&mut self, Inspect(look): Inspect<M>, _: &mut Context<Self>) {
        look(&self.machine);
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
    use actix::Addr;
    use ostler_core::rooms::Now;
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
        let seen = Rc::new(RefCell::new(Vec::new()));
        let room = |next| {
            let performer = Scribe { seen: seen.clone(), next, later: None };
            Room::new(Echo, performer, Clock::start())
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
