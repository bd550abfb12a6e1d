//! The log's own work for a batch, without what a disk adds: the disk here forgets everything.

use criterion::{Criterion, Throughput};
use ostler_core::log::{Disk, DiskError, Entry, Fault, Log, LogSettings};
use ostler_core::types::{ServerId, Zxid};
use ostler_core::zab::Origin;
use std::collections::BTreeMap;

const PAYLOAD: [u8; 160] = [7; 160];

/// Remembers how long its files are, and the first bytes, which the log reads back.
#[derive(Default)]
struct Oblivion {
    lengths: BTreeMap<String, u64>,
}

impl Oblivion {
    fn missing(file: &str) -> DiskError {
        let (place, detail) = (file.to_owned(), "it was never made".to_owned());
        DiskError { fault: Fault::Missing, verb: "find", place, detail }
    }
}

impl Disk for Oblivion {
    fn list(&mut self) -> Result<Vec<String>, DiskError> {
        Ok(self.lengths.keys().cloned().collect())
    }

    fn length(&mut self, file: &str) -> Result<u64, DiskError> {
        self.lengths.get(file).copied().ok_or_else(|| Self::missing(file))
    }

    fn read_at(&mut self, file: &str, offset: u64, into: &mut [u8]) -> Result<usize, DiskError> {
        let left = self.length(file)?.saturating_sub(offset);
        let count = into.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        into[..count].fill(0);
        Ok(count)
    }

    fn create(&mut self, file: &str) -> Result<(), DiskError> {
        self.lengths.insert(file.to_owned(), 0);
        Ok(())
    }

    fn write_at(&mut self, file: &str, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let length = self.lengths.get_mut(file).ok_or_else(|| Self::missing(file))?;
        *length = (*length).max(offset + bytes.len() as u64);
        Ok(())
    }

    fn sync(&mut self, _: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> Result<(), DiskError> {
        let length = self.lengths.remove(from).ok_or_else(|| Self::missing(from))?;
        self.lengths.insert(to.to_owned(), length);
        Ok(())
    }

    fn remove(&mut self, file: &str) -> Result<(), DiskError> {
        self.lengths.remove(file).map(drop).ok_or_else(|| Self::missing(file))
    }

    fn sync_directory(&mut self) -> Result<(), DiskError> {
        Ok(())
    }

    fn place(&self, file: &str) -> String {
        file.to_owned()
    }
}

pub(super) fn append(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("log/append");
    for batch in [1_u64, 64] {
        group.throughput(Throughput::Elements(batch));
        let settings =
            LogSettings { segment_bytes: 1 << 30, server: ServerId(1), directory: [1; 16] };
        let (mut log, _) =
            Log::open(Oblivion::default(), settings).expect("an empty disk is founded");
        let mut zxid = 0;
        group.bench_function(format!("{batch} and sync"), |bencher| {
            bencher.iter(|| {
                for _ in 0..batch {
                    zxid += 1;
                    let (zxid, origin) = (Zxid(zxid), Origin::default());
                    let entry = Entry { zxid, time_ms: 1, origin, payload: &PAYLOAD };
                    log.append(entry).expect("zxids ascend");
                }
                log.sync().expect("this disk never fails");
            });
        });
    }
    group.finish();
}
