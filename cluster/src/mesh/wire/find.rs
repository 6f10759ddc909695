//! Questions to Mango: what to look at, and what came by. Neither plans nor matches: `coord::find`
//! and `shard::find` do.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use settee_engine::index::Position;
use settee_engine::shard::IdRange;
use settee_engine::tree::KeyRange;
use settee_query::mango::Stats;

use super as wire;
use super::feed::{bound_from, bound_to};
use super::{IndexStep, NotYet, RowsStep};
use crate::Error;
use crate::shard::find::{FindScan, FindSource, FoundRow, IndexSource, What};
use crate::shard::rows::{RowBatch, ShardHead};

impl wire::FindScan {
    pub(crate) fn new(shard: String, scan: &FindScan) -> wire::FindScan {
        use wire::find_scan::Source;
        let source = match &scan.source {
            FindSource::Ids(ranges) => {
                let range = |(start, end): &IdRange| wire::IdRange {
                    start: bound_to(start),
                    end: bound_to(end),
                };
                Source::Ids(wire::IdSource { ranges: ranges.iter().map(range).collect() })
            }
            FindSource::Index(index) => Source::Index(wire::IndexSource {
                ddoc: Some((&*index.ddoc).into()),
                view: index.view.to_string(),
                update: index.update,
                ranges: index.ranges.iter().map(wire::KeyRange::from).collect(),
                at_least: index.at_least.map(wire::IndexPosition::from),
            }),
        };
        wire::FindScan {
            shard,
            // What has text keys only can be written.
            task: serde_json::to_vec(&*scan.task).unwrap_or_default().into(),
            descending: scan.descending,
            include_docs: scan.include_docs,
            conflicts: scan.conflicts,
            source: Some(source),
        }
    }

    pub(crate) fn scan(self) -> Result<FindScan, Error> {
        use wire::find_scan::Source;
        let source = match wire::need(self.source, "a source")? {
            Source::Ids(ids) => {
                let range =
                    |range: wire::IdRange| Ok((bound_from(range.start)?, bound_from(range.end)?));
                let ranges = ids.ranges.into_iter().map(range);
                FindSource::Ids(ranges.collect::<Result<_, Error>>()?)
            }
            Source::Index(index) => FindSource::Index(IndexSource {
                ddoc: Arc::new(wire::need(index.ddoc, "a design document")?.into()),
                view: index.view.into(),
                update: index.update,
                ranges: index.ranges.into_iter().map(wire::KeyRange::range).collect(),
                at_least: index.at_least.map(Position::from),
            }),
        };
        let task = serde_json::from_slice(&self.task);
        Ok(FindScan {
            task: Arc::new(task.map_err(|_| wire::malformed("a task"))?),
            source,
            descending: self.descending,
            include_docs: self.include_docs,
            conflicts: self.conflicts,
        })
    }
}

impl From<&KeyRange> for wire::KeyRange {
    fn from((start, end): &KeyRange) -> wire::KeyRange {
        use wire::key_bound::Kind;
        let bound = |bound: &Bound<Bytes>| {
            let kind = match bound {
                Bound::Unbounded => return None,
                Bound::Included(key) => Kind::Included(key.clone()),
                Bound::Excluded(key) => Kind::Excluded(key.clone()),
            };
            Some(wire::KeyBound { kind: Some(kind) })
        };
        wire::KeyRange { start: bound(start), end: bound(end) }
    }
}

impl wire::KeyRange {
    fn range(self) -> KeyRange {
        use wire::key_bound::Kind;
        let bound = |bound: Option<wire::KeyBound>| match bound.and_then(|bound| bound.kind) {
            None => Bound::Unbounded,
            Some(Kind::Included(key)) => Bound::Included(key),
            Some(Kind::Excluded(key)) => Bound::Excluded(key),
        };
        (bound(self.start), bound(self.end))
    }
}

impl RowsStep for wire::FindAnswer {
    type Row = FoundRow;

    fn new(_: Option<ShardHead>, batch: RowBatch<FoundRow>) -> wire::FindAnswer {
        wire::FindAnswer { rows: wire::each(batch.rows), ended: batch.ended, building: None }
    }

    fn take_head(&mut self) -> Result<ShardHead, Error> {
        Ok(ShardHead::default())
    }

    fn batch(self) -> Result<RowBatch<FoundRow>, Error> {
        Ok(RowBatch { rows: wire::each(self.rows), ended: self.ended })
    }

    fn not_yet(&self) -> Option<NotYet> {
        self.building.map(|at| NotYet::Building(at.into()))
    }
}

impl IndexStep for wire::FindAnswer {
    fn building(at_least: Position) -> wire::FindAnswer {
        wire::FindAnswer { building: Some(at_least.into()), ..wire::FindAnswer::default() }
    }
}

impl From<FoundRow> for wire::FoundRow {
    fn from(row: FoundRow) -> wire::FoundRow {
        use wire::found_row::What as Wire;
        let FoundRow { order, id, json: key, stats, what } = row;
        let what = match what {
            What::Shown(shown) => Some(Wire::Shown(shown)),
            What::Ask => Some(Wire::Ask(wire::Nothing {})),
            What::Passed => None,
        };
        let Stats { keys, docs, quorum_docs, .. } = stats;
        wire::FoundRow { order, id, key, keys, docs, quorum_docs, what }
    }
}

impl From<wire::FoundRow> for FoundRow {
    fn from(row: wire::FoundRow) -> FoundRow {
        use wire::found_row::What as Wire;
        let wire::FoundRow { order, id, key, keys, docs, quorum_docs, what } = row;
        let what = match what {
            Some(Wire::Shown(shown)) => What::Shown(shown),
            Some(Wire::Ask(_)) => What::Ask,
            None => What::Passed,
        };
        let stats = Stats { keys, docs, quorum_docs, results: 0 };
        FoundRow { order, id, json: key, stats, what }
    }
}
