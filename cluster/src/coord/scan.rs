//! Rows of one range, from one copy as long as it answers, and then from another one: that one goes
//! on behind the last row that came, so that no row is lost and none comes twice. Never merges
//! ranges: `merged` does.

use std::future::Future;
use std::sync::Arc;

use super::reads::{first, is_silence, look_after};
use crate::Error;
use crate::copy::{Home, ShardCopy};
use crate::database::Database;
use crate::quorum::merge::Keyed;
use crate::raft::NodeId;
use crate::shard::rows::{RowBatch, RowScan, ShardHead};
use crate::streams::{Resume, RowStream};

/// Rows that any copy of a range can give in the same order.
pub(super) trait Walk: Resume<Row: Keyed> + Sync {
    /// Begins with a copy; so many rows come with the head, if there are so many.
    fn begin(
        self,
        copy: &ShardCopy,
        first: usize,
    ) -> impl Future<Output = Result<RowStream<Self::Row>, Error>> + Send;
}

impl Walk for RowScan {
    async fn begin(self, copy: &ShardCopy, first: usize) -> Result<RowStream, Error> {
        copy.rows(self, first).await
    }
}

/// See the module.
pub(super) struct Scan<W: Walk> {
    database: Arc<Database>,
    shard: usize,
    /// What is still to come.
    scan: W,
    copy: ShardCopy,
    stream: RowStream<W::Row>,
    /// Copies that failed since the last row came, and how.
    failed: Vec<(Home, Error)>,
    /// What the first copy said.
    head: ShardHead,
    node: NodeId,
}

impl<W: Walk> Scan<W> {
    /// Begins, with so many rows at first.
    pub(super) async fn begin(
        database: Arc<Database>,
        shard: usize,
        mut scan: W,
        most: usize,
    ) -> Result<Scan<W>, Error> {
        let (copy, stream) = open(&database, shard, &scan, most, &[]).await?;
        scan.begun(&stream.head);
        let (head, node) = (stream.head, database.node_of(&copy));
        let failed = Vec::new();
        Ok(Scan { database, shard, scan, copy, stream, failed, head, node })
    }

    /// What was said before the rows.
    pub(super) fn head(&self) -> &ShardHead {
        &self.head
    }

    /// The node that said it.
    pub(super) fn node(&self) -> NodeId {
        self.node
    }

    /// Begins to read what [`Scan::next`] will give.
    pub(super) fn begin_next(&mut self) {
        self.stream.begin();
    }

    /// The next rows; from another copy `most` at first. Not to be called after the last. Cancel
    /// safe.
    pub(super) async fn next(&mut self, most: usize) -> Result<RowBatch<W::Row>, Error> {
        loop {
            match self.stream.next().await {
                Ok(batch) => {
                    if let Some(last) = batch.rows.last() {
                        self.failed.clear();
                        self.scan.go_behind(last);
                    }
                    return Ok(batch);
                }
                Err(error) if is_silence(&error) => {
                    self.database.live()?;
                    look_after(&self.database, &self.copy, &error);
                    self.failed.push((self.copy.home(), error));
                    let Scan { database, shard, scan, failed, .. } = &*self;
                    (self.copy, self.stream) = open(database, *shard, scan, most, failed).await?;
                }
                Err(error) => return Err(error),
            }
        }
    }
}

async fn open<W: Walk>(
    database: &Database,
    shard: usize,
    scan: &W,
    most: usize,
    failed: &[(Home, Error)],
) -> Result<(ShardCopy, RowStream<W::Row>), Error> {
    let ask = |copy: ShardCopy| {
        let scan = scan.clone();
        let home = copy.home();
        let failed = failed.iter().find(|(other, _)| *other == home);
        let failed = failed.map(|(_, error)| error.clone());
        async move {
            match failed {
                Some(error) => Err(error),
                None => Ok((copy.clone(), scan.begin(&copy, most).await?)),
            }
        }
    };
    first(database, shard, ask).await?.1
}
