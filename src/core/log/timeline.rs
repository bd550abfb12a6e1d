//! The timeline: which records are the live history, and every position that follows from it.
//!
//! One struct holds all of it, and one function, [`Timeline::apply`], moves it on, for a record
//! just appended as for one read back at a start: so both always agree, and when history is
//! superseded nothing of the old one is left behind. Knows no files.

use super::error::LogError;
use super::record::{Fact, Kind};
use super::walk::Position;
use crate::types::{ServerId, Zxid};
use crate::zab::Reign;
use alloc::vec;
use alloc::vec::Vec;

/// So many readers of old history find their place again at once.
const CURSORS_MAX: usize = 16;

/// What holds at one place of the log; restated where a segment begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Facts {
    /// End of the live history.
    pub(super) last: Zxid,
    /// The greatest zxid that was said to be committed; may be beyond `last`.
    pub(super) committed: Zxid,
    /// Highest reign promised to.
    pub(super) accepted: Reign,
    /// The reign whose history was adopted.
    pub(super) current: Reign,
    /// The stage begun and not committed.
    pub(super) stage: Option<Stage>,
}

impl Facts {
    /// Whether they can hold where the record `seq` is the next.
    pub(super) fn are_possible(&self, seq: u64) -> bool {
        let is_begun = |stage: Stage| 0 < stage.first_seq && stage.first_seq < seq;
        is_followed(self.last)
            && self.stage.is_none_or(|stage| is_begun(stage) && stage.base <= stage.last)
    }
}

/// History of a leader that is being collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stage {
    /// Of the record that began it.
    pub(super) first_seq: u64,
    /// It is going to replace everything after this.
    pub(super) base: Zxid,
    /// Everything before the base goes too; a snapshot has it.
    pub(super) snapshot: bool,
    /// The last entry, or the base.
    pub(super) last: Zxid,
}

/// Live entries without others between them: of one kind, in a range of seqs and one of zxids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    staged: bool,
    first_seq: u64,
    /// The first seq behind it.
    end_seq: u64,
    /// The zxid before its first entry.
    after: Zxid,
    last: Zxid,
}

/// Where the reader of a chunk of history goes on.
#[derive(Clone, Copy, Debug)]
struct Cursor {
    /// The last entry it was given.
    after: Zxid,
    position: Position,
}

/// See the module.
///
/// Invariants: `spans` ascend in seqs and in zxids, and the last one is what is being appended to.
#[derive(Clone, Debug)]
pub(super) struct Timeline {
    server: ServerId,
    pub(super) facts: Facts,
    /// What the log has follows this: zero, a purged entry, or a snapshot that was adopted.
    pub(super) base: Zxid,
    /// End of the durable live history; `None` while what replaced it is not durable.
    pub(super) durable: Option<Zxid>,
    spans: Vec<Span>,
    /// What the log has of the open stage follows this; its base, unless the start was purged.
    stage_reach: Zxid,
    cursors: Vec<Cursor>,
}

impl Timeline {
    /// The timeline of a log whose first segment begins with this seq and these facts.
    pub(super) fn resume(server: ServerId, first_seq: u64, facts: Facts) -> Self {
        Self {
            server,
            facts,
            base: facts.last,
            durable: Some(facts.last),
            spans: vec![Span::open(first_seq, facts.last)],
            stage_reach: facts.stage.map_or(facts.last, |stage| stage.last),
            cursors: Vec::new(),
        }
    }

    /// What is known to be committed of the live history.
    pub(super) fn committed(&self) -> Zxid {
        self.facts.committed.min(self.facts.last)
    }

