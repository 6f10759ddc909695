//! A copy of a shard, and all that the coordinator ever asks of one: plain values go in, plain
//! values come out. A copy is in this process or on another node, and nothing above knows which.

use std::sync::Arc;

use settee_engine::shard::{Batch, Decision, Outcome};
use settee_model::docid::DocId;
use settee_model::rev::Rev;

use crate::Error;
use crate::attachment::Lane;
use crate::docs::{BulkGet, IdRevs, OpenOptions, OpenedDoc, RevResult, Revs, RevsDiff};
use crate::durable::Durable;
use crate::local::LocalCopy;
use crate::mesh::RemoteCopy;
use crate::rows::{DocRow, Namespace};
use crate::shard::changes::ChangeScan;
use crate::shard::find::{FindScan, FoundRow};
use crate::shard::point::Point;
use crate::shard::rows::RowScan;
use crate::shard::state::ShardState;
use crate::shard::view::{ViewEntry, ViewScan};
use crate::streams::{ChangeStream, RowStream};
use crate::sync::ask::{Answer, Ask, unfit};
use crate::views::{IndexAsk, IndexState};

/// A copy of a shard.
#[derive(Clone)]
pub(crate) enum ShardCopy {
    Local(LocalCopy),
    Remote(RemoteCopy),
}

/// The node that a copy is on: this one, or one with an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Home(Option<Arc<str>>);

/// Asks the copy, wherever it is.
macro_rules! ask {
    ($self:ident, $copy:ident => $answer:expr) => {
        match $self {
            ShardCopy::Local($copy) => $answer,
            ShardCopy::Remote($copy) => $answer,
        }
    };
}

impl ShardCopy {
    /// Makes the shard; durable when it returns.
    pub(crate) async fn create(&self) -> Result<(), Error> {
        ask!(self, copy => copy.create().await)
    }

    /// Makes the shard if it is not there.
    pub(crate) async fn ensure(&self) -> Result<(), Error> {
        match self.end().await {
            Err(Error::DatabaseMissing) => match self.create().await {
                Err(Error::DatabaseExists) => Ok(()),
                other => other,
            },
            other => other.map(drop),
        }
    }

    /// Removes the shard and its files, if it is there.
    pub(crate) async fn remove(&self) -> Result<(), Error> {
        ask!(self, copy => copy.remove().await)
    }

    /// Hands writes to the shard's writer; answers when they are durable, one outcome for each.
    pub(crate) async fn write(&self, batch: Batch) -> Result<Vec<Outcome>, Error> {
        ask!(self, copy => copy.write(batch).await)
    }

    /// Hands writes to the shard's writer and gives the decision as soon as there is one, and
    /// something to wait with until it is durable. Whoever does not wait changes nothing.
    pub(crate) async fn decide(&self, batch: &Batch) -> Result<(Decision, Durable), Error> {
        match self {
            ShardCopy::Local(copy) => copy.decide(batch.clone()).await,
            ShardCopy::Remote(copy) => copy.decide(batch).await,
        }
    }

    /// Whether it can be asked, as far as is known: its node is this one or alive.
    pub(crate) fn is_live(&self) -> bool {
        match self {
            ShardCopy::Local(_) => true,
            ShardCopy::Remote(copy) => copy.is_live(),
        }
    }

    /// Where it is.
    pub(crate) fn home(&self) -> Home {
        match self {
            ShardCopy::Local(_) => Home(None),
            ShardCopy::Remote(copy) => Home(Some(copy.address().into())),
        }
    }

    pub(crate) async fn open(&self, id: DocId, options: OpenOptions) -> Result<OpenedDoc, Error> {
        ask!(self, copy => copy.open(id, options).await)
    }

    pub(crate) async fn revisions(
        &self,
        id: DocId,
        asked: Revs,
        latest: bool,
    ) -> Result<Vec<RevResult>, Error> {
        ask!(self, copy => copy.revisions(id, asked, latest).await)
    }

    pub(crate) async fn revisions_of_many(
        &self,
        lines: Vec<BulkGet>,
        latest: bool,
    ) -> Result<Vec<Vec<RevResult>>, Error> {
        ask!(self, copy => copy.revisions_of_many(lines, latest).await)
    }

