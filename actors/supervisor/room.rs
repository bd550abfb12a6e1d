//! The actor around a tenant: it keeps the address and the mailbox, whatever becomes of the
//! tenant.

use super::{Nudge, Seat, rest};
use actix::{Actor, AsyncContext, Context, Handler, Message};
use std::collections::VecDeque;

/// Whoever does a room's work.
pub(crate) trait Tenant: Unpin + 'static {
    /// What it is sent.
    type Input: Send + 'static;

    /// Takes one input in. Inputs added to `later` come behind everything that waits already,
    /// here and in the other rooms of this thread.
    fn take(&mut self, input: Self::Input, later: &mut Vec<Self::Input>);

    /// Does what its predecessor had left to do, before its first input. Only a successor is asked.
    fn begin(&mut self) {}

    /// What its successor has to know of an input that is about to be taken in, should this tenant
    /// panic meanwhile: the input itself, if it can be taken in again. Nothing, unless said
    /// otherwise.
    fn keep(&mut self, _input: &Self::Input) -> Option<Self::Input> {
        None
    }

    /// Whether it has succeeded another one and is not yet able to do its work: until then its
    /// room is told of as being built anew. Asked after each input.
    fn is_recovering(&self) -> bool {
        false
    }
}

/// What a tenant that panicked, or goes down with its group, leaves to its successor.
pub(crate) struct Legacy<'a, T: Tenant> {
    /// The tenant itself, half-changed where it was at work: whoever builds the next one may take
    /// from it what is known to be whole, and drops the rest. None if a factory panicked over it.
    pub(crate) tenant: Option<T>,
    /// What was kept of the input at which it panicked: see [`Tenant::keep`].
    pub(crate) kept: Option<&'a T::Input>,
}

/// A new tenant, and what it takes in before anything that waits in the mailbox.
pub(crate) struct Rebuilt<T: Tenant> {
    pub(crate) tenant: T,
    pub(crate) first: Vec<T::Input>,
}

/// Builds the next tenant, from durable state and from what the last one leaves. An error is a
/// reason why there can be none.
pub(crate) type Factory<T> =
    Box<dyn for<'a> FnMut(Legacy<'a, T>) -> Result<Rebuilt<T>, String> + Send>;

/// An input for a room.
pub(crate) struct Deliver<I>(pub(crate) I);

impl<I: 'static> Message for Deliver<I> {
    type Result = ();
}

/// A look at a room's tenant.
pub(crate) struct Look<T>(pub(crate) Box<dyn FnOnce(&T) + Send>);

impl<T: 'static> Message for Look<T> {
    type Result = ();
}

/// See the module.
pub(crate) struct SupervisedRoom<T: Tenant> {
    seat: Seat,
    /// None only once nothing can help any more.
    tenant: Option<T>,
    /// The tenant is a successor that has not begun.
    is_fresh: bool,
    /// The tenant is a successor on its way back to work.
    is_recovering: bool,
    factory: Factory<T>,
}

impl<T: Tenant> SupervisedRoom<T> {
    pub(crate) fn new(seat: Seat, tenant: T, factory: Factory<T>) -> Self {
        Self { seat, tenant: Some(tenant), is_fresh: false, is_recovering: false, factory }
    }

    fn take_all(&mut self, mut waiting: VecDeque<T::Input>, later: &mut Vec<T::Input>) {
        if self.seat.is_condemned() && self.tenant.is_some() {
            self.seat.goes_down_with_its_group();
            self.rebuild(None, &mut waiting);
        }
        loop {
            self.begin(&mut waiting);
            let Some(input) = waiting.pop_front() else { break };
            let Some(tenant) = &mut self.tenant else { return };
            let mut kept = None;
            let taken = self.seat.run(|| {
                kept = tenant.keep(&input);
                tenant.take(input, later);
            });
            if let Err(cause) = taken
                && self.seat.failed(&cause)
            {
                self.rebuild(kept.as_ref(), &mut waiting);
            }
        }
        self.rise_if_recovered();
    }

    /// Lets a successor begin, or the successor of one that could not even do that.
    fn begin(&mut self, waiting: &mut VecDeque<T::Input>) {
        while std::mem::take(&mut self.is_fresh) {
            let Some(tenant) = &mut self.tenant else { return };
            if let Err(cause) = self.seat.run(|| tenant.begin())
                && self.seat.failed(&cause)
            {
                self.rebuild(None, waiting);
            }
        }
    }

    fn rise_if_recovered(&mut self) {
        if self.is_recovering && self.tenant.as_ref().is_some_and(|tenant| !tenant.is_recovering())
        {
            self.is_recovering = false;
            self.seat.rebuilt();
        }
    }

    /// Until a tenant stands, or there is no more use in trying.
    fn rebuild(&mut self, kept: Option<&T::Input>, waiting: &mut VecDeque<T::Input>) {
        loop {
            let Self { seat, tenant, factory, .. } = self;
            let tenant = tenant.take();
            let built = seat.run(|| factory(Legacy { tenant, kept }));
            match built {
                Ok(Ok(Rebuilt { tenant, first })) => {
                    self.tenant = Some(tenant);
                    // Told when what it has to take in first has been taken in.
                    self.is_recovering = true;
                    self.is_fresh = true;
                    first.into_iter().rev().for_each(|input| waiting.push_front(input));
                    return;
                }
                Ok(Err(reason)) => return self.seat.end(&reason),
                Err(cause) if self.seat.failed(&cause) => {}
                Err(_) => return,
            }
        }
    }
}

/// By a task of its own, which comes after the other rooms of this thread.
fn post_later<T: Tenant>(later: Vec<T::Input>, ctx: &mut Context<SupervisedRoom<T>>) {
    if !later.is_empty() {
        let this = ctx.address();
        actix_rt::spawn(async move {
            later.into_iter().for_each(|input| this.do_send(Deliver(input)));
        });
    }
}

impl<T: Tenant> Actor for SupervisedRoom<T> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        // Queues are bounded at the door; the mailbox's own bound would reorder senders.
        ctx.set_mailbox_capacity(0);
        self.seat.open(ctx.address().recipient());
    }
}

impl<T: Tenant> Handler<Deliver<T::Input>> for SupervisedRoom<T> {
    type Result = ();

    fn handle(&mut self, Deliver(input): Deliver<T::Input>, ctx: &mut Context<Self>) {
        let mut later = Vec::new();
        self.take_all(VecDeque::from([input]), &mut later);
        post_later(later, ctx);
    }
}

impl<T: Tenant> Handler<Nudge> for SupervisedRoom<T> {
    type Result = ();

    fn handle(&mut self, _: Nudge, ctx: &mut Context<Self>) {
        self.seat.alive();
        rest::look();
        let mut later = Vec::new();
        self.take_all(VecDeque::new(), &mut later);
        post_later(later, ctx);
    }
}

impl<T: Tenant> Handler<Look<T>> for SupervisedRoom<T> {
    type Result = ();

    fn handle(&mut self, Look(look): Look<T>, _: &mut Context<Self>) {
        let Some(tenant) = &self.tenant else { return };
        if let Err(cause) = self.seat.run(|| look(tenant))
            && self.seat.failed(&cause)
        {
            let mut waiting = VecDeque::new();
            self.rebuild(None, &mut waiting);
            self.take_all(waiting, &mut Vec::new());
        }
    }
}
