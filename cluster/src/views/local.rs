//! Rows of a view in a copy here: the index is brought up to date as the scan asks for, what is in
//! memory is given at once, the rest is read on threads that may block.

use std::sync::Arc;

use settee_engine::{IndexSnapshot, Shard, Snapshot};
use settee_query::view::{Reduce, View};

use super::{DesignDoc, Known, Update, Views};
use crate::catalogue::instance_of;
use crate::local::{LocalCopy, QUICK};
use crate::shard::Fault;
use crate::shard::rows::{RowBatch, ShardHead};
use crate::shard::view::{ViewEntry, ViewScan, ViewScanner, head};
use crate::streams::{LocalScan, Resume, RowStream, Scanner};
use crate::{Error, steps};

/// A view of a shard here, with its index as the scan wants it.
#[derive(Clone)]
struct Ready {
    views: Arc<Views>,
    shard: Arc<Shard>,
    known: Arc<Known>,
    index: IndexSnapshot,
    view: View,
    scan: ViewScan,
}

impl LocalCopy {
    /// Begins to scan a view; `first` rows come with the head, if there are so many.
    pub(crate) async fn view(
        &self,
        scan: ViewScan,
        first: usize,
    ) -> Result<RowStream<ViewEntry>, Error> {
        let shard = self.shard().await?;
        let known = self.views().known(instance_of(shard.id()), &scan.ddoc)?;
        self.view_known(shard, known, scan, first).await
    }

    /// Brings the indexes of a design document up to date.
    pub(crate) async fn build(&self, ddoc: &Arc<DesignDoc>) -> Result<(), Error> {
        let shard = self.shard().await?;
        let known = self.views().known(instance_of(shard.id()), ddoc)?;
        self.views().up_to_date(&shard, &known).await.map(drop)
    }

    /// The same of a design document that is known.
    pub(crate) async fn view_known(
        &self,
        shard: Arc<Shard>,
        known: Arc<Known>,
        scan: ViewScan,
        first: usize,
    ) -> Result<RowStream<ViewEntry>, Error> {
        let views = self.views().clone();
        if scan.update == Update::Lazy {
            tokio::spawn(update_later(views.clone(), shard.clone(), known.clone()));
        }
        let (known, view) = serving(&shard, known, &scan)?;
        let indexes = match scan.update {
            Update::True => views.up_to_date(&shard, &known).await?,
            Update::False | Update::Lazy => views.as_they_are(&shard, &known).await?,
        };
        let index = indexes.into_iter().nth(view.map).ok_or(Error::NotFound { deleted: false })?;
        let index = index.snapshot();
        Ready { views, shard, known, index, view, scan }.begin(self.clone(), first).await
    }
}

/// What answers: where rows need not be fresh, what the design document was before, until its indexes of
/// now are ready.
fn serving(shard: &Shard, known: Arc<Known>, scan: &ViewScan) -> Result<(Arc<Known>, View), Error> {
    let view = scan.view_of(known.definition())?.clone();
    let before = known.before(shard.id()).filter(|_| scan.update != Update::True);
    let older = before.and_then(|before| {
        let older = scan.view_of(before.definition()).ok()?.clone();
        // Partial results of different reduces cannot be combined.
        (scan.reduce.is_none() || older.reduce == view.reduce).then_some((before, older))
    });
    Ok(older.unwrap_or((known, view)))
}

async fn update_later(views: Arc<Views>, shard: Arc<Shard>, known: Arc<Known>) {
    if let Err(error) = views.up_to_date(&shard, &known).await {
        tracing::debug!(%error, "an index was not brought up to date");
    }
}

impl Ready {
    async fn begin(self, copy: LocalCopy, first: usize) -> Result<RowStream<ViewEntry>, Error> {
        if first <= QUICK && self.is_quick() {
            match self
                .resident()
                .and_then(|begun| RowStream::begin_resident(&copy, self.clone(), begun, first))
            {
                Err(fault) if fault.is_absence() => {}
                done => return Ok(done?),
            }
        }
        steps::blocking(move || Ok(RowStream::begin_blocking(&copy, self, first)?)).await
    }

    /// Whether nothing of it may run for long.
    fn is_quick(&self) -> bool {
        let script = matches!(self.view.reduce, Some(Reduce::Script(_)));
        self.scan.keys.as_ref().is_none_or(|keys| keys.keys().len() <= QUICK)
            && !(script && self.scan.reduce.is_some())
    }

    /// Begins with what is in memory alone.
    fn resident(&self) -> Result<(ShardHead, Watched), Fault> {
        self.over(&self.index.resident_only(), self.shard.snapshot().resident_only())
    }

    fn over(
        &self,
        index: &IndexSnapshot,
        snapshot: Snapshot,
    ) -> Result<(ShardHead, Watched), Fault> {
        let head = head(index, &self.scan)?;
        let scanner = ViewScanner::new(snapshot, index, &self.view, self.scan.clone())?;
        Ok((head, Watched { scanner, ready: self.clone() }))
    }

    /// Sees to an index that is damaged.
    fn failed(&self, fault: Fault) -> Fault {
        if let Fault::Engine(error) = &fault {
            self.views.drop_damaged(&self.shard, &self.known, error);
        }
        fault
    }
}

impl LocalScan for Ready {
    type Scanner = Watched;

    fn open(&self, _: &LocalCopy) -> Result<(ShardHead, Watched), Fault> {
        self.over(&self.index, self.shard.snapshot()).map_err(|fault| self.failed(fault))
    }
}

impl Resume for Ready {
    type Row = ViewEntry;

    fn go_behind(&mut self, row: &ViewEntry) {
        self.scan.go_behind(row);
    }
}

/// A scan under way, and what it is of.
struct Watched {
    scanner: ViewScanner,
    ready: Ready,
}

impl Scanner<ViewEntry> for Watched {
    fn step(&mut self, most: usize) -> Result<RowBatch<ViewEntry>, Fault> {
        self.scanner.step(most).map_err(|fault| self.ready.failed(fault))
    }
}
