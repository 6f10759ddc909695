//! Rows of several shards become one stream: asks those without which nothing more can be said, leaves out
//! and cuts off. `quorum::merge` knows whose row is next; never knows what rows are.

use std::sync::Arc;

use settee_model::range::HashRange;
use settee_model::seq::{Position, Seq};

use super::scan::{Scan, Walk};
use crate::Error;
use crate::database::Database;
use crate::join::try_join_all;
use crate::quorum::merge::Merge;
use crate::shard::rows::RowBatch;

/// Rows that every shard reads at first, where nobody said how many are wanted.
const FIRST: usize = 128;

/// How many rows each of so many shards is asked for at first if so many are wanted of all.
pub(super) fn first_of_each(wanted: u64, shards: usize) -> usize {
    match usize::try_from(wanted) {
        Ok(most) if most < usize::MAX => most / shards.max(1) + shards,
        _ => FIRST,
    }
}

/// Rows of several shards on their way into one stream.
pub(super) struct Merged<W: Walk> {
    /// In the order of the streams.
    ranges: Vec<HashRange>,
    merge: Merge<W::Row>,
    streams: Vec<Scan<W>>,
    skip: u64,
    left: u64,
}

impl<W: Walk> Merged<W> {
    /// Begins to scan these shards. The first `skip` rows are left out, `left` are given at most.
    pub(super) async fn begin(
        database: &Arc<Database>,
        shards: &[usize],
        scan: &W,
        descending: bool,
        (skip, left): (u64, u64),
    ) -> Result<Merged<W>, Error> {
        let first = first_of_each(skip.saturating_add(left), shards.len());
        let merged = Merged::open(database, shards, scan, descending, first).await?;
        Ok(Merged { skip, left, ..merged })
    }

    /// The same for who counts rows themselves: each shard gives so many at first.
    pub(super) async fn open(
        database: &Arc<Database>,
        shards: &[usize],
        scan: &W,
        descending: bool,
        first: usize,
    ) -> Result<Merged<W>, Error> {
        let begin = |shard: &usize| Scan::begin(database.clone(), *shard, scan.clone(), first);
        let streams = try_join_all(shards.iter().map(begin)).await?;
        let merge = Merge::new(streams.len(), descending);
        let ranges = shards.iter().filter_map(|shard| database.ring().ranges().get(*shard));
        let ranges = ranges.copied().collect();
        Ok(Merged { ranges, merge, streams, skip: 0, left: u64::MAX })
    }

    /// How many rows there are in all, and before the first one that is given when so many are left
    /// out.
    pub(super) fn totals(&self, skip: u64) -> (u64, u64) {
        let heads = || self.streams.iter().map(Scan::head);
        let total: u64 = heads().map(|head| head.total).sum();
        let before: u64 = heads().map(|head| head.offset).sum();
        (total, total.min(before.saturating_add(skip)))
    }

    /// The sequence that the rows show.
    pub(super) fn seq(&self) -> String {
        let position = |(range, stream): (&HashRange, &Scan<W>)| Position {
            range: *range,
            node: stream.node(),
            life: stream.head().end.life,
            seq: stream.head().end.seq,
        };
        Seq { positions: self.ranges.iter().zip(&self.streams).map(position).collect() }.to_string()
    }

    /// Whether nothing more is wanted.
    pub(super) fn has_enough(&self) -> bool {
        self.left == 0
    }

    /// The next rows in order, never an empty batch; `None` after the last. Cancel safe.
    pub(super) async fn next_batch(&mut self) -> Result<Option<Vec<W::Row>>, Error> {
        while self.left > 0 {
            let rows = self.merge.drain();
            let rows = self.cut(rows);
            if !rows.is_empty() {
                return Ok(Some(rows));
            }
            let hungry = self.merge.hungry();
            if hungry.is_empty() {
                break;
            }
            for number in &hungry {
                if let Some(stream) = self.streams.get_mut(*number) {
                    stream.begin_next();
                }
            }
            for number in hungry {
                if let Some(stream) = self.streams.get_mut(number) {
                    let RowBatch { rows, ended } = stream.next(FIRST).await?;
                    self.merge.feed(number, rows, ended);
                }
            }
        }
        Ok(None)
    }

    /// Takes off what is to be left out at the start and beyond the limit.
    fn cut(&mut self, mut rows: Vec<W::Row>) -> Vec<W::Row> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(rows.len());
        rows.drain(..skipped);
        self.skip -= skipped as u64;
        rows.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= rows.len() as u64;
        rows
    }
}
