//! A shard copy on another node: the same questions as of a local one, asked over the mesh. If that
//! node is silent, whom to ask instead is decided in `coord`.

use settee_engine::ShardId;
use settee_engine::shard::{Batch, Decision, Outcome};
use settee_model::docid::DocId;
use tonic::Streaming;

use super::detector::Liveness;
use super::peer::{Line, Peer, Thread};
use super::remote_feeds::{RemoteChanges, RemoteRows};
use super::remote_views;
use super::wire::decide_step::Step;
use super::wire::{self, all, each, malformed};
use crate::Error;
use crate::docs::{BulkGet, IdRevs, OpenOptions, OpenedDoc, RevResult, Revs, RevsDiff};
use crate::durable::Durable;
use crate::raft::NodeId;
use crate::rows::{DocRow, Namespace};
use crate::shard::changes::ChangeScan;
use crate::shard::find::{FindScan, FoundRow};
use crate::shard::point::Point;
use crate::shard::rows::RowScan;
use crate::shard::state::ShardState;
use crate::shard::view::{ViewEntry, ViewScan};
use crate::streams::{ChangeStream, RowStream};
use crate::sync::ask::{Answer, Ask};
use crate::views::{IndexAsk, IndexState};

/// A copy of a shard on another node.
#[derive(Clone)]
pub(crate) struct RemoteCopy {
    pub(super) peer: Peer,
    id: ShardId,
    node: NodeId,
}

/// Calls a method of the shards' service with a message.
macro_rules! call {
    ($copy:ident . $method:ident ( $message:expr )) => {{
        let message = $message;
        $copy.peer.call(async |line: Line| line.shards().$method(message).await).await
    }};
}

impl RemoteCopy {
    pub(crate) fn new(peer: Peer, node: NodeId, id: ShardId) -> RemoteCopy {
        RemoteCopy { peer, id, node }
    }

    /// The node that has it.
    pub(crate) fn node(&self) -> NodeId {
        self.node
    }

    /// The way to that node.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Its name.
    pub(crate) fn id(&self) -> &ShardId {
        &self.id
    }

    pub(super) fn shard(&self) -> String {
        self.id.as_str().into()
    }

    fn ask(&self) -> wire::ShardAsk {
        wire::ShardAsk { shard: self.shard() }
    }

    pub(crate) async fn create(&self) -> Result<(), Error> {
        call!(self.create(self.ask())).map(drop)
    }

    pub(crate) async fn remove(&self) -> Result<(), Error> {
        call!(self.remove(self.ask())).map(drop)
    }

    pub(crate) async fn compact(&self, revs_limit: u32) -> Result<(), Error> {
        let ask = wire::CompactAsk { shard: self.shard(), revs_limit };
        call!(self.compact(ask)).map(drop)
    }

    pub(crate) async fn write(&self, batch: Batch) -> Result<Vec<Outcome>, Error> {
        // What was uploaded for the batch is held here until the answer has come.
        let asked = batch.writes.len();
        let answer = call!(self.write_batch(wire::WriteAsk::new(self.shard(), &batch)))?;
        let outcomes = all(answer.outcomes)?;
        as_many(outcomes, asked)
    }

    /// See [`crate::copy::ShardCopy::decide`].
    pub(crate) async fn decide(&self, batch: &Batch) -> Result<(Decision, Durable), Error> {
        let ask = wire::WriteAsk::new(self.shard(), batch);
        let ask = async |line: Line| line.shards().decide(ask).await;
        let (steps, thread) = self.peer.stream(ask).await?;
        let mut rest = RemoteDurable { steps, thread };
        let Step::Decision(decision) = rest.step().await? else {
            return Err(malformed("a batch that was not decided"));
        };
        let decision = Decision::try_from(decision)?;
        if decision.outcomes.len() != batch.writes.len() {
            return Err(malformed("number of answers"));
        }
        Ok((decision, Durable::remote(rest)))
    }

    /// Whether its node is believed to be alive.
    pub(crate) fn is_live(&self) -> bool {
        self.peer.liveness() == Liveness::Up
    }

    /// The address of its node.
    pub(crate) fn address(&self) -> &str {
        self.peer.address()
    }

    pub(crate) async fn open(&self, id: DocId, options: OpenOptions) -> Result<OpenedDoc, Error> {
        call!(self.open(wire::OpenAsk::new(self.shard(), &id, &options)))?.try_into()
    }

    pub(crate) async fn revisions(
        &self,
        id: DocId,
        revs: Revs,
        latest: bool,
    ) -> Result<Vec<RevResult>, Error> {
        let mut lines = self.revisions_of_many(vec![BulkGet { id, revs }], latest).await?;
        lines.pop().ok_or_else(|| malformed("no revisions"))
    }

