//! Scans of rows and of changes: what they ask for and what their steps bring. A filter that is
//! code stays with who asks (see `sift`).

use std::ops::Bound;
use std::sync::Arc;

use settee_engine::index::Position;
use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;

use super as wire;
use crate::Error;
use crate::changes::{Change, Filter, Style};
use crate::rows::{DocRow, Namespace};
use crate::shard::changes::{ChangeScan, ShardChange, ShardStep};
use crate::shard::point::Point;
use crate::shard::rows::{RowBatch, RowScan, ShardHead};

impl From<Namespace> for wire::Namespace {
    fn from(namespace: Namespace) -> wire::Namespace {
        match namespace {
            Namespace::All => wire::Namespace::All,
            Namespace::Design => wire::Namespace::Design,
            Namespace::Local => wire::Namespace::Local,
        }
    }
}

impl From<wire::Namespace> for Namespace {
    fn from(namespace: wire::Namespace) -> Namespace {
        match namespace {
            wire::Namespace::All => Namespace::All,
            wire::Namespace::Design => Namespace::Design,
            wire::Namespace::Local => Namespace::Local,
        }
    }
}

pub(super) fn bound_to(bound: &Bound<DocId>) -> Option<wire::Bound> {
    use wire::bound::Kind;
    let kind = match bound {
        Bound::Unbounded => return None,
        Bound::Included(id) => Kind::Included(id.as_str().into()),
        Bound::Excluded(id) => Kind::Excluded(id.as_str().into()),
    };
    Some(wire::Bound { kind: Some(kind) })
}

pub(super) fn bound_from(bound: Option<wire::Bound>) -> Result<Bound<DocId>, Error> {
    use wire::bound::Kind;
    let Some(bound) = bound else { return Ok(Bound::Unbounded) };
    Ok(match wire::need(bound.kind, "a bound")? {
        Kind::Included(id) => Bound::Included(DocId::trusted(&id)),
        Kind::Excluded(id) => Bound::Excluded(DocId::trusted(&id)),
    })
}

impl wire::RowScan {
    pub(crate) fn new(shard: String, scan: &RowScan) -> wire::RowScan {
        wire::RowScan {
            shard,
            namespace: wire::Namespace::from(scan.namespace).into(),
            start: bound_to(&scan.range.0),
            end: bound_to(&scan.range.1),
            descending: scan.descending,
            include_docs: scan.include_docs,
            conflicts: scan.conflicts,
        }
    }

    pub(crate) fn scan(self) -> Result<RowScan, Error> {
        Ok(RowScan {
            namespace: self.namespace().into(),
            range: (bound_from(self.start)?, bound_from(self.end)?),
            descending: self.descending,
            include_docs: self.include_docs,
            conflicts: self.conflicts,
        })
    }
}

/// A batch of rows of any kind as a message, the first one with the head.
pub(crate) trait RowsStep: Sized {
    type Row: Send + 'static;

    fn new(head: Option<ShardHead>, batch: RowBatch<Self::Row>) -> Self;

    fn take_head(&mut self) -> Result<ShardHead, Error>;

    fn batch(self) -> Result<RowBatch<Self::Row>, Error>;

    /// Whether it says nothing but that another one will follow.
    fn is_beat(&self) -> bool {
        false
    }

    /// Why there are no rows yet, if so.
    fn not_yet(&self) -> Option<NotYet> {
        None
    }
}

/// Why there are no rows of an index yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotYet {
    /// It is not where it must be; that it must be at this position.
    Building(Position),
    /// Its design document is not known there.
    Unknown,
}

/// Rows of an index that has to be built first.
pub(crate) trait IndexStep: RowsStep {
    /// Says that it is being built.
    fn building(at_least: Position) -> Self;
}

impl From<Position> for wire::IndexPosition {
    fn from(Position { epoch, update_seq, purge_seq }: Position) -> wire::IndexPosition {
        wire::IndexPosition { epoch, update_seq, purge_seq }
    }
}

impl From<wire::IndexPosition> for Position {
    fn from(at: wire::IndexPosition) -> Position {
        Position { epoch: at.epoch, update_seq: at.update_seq, purge_seq: at.purge_seq }
    }
}

impl RowsStep for wire::RowsAnswer {
    type Row = DocRow;

    fn new(head: Option<ShardHead>, batch: RowBatch) -> wire::RowsAnswer {
        let head = head.map(wire::RowsHead::from);
        wire::RowsAnswer { head, rows: wire::each(&batch.rows), ended: batch.ended }
    }

    fn take_head(&mut self) -> Result<ShardHead, Error> {
        head(self.head.take())
    }

