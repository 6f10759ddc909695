//! Questions to Mango in a copy here: an index is brought up to date as the scan asks for. Which
//! documents match is decided in `shard::find`.

use std::sync::Arc;

use settee_engine::{IndexSnapshot, Shard, Snapshot};

use super::ready::{Indexed, Over, Ready};
use crate::Error;
use crate::catalogue::instance_of;
use crate::local::{LocalCopy, QUICK};
use crate::shard::Fault;
use crate::shard::find::{FindScan, FindScanner, FindSource, FoundRow, IndexSource};
use crate::shard::rows::ShardHead;
use crate::streams::RowStream;

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
            true => views.up_to_date(shard, &known, source.at_least).await?,
            false => views.as_they_are(shard, &known).await?,
        };
        let index = indexes.get(map).ok_or_else(missing)?;
        Ok(Indexed::new(views, known, index))
    }
}

impl Over for FindScan {
    type Scanner = FindScanner;

    fn over(
        &self,
        snapshot: Snapshot,
        index: Option<&IndexSnapshot>,
    ) -> Result<(ShardHead, FindScanner), Fault> {
        Ok((ShardHead::default(), self.open_on(snapshot, index.cloned())?))
    }

    fn is_quick(&self) -> bool {
        FindScan::is_quick(self)
    }

    fn hurry(scanner: &mut FindScanner) {
        scanner.look_at_most(QUICK);
    }
}
