//! A copy of a shard, and all that the coordinator ever asks of one: plain values go in, plain
//! values come out. Today every copy is in this process; one on another node will answer the same
//! calls.
//!
//! Reads are tried on the async thread as long as everything is in memory, and go to a thread that
//! may block otherwise. No thread is held while somebody is slow to take an answer.

use std::sync::Arc;

use settee_engine::shard::{Batch, Outcome};
use settee_engine::{Engine, Shard, ShardId, Snapshot};
use settee_model::docid::DocId;
use tokio::sync::oneshot;

use crate::Error;
use crate::docs::{BulkGet, IdRevs, OpenOptions, OpenedDoc, RevResult, Revs, RevsDiff};
use crate::rows::{DocRow, Namespace};
use crate::shard::changes::{ChangeScan, ChangeScanner, ShardStep};
use crate::shard::rows::{RowScan, RowScanner, ShardHead};
use crate::shard::state::{self, ShardState};
use crate::shard::{Fault, open, revs, rows};
use crate::steps::{Steps, blocking};

/// A copy of a shard.
#[derive(Clone)]
pub(crate) struct ShardCopy {
    engine: Engine,
    id: ShardId,
}

impl ShardCopy {
    pub(crate) fn new(engine: Engine, id: ShardId) -> ShardCopy {
        ShardCopy { engine, id }
    }

    /// Makes the shard; durable when it returns.
    pub(crate) async fn create(&self) -> Result<(), Error> {
        let ShardCopy { engine, id } = self.clone();
        blocking(move || Ok(engine.create_shard(&id).map(drop)?)).await
    }

    /// Removes the shard and its files, if it is there.
    pub(crate) async fn remove(&self) -> Result<(), Error> {
        let ShardCopy { engine, id } = self.clone();
        blocking(move || match engine.drop_shard(&id) {
            Err(settee_engine::Error::ShardMissing { .. }) => Ok(()),
            other => Ok(other?),
        })
        .await
    }

    /// Hands writes to the shard's writer; answers when they are durable, one outcome for each.
    pub(crate) async fn write(&self, batch: Batch) -> Result<Vec<Outcome>, Error> {
        let shard = self.shard().await?;
        let (tell, told) = oneshot::channel();
        // Nobody listens any more if the request was given up; the write stands all the same.
        shard.submit(batch, Box::new(move |outcome| drop(tell.send(outcome))));
        Ok(told.await.map_err(|_| Error::Closing)??)
    }

    pub(crate) async fn open(&self, id: DocId, options: OpenOptions) -> Result<OpenedDoc, Error> {
        self.read(move |snapshot| open::open(snapshot, &id, &options)).await
    }

    pub(crate) async fn revisions(
        &self,
        id: DocId,
        asked: Revs,
        latest: bool,
    ) -> Result<Vec<RevResult>, Error> {
        self.read(move |snapshot| open::revisions(snapshot, &id, &asked, latest)).await
    }

    pub(crate) async fn revisions_of_many(
        &self,
        lines: Vec<BulkGet>,
        latest: bool,
    ) -> Result<Vec<Vec<RevResult>>, Error> {
        self.read(move |snapshot| {
            let open = |line: &BulkGet| open::revisions(snapshot, &line.id, &line.revs, latest);
            lines.iter().map(open).collect()
        })
        .await
    }

    pub(crate) async fn revs_diff(&self, asked: Vec<IdRevs>) -> Result<Vec<RevsDiff>, Error> {
        self.read(move |snapshot| revs::diff(snapshot, &asked)).await
    }

    pub(crate) async fn purged(&self) -> Result<Vec<IdRevs>, Error> {
        self.read(revs::purged).await
    }

    /// Rows of given keys, in their order; `None` where there is no such document.
    pub(crate) async fn rows_of(
        &self,
        keys: Vec<DocId>,
        include_docs: bool,
        conflicts: bool,
    ) -> Result<Vec<Option<DocRow>>, Error> {
        self.read(move |snapshot| rows::of_keys(snapshot, &keys, include_docs, conflicts)).await
    }

    /// How many rows a namespace has.
    pub(crate) async fn total(&self, namespace: Namespace) -> Result<u64, Error> {
        self.read(move |snapshot| rows::total(snapshot, namespace)).await
    }

    /// Begins to scan rows; `first` of them come with the head, if there are so many.
    pub(crate) async fn rows(&self, scan: RowScan, first: usize) -> Result<RowStream, Error> {
        let copy = self.clone();
        blocking(move || {
            let snapshot = copy.engine.shard(&copy.id)?.snapshot();
            let head = rows::head(&snapshot, &scan)?;
            let mut scanner = RowScanner::new(snapshot, scan);
            let first = scanner.step(first)?;
            Ok(RowStream { head, first, asked: 0, steps: Steps::new(scanner) })
        })
        .await
    }

