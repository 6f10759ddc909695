//! Rows by id: shards scan their ranges, and what they find is merged; or the owners of given keys
//! are asked for them, some at a time. Whether other copies have the same is never asked here.

use std::collections::VecDeque;
use std::mem;
use std::ops::Bound;
use std::sync::Arc;

use settee_engine::shard::IdRange;
use settee_model::docid::DocId;

use super::merged::Merged;
use super::reads;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::join::try_join_all;
use crate::rows::{AllDocsQuery, DocRow, Key, Namespace, Row, RowsHead, Select};
use crate::shard::rows::{RowScan, design_range};
use crate::shard::state::range_of_partition;
use crate::streams::Resume;
use crate::{Error, ring};

/// Keys that are looked up at once.
const KEYS: usize = 256;

/// An answer under way: the head is known, rows are fetched as they are asked for.
pub struct Rows {
    head: RowsHead,
    source: Source,
}

enum Source {
    Range(Merged<RowScan>),
    Keys(Keys),
}

impl Rows {
    pub(crate) async fn start(database: Arc<Database>, query: AllDocsQuery) -> Result<Rows, Error> {
        let mut query = query;
        match mem::take(&mut query.select) {
            Select::Keys(keys) => of_keys(database, query, keys).await,
            Select::Range { start, end, inclusive_end } => {
                let range = range_of(&query, start, end, inclusive_end);
                of_range(&database, &query, range).await
            }
        }
    }

    /// Total, offset and sequence.
    #[must_use]
    pub fn head(&self) -> &RowsHead {
        &self.head
    }

    /// The next rows in order, never an empty batch; `None` after the last. Cancel safe.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<Row>>, Error> {
        match &mut self.source {
            Source::Range(merged) => {
                let batch = merged.next_batch().await?;
                Ok(batch.map(|rows| rows.into_iter().map(|row| Row::Doc(Box::new(row))).collect()))
            }
            Source::Keys(keys) => keys.next_batch().await,
        }
    }
}

async fn of_range(
    database: &Arc<Database>,
    query: &AllDocsQuery,
    range: IdRange,
) -> Result<Rows, Error> {
    let mut scan = RowScan {
        namespace: query.namespace,
        range,
        descending: query.descending,
        include_docs: query.include_docs,
        conflicts: query.conflicts,
    };
    let left = query.limit.unwrap_or(u64::MAX);
    if query.skip == 0 || !query.include_docs {
        let merged = open(database, query, &scan, query.skip, left).await?;
        let head = head_of(query, &merged);
        return Ok(Rows { head, source: Source::Range(merged) });
    }
    // Rows that are left out need no documents: pass over them first, then begin behind them.
    scan.include_docs = false;
    let mut passed = open(database, query, &scan, 0, query.skip).await?;
    let head = head_of(query, &passed);
    let mut last = None;
    while let Some(rows) = passed.next_batch().await? {
        last = rows.into_iter().next_back();
    }
    scan.include_docs = true;
    let enough = passed.has_enough();
    if let Some(last) = last {
        scan.go_behind(&last);
    }
    let left = if enough { left } else { 0 };
    let merged = open(database, query, &scan, 0, left).await?;
    Ok(Rows { head, source: Source::Range(merged) })
}

/// Begins to scan all shards that the query concerns.
async fn open(
    database: &Arc<Database>,
    query: &AllDocsQuery,
    scan: &RowScan,
    skip: u64,
    left: u64,
) -> Result<Merged<RowScan>, Error> {
    let shards = shards_of(database, query);
    Merged::begin(database, &shards, &squeeze(scan), scan.descending, (skip, left)).await
}

fn shards_of(database: &Database, query: &AllDocsQuery) -> Vec<usize> {
    match &query.partition {
        Some(partition) => vec![database.ring().shard_of_partition(partition)],
        None => (0..database.ring().ranges().len()).collect(),
    }
}

fn head_of(query: &AllDocsQuery, rows: &Merged<RowScan>) -> RowsHead {
    if query.namespace == Namespace::Local {
        let update_seq = query.update_seq.then_some(None);
        return RowsHead { total_rows: None, offset: None, update_seq };
    }
    let (total, offset) = rows.totals(query.skip);
    let update_seq = query.update_seq.then(|| Some(rows.seq()));
    RowsHead { total_rows: Some(total), offset: Some(offset), update_seq }
}

/// The ids that a query asks for, in their own order.
fn range_of(
    query: &AllDocsQuery,
    start: Option<String>,
    end: Option<String>,
    inclusive_end: bool,
) -> IdRange {
    let id = |text: String| DocId::trusted(&text);
    let start = start.map_or(Bound::Unbounded, |text| Bound::Included(id(text)));
    let end = match end {
        None => Bound::Unbounded,
        Some(text) if inclusive_end => Bound::Included(id(text)),
        Some(text) => Bound::Excluded(id(text)),
    };
    let asked = if query.descending { (end, start) } else { (start, end) };
    let within = match query.namespace {
        Namespace::Design => cut(asked, design_range()),
        Namespace::All | Namespace::Local => asked,
    };
    match &query.partition {
        Some(partition) => cut(within, range_of_partition(partition)),
        None => within,
    }
}

