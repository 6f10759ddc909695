//! Rows of a view: all shards are scanned, and what they find is merged; or groups of all shards are
//! combined. Documents that values name are looked up where they are, some rows at a time. No index is built
//! here: that happens where the copies are (see `views`).

use std::sync::Arc;

use super::combined::Combined;
use super::linked;
use super::merged::Merged;
use super::scan::Walk;
use crate::Error;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::shard::view::{AskedKeys, ViewEntry, ViewScan};
use crate::streams::RowStream;
use crate::views::{Known, LineDoc, LineValue, ViewHead, ViewLine, ViewQuery};

/// Groups that every shard reads at first, at most.
const GROUPS: usize = 128;

/// An answer under way: the head is known, rows are fetched as they are asked for.
pub struct ViewRows {
    database: Arc<Database>,
    head: ViewHead,
    source: Source,
    include_docs: bool,
    /// With `include_docs`: rows that wait for documents.
    lines: linked::Lines,
    /// What was fetched to see whether it can be.
    ahead: Option<Option<Vec<ViewLine>>>,
}

enum Source {
    Rows(Merged<ViewScan>),
    Groups(Box<Combined>),
}

impl Walk for ViewScan {
    async fn begin(self, copy: &ShardCopy, first: usize) -> Result<RowStream<ViewEntry>, Error> {
        copy.view(self, first).await
    }
}

impl ViewRows {
    /// Begins, once all indexes that are asked for are there. The first rows are there, too, so that what
    /// goes wrong with them is told at once.
    pub(crate) async fn start(
        database: Arc<Database>,
        known: Arc<Known>,
        query: ViewQuery,
    ) -> Result<ViewRows, Error> {
        let ViewQuery { skip, limit, include_docs, .. } = query;
        let (limit, shards) = (limit.unwrap_or(u64::MAX), shards_of(&database, &query));
        let scan = scan_of(&query);
        let (head, source) = if query.reduce.is_none() {
            let skip = if query.sorted { skip } else { 0 };
            let merged =
                Merged::begin(&database, &shards, &scan, query.range.descending, (skip, limit))
                    .await?;
            (head_of(&query, &merged), Source::Rows(merged))
        } else {
            let view = scan.view_of(known.definition())?;
            let missing = Error::NotFound { deleted: false };
            let reducing = known.reducing(view.reduce.as_ref().ok_or(missing)?);
            // Any shard may have all the groups that are wanted.
            let most = skip.saturating_add(limit).saturating_add(1);
            let first = usize::try_from(most).unwrap_or(usize::MAX).min(GROUPS);
            let merged =
                Merged::open(&database, &shards, &scan, query.range.descending, first).await?;
            let head = head_of(&query, &merged);
            (head, Source::Groups(Box::new(Combined::new(merged, reducing, skip, limit))))
        };
        let lines = linked::Lines::default();
        let mut rows = ViewRows { database, head, source, include_docs, lines, ahead: None };
        rows.ahead = Some(rows.fetch().await?);
        Ok(rows)
    }

    /// Counts and sequence.
    #[must_use]
    pub fn head(&self) -> &ViewHead {
        &self.head
    }

    /// The next rows in order, never an empty batch; `None` after the last. Cancel safe.
    pub async fn next_batch(&mut self) -> Result<Option<Vec<ViewLine>>, Error> {
        match self.ahead.take() {
            Some(ahead) => Ok(ahead),
            None => self.fetch().await,
        }
    }

    async fn fetch(&mut self) -> Result<Option<Vec<ViewLine>>, Error> {
        loop {
            let lines = self.lines.next(&self.database).await?;
            if !lines.is_empty() {
                return Ok(Some(lines));
            }
            let entries = match &mut self.source {
                Source::Groups(groups) => return groups.next_batch().await,
                Source::Rows(merged) => merged.next_batch().await?,
            };
            let Some(entries) = entries else { return Ok(None) };
            let lines = entries.into_iter().map(|entry| line(entry, self.include_docs));
            if !self.include_docs {
                return Ok(Some(lines.collect()));
            }
            self.lines.add(lines);
        }
    }
}

fn scan_of(query: &ViewQuery) -> ViewScan {
    let ViewQuery { ddoc, view, reduce, range, keys, include_docs, conflicts, update, .. } =
        query.clone();
    let keys = keys.map(|mut keys| {
        // Reduced keys are given as they were asked for.
        if range.descending && reduce.is_none() {
            keys.reverse();
        }
        AskedKeys::new(keys)
    });
    ViewScan {
        ddoc,
        view,
        reduce,
        range,
        keys,
        keys_done: 0,
        include_docs,
        conflicts,
        update,
        at_least: None,
        index: None,
    }
}

fn shards_of(database: &Database, query: &ViewQuery) -> Vec<usize> {
    match &query.range.partition {
        Some(partition) => vec![database.ring().shard_of_partition(partition)],
        None => (0..database.ring().ranges().len()).collect(),
    }
}

fn head_of(query: &ViewQuery, rows: &Merged<ViewScan>) -> ViewHead {
    ViewHead {
        rows: query.reduce.is_none().then(|| rows.totals(query.skip)),
        update_seq: query.update_seq.then(|| rows.seq()),
    }
}

fn line(entry: ViewEntry, include_docs: bool) -> ViewLine {
    let doc = include_docs.then(|| match entry.doc.map(|doc| *doc) {
        Some(row) => match row.doc {
            Some(doc) => LineDoc::Own { doc: Box::new(doc), conflicts: row.conflicts },
            None => LineDoc::Missing,
        },
        None => LineDoc::Missing,
    });
    let id = Some(entry.row.id().into_owned());
    let value = LineValue::Value(entry.row.value);
    ViewLine { id, key: entry.row.key, value, doc }
}
