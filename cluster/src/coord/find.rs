//! Answers of Mango: the plan is made here, shards look for documents, and what they found is merged,
//! counted and cut off. Never looks at a document itself, unless several copies must agree on it.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use settee_engine::shard::IdRange;
use settee_model::docid::DocId;
use settee_query::Document;
use settee_query::mango::{
    self, Bookmark, Catalog, Cursor, Find, MangoError, Plan, Projection, Sieve, Source, Summary,
    Task, id_ranges, row_key, row_ranges,
};

use super::agree;
use super::merged::{Merged, first_of_each};
use super::scan::Walk;
use crate::Error;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::designs::Designs;
use crate::docs::{OpenOptions, OpenedDoc};
use crate::find::FindError;
use crate::join::join_all;
use crate::shard::find::{FindScan, FindSource, FoundRow, IndexSource, What};
use crate::steps::blocking;
use crate::streams::RowStream;

/// Documents that several copies are asked for at once.
const AT_ONCE: usize = 32;
/// Bytes of a question that is quickly thought about.
const SMALL: usize = 16 << 10;

impl Walk for FindScan {
    async fn begin(self, copy: &ShardCopy, first: usize) -> Result<RowStream<FoundRow>, Error> {
        copy.find(self, first).await
    }
}

/// An answer under way.
pub struct Finding {
    database: Arc<Database>,
    find: Find,
    source: Source,
    cursor: Cursor,
    /// None if there is nothing to look at.
    merged: Option<Merged<FindScan>>,
    /// Rows that wait for their turn.
    rows: VecDeque<FoundRow>,
    /// For documents that several copies are asked for.
    sieve: Arc<Sieve>,
    /// What is wrong with the fields, which matters once there is a document to show.
    spoilt: Option<MangoError>,
    warn_from: u64,
}

impl Finding {
    pub(crate) async fn start(
        database: Arc<Database>,
        designs: &Designs,
        find: Find,
        warn_from: u64,
    ) -> Result<Finding, FindError> {
        let spoilt = find.fields.as_deref().and_then(|fields| Projection::new(fields).err());
        let partitioned = database.meta().partitioned;
        let (find, plan) = plan(find, designs.catalog.clone()).await?;
        let plan = plan?;
        let cursor = Cursor::new(&find, &plan)?;
        if !cursor.is_silent() && find.partition.is_some() && !partitioned {
            let reason = "partition specified on non-partitioned db";
            return Err(Error::BadRequest(reason.into()).into());
        }
        let task = Task::new(&find, &plan).with_sound_fields(spoilt.is_none());
        let sieve = Arc::new(Sieve::new(&task)?);
        let scan = scan(&find, &plan, task, cursor.start_after(), designs)?;
        let merged = match cursor.is_done() {
            true => None,
            false => Some(begin(&database, &find, scan).await?),
        };
        let (source, rows) = (plan.source, VecDeque::new());
        Ok(Finding { database, find, source, cursor, merged, rows, sieve, spoilt, warn_from })
    }

    /// The next documents as they are shown, never an empty batch; `None` after the last.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<Bytes>>, FindError> {
        let mut shown = Vec::new();
        while shown.is_empty() {
            if self.cursor.is_done() || !self.fill().await? {
                return Ok(None);
            }
            let asked = self.ask().await?;
            self.take(asked, &mut shown)?;
        }
        Ok(Some(shown))
    }

    /// Where it ended, what it cost, and what the client should know.
    #[must_use]
    pub fn finish(self) -> Summary {
        self.cursor.finish(&self.find, &self.source, self.warn_from)
    }

    /// Has rows waiting, unless there are no more.
    async fn fill(&mut self) -> Result<bool, Error> {
        if self.rows.is_empty()
            && let Some(merged) = &mut self.merged
            && let Some(rows) = merged.next_batch().await?
        {
            self.rows = rows.into();
        }
        Ok(!self.rows.is_empty())
    }

    /// What is shown of the next documents that several copies must be asked for, if any: in their
    /// order, `None` of those that don't match.
    async fn ask(&mut self) -> Result<VecDeque<Option<Bytes>>, Error> {
        let asks = self.rows.iter().filter(|row| row.what == What::Ask).take(AT_ONCE);
        let database = &*self.database;
        let r = Some(u32::try_from(self.find.r).unwrap_or(u32::MAX));
        let open = |row: &FoundRow| {
            let (id, r) = (DocId::trusted(&row.id), r);
            // Conflicts are not shown, as there.
            let options = OpenOptions { r, ..OpenOptions::default() };
            async move { agree::open(database, &id, options).await }
        };
        let opened = join_all(asks.map(open)).await;
        if opened.is_empty() {
            return Ok(VecDeque::new());
        }
        let sieve = self.sieve.clone();
        blocking(move || opened.into_iter().map(|opened| sift(&sieve, opened)).collect()).await
    }

    /// Takes rows up to the first whose document is not there yet.
    fn take(
        &mut self,
        mut asked: VecDeque<Option<Bytes>>,
        out: &mut Vec<Bytes>,
    ) -> Result<(), MangoError> {
        while !self.cursor.is_done() {
            let waits = |row: &FoundRow| row.what == What::Ask && asked.is_empty();
            if self.rows.front().is_none_or(waits) {
                break;
            }
            let Some(row) = self.rows.pop_front() else { break };
            self.cursor.count(row.stats);
            let shown = match row.what {
                What::Shown(shown) => Some(shown),
                What::Ask => asked.pop_front().flatten(),
                What::Passed => None,
            };
            let Some(shown) = shown else { continue };
            if let Some(error) = &self.spoilt {
                return Err(error.clone());
            }
            let id_key;
            let key = match &self.source {
                Source::Index(_) => &*row.json,
                Source::AllDocs => {
                    id_key = mango::id_key(&row.id);
                    &id_key
                }
            };
            if self.cursor.take(key, &row.id) {
                out.push(shown);
            }
        }
        Ok(())
    }
}

