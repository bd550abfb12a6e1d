//! Simulated lives of a server over a disk that crashes, tears, fills up and lies: what was synced
//! is there after every one of them, and nothing that was never written.

use super::*;

/// What a log holds, as plainly as it can be said.
#[derive(Clone, Debug, Default, PartialEq)]
struct State {
    accepted: Reign,
    current: Reign,
    /// Nothing up to here is needed any more.
    base: u64,
    /// Zxids, each with a number that no other entry has.
    entries: Vec<(u64, u64)>,
}

impl State {
    fn last(&self) -> u64 {
        self.entries.last().map_or(self.base, |(zxid, _)| *zxid)
    }
}

/// What may be there after any accident.
#[derive(Default)]
struct Model {
    /// Acknowledged: this, or something later.
    synced: State,
    /// After each record since, any of which may have been the last to reach the disk.
    since: Vec<State>,
    stage: Option<(bool, State)>,
    /// The greatest zxid that ever was committed; what this life's log knows of it; what the last
    /// record states; what was synced.
    committed: u64,
    noted: u64,
    stated: u64,
    committed_synced: u64,
    snapshot: u64,
    tags: u64,
}

impl Model {
    fn now(&self) -> State {
        self.since.last().unwrap_or(&self.synced).clone()
    }

    fn record(&mut self, change: impl FnOnce(&mut State)) {
        let mut state = self.now();
        change(&mut state);
        self.since.push(state);
        self.stated = self.noted;
    }

    fn sync(&mut self) {
        self.synced = self.now();
        self.since.clear();
        self.committed_synced = self.stated;
    }

    fn tag(&mut self) -> u64 {
        self.tags += 1;
        self.tags
    }

    /// History may be superseded after this.
    fn floor(&self) -> u64 {
        self.committed.min(self.now().last())
    }
}

struct Run {
    disk: MemDisk,
    model: Model,
    random: u64,
    restarts: u32,
    cuts: u32,
    /// Stages adopted and synced; snapshots among them; stages found dead at a start.
    adopted: u32,
    installed: u32,
    dead: u32,
    /// Starts on a log whose last segment is a file that was one before.
    reused: u32,
    /// Bits that were flipped after an orderly end, and how many of them stopped the next start.
    flips: u32,
    refusals: u32,
}

fn tagged(zxid: u64, tag: u64, payload: &[u8]) -> Entry<'_> {
    let origin = Origin { server: ServerId(1), serial: tag };
    Entry { zxid: Zxid(zxid), time_ms: tag as i64, origin, payload }
}

