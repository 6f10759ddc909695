//! Rows of a shard by id: a range of them step by step, or those of given keys. A query's `skip`
//! and `limit` are counted in `coord`.

use std::ops::Bound;

use settee_engine::Snapshot;
use settee_engine::index::Signature;
use settee_engine::shard::{DocCursor, DocHead, IdRange, LocalCursor, Which};
use settee_engine::tree::Direction;
use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::rev::{Rev, RevPath};

use super::point::Point;
use super::{Fault, open};
use crate::local::LocalCopy;
use crate::quorum::merge::Keyed;
use crate::rows::{DocRow, Namespace};
use crate::streams::{LocalScan, Resume, Scanner};

/// Bytes of documents after which a batch is full.
const BATCH_BYTES: usize = 256 * 1024;
/// Rows after which a batch is full.
const BATCH_ROWS: usize = 256;

/// Which rows of a shard to give, and what of each.
#[derive(Clone, Debug)]
pub(crate) struct RowScan {
    pub(crate) namespace: Namespace,
    /// In the order of ids, whatever the direction.
    pub(crate) range: IdRange,
    pub(crate) descending: bool,
    pub(crate) include_docs: bool,
    pub(crate) conflicts: bool,
}

impl RowScan {
    /// Begins, with a copy as it was at one moment.
    pub(crate) fn open_on(&self, snapshot: Snapshot) -> Result<(ShardHead, RowScanner), Fault> {
        let head = head(&snapshot, self)?;
        Ok((head, RowScanner::new(snapshot, self.clone())))
    }
}

/// What a shard says before its rows.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ShardHead {
    pub(crate) total: u64,
    pub(crate) offset: u64,
    /// Where the copy stands.
    pub(crate) end: Point,
    /// Of a view: which index gives the rows.
    pub(crate) index: Option<Signature>,
}

/// Some rows of a scan.
#[derive(Debug)]
pub(crate) struct RowBatch<R = DocRow> {
    pub(crate) rows: Vec<R>,
    /// There are no more.
    pub(crate) ended: bool,
}

/// A scan under way.
pub(crate) struct RowScanner {
    snapshot: Snapshot,
    cursor: Cursor,
    scan: RowScan,
}

enum Cursor {
    Docs(DocCursor),
    Locals(LocalCursor),
}

impl Keyed for DocRow {
    fn key(&self) -> &[u8] {
        self.id.as_str().as_bytes()
    }
}

impl Resume for RowScan {
    type Row = DocRow;

    fn go_behind(&mut self, row: &DocRow) {
        let start = if self.descending { &mut self.range.1 } else { &mut self.range.0 };
        *start = Bound::Excluded(row.id.clone());
    }
}

impl LocalScan for RowScan {
    type Scanner = RowScanner;

    fn open(&self, copy: &LocalCopy) -> Result<(ShardHead, RowScanner), Fault> {
        self.open_on(copy.snapshot_now()?)
    }
}

impl Scanner<DocRow> for RowScanner {
    /// At least one row comes if there is one.
    fn step(&mut self, most: usize) -> Result<RowBatch, Fault> {
        let most = most.clamp(1, BATCH_ROWS);
        let mut rows = Vec::with_capacity(most);
        let mut bytes = 0;
        while rows.len() < most && bytes < BATCH_BYTES {
            let Some(row) = self.next_row()? else { return Ok(RowBatch { rows, ended: true }) };
            bytes += row.doc.as_ref().map_or(0, |doc| doc.record.body.len());
            rows.push(row);
        }
        Ok(RowBatch { rows, ended: false })
    }
}

impl RowScanner {
    fn new(snapshot: Snapshot, scan: RowScan) -> RowScanner {
        let direction = if scan.descending { Direction::Backward } else { Direction::Forward };
        let cursor = match scan.namespace {
            Namespace::Local => Cursor::Locals(snapshot.locals(&scan.range, direction)),
            Namespace::All | Namespace::Design => {
                Cursor::Docs(snapshot.docs(&scan.range, direction, Which::Live))
            }
        };
        RowScanner { snapshot, cursor, scan }
    }

