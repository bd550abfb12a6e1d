//! Opening a directory: the first start, and recovery after a stop of any kind.
//!
//! Reads and checks everything before it changes anything. Called by [`Log::open`] only.

use super::disk::{Disk, Fault};
use super::error::LogError;
use super::identity::{self, Identity};
use super::record::Entry;
use super::segment::{self, End, RECORDS_AT, Scan, SegmentHeader};
use super::{Epochs, Log, LogSettings, Recovered, SEGMENT_BYTES_MAX, Segment, Tail, TailCut};
use super::{read_file, snapshot};
use crate::types::Zxid;
use alloc::string::String;
use alloc::vec::Vec;

/// Opens or founds the log.
pub(super) fn open<D: Disk>(
    mut disk: D,
    settings: LogSettings,
) -> Result<(Log<D>, Recovered), LogError> {
    let files = disk.list()?;
    if !files.iter().any(|file| file == identity::FILE) {
        refuse_orphans(&mut disk, &files)?;
        let identity = Identity { server: settings.server, directory: settings.directory };
        let log = Log::found(disk, settings, identity)?;
        return Ok((log, Recovered::default()));
    }
    let identity = Identity::read(&mut disk, settings.server)?;
    let mut survey = Survey::new(identity);
    for file in files.iter().filter(|file| segment::is_segment(file)) {
        survey.add(&mut disk, file)?;
    }
    let (mut log, repair) = survey.finish(disk, settings)?;
    let mut recovered = Recovered {
        last_zxid: log.last_zxid,
        accepted_epoch: log.epochs.accepted,
        current_epoch: log.epochs.current,
        leader: log.epochs.leader,
        tail_cut: repair.cut.clone(),
        ..Recovered::default()
    };
    choose_snapshot(&mut log, &mut recovered)?;
    repair.perform(&mut log)?;
    remove_leftovers(&mut log.disk, &files)?;
    Ok((log, recovered))
}

/// Files that ZooKeeper's scripts leave in a data directory. They harm nothing, and whoever moves
/// from there has them.
const HARMLESS: [&str; 3] = ["initialize", "myid", "zookeeper_server.pid"];

/// Without an identity there must be nothing but the remains of an interrupted first start.
fn refuse_orphans<D: Disk>(disk: &mut D, files: &[String]) -> Result<(), LogError> {
    for file in files {
        let orphan = if segment::is_segment(file) {
            let bytes = read_file(disk, file, SEGMENT_BYTES_MAX)?;
            bytes.iter().skip(RECORDS_AT).any(|&byte| byte != 0)
        } else {
            snapshot::is_snapshot(file)
        };
        if orphan {
            let what = "there was a server here, but the file `identity` is gone";
            return Err(LogError::MissingFile { file: disk.place(file), what });
        }
        let expected = segment::is_segment(file) || is_leftover(file);
        // A file system or a desktop keeps hidden files of its own in a directory.
        if !expected && !file.starts_with('.') && !HARMLESS.contains(&file.as_str()) {
            return Err(LogError::ForeignDirectory { file: disk.place(file) });
        }
    }
    Ok(())
}

/// Whether a file of this name is one of ours that was never published.
fn is_leftover(file: &str) -> bool {
    file.strip_suffix(super::UNFINISHED).is_some_and(|name| {
        name == identity::FILE || segment::is_segment(name) || snapshot::is_snapshot(name)
    })
}

/// What is known after reading the segments so far.
struct Survey {
    identity: Identity,
    segments: Vec<Segment>,
    tail: Option<Tail>,
    epochs: Epochs,
    zxid: Zxid,
    sealed: bool,
    repair: Repair,
}

impl Survey {
    fn new(identity: Identity) -> Self {
        Self {
            identity,
            segments: Vec::new(),
            tail: None,
            epochs: Epochs::default(),
            zxid: Zxid::ZERO,
            sealed: false,
            repair: Repair::default(),
        }
    }

    /// Reads one more segment and checks that it continues the one before.
    fn add<D: Disk>(&mut self, disk: &mut D, name: &str) -> Result<(), LogError> {
        let place = disk.place(name);
        let bytes = read_file(disk, name, SEGMENT_BYTES_MAX)?;
        let header = SegmentHeader::decode(&bytes, &place, self.identity)?;
        self.check_continues(disk, &header, &place)?;
        self.epochs = header.epochs;
        let mut scan = Scan::new(&bytes, &header);
        while let Some((record, payload)) = scan.next() {
            if let Some(Entry::Epoch { accepted, current, leader }) =
                Entry::decode(&record, payload)
            {
                self.epochs = Epochs { accepted, current, leader };
            }
        }
        let end = scan.end();
        if end == End::Damaged && !scan.sealed {
            let what = match scan.nonsense {
                true => "a whole record holds what no server can have written",
                false => "a record is missing or damaged, yet later records are whole",
            };
            return Err(LogError::Corrupt { file: place, offset: scan.offset as u64, what });
        }
        let base = header.previous > self.zxid || self.segments.is_empty();
        let (previous, end_at) = (header.previous, scan.offset as u64);
        self.segments.push(Segment { name: name.into(), previous, base, end: end_at });
        self.zxid = scan.zxid;
        self.sealed = scan.sealed;
        self.repair = Repair::new(&bytes, &scan, end, place);
        self.tail = Some(Tail::after(name, &scan, &header, bytes.len() as u64));
        Ok(())
    }

