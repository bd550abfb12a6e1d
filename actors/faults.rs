//! Faults on command, for tests alone: without the feature `faults`, which no release build has,
//! nothing in here can be armed and nothing of it remains in the binary.

#[cfg(feature = "faults")]
mod armed {
    use ostler_core::log::disk::DiskError;
    use parking_lot::Mutex;
    use std::collections::BTreeMap;
    use std::sync::Arc;
    use std::time::Duration;

    /// What is to go wrong in a room, once.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub enum Fault {
        /// A panic before its n-th input from now on; 1 is the next.
        PanicAtInput(u64),
        /// A panic while its n-th effect from now on is performed.
        PanicAtEffect(u64),
        /// A panic when its n-th change of what others see from now on is half done.
        PanicInChange(u64),
        /// Its next input takes so long.
        Stall(Duration),
        /// Its next effect that can fail does.
        FailEffect,
        /// The process is aborted before its next input, as when memory is used up.
        Abort,
    }

    /// The faults of one server. A clone arms the same ones.
    #[derive(Clone, Debug, Default)]
    pub struct Faults(Arc<Mutex<BTreeMap<String, Vec<Fault>>>>);

    impl Faults {
        /// Lets this go wrong in the room of this name.
        pub fn arm(&self, room: &str, fault: Fault) {
            self.0.lock().entry(room.to_owned()).or_default().push(fault);
        }

        pub(crate) fn of(&self, room: &'static str) -> RoomFaults {
            RoomFaults { faults: self.clone(), room }
        }
    }

    fn is_due(left: &mut u64) -> Option<()> {
        *left = left.saturating_sub(1);
        (*left == 0).then_some(())
    }

    /// The faults of one room.
    #[derive(Clone)]
    pub(crate) struct RoomFaults {
        faults: Faults,
        room: &'static str,
    }

    impl RoomFaults {
        /// The room is about to take an input in.
        pub(crate) fn at_input(&self) {
            if let Some(pause) = self.take(|fault| match fault {
                Fault::Stall(pause) => Some(*pause),
                Fault::PanicAtInput(_)
                | Fault::PanicAtEffect(_)
                | Fault::PanicInChange(_)
                | Fault::FailEffect
                | Fault::Abort => None,
            }) {
                std::thread::sleep(pause);
            }
            let due = self.take(|fault| match fault {
                Fault::PanicAtInput(left) => is_due(left),
                Fault::Abort => std::process::abort(),
                Fault::PanicAtEffect(_)
                | Fault::PanicInChange(_)
                | Fault::Stall(_)
                | Fault::FailEffect => None,
            });
            assert!(due.is_none(), "a fault on command, at an input");
        }

        /// The room is in the middle of changing what others see.
        pub(crate) fn at_change(&self) {
            let due = self.take(|fault| match fault {
                Fault::PanicInChange(left) => is_due(left),
                Fault::PanicAtInput(_)
                | Fault::PanicAtEffect(_)
                | Fault::Stall(_)
                | Fault::FailEffect
                | Fault::Abort => None,
            });
            assert!(due.is_none(), "a fault on command, in a change");
        }

        /// The room is about to perform an effect.
        pub(crate) fn at_effect(&self) {
            let due = self.take(|fault| match fault {
                Fault::PanicAtEffect(left) => is_due(left),
                Fault::PanicAtInput(_)
                | Fault::PanicInChange(_)
                | Fault::Stall(_)
                | Fault::FailEffect
                | Fault::Abort => None,
            });
            assert!(due.is_none(), "a fault on command, at an effect");
        }

        /// Fails in place of what the room is about to do, if it is to.
        pub(crate) fn fail(&self) -> Result<(), DiskError> {
            if self.take(|fault| (*fault == Fault::FailEffect).then_some(())).is_none() {
                return Ok(());
            }
            Err(DiskError {
                fault: ostler_core::log::disk::Fault::Broken,
                verb: "write",
                place: "a file".to_owned(),
                detail: "a fault on command".to_owned(),
            })
        }

        /// The first fault that is due, which is then over.
        fn take<R>(&self, due: impl Fn(&mut Fault) -> Option<R>) -> Option<R> {
            let mut all = self.faults.0.lock();
            let faults = all.get_mut(self.room)?;
            let mut found = None;
            faults.retain_mut(|fault| {
                if found.is_none() {
                    found = due(fault);
                    return found.is_none();
                }
                true
            });
            found
        }
    }
}

#[cfg(not(feature = "faults"))]
mod harmless {
    use ostler_core::log::disk::DiskError;

    /// Nothing can be armed.
    #[derive(Clone, Copy, Debug, Default)]
    pub(crate) struct Faults;

    impl Faults {
        pub(crate) fn of(self, _room: &'static str) -> RoomFaults {
            RoomFaults
        }
    }

    /// Nothing happens.
    #[derive(Clone, Copy)]
    pub(crate) struct RoomFaults;

    impl RoomFaults {
        pub(crate) fn at_input(self) {}

        pub(crate) fn at_effect(self) {}

        pub(crate) fn at_change(self) {}

        pub(crate) fn fail(self) -> Result<(), DiskError> {
            Ok(())
        }
    }
}

#[cfg(feature = "faults")]
pub(crate) use armed::RoomFaults;
#[cfg(feature = "faults")]
pub use armed::{Fault, Faults};
#[cfg(not(feature = "faults"))]
pub(crate) use harmless::{Faults, RoomFaults};
