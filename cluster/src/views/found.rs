//! Questions to Mango in a copy here: an index is brought up to date as the scan asks for, what is
//! quickly looked at in memory is given at once, the rest on threads that may block.

use std::sync::Arc;

use settee_engine::{IndexSnapshot, Shard, Snapshot};

use super::{Known, Views};
use crate::catalogue::instance_of;
use crate::local::{LocalCopy, QUICK};
use crate::shard::Fault;
use crate::shard::find::{FindScan, FindScanner, FindSource, FoundRow, IndexSource};
use crate::shard::rows::{RowBatch, ShardHead};
use crate::streams::{LocalScan, Resume, RowStream, Scanner};
use crate::{Error, steps};

/// A scan of a shard here, with the index that it is over.
#[derive(Clone)]
struct Ready {
    shard: Arc<Shard>,
    scan: FindScan,
    index: Option<Indexed>,
}

#[derive(Clone)]
struct Indexed {
    views: Arc<Views>,
    known: Arc<Known>,
    snapshot: IndexSnapshot,
}

impl LocalCopy {
    /// Begins to look for documents; `first` of them come with the head, if there are so many.
    pub(crate) async fn find(
        &self,
        scan: FindScan,
        first: usize,
    ) -> Result<RowStream<FoundRow>, Error> {
        let shard = self.shard().await?;
        let index = match &scan.source {
            FindSource::Ids(_) => None,
            FindSource::Index(source) => Some(self.indexed(&shard, source).await?),
        };
        Ready { shard, scan, index }.begin(self.clone(), first).await
    }

    async fn indexed(&self, shard: &Arc<Shard>, source: &IndexSource) -> Result<Indexed, Error> {
        let views = self.views().clone();
        let known = views.known(instance_of(shard.id()), &source.ddoc)?;
        let missing = || Error::NotFound { deleted: false };
        let map = known.definition().view(&source.view).ok_or_else(missing)?.map;
        let indexes = match source.update {
            true => views.up_to_date(shard, &known).await?,
            false => views.as_they_are(shard, &known).await?,
        };
        let snapshot = indexes.get(map).ok_or_else(missing)?.snapshot();
        Ok(Indexed { views, known, snapshot })
    }
}

impl Ready {
    async fn begin(self, copy: LocalCopy, first: usize) -> Result<RowStream<FoundRow>, Error> {
        if first <= QUICK && self.scan.is_quick() {
            match self.resident(&copy, first) {
                Err(fault) if fault.is_absence() => {}
                done => return Ok(done?),
            }
        }
        steps::blocking(move || Ok(RowStream::begin_blocking(&copy, self, first)?)).await
    }

    /// Begins with what is in memory alone, and looks at little.
    fn resident(&self, copy: &LocalCopy, first: usize) -> Result<RowStream<FoundRow>, Fault> {
        let index = self.index.as_ref().map(|index| index.snapshot.resident_only());
        let mut begun = self.over(self.shard.snapshot().resident_only(), index)?;
        begun.1.scanner.look_at_most(QUICK);
        RowStream::begin_resident(copy, self.clone(), begun, first)
    }

    fn over(
        &self,
        snapshot: Snapshot,
        index: Option<IndexSnapshot>,
    ) -> Result<(ShardHead, Watched), Fault> {
        let scanner = self.scan.open_on(snapshot, index)?;
        Ok((ShardHead::default(), Watched { scanner, ready: self.clone() }))
    }

    /// Sees to an index that is damaged.
    fn failed(&self, fault: Fault) -> Fault {
        if let (Fault::Engine(error), Some(index)) = (&fault, &self.index) {
            index.views.drop_damaged(&self.shard, &index.known, error);
        }
        fault
    }
}

impl LocalScan for Ready {
    type Scanner = Watched;

    fn open(&self, _: &LocalCopy) -> Result<(ShardHead, Watched), Fault> {
        let index = self.index.as_ref().map(|index| index.snapshot.clone());
        self.over(self.shard.snapshot(), index).map_err(|fault| self.failed(fault))
    }
}

impl Resume for Ready {
    type Row = FoundRow;

    fn go_behind(&mut self, row: &FoundRow) {
        self.scan.go_behind(row);
    }
}

/// A scan under way, and what it is of.
struct Watched {
    scanner: FindScanner,
    ready: Ready,
}

impl Scanner<FoundRow> for Watched {
    fn step(&mut self, most: usize) -> Result<RowBatch<FoundRow>, Fault> {
        self.scanner.step(most).map_err(|fault| self.ready.failed(fault))
    }
}
