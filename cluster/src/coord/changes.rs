//! Following changes: every shard scans from its position, the feed takes a step of one shard after the
//! other, and when all are at their end it waits for a commit (of copies on other nodes nobody tells: a
//! moment) and begins again. Where the feed stands is kept in `quorum::feed`; heartbeats are unknown
//! here.

use std::sync::Arc;
use std::time::Duration;

use settee_model::range::HashRange;
use settee_model::seq::{Position, Seq};
use tokio::sync::watch;
use tokio::time::timeout;

use super::reads::{self, is_silence, look_after};
use crate::Error;
use crate::changes::{Change, ChangesBatch, ChangesQuery, Since};
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::quorum::feed::{Feed, ShardFeed};
use crate::raft::NodeId;
use crate::shard::changes::{ChangeScan, ShardStep};
use crate::shard::point::Point;
use crate::streams::ChangeStream;

/// Changes that a shard looks for at first, where the limit does not say less.
const FIRST: usize = 128;

/// How long a feed waits before it asks other nodes whether there is something new.
const POLL: Duration = Duration::from_millis(500);

/// A feed under way.
pub struct Changes {
    database: Arc<Database>,
    commits: watch::Receiver<u64>,
    feed: Feed,
    query: ChangesQuery,
    /// The copy of each shard that is followed: numbers of others do not compare.
    copies: Vec<ShardCopy>,
    /// Copies in a row that failed in the shard whose turn it is.
    failed: usize,
    /// Why what follows the changes that were given cannot be told.
    fault: Option<Error>,
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
        let begin = match &query.since {
            Since::Start if !query.descending => begin_at(&database, &Seq::default())?,
            Since::Seq(text) if !query.descending => {
                begin_at(&database, &text.parse().map_err(|_| Error::BadSequence)?)?
            }
            _ => {
                let ask = |copy: ShardCopy| async move {
                    let at = copy.end().await?;
                    Ok((copy, at))
                };
                let ends = reads::of_all_with_node(&database, ask).await?.into_iter();
                ends.map(|(node, (copy, at))| Begin { copy, node, at }).collect()
            }
        };
        let ranges = database.ring().ranges().iter();
        let shard = |(range, begin): (&HashRange, &Begin)| {
            let Begin { node, at, .. } = *begin;
            ShardFeed { range: *range, node, at, pending: None }
        };
        let shards = ranges.zip(&begin).map(shard).collect();
        let feed = Feed::new(shards, query.limit, query.seq_interval);
        let copies = begin.into_iter().map(|begin| begin.copy).collect();
        let mut changes = Changes {
            database,
            commits,
            feed,
            query,
            copies,
            failed: 0,
            fault: None,
            streams: Vec::new(),
            turn: 0,
        };
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
        if let Some(fault) = self.fault.take() {
            return Err(fault);
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
        if self.copies.iter().all(|copy| matches!(copy, ShardCopy::Local(_))) {
            self.commits.changed().await.map_err(|_| Error::DatabaseMissing)?;
            return self.begin_round();
        }
        // Of commits on other nodes nobody tells.
        if let Ok(changed) = timeout(POLL, self.commits.changed()).await {
            changed.map_err(|_| Error::DatabaseMissing)?;
        }
        self.begin_round()
    }

    /// [`Changes::wait`], for so long at most. Cancel safe.
    pub async fn wait_at_most(&mut self, patience: Duration) -> Result<(), Error> {
        timeout(patience, self.wait()).await.unwrap_or(Ok(()))
    }

    /// Begins to scan every shard that may have something new.
    fn begin_round(&mut self) -> Result<(), Error> {
        self.database.live()?;
        // What is committed from here on makes the next wait return.
        self.commits.borrow_and_update();
        self.streams = (0..self.copies.len()).map(|shard| self.scan(shard)).collect();
        Ok(())
    }

    /// Begins to scan a shard, if it may have something new.
    fn scan(&mut self, shard: usize) -> Option<ChangeStream> {
        let (copy, since) = (self.copies.get(shard)?, self.feed.at(shard));
        if !self.query.descending && copy.ends_at(since) {
            self.feed.settle(shard);
            return None;
        }
        let ChangesQuery { descending, style, filter, include_docs, conflicts, .. } =
            self.query.clone();
        let scan = ChangeScan { since, descending, style, filter, include_docs, conflicts };
        Some(copy.changes(scan, self.most().min(FIRST)))
    }