impl Run {
    fn new(seed: u64) -> Self {
        Self {
            disk: MemDisk::new(seed),
            model: Model::default(),
            random: xxh3_64(&seed.to_le_bytes()),
            restarts: 0,
            cuts: 0,
            adopted: 0,
            installed: 0,
            dead: 0,
            reused: 0,
            flips: 0,
            refusals: 0,
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.random = xxh3_64(&self.random.to_le_bytes());
        self.random % bound
    }

    /// One life of a server: start, work until something fails or it is killed, then perhaps a
    /// power cut.
    fn life(&mut self) {
        let doomed = self.below(3) != 0;
        if doomed {
            let verbs = [
                None,
                Some("sync"),
                Some("sync"),
                Some("write"),
                Some("write"),
                Some("rename"),
                Some("sync directory"),
                Some("remove"),
                Some("create"),
            ];
            let verb = verbs[self.below(9) as usize];
            let fault = [Fault::Broken, Fault::NoSpace][self.below(2) as usize];
            let calls = self.below(12) as u32;
            self.disk.fail_after(calls, verb, fault);
        }
        let mut disk = self.disk.clone();
        let ended = self.work(&mut disk);
        assert!(doomed || ended.is_ok(), "{ended:?}");
        disk.heal();
        if self.below(3) != 0 {
            disk.power_cut();
        }
        self.disk = disk;
    }

    fn work(&mut self, disk: &mut MemDisk) -> Result<(), LogError> {
        let (mut log, recovered) = open(disk)?;
        self.check(&mut log, &recovered)?;
        for _ in 0..self.below(40) {
            self.act(&mut log)?;
        }
        if self.below(4) == 0 {
            log.close()?;
            self.model.sync();
            self.flip_after_end(&mut log);
        }
        Ok(())
    }

    /// However the next start looks: a bit that flips after an orderly end loses nothing unseen.
    fn flip_after_end(&mut self, log: &mut Log<&mut MemDisk>) {
        let (name, end) = (log.tail.name.clone(), log.tail.position);
        let mut disk = (**log.disk()).clone();
        disk.heal();
        disk.power_cut();
        disk.flip(&name, self.below(end) as usize, self.below(8) as u8);
        self.flips += 1;
        match open(&mut disk) {
            Ok((_, recovered)) => assert_eq!(recovered.last_zxid.0, self.model.synced.last()),
            Err(error) => {
                assert_eq!(error.exit_code(), 65, "{error}");
                self.refusals += 1;
            }
        }
    }

    fn act(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        match self.below(20) {
            0..=5 => self.append(log)?,
            6..=8 => {
                log.sync()?;
                self.model.sync();
            }
            9 => log.mark_flushed()?,
            10 => {
                log.roll()?;
                self.model.sync();
            }
            11 => self.take_snapshot(log)?,
            12 => self.promise(log)?,
            13 => self.begin_stage(log)?,
            14..=16 => self.add_to_stage(log)?,
            17..=18 => self.commit_stage(log)?,
            _ => {
                let last = self.model.now().last();
                let committed = self.model.floor() + self.below(3);
                self.model.committed = self.model.committed.max(committed.min(last));
                self.model.noted = self.model.committed;
                log.note_committed(Zxid(self.model.committed));
                log.sync()?;
                self.model.sync();
                self.check_history(log)?;
            }
        }
        Ok(())
    }

    fn append(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        let (zxid, tag) = (self.model.now().last() + 1 + self.below(2), self.model.tag());
        let appended = log.append(tagged(zxid, tag, &payload(tag)));
        if self.model.stage.is_some() {
            assert!(matches!(appended, Err(LogError::Unexpected { .. })), "{appended:?}");
            return Ok(());
        }
        appended?;
        self.model.record(|state| state.entries.push((zxid, tag)));
        Ok(())
    }

    fn take_snapshot(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        log.sync()?;
        self.model.sync();
        let zxid = self.model.synced.last();
        if zxid > 0 {
            self.model.committed = self.model.committed.max(zxid);
            publish(log.disk(), zxid)?;
            self.model.snapshot = zxid;
            log.note_snapshot(Zxid(zxid))?;
            self.model.noted = self.model.noted.max(zxid);
            self.model.record(|_| ());
            log.purge(2)?;
        }
        Ok(())
    }

    fn promise(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        let before = self.model.now().accepted;
        let reign = reign(before.epoch.0 + self.below(2) as u32, 1 + self.below(3));
        log.accept(reign)?;
        self.model.record(|state| state.accepted = reign);
        if reign.leader != before.leader || reign.leader == ServerId(1) {
            self.model.stage = None;
        }
        Ok(())
    }

    fn begin_stage(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        let (floor, mut state) = (self.model.floor(), self.model.now());
        let snapshot = self.below(4) == 0;
        let base = if snapshot {
            let base = floor + self.below(20);
            let mut writer = Writer::receive(log.disk(), Zxid(base))?;
            writer.chunk(&payload(base))?;
            writer.publish()?;
            state = State { base, entries: Vec::new(), ..state };
            base
        } else {
            let bases: Vec<_> = state.entries.iter().map(|(zxid, _)| *zxid).collect();
            let bases: Vec<_> = bases.into_iter().filter(|&zxid| zxid >= floor).collect();
            let chosen = self.below(1 + bases.len() as u64) as usize;
            let base = bases.get(chosen).copied().unwrap_or(state.last());
            state.entries.retain(|(zxid, _)| *zxid <= base);
            base
        };
        log.begin_stage(Zxid(base), snapshot)?;
        self.model.record(|_| ());
        self.model.stage = Some((snapshot, state));
        Ok(())
    }

    fn add_to_stage(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        for _ in 0..self.below(4) {
            let tag = self.model.tag();
            let step = 1 + self.below(3);
            let Some((_, stage)) = &mut self.model.stage else {
                let refused = log.stage(tagged(1 << 40, tag, &[]));
                assert!(matches!(refused, Err(LogError::Unexpected { .. })), "{refused:?}");
                return Ok(());
            };
            let zxid = stage.last() + step;
            log.stage(tagged(zxid, tag, &payload(tag)))?;
            stage.entries.push((zxid, tag));
            self.model.record(|_| ());
        }
        Ok(())
    }

    fn commit_stage(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        let reign = self.model.now().accepted;
        let last = self.model.stage.as_ref().map(|(_, stage)| stage.last());
        if last.is_some_and(|last| last < self.model.floor()) {
            // Not enough of what is committed, so far as it is known here.
            return Ok(());
        }
        log.commit_stage(reign)?;
        let stage = self.model.stage.take();
        let staged = stage.as_ref().map(|(_, state)| (state.base, state.entries.clone()));
        if let Some((true, state)) = &stage {
            self.model.committed = self.model.committed.max(state.base);
            self.model.noted = self.model.noted.max(state.base);
        }
        self.model.record(|state| {
            state.current = reign;
            if let Some((base, entries)) = staged {
                (state.base, state.entries) = (base, entries);
            }
        });
        if self.below(3) != 0 {
            log.sync()?;
            self.model.sync();
            self.adopted += u32::from(stage.is_some());
            self.installed += u32::from(stage.is_some_and(|(snapshot, _)| snapshot));
        }
        Ok(())
    }

    fn check(
        &mut self,
        log: &mut Log<&mut MemDisk>,
        recovered: &Recovered,
    ) -> Result<(), LogError> {
        self.restarts += 1;
        self.cuts += u32::from(recovered.tail_cut.is_some());
        self.dead += u32::from(self.model.stage.take().is_some());
        self.reused += u32::from(is_reused(log));
        assert!(recovered.damaged_snapshots.is_empty());
        let base = log.timeline.base.0;
        let Recovered { accepted, current, .. } = *recovered;
        let found = State { accepted, current, base, entries: entries(log)? };
        let fits = |state: &State| {
            let rest = state.entries.iter().filter(|(zxid, _)| *zxid > base).copied().collect();
            let same = State { base, entries: rest, ..state.clone() } == found;
            same && state.base <= base && state.last() == found.last()
        };
        let matching = fits(&self.model.synced) || self.model.since.iter().any(fits);
        assert!(matching, "{found:?} is none of {:?} {:?}", self.model.synced, self.model.since);
        let last = recovered.last_zxid.0;
        assert_eq!(last, found.last());
        let from = recovered.snapshot.unwrap_or_default().0;
        assert!(base <= from && self.model.snapshot <= from && from <= last);
        let committed = recovered.committed.0;
        assert!(committed >= self.model.committed_synced.min(last), "{committed}");
        assert!(committed <= self.model.committed.max(from), "{committed}");
        self.model.committed = self.model.committed.max(committed);
        (self.model.noted, self.model.stated) = (committed, committed);
        self.model.synced = found;
        self.model.since.clear();
        // Whatever was reported is durable, and a second look finds the same with nothing to cut.
        let mut again = (**log.disk()).clone();
        again.heal();
        again.power_cut();
        let (mut log, second) = open(&mut again)?;
        assert_eq!(second, Recovered { tail_cut: None, ..recovered.clone() });
        self.check_history(&mut log)
    }

    /// Readers find exactly what is live and durable, in chunks of any length.
    fn check_history(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        let base = log.timeline.base.0;
        let chunk = 300 + self.below(5000) as usize;
        let expected = self.model.synced.entries.iter().filter(|(zxid, _)| *zxid > base);
        let mut after = Zxid(base);
        let mut found = Vec::new();
        loop {
            let History { base, entries, reaches_back, .. } = log.history(after, chunk)?;
            assert!(reaches_back && base == after);
            let Some(last) = entries.last() else { break };
            after = last.zxid;
            found.extend(entries.iter().map(|entry| (entry.zxid.0, entry.origin.serial)));
        }
        assert_eq!(found, expected.copied().collect::<Vec<_>>());
        Ok(())
    }
}

/// Whether the last segment of the log is a file that was one before.
fn is_reused(log: &mut Log<&mut MemDisk>) -> bool {
    let name = log.tail.name.clone();
    log.disk().content(&name).unwrap()[12] == 1
}

/// Everything the log can replay, with what it carries checked.
fn entries(log: &mut Log<&mut MemDisk>) -> Result<Vec<(u64, u64)>, LogError> {
    let mut seen = Vec::new();
    log.replay(log.timeline.base, &mut |found| {
        let tag = found.origin.serial;
        assert_eq!(found, tagged(found.zxid.0, tag, &payload(tag)));
        seen.push((found.zxid.0, tag));
        Ok(())
    })?;
    Ok(seen)
}

#[test]
fn nothing_synced_is_lost_and_nothing_torn_is_recovered_on_a_crumbling_disk() {
    let mut sums = [0; 8];
    for seed in 0..3000 {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            (0..6).for_each(|_| run.life());
            let Run { restarts, cuts, adopted, installed, dead, flips, refusals, .. } = run;
            [restarts, cuts, adopted, installed, dead, flips, refusals, run.reused]
        });
        let these = outcome.unwrap_or_else(|_| panic!("seed {seed:#x}"));
        sums.iter_mut().zip(these).for_each(|(sum, this)| *sum += this);
    }
    let [restarts, cuts, adopted, installed, dead, flips, refusals, reused] = sums;
    assert!(restarts > 9000 && cuts > 300, "{restarts} restarts, {cuts} torn tails");
    assert!(adopted > 2000 && installed > 400 && dead > 1500, "{adopted} {installed} {dead}");
    assert!(reused > 300, "{reused} on a file that was a segment before");
    assert!(flips > 1500 && refusals > 700, "{flips} flipped bits, {refusals} refused");
}
