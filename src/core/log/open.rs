//! Opening a directory: the first start, and recovery after a stop of any kind.
//!
//! Reads and checks everything before it changes anything. Called by [`Log::open`] only.

use super::disk::Disk;
use super::error::LogError;
use super::files::{self, read_file};
use super::identity::{self, Identity};
use super::record::{Fact, Header, Kind};
use super::segment::{self, End, RECORDS_AT, Scan, SegmentHeader};
use super::tail::{self, Tail};
use super::timeline::Timeline;
use super::{Log, LogSettings, Recovered, SEGMENT_BYTES_MAX, Segment, TailCut, snapshot};
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
        last_zxid: log.last_zxid(),
        accepted: log.timeline.facts.accepted,
        current: log.timeline.facts.current,
        tail_cut: repair.cut.clone(),
        ..Recovered::default()
    };
    let chosen = choose_snapshot(&mut log, &files, &mut recovered)?;
    // A snapshot holds nothing that is not committed.
    log.note_committed(recovered.snapshot.unwrap_or_default());
    recovered.committed = log.timeline.committed();
    repair.perform(&mut log)?;
    if chosen.is_some_and(|name| snapshot::is_received(&name)) {
        snapshot::adopt(&mut log.disk, log.timeline.base)?;
    }
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
            snapshot::is_snapshot(file) || snapshot::is_received(file)
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
    file.strip_suffix(files::UNFINISHED).is_some_and(|name| {
        name == identity::FILE
            || segment::is_segment(name)
            || snapshot::is_snapshot(name)
            || snapshot::is_received(name)
    })
}

/// What is known after reading the segments so far.
struct Survey {
    identity: Identity,
    segments: Vec<Segment>,
    /// Of what was read.
    end: Option<(Tail, Timeline)>,
    sealed: bool,
    repair: Repair,
}

impl Survey {
    fn new(identity: Identity) -> Self {
        let (segments, repair) = (Vec::new(), Repair::default());
        Self { identity, segments, end: None, sealed: false, repair }
    }

    /// Reads one more segment and checks that it continues the one before.
    fn add<D: Disk>(&mut self, disk: &mut D, name: &str) -> Result<(), LogError> {
        let place = disk.place(name);
        let bytes = read_file(disk, name, SEGMENT_BYTES_MAX)?;
        let header = SegmentHeader::decode(&bytes, &place, self.identity)?;
        if name != segment::name(header.first_seq) {
            let what = "it was written under another name";
            return Err(LogError::Corrupt { file: place, offset: 0, what });
        }
        self.check_continues(disk, &header, &place)?;
        let mut timeline = match self.end.take() {
            Some((_, timeline)) => timeline,
            None => Timeline::resume(self.identity.server, header.first_seq, header.facts),
        };
        let mut scan = Scan::new(&bytes, &header);
        loop {
            let offset = scan.offset as u64;
            let Some((record, payload)) = scan.next() else { break };
            if !take_in(&mut timeline, &record, payload) {
                let what = "a whole record holds what no server can have written";
                return Err(LogError::Corrupt { file: place, offset, what });
            }
        }
        let end = scan.end();
        if end == End::Damaged && !scan.sealed {
            let what = "a record is missing or damaged, yet later records are whole";
            return Err(LogError::Corrupt { file: place, offset: scan.offset as u64, what });
        }
        self.segments.push(Segment::new(&header));
        self.sealed = scan.sealed;
        self.repair = Repair::new(&bytes, &scan, end, place);
        self.end = Some((Tail::after(name, &scan, &header, bytes.len() as u64), timeline));
        Ok(())
    }

    fn check_continues<D: Disk>(
        &mut self,
        disk: &D,
        header: &SegmentHeader,
        place: &str,
    ) -> Result<(), LogError> {
        let Some((tail, timeline)) = &mut self.end else { return Ok(()) };
        if header.first_seq > tail.seq && self.sealed {
            let what = "the log file before it is missing";
            return Err(LogError::MissingFile { file: place.into(), what });
        }
        if header.first_seq > tail.seq {
            let (file, offset) = (disk.place(&tail.name), tail.position);
            let what = "its last records are missing or damaged, yet a later file continues them";
            return Err(LogError::Corrupt { file, offset, what });
        }
        let continues = header.first_seq == tail.seq && header.chain == tail.chain;
        if !continues || !timeline.enter(header.facts) {
            let what = "it does not continue the log file before it";
            return Err(LogError::Corrupt { file: place.into(), offset: 0, what });
        }
        Ok(())
    }

