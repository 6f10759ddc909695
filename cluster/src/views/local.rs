//! Rows of a view in a copy here: which design document answers, and its index as the scan asks for it.

use std::sync::Arc;

use settee_engine::{IndexSnapshot, Shard, Snapshot};
use settee_query::view::{Reduce, View};

use super::ready::{Indexed, Over, Ready};
use super::{DesignDoc, Known, Update, Views};
use crate::Error;
use crate::catalogue::instance_of;
use crate::local::{LocalCopy, QUICK};
use crate::shard::Fault;
use crate::shard::rows::ShardHead;
use crate::shard::view::{ViewEntry, ViewScan, ViewScanner, head};
use crate::streams::{Resume, RowStream};

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
        let index = Some(Indexed { views, known, snapshot: index.snapshot() });
        Ready { shard, index, scan: OfView { scan, view } }.begin(self.clone(), first).await
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

/// A scan of a view, and what the view is.
#[derive(Clone)]
struct OfView {
    scan: ViewScan,
    view: View,
}

impl Resume for OfView {
    type Row = ViewEntry;

    fn go_behind(&mut self, row: &ViewEntry) {
        self.scan.go_behind(row);
    }
}

impl Over for OfView {
    type Scanner = ViewScanner;

    fn over(
        &self,
        snapshot: Snapshot,
        index: Option<&IndexSnapshot>,
    ) -> Result<(ShardHead, ViewScanner), Fault> {
        let index = index.ok_or(Error::NotFound { deleted: false })?;
        let head = head(index, &self.scan)?;
        Ok((head, ViewScanner::new(snapshot, index, &self.view, self.scan.clone())?))
    }

    fn is_quick(&self) -> bool {
        let script = matches!(self.view.reduce, Some(Reduce::Script(_)));
        self.scan.keys.as_ref().is_none_or(|keys| keys.keys().len() <= QUICK)
            && !(script && self.scan.reduce.is_some())
    }
}
