//! The disk of one simulated server: the crumbling disk in memory, shared by the rooms that use
//! it, and able to be caught in the middle of a sync.
//!
//! While a sync is *held*, everything the log did before it has happened, and the sync has not:
//! a power cut then finds unsynced blocks, as it does while a real disk is still at work.

use ostler_core::log::mem_disk::MemDisk;
use ostler_core::log::{Disk, DiskError, Fault};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Held {
    File(String),
    Directory,
}

/// Calls around which the power may fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    Create,
    Write,
    Sync,
    Rename,
    Remove,
    SyncDirectory,
}

pub(crate) const VERBS: [Verb; 6] =
    [Verb::Create, Verb::Write, Verb::Sync, Verb::Rename, Verb::Remove, Verb::SyncDirectory];

/// The power is going to fail, or just has: then nothing more reaches the medium.
#[derive(Clone, Copy, Debug)]
struct Doom {
    verb: Verb,
    calls: u32,
    is_before: bool,
    down_ms: u64,
    is_over: bool,
}

#[derive(Default)]
struct Hold {
    holding: bool,
    held: Option<Held>,
}

/// A handle; clones share the medium, each room has its own hold.
pub(crate) struct SharedDisk {
    medium: Rc<RefCell<MemDisk>>,
    doom: Rc<Cell<Option<Doom>>>,
    hold: Rc<RefCell<Hold>>,
}

impl SharedDisk {
    pub(crate) fn new(seed: u64) -> Self {
        let medium = Rc::new(RefCell::new(MemDisk::new(seed)));
        Self { medium, doom: Rc::default(), hold: Rc::default() }
    }

    /// For another room.
    pub(crate) fn share(&self) -> Self {
        Self { medium: self.medium.clone(), doom: self.doom.clone(), hold: Rc::default() }
    }

    /// The same room's handle once more, so that the room's host can release what is held.
    pub(crate) fn same(&self) -> Self {
        Self { medium: self.medium.clone(), doom: self.doom.clone(), hold: self.hold.clone() }
    }

    /// The last sync of what is done from here on waits for [`Self::release`].
    pub(crate) fn hold(&self) {
        self.hold.borrow_mut().holding = true;
    }

    /// Nothing more is held back; what is, is done.
    pub(crate) fn release(&self) -> Result<(), DiskError> {
        self.hold.borrow_mut().holding = false;
        self.do_held()
    }

    pub(crate) fn power_cut(&self) {
        self.medium.borrow_mut().power_cut();
    }

    /// The power fails around a call; the server is down for so long then.
    pub(crate) fn doom(&self, verb: Verb, calls: u32, is_before: bool, down_ms: u64) {
        self.doom.set(Some(Doom { verb, calls, is_before, down_ms, is_over: false }));
    }

    /// How long the server is down, if the power has just failed.
    pub(crate) fn fate(&self) -> Option<u64> {
        self.doom.get().filter(|doom| doom.is_over).map(|doom| doom.down_ms)
    }

    /// Forgets all of that.
    pub(crate) fn spare(&self) {
        self.doom.set(None);
    }

    /// Makes a call, unless the power fails before it or has failed.
    fn call(
        &self,
        verb: Verb,
        make: impl FnOnce(&Self) -> Result<(), DiskError>,
    ) -> Result<(), DiskError> {
        let Some(mut doom) = self.doom.get() else { return make(self) };
        if doom.is_over {
            return Err(dark());
        }
        if doom.verb != verb {
            return make(self);
        }
        if doom.calls > 0 {
            doom.calls -= 1;
            self.doom.set(Some(doom));
            return make(self);
        }
        if !doom.is_before {
            make(self)?;
        }
        doom.is_over = true;
        self.doom.set(Some(doom));
        Err(dark())
    }

    /// A planned failure of one call; see [`MemDisk::fail_after`].
    pub(crate) fn fail_after(&self, calls: u32, verb: Option<&'static str>, fault: Fault) {
        self.medium.borrow_mut().fail_after(calls, verb, fault);
    }

    /// Forgets a planned failure.
    pub(crate) fn heal(&self) {
        self.spare();
        self.medium.borrow_mut().heal();
    }

    /// What a power cut at this moment might leave.
    pub(crate) fn image(&self) -> MemDisk {
        let mut image = self.medium.borrow().clone();
        image.heal();
        image.power_cut();
        image
    }

    fn do_held(&self) -> Result<(), DiskError> {
        let held = self.hold.borrow_mut().held.take();
        match held {
            Some(Held::File(file)) => self.medium.borrow_mut().sync(&file),
            Some(Held::Directory) => self.medium.borrow_mut().sync_directory(),
            None => Ok(()),
        }
    }

    /// A later act shows that the held sync had come to its end.
    fn before_change(&self) -> Result<(), DiskError> {
        self.do_held()
    }

    fn sync_or_hold(&self, what: Held) -> Result<(), DiskError> {
        self.do_held()?;
        self.hold.borrow_mut().held = Some(what);
        if self.hold.borrow().holding { Ok(()) } else { self.do_held() }
    }
}

impl Disk for SharedDisk {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        self.medium.borrow_mut().list()
    }

    fn length(&mut self, file: &str) -> Result<u64, DiskError> {
        self.medium.borrow_mut().length(file)
    }

    fn read_at(&mut self, file: &str, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        self.medium.borrow_mut().read_at(file, offset, into)
    }

    fn create(&mut self, file: &str) -> Result<(), DiskError> {
        self.call(Verb::Create, |disk| {
            disk.before_change()?;
            disk.medium.borrow_mut().create(file)
        })
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.call(Verb::Write, |disk| {
            disk.before_change()?;
            disk.medium.borrow_mut().write_at(file, offset, bytes)
        })
    }

    fn sync(&mut self, file: &str) -> Result<(), DiskError> {
        self.call(Verb::Sync, |disk| disk.sync_or_hold(Held::File(file.to_owned())))
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        self.call(Verb::Rename, |disk| {
            disk.before_change()?;
            disk.medium.borrow_mut().rename(from, to)
        })
    }

    fn remove(&mut self, file: &str) -> Result<(), DiskError> {
        self.call(Verb::Remove, |disk| {
            disk.before_change()?;
            disk.medium.borrow_mut().remove(file)
        })
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        self.call(Verb::SyncDirectory, |disk| disk.sync_or_hold(Held::Directory))
    }

    fn place(&self, file: &str) -> String {
        file.to_owned()
    }
}

fn dark() -> DiskError {
    let detail = "the power has failed".to_owned();
    DiskError { fault: Fault::Broken, verb: "reach", place: ".".to_owned(), detail }
}