    fn batch(self) -> Result<RowBatch, Error> {
        Ok(RowBatch { rows: wire::all(self.rows)?, ended: self.ended })
    }
}

/// The head that the first answer has.
pub(crate) fn head(head: Option<wire::RowsHead>) -> Result<ShardHead, Error> {
    wire::need(head, "head of rows")?.try_into()
}

impl From<ShardHead> for wire::RowsHead {
    fn from(head: ShardHead) -> wire::RowsHead {
        let ShardHead { total, offset, end, index } = head;
        let index = index.as_ref().map(wire::signature_to);
        wire::RowsHead { total, offset, end: Some(end.into()), index }
    }
}

impl TryFrom<wire::RowsHead> for ShardHead {
    type Error = Error;

    fn try_from(head: wire::RowsHead) -> Result<ShardHead, Error> {
        let wire::RowsHead { total, offset, end, index } = head;
        let index = index.as_ref().map(wire::signature_from).transpose()?;
        Ok(ShardHead { total, offset, end: wire::point(end), index })
    }
}

impl From<Point> for wire::Point {
    fn from(Point { life, seq }: Point) -> wire::Point {
        wire::Point { life, seq }
    }
}

impl From<wire::Point> for Point {
    fn from(wire::Point { life, seq }: wire::Point) -> Point {
        Point { life, seq }
    }
}

/// What is not there is the beginning.
pub(super) fn point(point: Option<wire::Point>) -> Point {
    point.unwrap_or_default().into()
}

impl wire::ChangeScan {
    /// A filter that is code asks for everything: it is for the caller to apply.
    pub(crate) fn new(shard: String, scan: &ChangeScan) -> wire::ChangeScan {
        use wire::change_scan::Filter as Wire;
        let filter = match &scan.filter {
            Filter::All | Filter::Docs(_) | Filter::Judged(_) => Wire::All(wire::Nothing {}),
            Filter::Design => Wire::Design(wire::Nothing {}),
            Filter::DocIds(ids) => {
                let ids = ids.iter().map(|id| id.as_str().into()).collect();
                Wire::DocIds(wire::DocIds { ids })
            }
        };
        wire::ChangeScan {
            shard,
            since: Some(scan.since.into()),
            descending: scan.descending,
            all_leaves: scan.style == Style::AllDocs,
            filter: Some(filter),
            include_docs: scan.include_docs,
            conflicts: scan.conflicts,
        }
    }

    pub(crate) fn scan(self) -> Result<ChangeScan, Error> {
        use wire::change_scan::Filter as Wire;
        let filter = match wire::need(self.filter, "a filter")? {
            Wire::All(_) => Filter::All,
            Wire::Design(_) => Filter::Design,
            Wire::DocIds(wire::DocIds { ids }) => {
                Filter::DocIds(Arc::new(ids.iter().map(|id| DocId::trusted(id)).collect()))
            }
        };
        Ok(ChangeScan {
            since: wire::point(self.since),
            descending: self.descending,
            style: if self.all_leaves { Style::AllDocs } else { Style::MainOnly },
            filter,
            include_docs: self.include_docs,
            conflicts: self.conflicts,
        })
    }
}

impl From<&ShardStep> for wire::ChangesStep {
    fn from(step: &ShardStep) -> wire::ChangesStep {
        let change = |ShardChange { change, at, pending }: &ShardChange| wire::Change {
            id: change.id.as_str().into(),
            revs: wire::each(&change.revs),
            deleted: change.deleted,
            doc: change.doc.as_ref().map(wire::Doc::from),
            conflicts: wire::each(&change.conflicts),
            at: *at,
            pending: *pending,
        };
        let changes = step.rows.iter().map(change).collect();
        let ShardStep { life, at, pending, done, .. } = *step;
        wire::ChangesStep { changes, at, pending, done, life }
    }
}

impl TryFrom<wire::ChangesStep> for ShardStep {
    type Error = Error;

    fn try_from(step: wire::ChangesStep) -> Result<ShardStep, Error> {
        let wire::ChangesStep { changes, at, pending, done, life } = step;
        Ok(ShardStep { rows: wire::all(changes)?, life, at, pending, done, fault: None })
    }
}

impl TryFrom<wire::Change> for ShardChange {
    type Error = Error;

    fn try_from(change: wire::Change) -> Result<ShardChange, Error> {
        let (at, pending) = (change.at, change.pending);
        let change = Change {
            id: DocId::trusted(&change.id),
            seq: None,
            revs: wire::each(change.revs),
            deleted: change.deleted,
            doc: change.doc.map(StoredDoc::try_from).transpose()?,
            conflicts: wire::each(change.conflicts),
        };
        Ok(ShardChange { change, at, pending })
    }
}
