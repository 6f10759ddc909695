//! A copy of a shard in this process. Never knows who asks: the coordinator, or another node.
//!
//! Reads are tried on the async thread as long as everything is in memory, and go to a thread that
//! may block otherwise. No thread is held while somebody is slow to take an answer.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use settee_engine::shard::{Batch, Decision, Outcome, Write};
use settee_engine::{Engine, Shard, ShardId, Snapshot};
use settee_model::docid::DocId;
use tokio::sync::oneshot;

use crate::attachment::Lane;
use crate::docs::{BulkGet, IdRevs, OpenOptions, OpenedDoc, RevResult, Revs, RevsDiff};
use crate::durable::Durable;
use crate::rows::{DocRow, Namespace};
use crate::shard::changes::ChangeScan;
use crate::shard::point::Point;
use crate::shard::rows::RowScan;
use crate::shard::state::{self, ShardState};
use crate::shard::{Fault, open, revs, rows};
use crate::steps::blocking;
use crate::streams::{ChangeStream, RowStream};
use crate::sync::answer::answer;
use crate::sync::ask::{Answer, Ask};
use crate::views::Views;
use crate::{Error, Host};

/// Documents that an async thread may look at in one go.
pub(crate) const QUICK: usize = 64;

/// A copy of a shard on this node's disk.
#[derive(Clone)]
pub(crate) struct LocalCopy {
    host: Host,
    id: ShardId,
    /// How long an answer may take.
    patience: Duration,
}

impl LocalCopy {
    pub(crate) fn new(host: Host, id: ShardId, patience: Duration) -> LocalCopy {
        LocalCopy { host, id, patience }
    }

    /// Its name at the engine.
    pub(crate) fn id(&self) -> &ShardId {
        &self.id
    }

    /// What is known of views on this node.
    pub(crate) fn views(&self) -> &Arc<Views> {
        &self.host.views
    }

    /// The engine that has it.
    pub(crate) fn engine(&self) -> &Engine {
        &self.host.engine
    }

    /// Makes the shard; durable when it returns.
    pub(crate) async fn create(&self) -> Result<(), Error> {
        let copy = self.clone();
        blocking(move || Ok(copy.host.engine.create_shard(&copy.id).map(drop)?)).await
    }

    /// Removes the shard and its files, if it is there.
    pub(crate) async fn remove(&self) -> Result<(), Error> {
        let copy = self.clone();
        blocking(move || match copy.host.engine.drop_shard(&copy.id) {
            Err(settee_engine::Error::ShardMissing { .. }) => Ok(()),
            other => Ok(other?),
        })
        .await
    }

    /// Hands writes to the shard's writer; answers when they are durable, one outcome for each.
    pub(crate) async fn write(&self, batch: Batch) -> Result<Vec<Outcome>, Error> {
        let shard = self.accept(&batch).await?;
        let (tell, told) = oneshot::channel();
        // Nobody listens any more if the request was given up; the write stands all the same.
        shard.submit(batch, Box::new(move |outcome| drop(tell.send(outcome))));
        self.in_time(async { Ok(told.await.map_err(|_| Error::Closing)??) }).await
    }

    /// See [`crate::copy::ShardCopy::decide`].
    pub(crate) async fn decide(&self, batch: Batch) -> Result<(Decision, Durable), Error> {
        let shard = self.accept(&batch).await?;
        let (decide, decided) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        shard.submit_telling(
            batch,
            Box::new(move |decision| drop(decide.send(decision))),
            Box::new(move |outcomes| drop(tell.send(outcomes.map(drop)))),
        );
        let durable = Durable::local(told, self.patience);
        match self.in_time(async { Ok(decided.await) }).await? {
            Ok(decision) => Ok((decision, durable)),
            // Nobody decides any more, and the end says why.
            Err(_) => Err(durable.wait().await.err().unwrap_or(Error::Closing)),
        }
    }

    /// The shard that is to write a batch.
    async fn accept(&self, batch: &Batch) -> Result<Arc<Shard>, Error> {
        self.check_room(batch)?;
        self.shard().await
    }

    /// Whether there is room for edits by clients, if these are some.
    fn check_room(&self, batch: &Batch) -> Result<(), Error> {
        let takes_room = |write: &Write| {
            matches!(write, Write::Interactive(_) | Write::Local(_)) && !write.frees()
        };
        if batch.writes.iter().any(takes_room) { self.host.disk.check_writes() } else { Ok(()) }
    }

    pub(crate) async fn open(&self, id: DocId, options: OpenOptions) -> Result<OpenedDoc, Error> {
        self.read(1, move |snapshot| open::open(snapshot, &id, &options)).await
    }

    pub(crate) async fn revisions(
        &self,
        id: DocId,
        asked: Revs,
        latest: bool,
    ) -> Result<Vec<RevResult>, Error> {
        self.read(1, move |snapshot| open::revisions(snapshot, &id, &asked, latest)).await
    }

    pub(crate) async fn revisions_of_many(
        &self,
        lines: Vec<BulkGet>,
        latest: bool,
    ) -> Result<Vec<Vec<RevResult>>, Error> {
        let count = lines.len();
        self.read(count, move |snapshot| {
            let open = |line: &BulkGet| open::revisions(snapshot, &line.id, &line.revs, latest);
            lines.iter().map(open).collect()
        })
        .await
    }