    fn next_row(&mut self) -> Result<Option<DocRow>, Fault> {
        match &mut self.cursor {
            Cursor::Locals(locals) => {
                let Some((id, local)) = locals.next().transpose()? else { return Ok(None) };
                let doc = open::local_doc(id, local.rev, local.body);
                Ok(local_row(doc, self.scan.include_docs))
            }
            Cursor::Docs(docs) => {
                let Some(found) = docs.next().transpose()? else { return Ok(None) };
                let mut conflicts = Vec::new();
                if self.scan.conflicts && self.scan.include_docs {
                    conflicts = found.info()?.conflicts();
                }
                let include = self.scan.include_docs;
                doc_row(&self.snapshot, &found.id, found.head, include, conflicts).map(Some)
            }
        }
    }
}

/// The ids of design documents.
pub(crate) fn design_range() -> IdRange {
    let id = DocId::trusted;
    (Bound::Included(id("_design/")), Bound::Excluded(id("_design0")))
}

/// How many rows a namespace has; 0 for local documents, which nobody counts.
pub(crate) fn total(snapshot: &Snapshot, namespace: Namespace) -> Result<u64, Fault> {
    Ok(match namespace {
        Namespace::All => snapshot.counts()?.doc_count,
        Namespace::Design => snapshot.counts_of(&design_range())?.doc_count,
        Namespace::Local => 0,
    })
}

/// What precedes the rows of a scan.
fn head(snapshot: &Snapshot, scan: &RowScan) -> Result<ShardHead, Fault> {
    let total = total(snapshot, scan.namespace)?;
    let before = match (scan.namespace, scan.descending) {
        (Namespace::Local, _) => None,
        (_, false) => beyond(&scan.range.0).map(|end| (Bound::Unbounded, end)),
        (_, true) => beyond(&scan.range.1).map(|start| (start, Bound::Unbounded)),
    };
    let offset = match before {
        Some(range) => snapshot.counts_of(&range)?.doc_count,
        None => 0,
    };
    Ok(ShardHead { total, offset, end: Point::end_of(snapshot), index: None })
}

/// Where that ends which lies on the other side of a bound; nothing lies beyond an open one.
fn beyond(bound: &Bound<DocId>) -> Option<Bound<DocId>> {
    match bound {
        Bound::Included(key) => Some(Bound::Excluded(key.clone())),
        Bound::Excluded(key) => Some(Bound::Included(key.clone())),
        Bound::Unbounded => None,
    }
}

/// Rows of given keys, in their order; `None` where there is no such document.
pub(crate) fn of_keys(
    snapshot: &Snapshot,
    keys: &[DocId],
    include_docs: bool,
    conflicts: bool,
) -> Result<Vec<Option<DocRow>>, Fault> {
    let row = |id: &DocId| {
        if id.is_local() {
            return Ok(open::local(snapshot, id)?.and_then(|doc| local_row(doc, include_docs)));
        }
        let Some(head) = snapshot.head(id)? else { return Ok(None) };
        let mut losers = Vec::new();
        if conflicts && include_docs {
            losers = snapshot.doc(id)?.map(|info| info.conflicts()).unwrap_or_default();
        }
        doc_row(snapshot, id, head, include_docs, losers).map(Some)
    };
    keys.iter().map(row).collect()
}

fn doc_row(
    snapshot: &Snapshot,
    id: &DocId,
    head: DocHead,
    include_docs: bool,
    conflicts: Vec<Rev>,
) -> Result<DocRow, Fault> {
    let DocHead { deleted, winner: rev, body, .. } = head;
    let doc = if include_docs && !deleted {
        Some(open::stored(snapshot, id, RevPath::single(rev.clone()), deleted, body)?)
    } else {
        None
    };
    Ok(DocRow { id: id.clone(), rev, deleted, doc, conflicts })
}

fn local_row(doc: StoredDoc, include_docs: bool) -> Option<DocRow> {
    let (id, rev) = (doc.id.clone(), doc.rev()?);
    let doc = include_docs.then_some(doc);
    Some(DocRow { id, rev, deleted: false, doc, conflicts: Vec::new() })
}
