//! Catching a panic: whose it is, and what is known of it by the time it has been caught.
//!
//! The process's panic hook asks [`whose_panic`] while the stack still stands. What it hands to
//! [`note_cause`] is what [`guard`] returns once the stack has been unwound.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll};

thread_local! {
    static GUARDED: Cell<Option<Whose>> = const { Cell::new(None) };
    static CAUSE: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Whose code is running on this thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Whose {
    pub(crate) room: &'static str,
    /// Whether a panic of it is caught. What others see half-changed must not be unwound: see
    /// [`shared`].
    pub(crate) caught: bool,
}

/// Runs `act` as this room's; a panic becomes its cause, in words.
pub(super) fn run<R>(room: &'static str, act: impl FnOnce() -> R) -> Result<R, String> {
    let _restored = Restored(GUARDED.replace(Some(Whose { room, caught: true })));
    // Whoever calls this throws away what `act` was changing when it panicked.
    catch_unwind(AssertUnwindSafe(act)).map_err(|payload| {
        let noted = CAUSE.take();
        // The payload's own destructor is not to be trusted either.
        std::mem::forget(payload);
        noted.unwrap_or_else(|| "a panic without a hook that noted its cause".to_owned())
    })
}

/// A task of its own, outside any room, that has nothing to lose but itself: it is polled as the
/// room `name`, and a panic ends it with the cause.
pub(crate) struct Guarded<F> {
    name: &'static str,
    task: Pin<Box<F>>,
}

impl<F: Future> Guarded<F> {
    pub(crate) fn new(name: &'static str, task: F) -> Self {
        Self { name, task: Box::pin(task) }
    }
}

impl<F: Future> Future for Guarded<F> {
    type Output = Result<F::Output, String>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match run(self.name, || self.task.as_mut().poll(context)) {
            Ok(Poll::Pending) => Poll::Pending,
            Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
            Err(cause) => Poll::Ready(Err(cause)),
        }
    }
}

/// Runs `act` on what this room shares with others: a panic in it may leave them something
/// half-changed, and is not caught.
pub(crate) fn shared<R>(act: impl FnOnce() -> R) -> R {
    let whose = GUARDED.get().map(|whose| Whose { caught: false, ..whose });
    let _restored = Restored(GUARDED.replace(whose));
    act()
}

/// For the panic hook: whose code panics on this thread, if it is a room's.
pub(crate) fn whose_panic() -> Option<Whose> {
    GUARDED.get()
}

/// For the panic hook: what happened, for whoever catches it.
pub(crate) fn note_cause(cause: String) {
    CAUSE.set(Some(cause));
}

/// Puts back who was running before, however a function is left.
struct Restored(Option<Whose>);

impl Drop for Restored {
    fn drop(&mut self) {
        GUARDED.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caught(room: &'static str) -> Option<Whose> {
        Some(Whose { room, caught: true })
    }

    #[test]
    fn whose_code_runs_is_known_at_every_depth() {
        assert_eq!(whose_panic(), None);
        let result = run("outer", || {
            assert_eq!(whose_panic(), caught("outer"));
            let inner = run("inner", || {
                assert_eq!(whose_panic(), caught("inner"));
                shared(|| assert_eq!(whose_panic(), Some(Whose { room: "inner", caught: false })));
                note_cause("because".to_owned());
                std::panic::resume_unwind(Box::new(()));
            });
            assert_eq!(inner, Err("because".to_owned()));
            assert_eq!(whose_panic(), caught("outer"));
            7
        });
        assert_eq!(result, Ok(7));
        assert_eq!(whose_panic(), None);
    }

    #[test]
    fn a_task_that_panics_ends_alone_with_its_cause() {
        actix_rt::System::new().block_on(async {
            let task = async {
                tokio::task::yield_now().await;
                note_cause("because".to_owned());
                std::panic::resume_unwind(Box::new(()));
            };
            let ended: Result<(), String> = Guarded::new("task", task).await;
            assert_eq!(ended, Err("because".to_owned()));
            assert_eq!(Guarded::new("task", async { 7 }).await, Ok(7));
            assert_eq!(whose_panic(), None);
        });
    }
}