    fn check_continues<D: Disk>(
        &self,
        disk: &D,
        header: &SegmentHeader,
        place: &str,
    ) -> Result<(), LogError> {
        let (Some(tail), Some(before)) = (&self.tail, self.segments.last()) else {
            return Ok(());
        };
        if header.first_seq > tail.seq && self.sealed {
            let what = "the log file before it is missing";
            return Err(LogError::MissingFile { file: place.into(), what });
        }
        if header.first_seq > tail.seq {
            let (file, offset) = (disk.place(&before.name), tail.position);
            let what = "its last records are missing or damaged, yet a later file continues them";
            return Err(LogError::Corrupt { file, offset, what });
        }
        if header.first_seq != tail.seq || header.chain != tail.chain || header.previous < self.zxid
        {
            let what = "it does not continue the log file before it";
            return Err(LogError::Corrupt { file: place.into(), offset: 0, what });
        }
        Ok(())
    }

    fn finish<D: Disk>(self, disk: D, settings: LogSettings) -> Result<(Log<D>, Repair), LogError> {
        let Some(tail) = self.tail else {
            let what = "there was a log here, but every log file is gone";
            return Err(LogError::MissingFile { file: disk.place(identity::FILE), what });
        };
        if self.sealed {
            let what = "a log file after it is missing";
            return Err(LogError::MissingFile { file: disk.place(&tail.name), what });
        }
        let log = Log {
            disk,
            settings,
            identity: self.identity,
            segments: self.segments,
            tail,
            epochs: self.epochs,
            last_zxid: self.zxid,
            buffer: Vec::new(),
            marked: false,
            damaged_snapshots: Vec::new(),
            failure: None,
        };
        Ok((log, self.repair))
    }
}

/// Picks the newest valid snapshot the log continues.
fn choose_snapshot<D: Disk>(log: &mut Log<D>, recovered: &mut Recovered) -> Result<(), LogError> {
    let snapshots = snapshot::list(&mut log.disk)?;
    if let Some(&snapshot_at) = snapshots.first().filter(|&&zxid| zxid > log.last_zxid) {
        let file = log.disk.place(&snapshot::name(snapshot_at));
        return Err(LogError::Behind { file, end: log.last_zxid, snapshot: snapshot_at });
    }
    for zxid in snapshots {
        match snapshot::verify(&mut log.disk, zxid) {
            Ok(()) => {
                recovered.snapshot = Some(zxid);
                break;
            }
            Err(error @ LogError::Corrupt { .. }) => {
                log.damaged_snapshots.push(zxid);
                recovered.damaged_snapshots.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    let reaches_back = log.check_reaches_back(recovered.snapshot.unwrap_or(Zxid::ZERO));
    // A damaged snapshot is the cause then, and what the operator has to mend.
    reaches_back.map_err(|gap| recovered.damaged_snapshots.first().cloned().unwrap_or(gap))
}

fn remove_leftovers<D: Disk>(disk: &mut D, files: &[String]) -> Result<(), LogError> {
    for file in files.iter().filter(|file| is_leftover(file)) {
        match disk.remove(file) {
            Err(error) if error.fault != Fault::Missing => return Err(error.into()),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

/// What makes the tail of the last segment trustworthy again.
///
/// That something was read does not prove it durable: after a failed sync the system may show
/// bytes the device never took. So the last batch is written once more and synced before anybody
/// hears of it, and so are the zeros behind it, always: zeros over the remains of a cut batch may
/// be what the device refused, and then a power cut would bring those remains back.
#[derive(Default)]
struct Repair {
    batch_at: u64,
    bytes: Vec<u8>,
    cut: Option<TailCut>,
}

impl Repair {
    fn new(bytes: &[u8], scan: &Scan<'_>, end: End, file: String) -> Self {
        let mut tail = bytes[scan.batch_at..scan.offset].to_vec();
        tail.resize(bytes.len() - scan.batch_at, 0);
        let cut = match end {
            End::Torn(until) => {
                let (offset, bytes) = (scan.offset as u64, (until - scan.offset) as u64);
                Some(TailCut { file, offset, bytes })
            }
            End::Clean | End::Damaged => None,
        };
        Self { batch_at: scan.batch_at as u64, bytes: tail, cut }
    }

    fn perform<D: Disk>(&self, log: &mut Log<D>) -> Result<(), LogError> {
        log.disk.write_at(&log.tail.name, self.batch_at, &self.bytes)?;
        log.disk.sync(&log.tail.name)?;
        log.disk.sync_directory()?;
        Ok(())
    }
}
