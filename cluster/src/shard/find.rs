//! A question to Mango, where the shard is: looks at rows of an index or at documents by id, and gives
//! what matches, as it is to be shown. What it looked at in vain is told, too, so that whoever asks
//! knows how far it is. Never merges, never counts to a limit.

use std::sync::Arc;

use bytes::Bytes;
use settee_engine::index::Position;
use settee_engine::shard::{DocCursor, DocHead, IdRange, Which};
use settee_engine::tree::{Cursor, Direction, KeyRange};
use settee_engine::{IndexSnapshot, Snapshot};
use settee_model::docid::DocId;
use settee_model::rev::Rev;
use settee_query::Document;
use settee_query::mango::{Doc, Pass, Row, Sieve, Sifted, Stats, Task, id_key};
use settee_query::view::ViewRow;

use super::ranges::behind;
use super::rows::RowBatch;
use super::{Fault, Watch};
use crate::quorum::merge::Keyed;
use crate::streams::{Resume, Scanner};
use crate::{DesignDoc, Error};

/// Bytes of what is shown after which a batch is full.
const BATCH_BYTES: usize = 256 * 1024;
/// Documents after which a batch is full.
const BATCH_ROWS: usize = 256;
/// Rows that are looked at for a batch at most, and bytes that are read.
const LOOKS: usize = 4096;
const READS: usize = 8 << 20;

/// Rows between two looks at the clock.
const LOOK: usize = 16;

/// What to look at, and what to look for.
#[derive(Clone, Debug)]
pub(crate) struct FindScan {
    pub(crate) task: Arc<Task>,
    pub(crate) source: FindSource,
    /// From the end to the start.
    pub(crate) descending: bool,
    /// Whether documents are read here.
    pub(crate) include_docs: bool,
    /// Whether they name their conflicts.
    pub(crate) conflicts: bool,
}

/// Where to look: ranges are ascending and apart.
#[derive(Clone, Debug)]
pub(crate) enum FindSource {
    /// At documents by their ids.
    Ids(Arc<[IdRange]>),
    /// At an index.
    Index(IndexSource),
}

/// An index of Mango, and which of its rows.
#[derive(Clone, Debug)]
pub(crate) struct IndexSource {
    pub(crate) ddoc: Arc<DesignDoc>,
    pub(crate) view: Arc<str>,
    /// Whether it is brought up to date first.
    pub(crate) update: bool,
    /// Where it must be then; none: at the end of the shard.
    pub(crate) at_least: Option<Position>,
    pub(crate) ranges: Arc<[KeyRange]>,
}

/// A row that came by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FoundRow {
    /// Rows are in the order of these bytes.
    pub(crate) order: Bytes,
    /// Its document.
    pub(crate) id: String,
    /// Its key in the index, as JSON; empty for documents by id.
    pub(crate) json: Bytes,
    /// What was looked at since the row before.
    pub(crate) stats: Stats,
    pub(crate) what: What,
}

/// What became of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Its document matches: what is shown of it.
    Shown(Bytes),
    /// Several copies must be asked for its document.
    Ask,
    /// Nothing: it says how far the scan is.
    Passed,
}

impl Keyed for FoundRow {
    fn key(&self) -> &[u8] {
        &self.order
    }
}

impl Resume for FindScan {
    type Row = FoundRow;

    fn go_behind(&mut self, row: &FoundRow) {
        self.go_behind_of(&row.order);
    }
}

impl FindScan {
    /// Leaves only what comes after a place in the order of rows.
    pub(crate) fn go_behind_of(&mut self, order: &Bytes) {
        match &mut self.source {
            FindSource::Ids(ranges) => {
                let id = DocId::trusted(&String::from_utf8_lossy(order));
                *ranges = behind(ranges, &id, self.descending).into();
            }
            FindSource::Index(index) => {
                index.ranges = behind(&index.ranges, order, self.descending).into();
            }
        }
    }

    /// Whether it is over soon, and nothing of it can take long: it may be done where others wait.
    pub(crate) fn is_quick(&self) -> bool {
        self.task.is_quick()
    }

    /// Begins, with a copy and the index as they were at one moment.
    pub(crate) fn open_on(
        &self,
        snapshot: Snapshot,
        index: Option<IndexSnapshot>,
    ) -> Result<FindScanner, Fault> {
        let sieve = Sieve::new(&self.task).map_err(|error| Error::BadRequest(error.reason))?;
        let direction = if self.descending { Direction::Backward } else { Direction::Forward };
        let walk = match (&self.source, index) {
            (FindSource::Index(source), Some(index)) => {
                let cursor = None;
                let ranges = in_direction(&source.ranges, direction);
                Walk::Index { index, ranges, cursor, direction }
            }
            (FindSource::Ids(ranges), _) => {
                Walk::Ids { ranges: in_direction(ranges, direction), cursor: None, direction }
            }
            (FindSource::Index(_), None) => return Err(Error::NotFound { deleted: false }.into()),
        };
        let (include_docs, conflicts) = (self.include_docs, self.conflicts);
        Ok(FindScanner { snapshot, walk, sieve, include_docs, conflicts, looks: LOOKS })
    }
}

/// The ranges that are still to be walked, the next one last.
fn in_direction<R: Clone>(ranges: &[R], direction: Direction) -> Vec<R> {
    match direction {
        Direction::Forward => ranges.iter().rev().cloned().collect(),
        Direction::Backward => ranges.to_vec(),
    }
}