    /// Whether the fact may follow what holds now.
    pub(super) fn check(&self, fact: &Fact<'_>) -> Result<(), LogError> {
        let unexpected = |what| Err(LogError::Unexpected { what });
        match (fact, self.facts.stage) {
            (Fact::Append(entry), _) => follows(entry.zxid, self.facts.last),
            (Fact::Stage(_), None) => unexpected("no leader's history is being collected"),
            (Fact::Stage(entry), Some(stage)) => follows(entry.zxid, stage.last),
            (Fact::Accept(reign), _) if reign.epoch < self.facts.accepted.epoch => {
                unexpected("a later epoch was promised")
            }
            (&Fact::BeginStage { base, snapshot: false }, _) => self.check_base(base),
            (&Fact::CommitStage { stage, base, last, .. }, _) => self.check_end(stage, base, last),
            (Fact::Accept(_) | Fact::BeginStage { .. } | Fact::SnapshotTaken(_), _) => Ok(()),
        }
    }

    fn check_base(&self, base: Zxid) -> Result<(), LogError> {
        let Facts { last, .. } = self.facts;
        if base > last {
            return Err(LogError::UnknownBase { base, last });
        }
        let committed = self.committed();
        if base < committed { Err(LogError::Committed { from: base, committed }) } else { Ok(()) }
    }

    fn check_end(&self, first_seq: u64, base: Zxid, last: Zxid) -> Result<(), LogError> {
        if self.collected(first_seq) != Some((base, last)) {
            let what = "another history was collected than is to be adopted";
            return Err(LogError::Unexpected { what });
        }
        let committed = self.committed();
        if last < committed { Err(LogError::Committed { from: last, committed }) } else { Ok(()) }
    }

    /// Base and end of the stage that began at this seq, or of the history if it is zero.
    fn collected(&self, first_seq: u64) -> Option<(Zxid, Zxid)> {
        let kept = self.facts.last;
        match self.facts.stage {
            _ if first_seq == 0 => Some((kept, kept)),
            Some(stage) if stage.first_seq == first_seq => Some((stage.base, stage.last)),
            Some(_) | None => None,
        }
    }

    /// Moves on by one record, which was checked.
    pub(super) fn apply(&mut self, seq: u64, committed: Zxid, fact: &Fact<'_>) {
        self.note_committed(committed);
        match *fact {
            Fact::Append(entry) => {
                self.facts.last = entry.zxid;
                // Open still, it was left behind by an earlier life of the server.
                self.facts.stage = None;
                self.open_span().last = entry.zxid;
            }
            Fact::Stage(entry) => {
                let stage = self.facts.stage.as_mut().expect("staging was checked");
                stage.last = entry.zxid;
            }
            Fact::Accept(reign) => self.accept(reign),
            Fact::BeginStage { base, snapshot } => {
                self.facts.stage = Some(Stage { first_seq: seq, base, snapshot, last: base });
                self.stage_reach = base;
            }
            Fact::CommitStage { reign, stage: first_seq, .. } => {
                self.facts.current = reign;
                if let Some(stage) = self.facts.stage.take().filter(|_| first_seq > 0) {
                    self.adopt(seq, stage);
                }
            }
            Fact::SnapshotTaken(zxid) => self.note_committed(zxid),
        }
    }

    /// What was collected from one leader must not be adopted under another, least of all by a
    /// server that is going to lead and collects nothing.
    fn accept(&mut self, reign: Reign) {
        if reign.leader != self.facts.accepted.leader || reign.leader == self.server {
            self.facts.stage = None;
        }
        self.facts.accepted = reign;
    }

    /// The stage becomes the history after its base. Whatever was derived from the history before
    /// is reset here, and nowhere else.
    fn adopt(&mut self, seq: u64, stage: Stage) {
        let Stage { first_seq, base, snapshot, last } = stage;
        if !snapshot && base == self.facts.last && last == base {
            return;
        }
        let reach = self.stage_reach;
        if snapshot {
            // Snapshots hold nothing that is not committed.
            self.note_committed(base);
        }
        if snapshot || reach > base || base < self.base {
            self.spans.clear();
            self.base = reach;
        }
        for span in &mut self.spans {
            // Nothing was appended while the stage was open.
            span.end_seq = span.end_seq.min(first_seq);
            span.last = span.last.min(base);
        }
        self.spans.retain(|span| span.after < span.last);
        if reach < last {
            self.spans.push(Span { staged: true, first_seq, end_seq: seq, after: reach, last });
        }
        self.spans.push(Span::open(seq + 1, last));
        self.facts.last = last;
        self.durable = None;
        self.cursors.clear();
    }