    pub(crate) async fn revisions_of_many(
        &self,
        lines: Vec<BulkGet>,
        latest: bool,
    ) -> Result<Vec<Vec<RevResult>>, Error> {
        let ask = wire::RevisionsAsk { shard: self.shard(), lines: each(&lines), latest };
        as_many(all(call!(self.revisions(ask))?.lines)?, lines.len())
    }

    pub(crate) async fn revs_diff(&self, asked: Vec<IdRevs>) -> Result<Vec<RevsDiff>, Error> {
        let ask = wire::RevsDiffAsk { shard: self.shard(), asked: each(&asked) };
        as_many(each(call!(self.revs_diff(ask))?.lines), asked.len())
    }

    pub(crate) async fn purged(&self) -> Result<Vec<IdRevs>, Error> {
        Ok(each(call!(self.purged(self.ask()))?.purged))
    }

    pub(crate) async fn rows_of(
        &self,
        keys: Vec<DocId>,
        include_docs: bool,
        conflicts: bool,
    ) -> Result<Vec<Option<DocRow>>, Error> {
        let asked = keys.len();
        let keys = keys.iter().map(|key| key.as_str().into()).collect();
        let ask = wire::RowsOfAsk { shard: self.shard(), keys, include_docs, conflicts };
        let rows = call!(self.rows_of(ask))?.rows.into_iter();
        let rows = rows.map(|row| row.row.map(DocRow::try_from).transpose());
        as_many(rows.collect::<Result<_, _>>()?, asked)
    }

    pub(crate) async fn total(&self, namespace: Namespace) -> Result<u64, Error> {
        let namespace = wire::Namespace::from(namespace).into();
        let ask = wire::TotalAsk { shard: self.shard(), namespace };
        Ok(call!(self.total(ask))?.number)
    }

    pub(crate) async fn rows(&self, scan: RowScan, first: usize) -> Result<RowStream, Error> {
        let scan = Some(wire::RowScan::new(self.shard(), &scan));
        let ask = wire::RowsAsk { scan, first: first as u64 };
        let call = async |line: Line, asks| line.shards().rows(asks).await;
        RemoteRows::begin(self, false, ask, call).await?.map_err(|_| malformed("an index of rows"))
    }

    pub(crate) async fn view(
        &self,
        scan: ViewScan,
        first: usize,
    ) -> Result<RowStream<ViewEntry>, Error> {
        remote_views::view(self, scan, first).await
    }

    pub(crate) async fn find(
        &self,
        scan: FindScan,
        first: usize,
    ) -> Result<RowStream<FoundRow>, Error> {
        remote_views::find(self, scan, first).await
    }

    pub(crate) async fn indexes(&self, ask: IndexAsk) -> Result<IndexState, Error> {
        Ok(call!(self.indexes(wire::IndexAsk::new(self.shard(), &ask)))?.into())
    }

    pub(crate) fn changes(&self, scan: ChangeScan, first: usize) -> ChangeStream {
        ChangeStream::remote(RemoteChanges::new(self.clone(), scan), first)
    }

    pub(crate) async fn sync(&self, ask: Ask) -> Result<Answer, Error> {
        call!(self.sync(wire::SyncAsk::new(self.shard(), &ask)))?.try_into()
    }

    pub(crate) async fn state(&self) -> Result<ShardState, Error> {
        let ask = wire::StateAsk { shard: self.shard(), partition: None };
        Ok(call!(self.state(ask))?.into())
    }

    pub(crate) async fn end(&self) -> Result<Point, Error> {
        Ok(call!(self.end(self.ask()))?.into())
    }

    pub(crate) async fn partition(&self, partition: String) -> Result<ShardState, Error> {
        let ask = wire::StateAsk { shard: self.shard(), partition: Some(partition) };
        Ok(call!(self.state(ask))?.into())
    }
}

/// A batch that was decided on another node, and is not durable there yet.
pub(crate) struct RemoteDurable {
    steps: Streaming<wire::DecideStep>,
    thread: Thread,
}

impl RemoteDurable {
    async fn step(&mut self) -> Result<Step, Error> {
        let step = self.thread.step(self.steps.message()).await?;
        step.and_then(|step| step.step).ok_or_else(|| self.thread.cut())
    }

    /// Waits until it is durable.
    pub(crate) async fn wait(mut self) -> Result<(), Error> {
        match self.step().await? {
            Step::Durable(_) => Ok(()),
            Step::Decision(_) => Err(malformed("a batch that was decided twice")),
        }
    }
}

/// An answer for each question, or none is believed.
fn as_many<T>(answers: Vec<T>, asked: usize) -> Result<Vec<T>, Error> {
    if answers.len() == asked { Ok(answers) } else { Err(malformed("number of answers")) }
}
