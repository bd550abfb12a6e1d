//! From the data directory to a tree and a log that are ready to serve.

use crate::counters::{Measures, micros};
use crate::disk::DirectoryDisk;
use crate::serve::ServeError;
use crate::settings::Settings;
use ostler_core::log::snapshot::Reader;
use ostler_core::log::{Log, LogError, LogSettings, Recovered};
use ostler_core::rooms::rebuilding::catch_up;
use ostler_core::tree::{Loader, Rules, Tree};
use ostler_core::types::Zxid;
use ostler_core::zab;
use slog::{Logger, info, warn};
use std::time::Instant;

/// What recovery found.
pub(crate) struct Recovery {
    pub(crate) log: Log<DirectoryDisk>,
    pub(crate) disk: DirectoryDisk,
    pub(crate) tree: Tree,
    /// Transactions behind the snapshot.
    pub(crate) replayed: u64,
    /// What the protocol has to know.
    pub(crate) recovered: zab::Recovered,
    /// How long it took.
    pub(crate) measures: Measures,
}

/// Opens the directories, loads the newest valid snapshot and applies the log behind it.
pub(crate) fn recover(settings: &Settings, logger: &Logger) -> Result<Recovery, ServeError> {
    let started = Instant::now();
    let disk =
        DirectoryDisk::open(&settings.data_dir, &settings.log_dir).map_err(LogError::from)?;
    let (mut log, recovered) = Log::open(disk.share(), log_settings(settings))?;
    report(&recovered, logger);
    let mut measures = Measures::default();
    let loading = Instant::now();
    let snapshot = recovered.snapshot;
    let mut tree = load(&disk, snapshot, settings)?;
    measures.snapshot_load_us.observe(micros(loading.elapsed()));
    let replaying = Instant::now();
    let (mut replayed, alone) = (0, settings.ensemble.is_none());
    let recovered = catch_up(&mut log, &recovered, &mut tree, alone, &mut |_| replayed += 1)?;
    measures.replay_us.observe(micros(replaying.elapsed()));
    measures.replayed.observe(replayed);
    measures.recovery_us.observe(micros(started.elapsed()));
    info!(logger, "recovered"; "zxid" => %tree.last_applied(), "znodes" => tree.znode_count(),
        "snapshot" => snapshot.map(|zxid| zxid.to_string()), "replayed" => replayed,
        "ms" => started.elapsed().as_millis());
    Ok(Recovery { log, disk, tree, replayed, recovered, measures })
}

/// What a log is opened with.
pub(crate) fn log_settings(settings: &Settings) -> LogSettings {
    let (segment_bytes, server) = (settings.segment_bytes, settings.server);
    LogSettings { segment_bytes, server, directory: random() }
}

fn report(recovered: &Recovered, logger: &Logger) {
    for damage in &recovered.damaged_snapshots {
        warn!(logger, "a snapshot is damaged, an older one and the log take its place";
            "error" => %damage);
    }
    if let Some(cut) = &recovered.tail_cut {
        warn!(logger, "the remains of an unfinished, never acknowledged write were cut off";
            "file" => &cut.file, "offset" => cut.offset, "bytes" => cut.bytes);
    }
}

/// The tree of a snapshot, or an empty one without.
pub(crate) fn load(
    disk: &DirectoryDisk,
    snapshot: Option<Zxid>,
    settings: &Settings,
) -> Result<Tree, ServeError> {
    let rules = Rules {
        extended_types: settings.extended_types,
        enforce_quota: settings.enforce_quota,
        skip_acl: settings.skip_acl,
    };
    let seed = u64::from_le_bytes(random());
    let Some(zxid) = snapshot else { return Ok(Tree::new(rules, seed)) };
    let mut reader = Reader::open(disk.share(), zxid)?;
    let mut loader = Loader::new(rules, seed);
    let file = reader.place();
    let contradiction = |source| ServeError::Snapshot { file: file.clone(), source };
    while let Some(chunk) = reader.chunk()? {
        loader.feed(&chunk).map_err(contradiction)?;
    }
    loader.finish(zxid).map_err(contradiction)
}

/// Random bytes of the system.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system has a source of random bytes");
    bytes
}