    /// Moves on to the start of a segment that says these facts hold there; false if they cannot.
    /// An open stage may have died, and more may be known to be committed.
    pub(super) fn enter(&mut self, facts: Facts) -> bool {
        let Facts { committed, stage, .. } = self.facts;
        let expected = Facts {
            committed: committed.max(facts.committed),
            stage: stage.filter(|_| facts.stage.is_some()),
            ..self.facts
        };
        self.facts = expected;
        facts == expected
    }

    /// A stage left open by an earlier life of the server is void.
    pub(super) fn void_stage(&mut self) {
        self.facts.stage = None;
    }

    /// Everything up to here is said to be committed.
    pub(super) fn note_committed(&mut self, zxid: Zxid) {
        self.facts.committed = self.facts.committed.max(zxid);
    }

    /// Everything applied is durable.
    pub(super) fn settle(&mut self) {
        self.durable = Some(self.facts.last);
    }

    /// The records before `first_seq` are gone; `base` is where the live history stood there.
    pub(super) fn purge(&mut self, first_seq: u64, base: Zxid) {
        self.base = base;
        self.spans.retain(|span| span.end_seq > first_seq);
        for span in &mut self.spans {
            span.after = span.after.max(base);
        }
        self.cursors.retain(|cursor| cursor.position.segment >= first_seq);
    }

    /// Where the live history stands right before the record `seq`, at which a segment begins
    /// whose header said that the live history then ended at `last`, and an open stage at
    /// `staged`.
    pub(super) fn zxid_before(&self, seq: u64, last: Zxid, staged: Option<Zxid>) -> Zxid {
        let reached = self.spans.partition_point(|span| span.first_seq < seq);
        let Some(span) = reached.checked_sub(1).map(|index| self.spans[index]) else {
            return self.base;
        };
        if span.end_seq <= seq {
            return span.last;
        }
        let then = if span.staged { staged.unwrap_or(last) } else { last };
        then.max(span.after).min(span.last)
    }

    /// Whether the transaction in this record is live.
    pub(super) fn is_live(&self, kind: Kind, seq: u64, zxid: Zxid) -> bool {
        let index = self.spans.partition_point(|span| span.end_seq <= seq);
        self.spans.get(index).is_some_and(|span| {
            let kind_fits = kind == if span.staged { Kind::Staged } else { Kind::Txn };
            kind_fits && span.first_seq <= seq && span.after < zxid && zxid <= span.last
        })
    }

    /// Where the reader that was last given this entry goes on.
    pub(super) fn take_cursor(&mut self, after: Zxid) -> Option<Position> {
        let index = self.cursors.iter().position(|cursor| cursor.after == after)?;
        Some(self.cursors.remove(index).position)
    }

    /// Remembers where a reader goes on, in place of the one that was not heard of longest.
    pub(super) fn keep_cursor(&mut self, after: Zxid, position: Position) {
        if self.cursors.len() >= CURSORS_MAX {
            self.cursors.remove(0);
        }
        self.cursors.push(Cursor { after, position });
    }

    fn open_span(&mut self) -> &mut Span {
        self.spans.last_mut().expect("there is always a span to append to")
    }
}

impl Span {
    fn open(first_seq: u64, after: Zxid) -> Self {
        Self { staged: false, first_seq, end_seq: u64::MAX, after, last: after }
    }
}

fn follows(found: Zxid, last: Zxid) -> Result<(), LogError> {
    let fits = found > last && is_followed(found);
    if fits { Ok(()) } else { Err(LogError::OutOfOrder { found, last }) }
}

/// Whether there is a zxid after this one.
fn is_followed(zxid: Zxid) -> bool {
    zxid.0 < u64::MAX
}