/// A scan under way.
pub(crate) struct FindScanner {
    snapshot: Snapshot,
    walk: Walk,
    sieve: Sieve,
    include_docs: bool,
    conflicts: bool,
    /// Rows to look at for a batch.
    looks: usize,
}

enum Walk {
    Ids {
        ranges: Vec<IdRange>,
        cursor: Option<DocCursor>,
        direction: Direction,
    },
    Index {
        index: IndexSnapshot,
        ranges: Vec<KeyRange>,
        cursor: Option<Cursor>,
        direction: Direction,
    },
}

/// A row before it was looked at.
struct Place {
    order: Bytes,
    id: DocId,
    key: Bytes,
    /// What is known of its document already.
    head: Option<DocHead>,
    conflicts: Vec<Rev>,
}

impl FindScanner {
    /// From now on looks at no more rows for a batch.
    pub(crate) fn look_at_most(&mut self, looks: usize) {
        self.looks = looks;
    }
}

impl Scanner<FoundRow> for FindScanner {
    /// The next rows, `most` matches at most. Not to be called after the last.
    fn step(&mut self, most: usize) -> Result<RowBatch<FoundRow>, Fault> {
        let FindScanner { snapshot, walk, sieve, include_docs, conflicts, looks: all } = self;
        let mut pass = sieve.pass();
        let most = most.clamp(1, BATCH_ROWS);
        let (mut rows, mut bytes, mut looks, mut read) = (Vec::new(), 0, 0, 0);
        let (mut last, mut ended, watch) = (None, false, Watch::start());
        while rows.len() < most && bytes < BATCH_BYTES && looks < *all && read < READS {
            if looks % LOOK == LOOK - 1 && watch.is_time() {
                break;
            }
            let Some(place) = walk.next(snapshot, *conflicts)? else {
                ended = true;
                break;
            };
            looks += 1;
            let docs = include_docs.then_some(*conflicts);
            let (sifted, size) = look(snapshot, &mut pass, &place, docs)?;
            read += size;
            let what = match sifted {
                Sifted::Out => {
                    last = Some(place);
                    continue;
                }
                Sifted::Shown(shown) => What::Shown(shown.into()),
                Sifted::Ask => What::Ask,
            };
            if let What::Shown(shown) = &what {
                bytes += shown.len();
            }
            rows.push(place.found(pass.take_stats(), what));
            last = None;
        }
        if let Some(last) = last {
            rows.push(last.found(pass.take_stats(), What::Passed));
        }
        Ok(RowBatch { rows, ended })
    }
}

impl Place {
    fn found(self, stats: Stats, what: What) -> FoundRow {
        FoundRow { order: self.order, id: self.id.to_string(), json: self.key, stats, what }
    }
}

impl Walk {
    fn next(&mut self, snapshot: &Snapshot, conflicts: bool) -> Result<Option<Place>, Fault> {
        match self {
            Walk::Ids { ranges, cursor, direction } => loop {
                if let Some(row) = cursor.as_mut().and_then(Iterator::next).transpose()? {
                    let conflicts = if conflicts { row.info()?.conflicts() } else { Vec::new() };
                    let order = Bytes::copy_from_slice(row.id.as_str().as_bytes());
                    let (id, head, key) = (row.id, Some(row.head), Bytes::new());
                    return Ok(Some(Place { order, id, key, head, conflicts }));
                }
                let Some(range) = ranges.pop() else { return Ok(None) };
                *cursor = Some(snapshot.docs(&range, *direction, Which::Live));
            },
            Walk::Index { index, ranges, cursor, direction } => loop {
                if let Some(cursor) = &mut *cursor
                    && let Some(entry) = cursor.try_next()?
                {
                    let row = ViewRow::of(&entry);
                    let row = row.ok_or_else(|| index.corrupt("a row is malformed"))?;
                    let (id, conflicts) = (DocId::trusted(&row.id()), Vec::new());
                    let (order, key, head) = (row.order, row.key, None);
                    return Ok(Some(Place { order, id, key, head, conflicts }));
                }
                let Some(range) = ranges.pop() else { return Ok(None) };
                match &mut *cursor {
                    Some(cursor) if *direction == Direction::Forward => cursor.advance(range),
                    _ => *cursor = Some(index.range(range, *direction)),
                }
            },
        }
    }
}

/// Looks at a row and, if documents are read here, at its document, with its conflicts or without.
/// Says how much was read.
fn look(
    snapshot: &Snapshot,
    pass: &mut Pass<'_>,
    place: &Place,
    docs: Option<bool>,
) -> Result<(Sifted, usize), Fault> {
    let id = place.id.as_str();
    let id_as_key;
    let key: &[u8] = match place.head {
        Some(_) => {
            id_as_key = id_key(id);
            &id_as_key
        }
        None => &place.key,
    };
    let row = |doc| Row { id, key, doc };
    let Some(with_conflicts) = docs else { return Ok((pass.row(row(Doc::Unread)), key.len())) };
    let head = match &place.head {
        Some(head) => Some(head.clone()),
        None => snapshot.head(&place.id)?.filter(|head| !head.deleted),
    };
    let Some(head) = head else { return Ok((pass.row(row(Doc::Gone)), key.len())) };
    let mut conflicts = place.conflicts.clone();
    if with_conflicts && place.head.is_none() {
        conflicts = snapshot.doc(&place.id)?.map(|info| info.conflicts()).unwrap_or_default();
    }
    let record = super::open::record(snapshot, head.body)?;
    let document = Document { id, rev: &head.winner, record: &record, conflicts: &conflicts };
    Ok((pass.row(row(Doc::Read(&document))), record.body.len()))
}