    fn finish<D: Disk>(self, disk: D, settings: LogSettings) -> Result<(Log<D>, Repair), LogError> {
        let Some((tail, mut timeline)) = self.end else {
            let what = "there was a log here, but every log file is gone";
            return Err(LogError::MissingFile { file: disk.place(identity::FILE), what });
        };
        if self.sealed {
            let what = "a log file after it is missing";
            return Err(LogError::MissingFile { file: disk.place(&tail.name), what });
        }
        timeline.void_stage();
        timeline.settle();
        let log = Log::with(disk, settings, self.identity, self.segments, tail, timeline);
        Ok((log, self.repair))
    }
}

/// Moves the timeline on by a record that was read; false if it cannot follow.
fn take_in(timeline: &mut Timeline, record: &Header, payload: &[u8]) -> bool {
    match Fact::decode(record, payload) {
        Some(fact) if timeline.check(&fact).is_ok() => {
            timeline.apply(record.seq, record.committed, &fact);
            true
        }
        Some(_) => false,
        None => {
            timeline.note_committed(record.committed);
            matches!(record.kind, Kind::Mark | Kind::Seal)
        }
    }
}

/// Picks the newest valid snapshot the log continues, and tells its file.
///
/// A snapshot of this server's own was taken of what the log had; if it is beyond the log's end,
/// log is missing. One that was received says nothing of the kind, and counts only where the
/// history that follows it was adopted: the log then begins with it.
fn choose_snapshot<D: Disk>(
    log: &mut Log<D>,
    files: &[String],
    recovered: &mut Recovered,
) -> Result<Option<String>, LogError> {
    let own = snapshot::list(&mut log.disk)?;
    let end = log.last_zxid();
    if let Some(&snapshot) = own.first().filter(|&&zxid| zxid > end) {
        let file = log.disk.place(&snapshot::name(snapshot));
        return Err(LogError::Behind { file, end, snapshot });
    }
    let adopted = snapshot::received_name(log.timeline.base);
    let mut candidates: Vec<_> = own.iter().map(|&zxid| (zxid, snapshot::name(zxid))).collect();
    candidates.extend(files.contains(&adopted).then_some((log.timeline.base, adopted)));
    candidates.sort_unstable_by(|left, right| right.cmp(left));
    let mut chosen = None;
    for (zxid, name) in candidates {
        match snapshot::verify_file(&mut log.disk, &name, zxid) {
            Ok(()) => {
                recovered.snapshot = Some(zxid);
                chosen = Some(name);
                break;
            }
            Err(error @ LogError::Corrupt { .. }) => {
                log.damaged_snapshots.push(zxid);
                recovered.damaged_snapshots.push(error);
            }
            Err(error) => return Err(error),
        }
    }
    // The damaged one of this zxid, if there is one, gives its name to the whole one.
    log.damaged_snapshots.retain(|&zxid| Some(zxid) != recovered.snapshot);
    let reaches_back = log.check_reaches_back(recovered.snapshot.unwrap_or(Zxid::ZERO));
    // A damaged snapshot is the cause then, and what the operator has to mend.
    reaches_back.map_err(|gap| recovered.damaged_snapshots.first().cloned().unwrap_or(gap))?;
    Ok(chosen)
}

/// Removes what was never published, and received snapshots that were never adopted.
fn remove_leftovers<D: Disk>(disk: &mut D, files: &[String]) -> Result<(), LogError> {
    for file in files.iter().filter(|file| is_leftover(file) || snapshot::is_received(file)) {
        files::remove_if_there(disk, file)?;
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
    batch: Vec<u8>,
    /// Of the file.
    end: u64,
    cut: Option<TailCut>,
}

impl Repair {
    fn new(bytes: &[u8], scan: &Scan<'_>, end: End, file: String) -> Self {
        let batch = bytes[scan.batch_at..scan.offset].to_vec();
        let cut = match end {
            End::Torn(until) => {
                let (offset, bytes) = (scan.offset as u64, (until - scan.offset) as u64);
                Some(TailCut { file, offset, bytes })
            }
            End::Clean | End::Damaged => None,
        };
        Self { batch_at: scan.batch_at as u64, batch, end: bytes.len() as u64, cut }
    }

    fn perform<D: Disk>(&self, log: &mut Log<D>) -> Result<(), LogError> {
        log.disk.write_at(&log.tail.name, self.batch_at, &self.batch)?;
        let behind = self.batch_at + self.batch.len() as u64;
        tail::write_zeros(&mut log.disk, &log.tail.name, behind, self.end)?;
        log.disk.sync(&log.tail.name)?;
        log.disk.sync_directory()?;
        Ok(())
    }
}