/// Finds the way; on a thread that may be busy for a while if the question is a large one.
async fn plan(
    find: Find,
    catalog: Arc<Catalog>,
) -> Result<(Find, Result<Plan, MangoError>), Error> {
    let small = find.size <= SMALL;
    let plan = move || {
        let plan = Plan::new(&find, &catalog);
        (find, plan)
    };
    if small { Ok(plan()) } else { blocking(|| Ok(plan())).await }
}

fn sift(sieve: &Sieve, opened: Result<OpenedDoc, Error>) -> Result<Option<Bytes>, Error> {
    let doc = match opened {
        Ok(OpenedDoc { doc, .. }) => doc,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    let Some(rev) = doc.rev() else { return Ok(None) };
    let (id, record) = (doc.id.as_str(), &doc.record);
    let document = Document { id, rev: &rev, record, conflicts: &[] };
    Ok(sieve.document(&document).map(Bytes::from))
}

/// What shards are to do.
fn scan(
    find: &Find,
    plan: &Plan,
    task: Task,
    after: Option<&Bookmark>,
    designs: &Designs,
) -> Result<FindScan, Error> {
    let spans = plan.spans_after(after);
    let partition = find.partition.as_deref();
    let (source, place) = match &plan.source {
        Source::AllDocs => {
            let ranges = id_ranges(&spans, partition).into_iter().map(range_of_ids).collect();
            let place = after.map(|row| Bytes::copy_from_slice(row.id.as_bytes()));
            (FindSource::Ids(ranges), place)
        }
        Source::Index(index) => {
            let partition = partition.filter(|_| index.is_partitioned());
            let mut ddocs = designs.indexing.iter();
            let ddoc = ddocs.find(|ddoc| ddoc.id == index.ddoc()).cloned();
            let ddoc = ddoc.ok_or(Error::NotFound { deleted: false })?;
            let (view, ranges) = (index.name().into(), row_ranges(&spans, partition).into());
            let (update, at_least) = (plan.update, None);
            let source = IndexSource { ddoc, view, update, at_least, ranges };
            (FindSource::Index(source), after.map(|row| row_key(row, partition)))
        }
    };
    let mut scan = FindScan {
        task: Arc::new(task),
        source,
        descending: plan.descending,
        include_docs: plan.include_docs,
        conflicts: find.conflicts,
    };
    if let Some(place) = place {
        scan.go_behind_of(&place);
    }
    Ok(scan)
}

fn range_of_ids((start, end): mango::IdRange) -> IdRange {
    let bound = |bound: Bound<String>| bound.map(|id| DocId::trusted(&id));
    (bound(start), bound(end))
}

/// Has all shards look that can have something.
async fn begin(
    database: &Arc<Database>,
    find: &Find,
    scan: FindScan,
) -> Result<Merged<FindScan>, Error> {
    let shards = shards(database, find, &scan.source);
    // Who asks for costs gets those of the first match that is not shown, too.
    let wanted = find.skip.saturating_add(find.limit).saturating_add(1);
    let first = first_of_each(wanted, shards.len());
    Merged::open(database, &shards, &scan, scan.descending, first).await
}

fn shards(database: &Database, find: &Find, source: &FindSource) -> Vec<usize> {
    if let Some(partition) = &find.partition {
        return vec![database.ring().shard_of_partition(partition)];
    }
    if let FindSource::Ids(ranges) = source
        && let Some(mut shards) =
            ranges.iter().map(|range| owner(database, range)).collect::<Option<Vec<usize>>>()
    {
        shards.sort_unstable();
        shards.dedup();
        return shards;
    }
    (0..database.ranges()).collect()
}

/// The shard of a range that is a single id.
fn owner(database: &Database, range: &IdRange) -> Option<usize> {
    match range {
        (Bound::Included(low), Bound::Included(high)) if low == high => {
            Some(database.ring().shard_of(low))
        }
        _ => None,
    }
}