    /// The next shard in turn that is not at its end.
    fn next_shard(&self) -> Option<usize> {
        let count = self.streams.len();
        let in_turn = (0..count).map(|place| (self.turn + place) % count);
        in_turn.into_iter().find(|shard| self.streams.get(*shard).is_some_and(Option::is_some))
    }

    /// A step of a shard, from another copy if the one that is followed fails.
    async fn step_of(&mut self, shard: usize) -> Result<Option<ShardStep>, Error> {
        loop {
            let most = self.most();
            let step = match self.streams.get_mut(shard) {
                Some(Some(stream)) => {
                    stream.go_on(most);
                    stream.result().await
                }
                _ => Ok(None),
            };
            match step {
                Err(error) if is_silence(&error) => self.change_copy(shard, error)?,
                step => {
                    self.failed = 0;
                    return step;
                }
            }
        }
    }

    /// Follows another copy of a shard, which knows where in its own order it has what was given, or
    /// begins at a point before that: changes may come twice, but none is lost. Backwards that would
    /// be of no use once something was given.
    fn change_copy(&mut self, shard: usize, error: Error) -> Result<(), Error> {
        self.database.live()?;
        let Some(failed) = self.copies.get(shard).cloned() else { return Err(error) };
        look_after(&self.database, &failed, &error);
        self.failed += 1;
        let readers = self.database.readers(shard)?;
        let useless = self.query.descending && self.feed.heard(shard);
        if useless || self.failed >= readers.len() {
            return Err(error);
        }
        let place = readers.iter().position(|copy| copy.home() == failed.home());
        let next = place.map_or(0, |place| (place + 1) % readers.len());
        let Some(copy) = readers.get(next).map(|copy| (*copy).clone()) else { return Err(error) };
        if let Some(slot) = self.copies.get_mut(shard) {
            *slot = copy;
        }
        let stream = self.scan(shard);
        if let Some(slot) = self.streams.get_mut(shard) {
            *slot = stream;
        }
        Ok(())
    }

    /// Takes what a shard found, and lets it go on if there is use for more.
    fn take(&mut self, shard: usize, mut step: ShardStep) -> Vec<Change> {
        let done = step.done;
        self.fault = step.fault.take();
        let copy = self.copies.get(shard);
        let node = copy.map_or_else(Default::default, |copy| self.database.node_of(copy));
        let changes = self.feed.take(shard, node, step);
        self.turn = shard + 1;
        let (full, most) = (self.feed.full(), self.most());
        match self.streams.get_mut(shard) {
            Some(slot) if done => *slot = None,
            Some(Some(stream)) if !full && self.fault.is_none() => stream.go_on(most),
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

/// Where a feed begins in a range.
struct Begin {
    /// The copy that is followed.
    copy: ShardCopy,
    /// The node whose copy gave the point.
    node: NodeId,
    at: Point,
}

/// Where a feed begins that has come so far: each range with the copy that gave the position, if
/// it can be asked. A range of another layout says nothing here and begins at its start.
fn begin_at(database: &Database, seq: &Seq) -> Result<Vec<Begin>, Error> {
    let begin = |(shard, range): (usize, &HashRange)| {
        let readers = database.readers(shard)?;
        let nearest = readers.first().ok_or(Error::Timeout)?;
        Ok(match seq.position(*range) {
            Some(&Position { node, life, seq, .. }) => {
                let gave = |copy: &&&ShardCopy| copy.is_live() && database.node_of(copy) == node;
                let copy = readers.iter().find(gave).unwrap_or(nearest);
                Begin { copy: (*copy).clone(), node, at: Point { life, seq } }
            }
            None => {
                let node = database.node_of(nearest);
                Begin { copy: (*nearest).clone(), node, at: Point::default() }
            }
        })
    };
    database.ring().ranges().iter().enumerate().map(begin).collect()
}