    pub(crate) async fn revs_diff(&self, asked: Vec<IdRevs>) -> Result<Vec<RevsDiff>, Error> {
        let count = asked.len();
        self.read(count, move |snapshot| revs::diff(snapshot, &asked)).await
    }

    pub(crate) async fn purged(&self) -> Result<Vec<IdRevs>, Error> {
        self.read(usize::MAX, revs::purged).await
    }

    /// Rows of given keys, in their order; `None` where there is no such document.
    pub(crate) async fn rows_of(
        &self,
        keys: Vec<DocId>,
        include_docs: bool,
        conflicts: bool,
    ) -> Result<Vec<Option<DocRow>>, Error> {
        let count = keys.len();
        let ask =
            move |snapshot: &Snapshot| rows::of_keys(snapshot, &keys, include_docs, conflicts);
        self.read(count, ask).await
    }

    /// How many rows a namespace has.
    pub(crate) async fn total(&self, namespace: Namespace) -> Result<u64, Error> {
        self.read(1, move |snapshot| rows::total(snapshot, namespace)).await
    }

    /// Begins to scan rows; `first` of them come with the head, if there are so many.
    pub(crate) async fn rows(&self, scan: RowScan, first: usize) -> Result<RowStream, Error> {
        if let Some(snapshot) = self.resident(first) {
            let begun = scan.open_on(snapshot);
            let begin = |begun| RowStream::begin_resident(self, scan.clone(), begun, first);
            match begun.and_then(begin) {
                Err(fault) if fault.is_absence() => {}
                done => return Ok(done?),
            }
        }
        let copy = self.clone();
        let begin = blocking(move || Ok(RowStream::begin_blocking(&copy, scan, first)?));
        self.in_time(begin).await
    }

    /// Begins to scan changes; what fails is told by the stream.
    pub(crate) fn changes(&self, scan: ChangeScan, first: usize) -> ChangeStream {
        ChangeStream::begin(self, scan, first)
    }

    /// Whether there is nothing after a position, as far as can be said without blocking.
    pub(crate) fn ends_at(&self, point: Point) -> bool {
        let open = self.host.engine.shard_if_open(&self.id);
        open.is_some_and(|shard| Point::end_of(&shard.snapshot()) == point)
    }

    /// Counts, sizes and sequences.
    pub(crate) async fn state(&self) -> Result<ShardState, Error> {
        // Nothing of this reads a page, so it waits for the disk only if the shard is closed.
        let shard = self.shard().await?;
        Ok(state::of_shard(&shard)?)
    }

    /// Where it stands now.
    pub(crate) async fn end(&self) -> Result<Point, Error> {
        self.read(1, |snapshot| Ok(Point::end_of(snapshot))).await
    }

    /// Counts and sizes of a partition.
    pub(crate) async fn partition(&self, partition: String) -> Result<ShardState, Error> {
        self.read(1, move |snapshot| state::of_partition(snapshot, &partition)).await
    }

    /// Begins to compact, remembering so many generations of each branch.
    pub(crate) async fn compact(&self, revs_limit: u32) -> Result<(), Error> {
        self.shard().await?.compact(revs_limit);
        Ok(())
    }

    /// Answers to another copy that wants to become equal.
    pub(crate) async fn sync(&self, ask: Ask) -> Result<Answer, Error> {
        let documents = match &ask {
            Ask::Head(_) => 1,
            Ask::Ends(ids) => ids.len(),
            _ => usize::MAX,
        };
        let id = self.id.clone();
        self.read(documents, move |snapshot| answer(snapshot, &id, &ask)).await
    }

    /// Begins to take an attachment in.
    pub(crate) async fn upload(&self) -> Result<Lane, Error> {
        Ok(Lane::new(&self.shard().await?))
    }

    /// The shard itself, for work that streams bytes in or out of it.
    pub(crate) async fn shard(&self) -> Result<Arc<Shard>, Error> {
        if let Some(shard) = self.host.engine.shard_if_open(&self.id) {
            return Ok(shard);
        }
        let copy = self.clone();
        self.in_time(blocking(move || Ok(copy.host.engine.shard(&copy.id)?))).await
    }

    /// The shard as it is now. Blocks if it is not open.
    pub(crate) fn snapshot_now(&self) -> Result<Snapshot, settee_engine::Error> {
        Ok(self.host.engine.shard(&self.id)?.snapshot())
    }

    /// A snapshot that never waits for the disk, for work on so many documents; none if that would
    /// keep the thread busy for too long.
    pub(crate) fn resident(&self, documents: usize) -> Option<Snapshot> {
        let shard = (documents <= QUICK).then(|| self.host.engine.shard_if_open(&self.id))?;
        Some(shard?.snapshot().resident_only())
    }

    /// Asks about so many documents: at once if everything needed is in memory, otherwise on a
    /// thread that may block.
    pub(crate) async fn read<R: Send + 'static>(
        &self,
        documents: usize,
        ask: impl Fn(&Snapshot) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Error> {
        if let Some(snapshot) = self.resident(documents) {
            match ask(&snapshot) {
                Err(fault) if fault.is_absence() => {}
                done => return Ok(done?),
            }
        }
        let copy = self.clone();
        self.in_time(blocking(move || Ok(ask(&copy.snapshot_now()?)?))).await
    }

    /// Gives up waiting for what takes too long; it may still happen.
    async fn in_time<R>(&self, work: impl Future<Output = Result<R, Error>>) -> Result<R, Error> {
        tokio::time::timeout(self.patience, work).await.unwrap_or(Err(Error::Timeout))
    }
}
