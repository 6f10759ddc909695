//! Rows and changes of a copy, batch by batch. A short answer is given at once where everything is
//! in memory; a long one is read on threads that may block, one batch ahead of whoever takes it.
//! When a copy fails, no other one is asked here (see `coord`).

use tokio::task::JoinHandle;

use crate::Error;
use crate::changes::Filter;
use crate::copy::ShardCopy;
use crate::local::{LocalCopy, QUICK};
use crate::mesh::RemoteChanges;
use crate::rows::DocRow;
use crate::shard::Fault;
use crate::shard::changes::{ChangeScan, ChangeScanner, ShardStep};
use crate::shard::point::Point;
use crate::shard::rows::{RowBatch, ShardHead};
use crate::sift::{AT_LEAST, sift};
use crate::steps::{Steps, off};

/// Rows of a copy.
pub(crate) struct RowStream<R: Send + 'static = DocRow> {
    pub(crate) head: ShardHead,
    /// What came with the head.
    first: Option<RowBatch<R>>,
    reads_ahead: bool,
    steps: Steps<Box<dyn Batches<R>>, Result<RowBatch<R>, Error>>,
}

/// A batch that is being read, and where those after it come from.
pub(crate) type Reading<R> = JoinHandle<(Box<dyn Batches<R>>, Result<RowBatch<R>, Error>)>;

/// Where the rest of some rows comes from.
pub(crate) trait Batches<R>: Send {
    /// Begins to read the next batch.
    fn begin(self: Box<Self>) -> Reading<R>;
}

impl<R: Send + 'static> RowStream<R> {
    /// What was said at once, and where the rest comes from.
    pub(crate) fn new(
        head: ShardHead,
        first: RowBatch<R>,
        rest: impl Batches<R> + 'static,
    ) -> RowStream<R> {
        let steps = Steps::new(Box::new(rest) as Box<dyn Batches<R>>);
        RowStream { head, first: Some(first), reads_ahead: false, steps }
    }

    /// Begins to read what [`RowStream::next`] will give, so that several streams read at once.
    pub(crate) fn begin(&mut self) {
        if self.first.is_none() {
            self.steps.begin(Batches::begin);
        }
    }

    /// The next rows. Not to be called after the last. Cancel safe.
    pub(crate) async fn next(&mut self) -> Result<RowBatch<R>, Error> {
        if let Some(first) = self.first.take() {
            return Ok(first);
        }
        self.begin();
        let nothing = RowBatch { rows: Vec::new(), ended: false };
        let batch = self.steps.result().await?.unwrap_or(Ok(nothing))?;
        // Whoever wants more than a second batch is likely to want all.
        if self.reads_ahead && !batch.ended {
            self.begin();
        }
        self.reads_ahead = true;
        Ok(batch)
    }
}

/// A question for rows that can be asked again for what is still missing.
pub(crate) trait Resume: Clone + Send + 'static {
    type Row: Send + 'static;

    /// The first copy answers; what that one says of itself may be demanded of the next one.
    fn begun(&mut self, _: &ShardHead) {}

    /// Leaves only what comes after a row.
    fn go_behind(&mut self, row: &Self::Row);
}

/// What can be scanned of a copy here.
pub(crate) trait LocalScan: Resume {
    type Scanner: Scanner<Self::Row>;

    /// Begins, with the copy as it is now. Blocks.
    fn open(&self, copy: &LocalCopy) -> Result<(ShardHead, Self::Scanner), Fault>;
}

/// A scan under way.
pub(crate) trait Scanner<R>: Send + 'static {
    /// The next rows, `most` of them at most. Not to be called after the last.
    fn step(&mut self, most: usize) -> Result<RowBatch<R>, Fault>;
}

/// Rows of a copy here.
struct LocalRows<S: LocalScan> {
    copy: LocalCopy,
    scan: S,
    /// Made by the first step that needs it.
    scanner: Option<S::Scanner>,
}

impl<R: Send + 'static> RowStream<R> {
    /// First rows from memory alone; what comes after them is read anew.
    pub(crate) fn begin_resident<S: LocalScan<Row = R>>(
        copy: &LocalCopy,
        mut scan: S,
        (head, mut scanner): (ShardHead, S::Scanner),
        first: usize,
    ) -> Result<RowStream<R>, Fault> {
        let first = scanner.step(first)?;
        if let Some(last) = first.rows.last() {
            scan.go_behind(last);
        }
        Ok(RowStream::new(head, first, LocalRows { copy: copy.clone(), scan, scanner: None }))
    }

    /// Head and first rows, wherever they are. Blocks.
    pub(crate) fn begin_blocking<S: LocalScan<Row = R>>(
        copy: &LocalCopy,
        scan: S,
        first: usize,
    ) -> Result<RowStream<R>, Fault> {
        let (head, mut scanner) = scan.open(copy)?;
        let first = scanner.step(first)?;
        let rest = LocalRows { copy: copy.clone(), scan, scanner: Some(scanner) };
        Ok(RowStream::new(head, first, rest))
    }
}