/// What two ranges have in common.
fn cut(a: IdRange, b: IdRange) -> IdRange {
    let later = |bound: &Bound<DocId>, than: &Bound<DocId>| match (bound, than) {
        (Bound::Unbounded, _) => false,
        (_, Bound::Unbounded) => true,
        (Bound::Included(key), Bound::Included(other) | Bound::Excluded(other)) => key > other,
        (Bound::Excluded(key), Bound::Included(other) | Bound::Excluded(other)) => key >= other,
    };
    let earlier = |bound: &Bound<DocId>, than: &Bound<DocId>| match (bound, than) {
        (Bound::Unbounded, _) => false,
        (_, Bound::Unbounded) => true,
        (Bound::Included(key), Bound::Included(other) | Bound::Excluded(other)) => key < other,
        (Bound::Excluded(key), Bound::Included(other) | Bound::Excluded(other)) => key <= other,
    };
    let start = if later(&a.0, &b.0) { a.0 } else { b.0 };
    let end = if earlier(&a.1, &b.1) { a.1 } else { b.1 };
    (start, end)
}

/// Makes a range whose end comes before its start an empty one at its start, in reading direction.
fn squeeze(scan: &RowScan) -> RowScan {
    let mut scan = scan.clone();
    let key = |bound: &Bound<DocId>| match bound {
        Bound::Included(key) | Bound::Excluded(key) => Some(key.clone()),
        Bound::Unbounded => None,
    };
    if let (Some(low), Some(high)) = (key(&scan.range.0), key(&scan.range.1))
        && low > high
    {
        if scan.descending {
            scan.range.0 = Bound::Excluded(high);
        } else {
            scan.range.1 = Bound::Excluded(low);
        }
    }
    scan
}

/// Keys whose rows are still to be given.
struct Keys {
    database: Arc<Database>,
    keys: VecDeque<Key>,
    include_docs: bool,
    conflicts: bool,
}

async fn of_keys(
    database: Arc<Database>,
    query: AllDocsQuery,
    mut keys: Vec<Key>,
) -> Result<Rows, Error> {
    if query.descending {
        keys.reverse();
    }
    let (skip, limit) = (query.skip, query.limit.unwrap_or(u64::MAX));
    let number = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
    let mut keys: VecDeque<Key> = keys.into_iter().skip(number(skip)).take(number(limit)).collect();
    keys.retain(|key| belongs(key, query.namespace));
    let totals = match query.namespace {
        Namespace::Local => Vec::new(),
        namespace => {
            let ask = |copy: ShardCopy| async move { copy.total(namespace).await };
            reads::of_all(&database, ask).await?
        }
    };
    let head = RowsHead {
        total_rows: (query.namespace != Namespace::Local).then(|| totals.iter().sum()),
        offset: None,
        update_seq: query.update_seq.then_some(None),
    };
    let AllDocsQuery { include_docs, conflicts, .. } = query;
    let keys = Keys { database, keys, include_docs, conflicts };
    Ok(Rows { head, source: Source::Keys(keys) })
}

fn belongs(key: &Key, namespace: Namespace) -> bool {
    match (namespace, key) {
        (Namespace::All, _) => true,
        (Namespace::Design, Key::Id(id)) => id.is_design(),
        (Namespace::Local, Key::Id(id)) => id.is_local(),
        (_, Key::Other(_)) => false,
    }
}

impl Keys {
    async fn next_batch(&mut self) -> Result<Option<Vec<Row>>, Error> {
        if self.keys.is_empty() {
            return Ok(None);
        }
        // Keys are taken off only when their rows are there: an answer that was given up in the
        // middle is asked for again.
        let some: Vec<Key> = self.keys.iter().take(KEYS).cloned().collect();
        let count = some.len();
        let rows = self.look_up(some).await?;
        self.keys.drain(..count);
        Ok(Some(rows))
    }

    async fn look_up(&self, keys: Vec<Key>) -> Result<Vec<Row>, Error> {
        let ids = keys.iter().enumerate().filter_map(|(place, key)| match key {
            Key::Id(id) => Some((place, id.clone())),
            Key::Other(_) => None,
        });
        let found =
            look_up(&self.database, ids.collect(), self.include_docs, self.conflicts).await?;
        let mut rows: Vec<Row> = keys.into_iter().map(Row::Missing).collect();
        for (place, row) in found {
            if let (Some(slot), Some(row)) = (rows.get_mut(place), row) {
                *slot = Row::Doc(Box::new(row));
            }
        }
        Ok(rows)
    }
}

/// The rows of documents in their order, without the documents, as one copy of each range has them.
pub(crate) async fn rows_of(
    database: &Database,
    ids: Vec<DocId>,
) -> Result<Vec<Option<DocRow>>, Error> {
    let mut rows = look_up(database, ids.into_iter().enumerate().collect(), false, false).await?;
    rows.sort_unstable_by_key(|(place, _)| *place);
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

/// The rows of documents by id, each where it is; with the places that come with the ids, in no order.
pub(super) async fn look_up(
    database: &Database,
    ids: Vec<(usize, DocId)>,
    include_docs: bool,
    conflicts: bool,
) -> Result<Vec<(usize, Option<DocRow>)>, Error> {
    let ask = |part: ring::Part<(usize, DocId)>| async move {
        let (places, ids): (Vec<usize>, Vec<DocId>) = part.items.into_iter().unzip();
        let ask = |copy: ShardCopy| {
            let ids = ids.clone();
            async move { copy.rows_of(ids, include_docs, conflicts).await }
        };
        let rows = reads::any(database, part.shard, ask).await?;
        Ok::<_, Error>(places.into_iter().zip(rows).collect::<Vec<_>>())
    };
    let parts = database.ring().split(ids, |(_, id)| id);
    Ok(try_join_all(parts.into_iter().map(ask)).await?.into_iter().flatten().collect())
}
