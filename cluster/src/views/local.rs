//! Rows of a view in a copy here: which design document answers, and its index as the scan asks for it. Rows
//! themselves are read in `shard::view`.

use std::sync::Arc;

use settee_engine::index::Signature;
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
        self.views().up_to_date(&shard, &known, None).await.map(drop)
    }

    /// The same of a design document that is known.
    pub(crate) async fn view_known(
        &self,
        shard: Arc<Shard>,
        known: Arc<Known>,
        mut scan: ViewScan,
        first: usize,
    ) -> Result<RowStream<ViewEntry>, Error> {
        let views = self.views().clone();
        if scan.update == Update::Lazy {
            update_later(&views, &shard, &known);
        }
        let (known, view, signature) = serving(&shard, known, &scan)?;
        scan.index = Some(signature);
        let indexes = match (scan.update, scan.reduce) {
            (Update::True, _) => views.up_to_date(&shard, &known, scan.at_least).await?,
            (Update::False | Update::Lazy, None) => views.as_they_are(&shard, &known).await?,
            (Update::False | Update::Lazy, Some(_)) => views.with_reduces(&shard, &known).await?,
        };
        let index = indexes.get(view.map).ok_or(Error::NotFound { deleted: false })?;
        let index = Some(Indexed::new(views, known, index));
        Ready { shard, index, scan: OfView { scan, view } }.begin(self.clone(), first).await
    }
}

/// What answers: where rows need not be fresh, what the design document was before, until its indexes of
/// now are ready. Whoever goes on behind rows is given more of the same index, or nothing.
fn serving(
    shard: &Shard,
    known: Arc<Known>,
    scan: &ViewScan,
) -> Result<(Arc<Known>, View, Signature), Error> {
    let (view, map) = known.view(&scan.view)?;
    let before = known.before(shard.id()).filter(|_| scan.update != Update::True);
    let older = before.and_then(|before| {
        let (older, older_map) = before.view(&scan.view).ok()?;
        // Partial results of different reduces cannot be combined, nor rows merged that are in another
        // order than those of other shards.
        let fits = (scan.reduce.is_none() || older.reduce == view.reduce)
            && older_map.raw == map.raw
            && before.definition().options.partitioned == known.definition().options.partitioned;
        let (older, signature) = (older.clone(), older_map.signature);
        fits.then_some((before, older, signature))
    });
    let (view, signature) = (view.clone(), map.signature);
    let mut serving = older.into_iter().chain([(known, view, signature)]);
    // Another copy may have the index that is asked for.
    let fits = |of: Signature| scan.index.is_none_or(|asked| asked == of);
    serving.find(|(.., signature)| fits(*signature)).ok_or(Error::Overloaded)
}

/// Brings indexes up to date for nobody, unless that goes on.
fn update_later(views: &Arc<Views>, shard: &Arc<Shard>, known: &Arc<Known>) {
    if views.current(shard, known).is_some() || !known.begin_later(shard.id()) {
        return;
    }
    let (views, shard, known) = (views.clone(), shard.clone(), known.clone());
    tokio::spawn(async move {
        let updated = views.up_to_date(&shard, &known, None).await;
        known.end_later(shard.id());
        if let Err(error) = updated {
            tracing::debug!(%error, "an index was not brought up to date");
        }
    });
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
