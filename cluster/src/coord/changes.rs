//! Following changes: every shard scans from its position, the feed takes a step of one shard after
//! the other, and when all are at their end it waits for a commit and begins again.

use std::sync::Arc;

use settee_model::range::HashRange;
use settee_model::seq::Seq;
use tokio::sync::watch;

use crate::Error;
use crate::changes::{Change, ChangesBatch, ChangesQuery, Since};
use crate::database::Database;
use crate::join::try_join_all;
use crate::quorum::feed::{Feed, ShardFeed};
use crate::shard::changes::{ChangeScan, ShardStep};
use crate::streams::ChangeStream;

/// Changes that a shard looks for at first, where the limit does not say less.
const FIRST: usize = 128;

/// A feed under way.
pub struct Changes {
    database: Arc<Database>,
    commits: watch::Receiver<u64>,
    feed: Feed,
    query: ChangesQuery,
    /// Scans of this round by shard; `None` where the end is reached.
    streams: Vec<Option<ChangeStream>>,
    /// The shard whose step is taken next.
    turn: usize,
}

impl Changes {
    pub(crate) async fn start(
        database: Arc<Database>,
        commits: watch::Receiver<u64>,
        query: ChangesQuery,
    ) -> Result<Changes, Error> {
        let positions = match &query.since {
            Since::Start if !query.descending => vec![0; database.ring().ranges().len()],
            Since::Seq(text) if !query.descending => {
                positions_of(&database, &text.parse().map_err(|_| Error::BadSequence)?)
            }
            _ => {
                let owners = database.nearest_of_all()?;
                try_join_all(owners.into_iter().map(|copy| copy.update_seq())).await?
            }
        };
        let copy = database.copy_id();
        let ranges = database.ring().ranges().iter();
        let shard =
            |(range, at): (&HashRange, u64)| ShardFeed { range: *range, copy, at, pending: None };
        let shards = ranges.zip(positions).map(shard).collect();
        let feed = Feed::new(shards, query.limit, query.seq_interval);
        let mut changes = Changes { database, commits, feed, query, streams: Vec::new(), turn: 0 };
        changes.begin_round()?;
        Ok(changes)
    }

    /// The next changes. After `done` it gives empty batches until [`Changes::wait`] was passed.
    /// Cancel safe: a batch that was not delivered is delivered by the next call.
    pub async fn next_batch(&mut self) -> Result<ChangesBatch, Error> {
        if self.feed.full() {
            self.hear_all().await?;
            return Ok(ChangesBatch { changes: Vec::new(), done: true });
        }
        let Some(shard) = self.next_shard() else {
            return Ok(ChangesBatch { changes: Vec::new(), done: true });
        };
        let changes = match self.step_of(shard).await? {
            Some(step) => self.take(shard, step),
            None => Vec::new(),
        };
        let done = !self.feed.full() && self.next_shard().is_none();
        Ok(ChangesBatch { changes, done })
    }

    /// Sequence after everything that was given or filtered out so far.
    #[must_use]
    pub fn last_seq(&self) -> String {
        self.feed.seq()
    }

    /// Changes after [`Changes::last_seq`] that are known of, filtered or not.
    #[must_use]
    pub fn pending(&self) -> u64 {
        self.feed.pending()
    }

    /// How many more changes the limit allows; `None` without a limit.
    #[must_use]
    pub fn remaining(&self) -> Option<u64> {
        self.feed.remaining()
    }

    /// Waits until there may be something after what was given: a commit since then makes it
    /// return at once. [`Error::DatabaseMissing`] when the database is deleted. Cancel safe.
    pub async fn wait(&mut self) -> Result<(), Error> {
        self.commits.changed().await.map_err(|_| Error::DatabaseMissing)?;
        self.begin_round()
    }

    /// Begins to scan every shard that may have something new.
    fn begin_round(&mut self) -> Result<(), Error> {
        // What is committed from here on makes the next wait return.
        self.commits.borrow_and_update();
        let first = self.most().min(FIRST);
        let mut streams = Vec::with_capacity(self.database.ring().ranges().len());
        for (shard, copy) in self.database.nearest_of_all()?.into_iter().enumerate() {
            let since = self.feed.at(shard);
            if !self.query.descending && copy.ends_at(since) {
                self.feed.settle(shard);
                streams.push(None);
                continue;
            }
            let ChangesQuery { descending, style, filter, include_docs, conflicts, .. } =
                self.query.clone();
            let scan = ChangeScan { since, descending, style, filter, include_docs, conflicts };
            streams.push(Some(copy.changes(scan, first)));
        }
        self.streams = streams;
        Ok(())
    }

    /// The next shard in turn that is not at its end.
    fn next_shard(&self) -> Option<usize> {
        let count = self.streams.len();
        let in_turn = (0..count).map(|place| (self.turn + place) % count);
        in_turn.into_iter().find(|shard| self.streams.get(*shard).is_some_and(Option::is_some))
    }

    async fn step_of(&mut self, shard: usize) -> Result<Option<ShardStep>, Error> {
        let most = self.most();
        match self.streams.get_mut(shard) {
            Some(Some(stream)) => {
                stream.go_on(most);
                stream.result().await
            }
            _ => Ok(None),
        }
    }

    /// Takes what a shard found, and lets it go on if there is use for more.
    fn take(&mut self, shard: usize, step: ShardStep) -> Vec<Change> {
        let done = step.done;
        let changes = self.feed.take(shard, step);
        self.turn = shard + 1;
        let (full, most) = (self.feed.full(), self.most());
        match self.streams.get_mut(shard) {
            Some(slot) if done => *slot = None,
            Some(Some(stream)) if !full => stream.go_on(most),
            _ => {}
        }
        changes
    }

    /// Makes sure that every shard has said how much is pending.
    async fn hear_all(&mut self) -> Result<(), Error> {
        for shard in self.feed.silent() {
            if let Some(step) = self.step_of(shard).await? {
                self.take(shard, step);
            }
        }
        Ok(())
    }

    /// How many changes a step shall look for: each shard its share of what the limit allows, and
    /// a little more, so that most often one step of each will do.
    fn most(&self) -> usize {
        let shards = self.streams.len().max(1);
        match self.feed.remaining() {
            Some(left) => usize::try_from(left).map_or(usize::MAX, |left| left / shards + shards),
            None => usize::MAX,
        }
    }
}

/// Where a sequence stands in each range. A position that another copy gave, or one of another
/// layout, says nothing here: those ranges begin at their start.
fn positions_of(database: &Database, seq: &Seq) -> Vec<u64> {
    let copy = database.copy_id();
    let at = |range| {
        let mut known = seq.positions.iter();
        let known = known.find(|position| position.range == range && position.copy == copy);
        known.map_or(0, |position| position.seq)
    };
    database.ring().ranges().iter().map(|range| at(*range)).collect()
}