impl<S: LocalScan> Batches<S::Row> for LocalRows<S> {
    fn begin(mut self: Box<Self>) -> Reading<S::Row> {
        off(move || {
            let batch = self.step().map_err(Error::from);
            (self as Box<dyn Batches<S::Row>>, batch)
        })
    }
}

impl<S: LocalScan> LocalRows<S> {
    fn step(&mut self) -> Result<RowBatch<S::Row>, Fault> {
        let scanner = match &mut self.scanner {
            Some(scanner) => scanner,
            none => none.insert(self.scan.open(&self.copy)?.1),
        };
        scanner.step(usize::MAX)
    }
}

/// Changes of a copy.
pub(crate) struct ChangeStream {
    /// A step that was done at once.
    first: Option<ShardStep>,
    steps: Steps<ChangeWork, Result<ShardStep, Error>>,
}

/// Where steps come from.
enum ChangeWork {
    Local(LocalChanges),
    Remote(RemoteChanges),
}

struct LocalChanges {
    copy: LocalCopy,
    scan: ChangeScan,
    /// Made by the first step that needs it.
    scanner: Option<ChangeScanner>,
}

impl ChangeStream {
    /// Begins to scan; the first step, of so many changes at most, is done or on its way.
    pub(crate) fn begin(copy: &LocalCopy, scan: ChangeScan, most: usize) -> ChangeStream {
        let mut work = LocalChanges { copy: copy.clone(), scan, scanner: None };
        let first = work.at_once(most);
        let mut stream = ChangeStream { first, steps: Steps::new(ChangeWork::Local(work)) };
        if stream.first.is_none() {
            stream.go_on(most);
        }
        stream
    }

    /// The same of a copy on another node.
    pub(crate) fn remote(work: RemoteChanges, most: usize) -> ChangeStream {
        let mut steps = Steps::new(ChangeWork::Remote(work));
        steps.begin(|work| work.begin(most));
        ChangeStream { first: None, steps }
    }

    /// Begins a step of at most so many changes, unless one is done or running.
    pub(crate) fn go_on(&mut self, most: usize) {
        if self.first.is_none() {
            self.steps.begin(|work| work.begin(most));
        }
    }

    /// The result of the step that was begun. Cancel safe.
    pub(crate) async fn result(&mut self) -> Result<Option<ShardStep>, Error> {
        match self.first.take() {
            Some(first) => Ok(Some(first)),
            None => self.steps.result().await?.transpose(),
        }
    }
}

impl ChangeWork {
    fn begin(self, most: usize) -> JoinHandle<(ChangeWork, Result<ShardStep, Error>)> {
        match self {
            ChangeWork::Local(changes) if matches!(changes.scan.filter, Filter::Judged(_)) => {
                tokio::spawn(changes.judged_step(most))
            }
            ChangeWork::Local(mut changes) => off(move || {
                let step = changes.step(most).map_err(Error::from);
                (ChangeWork::Local(changes), step)
            }),
            ChangeWork::Remote(mut changes) => tokio::spawn(async move {
                let step = changes.step(most).await;
                (ChangeWork::Remote(changes), step)
            }),
        }
    }
}

impl LocalChanges {
    /// The first step, if it is a small one, all is in memory, and nobody's code decides. Whatever
    /// speaks against it, even an error, is left to the step on another thread.
    fn at_once(&mut self, most: usize) -> Option<ShardStep> {
        if self.scan.descending || !matches!(self.scan.filter, Filter::All) {
            return None;
        }
        let snapshot = self.copy.resident(1)?;
        let since = self.scan.since.on(&snapshot).ok()?;
        let pending = snapshot.count_changes_since(since).ok()?;
        if pending.min(most as u64) > QUICK as u64 {
            return None;
        }
        let step = ChangeScanner::new(snapshot, self.scan.clone()).ok()?.step(most).ok()?;
        self.scan.since = Point { life: step.life, seq: step.at };
        Some(step)
    }

    /// A step off this thread, and what of it somebody lets pass.
    async fn judged_step(mut self, most: usize) -> (ChangeWork, Result<ShardStep, Error>) {
        let (copy, scan) = (ShardCopy::Local(self.copy.clone()), self.scan.clone());
        let most = most.max(AT_LEAST);
        let lost = LocalChanges { copy: self.copy.clone(), scan: scan.clone(), scanner: None };
        let step = off(move || {
            let step = self.step(most).map_err(Error::from);
            (self, step)
        });
        match step.await {
            Ok((changes, Ok(step))) => (ChangeWork::Local(changes), sift(&copy, &scan, step).await),
            Ok((changes, Err(error))) => (ChangeWork::Local(changes), Err(error)),
            Err(_) => (ChangeWork::Local(lost), Err(Error::Closing)),
        }
    }

    fn step(&mut self, most: usize) -> Result<ShardStep, Fault> {
        let scanner = match &mut self.scanner {
            Some(scanner) => scanner,
            none => {
                let snapshot = self.copy.snapshot_now()?;
                none.insert(ChangeScanner::new(snapshot, self.scan.clone())?)
            }
        };
        scanner.step(most)
    }
}
