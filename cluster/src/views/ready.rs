//! A scan over an index of a copy here that is as the scan wants it: what is quickly read from memory is
//! given at once, the rest is read on threads that may block. Never knows what is scanned for.

use std::sync::{Arc, Weak};

use settee_engine::{Index, IndexSnapshot, Shard, Snapshot};

use super::{Known, Views};
use crate::local::{LocalCopy, QUICK};
use crate::shard::Fault;
use crate::shard::rows::{RowBatch, ShardHead};
use crate::streams::{LocalScan, Resume, RowStream, Scanner};
use crate::{Error, steps};

/// What can be scanned over a shard, and maybe an index of it.
pub(super) trait Over: Resume + Sync {
    type Scanner: Scanner<Self::Row>;

    /// Begins. An index that was asked for is there.
    fn over(
        &self,
        snapshot: Snapshot,
        index: Option<&IndexSnapshot>,
    ) -> Result<(ShardHead, Self::Scanner), Fault>;

    /// Whether nothing of it may run for long.
    fn is_quick(&self) -> bool;

    /// Looks at little, as nobody may wait for it.
    fn hurry(_: &mut Self::Scanner) {}
}

/// An index as a scan wants it.
#[derive(Clone)]
pub(super) struct Indexed {
    pub(super) views: Arc<Views>,
    /// Whose it is.
    pub(super) known: Arc<Known>,
    /// Not for keeping it open.
    pub(super) index: Weak<Index>,
    pub(super) snapshot: IndexSnapshot,
}

impl Indexed {
    pub(super) fn new(views: Arc<Views>, known: Arc<Known>, index: &Arc<Index>) -> Indexed {
        Indexed { views, known, index: Arc::downgrade(index), snapshot: index.snapshot() }
    }
}

/// See the module.
#[derive(Clone)]
pub(super) struct Ready<S> {
    pub(super) shard: Arc<Shard>,
    pub(super) index: Option<Indexed>,
    pub(super) scan: S,
}

impl<S: Over> Ready<S> {
    pub(super) async fn begin(
        self,
        copy: LocalCopy,
        first: usize,
    ) -> Result<RowStream<S::Row>, Error> {
        if first <= QUICK && self.scan.is_quick() {
            match self.resident(&copy, first) {
                Err(fault) if fault.is_absence() => {}
                done => return Ok(done?),
            }
        }
        steps::blocking(move || Ok(RowStream::begin_blocking(&copy, self, first)?)).await
    }

    /// Begins with what is in memory alone.
    fn resident(&self, copy: &LocalCopy, first: usize) -> Result<RowStream<S::Row>, Fault> {
        let index = self.index.as_ref().map(|index| index.snapshot.resident_only());
        let snapshot = self.shard.snapshot().resident_only();
        let (head, mut scanner) = self.scan.over(snapshot, index.as_ref())?;
        S::hurry(&mut scanner);
        let begun = (head, Watched { scanner, ready: self.clone() });
        RowStream::begin_resident(copy, self.clone(), begun, first)
    }

    /// Sees to an index that is damaged.
    fn failed(&self, fault: Fault) -> Fault {
        if let (Fault::Engine(error), Some(Indexed { views, known, index, .. })) =
            (&fault, &self.index)
            && let Some(index) = index.upgrade()
        {
            views.see_to(&index, known, error);
        }
        fault
    }
}

impl<S: Over> LocalScan for Ready<S> {
    type Scanner = Watched<S>;

    fn open(&self, _: &LocalCopy) -> Result<(ShardHead, Watched<S>), Fault> {
        let index = self.index.as_ref().map(|index| &index.snapshot);
        let (head, scanner) =
            self.scan.over(self.shard.snapshot(), index).map_err(|fault| self.failed(fault))?;
        Ok((head, Watched { scanner, ready: self.clone() }))
    }
}

impl<S: Over> Resume for Ready<S> {
    type Row = S::Row;

    fn go_behind(&mut self, row: &S::Row) {
        self.scan.go_behind(row);
    }
}

/// A scan under way, and what it is of.
pub(super) struct Watched<S: Over> {
    scanner: S::Scanner,
    ready: Ready<S>,
}

impl<S: Over> Scanner<S::Row> for Watched<S> {
    fn step(&mut self, most: usize) -> Result<RowBatch<S::Row>, Fault> {
        self.scanner.step(most).map_err(|fault| self.ready.failed(fault))
    }
}