    pub(crate) async fn revs_diff(&self, asked: Vec<IdRevs>) -> Result<Vec<RevsDiff>, Error> {
        ask!(self, copy => copy.revs_diff(asked).await)
    }

    pub(crate) async fn purged(&self) -> Result<Vec<IdRevs>, Error> {
        ask!(self, copy => copy.purged().await)
    }

    /// Rows of given keys, in their order; `None` where there is no such document.
    pub(crate) async fn rows_of(
        &self,
        keys: Vec<DocId>,
        include_docs: bool,
        conflicts: bool,
    ) -> Result<Vec<Option<DocRow>>, Error> {
        ask!(self, copy => copy.rows_of(keys, include_docs, conflicts).await)
    }

    /// How many rows a namespace has.
    pub(crate) async fn total(&self, namespace: Namespace) -> Result<u64, Error> {
        ask!(self, copy => copy.total(namespace).await)
    }

    /// Begins to scan rows; `first` of them come with the head, if there are so many.
    pub(crate) async fn rows(&self, scan: RowScan, first: usize) -> Result<RowStream, Error> {
        ask!(self, copy => copy.rows(scan, first).await)
    }

    /// Begins to scan a view; `first` rows come with the head, if there are so many.
    pub(crate) async fn view(
        &self,
        scan: ViewScan,
        first: usize,
    ) -> Result<RowStream<ViewEntry>, Error> {
        ask!(self, copy => copy.view(scan, first).await)
    }

    /// Begins to look for documents; `first` of them come with the head, if there are so many.
    pub(crate) async fn find(
        &self,
        scan: FindScan,
        first: usize,
    ) -> Result<RowStream<FoundRow>, Error> {
        ask!(self, copy => copy.find(scan, first).await)
    }

    /// Asks about the indexes of views.
    pub(crate) async fn indexes(&self, question: IndexAsk) -> Result<IndexState, Error> {
        ask!(self, copy => copy.indexes(question).await)
    }

    /// Begins to scan changes; what fails is told by the stream.
    pub(crate) fn changes(&self, scan: ChangeScan, first: usize) -> ChangeStream {
        ask!(self, copy => copy.changes(scan, first))
    }

    /// Whether there is nothing after a point, as far as can be said without waiting.
    pub(crate) fn ends_at(&self, point: Point) -> bool {
        match self {
            ShardCopy::Local(copy) => copy.ends_at(point),
            ShardCopy::Remote(_) => false,
        }
    }

    /// Counts, sizes and sequences.
    pub(crate) async fn state(&self) -> Result<ShardState, Error> {
        ask!(self, copy => copy.state().await)
    }

    /// Where it stands now.
    pub(crate) async fn end(&self) -> Result<Point, Error> {
        ask!(self, copy => copy.end().await)
    }

    /// Counts and sizes of a partition.
    pub(crate) async fn partition(&self, partition: String) -> Result<ShardState, Error> {
        ask!(self, copy => copy.partition(partition).await)
    }

    /// Begins to compact, remembering so many generations of each branch.
    pub(crate) async fn compact(&self, revs_limit: u32) -> Result<(), Error> {
        ask!(self, copy => copy.compact(revs_limit).await)
    }

    /// Asks on behalf of another copy that wants to become equal.
    pub(crate) async fn sync(&self, ask: Ask) -> Result<Answer, Error> {
        ask!(self, copy => copy.sync(ask).await)
    }

    /// With which revisions each of these documents ends here, in their order; with none where there
    /// is no such document.
    pub(crate) async fn ends(&self, ids: Vec<DocId>) -> Result<Vec<Vec<Rev>>, Error> {
        match self.sync(Ask::Ends(ids)).await? {
            Answer::Leaves(leaves) => Ok(leaves.docs.into_iter().map(|doc| doc.revs).collect()),
            other => Err(unfit(&other)),
        }
    }

    /// Begins to take an attachment in.
    pub(crate) async fn upload(&self) -> Result<Lane, Error> {
        ask!(self, copy => copy.upload().await)
    }
}
