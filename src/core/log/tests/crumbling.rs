//! Simulated lives of a server over a disk that crashes, tears, fills up and lies: what was synced is
//! there after every one of them, and nothing that was never written.

use super::*;

/// What must be there after any accident.
#[derive(Default)]
struct Model {
    /// Acknowledged: every one must be there.
    synced: u64,
    /// Appended: none beyond may be there.
    appended: u64,
    snapshots: Vec<u64>,
}

struct Run {
    disk: MemDisk,
    model: Model,
    random: u64,
    restarts: u32,
    cuts: u32,
    /// Bits that were flipped after an orderly end, and how many of them stopped the next start.
    flips: u32,
    refusals: u32,
}

impl Run {
    fn new(seed: u64) -> Self {
        let random = xxh3_64(&seed.to_le_bytes());
        let disk = MemDisk::new(seed);
        Self { disk, model: Model::default(), random, restarts: 0, cuts: 0, flips: 0, refusals: 0 }
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
            let verbs = [None, Some("sync"), Some("write"), Some("write")];
            let verb = verbs[self.below(4) as usize];
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
        for _ in 0..self.below(30) {
            self.act(&mut log)?;
        }
        if self.below(4) == 0 {
            log.close()?;
            self.model.synced = self.model.appended;
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
            Ok((_, recovered)) => assert_eq!(recovered.last_zxid.0, self.model.synced),
            Err(error) => {
                assert_eq!(error.exit_code(), 65, "{error}");
                self.refusals += 1;
            }
        }
    }

    fn act(&mut self, log: &mut Log<&mut MemDisk>) -> Result<(), LogError> {
        match self.below(12) {
            0..=5 => {
                append(log, self.model.appended + 1)?;
                self.model.appended += 1;
            }
            6..=8 => {
                log.sync()?;
                self.model.synced = self.model.appended;
            }
            9 => log.mark_flushed()?,
            10 => {
                log.roll()?;
                self.model.synced = self.model.appended;
            }
            _ if self.model.synced > 0 => {
                let zxid = self.model.synced;
                publish(log.disk(), zxid)?;
                self.model.snapshots.push(zxid);
                log.purge(2)?;
            }
            _ => {}
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
        let last = recovered.last_zxid.0;
        assert!(last >= self.model.synced, "lost: {last} < {}", self.model.synced);
        assert!(last <= self.model.appended, "invented: {last} > {}", self.model.appended);
        assert!(recovered.damaged_snapshots.is_empty());
        let from = recovered.snapshot.unwrap_or_default().0;
        assert!(from >= self.model.snapshots.last().copied().unwrap_or_default());
        assert_eq!(replayed(log, from)?, (from + 1..=last).collect::<Vec<_>>());
        self.model.synced = last;
        self.model.appended = last;
        // Whatever was reported is durable, and a second look finds the same with nothing to cut.
        let mut again = (**log.disk()).clone();
        again.heal();
        again.power_cut();
        let (_, second) = open(&mut again)?;
        assert_eq!(second, Recovered { tail_cut: None, ..recovered.clone() });
        Ok(())
    }
}

#[test]
fn nothing_synced_is_lost_and_nothing_torn_is_recovered_on_a_crumbling_disk() {
    let (mut restarts, mut cuts, mut flips, mut refusals) = (0, 0, 0, 0);
    for seed in 0..3000 {
        let outcome = std::panic::catch_unwind(|| {
            let mut run = Run::new(seed);
            (0..6).for_each(|_| run.life());
            (run.restarts, run.cuts, run.flips, run.refusals)
        });
        let (these, torn, flipped, refused) = outcome.unwrap_or_else(|_| panic!("seed {seed:#x}"));
        restarts += these;
        cuts += torn;
        flips += flipped;
        refusals += refused;
    }
    assert!(restarts > 9000 && cuts > 300, "{restarts} restarts, {cuts} torn tails");
    assert!(flips > 1500 && refusals > 700, "{flips} flipped bits, {refusals} refused");
}