    /// Begins to scan changes, with the first step on its way; `Err` of its steps if that fails.
    pub(crate) fn changes(&self, scan: ChangeScan, first: usize) -> ChangeStream {
        let work = ChangeWork { copy: self.clone(), scan, scanner: None };
        let mut steps = Steps::new(work);
        steps.begin(move |work: &mut ChangeWork| work.step(first));
        ChangeStream { steps }
    }

    /// Whether there is nothing after a position, as far as can be said without blocking.
    pub(crate) fn ends_at(&self, seq: u64) -> bool {
        let open = self.engine.shard_if_open(&self.id);
        open.is_some_and(|shard| shard.snapshot().update_seq() <= seq)
    }

    /// Counts, sizes and sequences.
    pub(crate) async fn state(&self) -> Result<ShardState, Error> {
        let copy = self.clone();
        blocking(move || Ok(state::of_shard(&*copy.engine.shard(&copy.id)?)?)).await
    }

    /// Sequence of the last change.
    pub(crate) async fn update_seq(&self) -> Result<u64, Error> {
        self.read(|snapshot| Ok(snapshot.update_seq())).await
    }

    /// Counts and sizes of a partition.
    pub(crate) async fn partition(&self, partition: String) -> Result<ShardState, Error> {
        self.read(move |snapshot| state::of_partition(snapshot, &partition)).await
    }

    /// Begins to compact.
    pub(crate) async fn compact(&self) -> Result<(), Error> {
        self.shard().await?.compact();
        Ok(())
    }

    /// The shard itself, for work that streams bytes in or out of it.
    pub(crate) async fn shard(&self) -> Result<Arc<Shard>, Error> {
        if let Some(shard) = self.engine.shard_if_open(&self.id) {
            return Ok(shard);
        }
        let ShardCopy { engine, id } = self.clone();
        blocking(move || Ok(engine.shard(&id)?)).await
    }

    /// The same, on a thread that may block.
    pub(crate) fn shard_now(&self) -> Result<Arc<Shard>, Error> {
        Ok(self.engine.shard(&self.id)?)
    }

    async fn read<R: Send + 'static>(
        &self,
        ask: impl Fn(&Snapshot) -> Result<R, Fault> + Send + 'static,
    ) -> Result<R, Error> {
        if let Some(shard) = self.engine.shard_if_open(&self.id) {
            match ask(&shard.snapshot().resident_only()) {
                Err(fault) if fault.is_absence() => {}
                done => return Ok(done?),
            }
        }
        let ShardCopy { engine, id } = self.clone();
        blocking(move || Ok(ask(&engine.shard(&id)?.snapshot())?)).await
    }
}

/// Rows of a copy, batch by batch.
pub(crate) struct RowStream {
    pub(crate) head: ShardHead,
    first: Option<Vec<DocRow>>,
    asked: u32,
    steps: Steps<RowScanner, Result<Option<Vec<DocRow>>, Fault>>,
}

impl RowStream {
    /// Begins to read what [`RowStream::next`] will give, so that several streams read at once.
    pub(crate) fn begin(&mut self) {
        if self.asked > 0 {
            self.steps.begin(|scanner| scanner.step(usize::MAX));
        }
    }

    /// The next rows; `None` after the last. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<DocRow>>, Error> {
        self.begin();
        let batch = match self.steps.result().await? {
            Some(batch) => batch?,
            None => self.first.take(),
        };
        self.asked += 1;
        // Whoever wants more than a second batch is likely to want all: read ahead.
        if self.asked > 1 && batch.is_some() {
            self.begin();
        }
        Ok(batch)
    }
}

/// Changes of a copy, step by step.
pub(crate) struct ChangeStream {
    steps: Steps<ChangeWork, Result<ShardStep, Fault>>,
}

struct ChangeWork {
    copy: ShardCopy,
    scan: ChangeScan,
    scanner: Option<ChangeScanner>,
}

impl ChangeWork {
    fn step(&mut self, most: usize) -> Result<ShardStep, Fault> {
        let scanner = match &mut self.scanner {
            Some(scanner) => scanner,
            none => {
                let snapshot = self.copy.engine.shard(&self.copy.id)?.snapshot();
                none.insert(ChangeScanner::new(snapshot, self.scan.clone())?)
            }
        };
        scanner.step(most)
    }
}

impl ChangeStream {
    /// Begins a step of at most so many changes, unless one is running.
    pub(crate) fn begin(&mut self, most: usize) {
        self.steps.begin(move |work| work.step(most));
    }

    /// The result of the step that was begun. Cancel safe.
    pub(crate) async fn result(&mut self) -> Result<Option<ShardStep>, Error> {
        Ok(self.steps.result().await?.transpose()?)
    }
}
