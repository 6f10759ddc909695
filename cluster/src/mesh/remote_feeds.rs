//! Rows and changes of a copy on another node. Each step is a credit that is sent and the batch
//! that answers it: a caller who takes nothing makes the other node read nothing.

use std::sync::Arc;

use settee_model::doc::StoredDoc;
use settee_model::rev::RevPath;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use super::peer::{Line, Thread};
use super::remote::RemoteCopy;
use super::wire::{self, need};
use crate::Error;
use crate::changes::{DocFilter, Filter};
use crate::docs::{BulkGet, RevResult, Revs};
use crate::rows::DocRow;
use crate::shard::changes::{ChangeScan, ShardChange, ShardStep};
use crate::shard::rows::{RowBatch, RowScan, ShardHead};
use crate::streams::{Batches, Reading};

/// A scan under way on another node.
struct Scan<A, M> {
    credits: mpsc::Sender<A>,
    answers: Streaming<M>,
    thread: Thread,
}

impl<A, M> Scan<A, M> {
    /// Sends a credit and waits for its answer.
    async fn step(&mut self, credit: A) -> Result<M, Error> {
        // Whoever does not take credits any more has said why.
        let _ = self.credits.try_send(credit);
        self.answer().await
    }

    async fn answer(&mut self) -> Result<M, Error> {
        let answer = self.thread.step(self.answers.message()).await?;
        answer.ok_or_else(|| self.thread.cut())
    }
}

/// Questions to send, with the first of them in it.
fn credits<A>(first: A) -> (mpsc::Sender<A>, ReceiverStream<A>) {
    let (credits, stream) = mpsc::channel(2);
    // There is room: it was just made.
    let _ = credits.try_send(first);
    (credits, ReceiverStream::new(stream))
}

/// The rest of a copy's rows.
pub(crate) struct RemoteRows(Scan<wire::RowsAsk, wire::RowsAnswer>);

impl RemoteRows {
    /// Head and first rows.
    pub(super) async fn begin(
        copy: &RemoteCopy,
        scan: &RowScan,
        first: usize,
    ) -> Result<(ShardHead, RowBatch, RemoteRows), Error> {
        let scan = Some(wire::RowScan::new(copy.shard(), scan));
        let (credits, asks) = credits(wire::RowsAsk { scan, first: first as u64 });
        let ask = async |line: Line| line.shards().rows(asks).await;
        let (answers, thread) = copy.peer.stream(ask).await?;
        let mut scan = Scan { credits, answers, thread };
        let mut answer = scan.answer().await?;
        let head = need(answer.head.take(), "head of rows")?.into();
        Ok((head, answer.batch()?, RemoteRows(scan)))
    }

    async fn step(&mut self) -> Result<RowBatch, Error> {
        self.0.step(wire::RowsAsk { scan: None, first: 0 }).await?.batch()
    }
}

impl Batches<DocRow> for RemoteRows {
    fn begin(mut self: Box<Self>) -> Reading<DocRow> {
        tokio::spawn(async move {
            let batch = self.step().await;
            (self as Box<dyn Batches<DocRow>>, batch)
        })
    }
}

/// Changes of a copy.
pub(crate) struct RemoteChanges {
    copy: RemoteCopy,
    scan: ChangeScan,
    /// Begun by the first step.
    under_way: Option<Scan<wire::ChangesAsk, wire::ChangesStep>>,
}

impl RemoteChanges {
    pub(super) fn new(copy: RemoteCopy, scan: ChangeScan) -> RemoteChanges {
        RemoteChanges { copy, scan, under_way: None }
    }

    pub(crate) async fn step(&mut self, most: usize) -> Result<ShardStep, Error> {
        let most = most as u64;
        let step = match &mut self.under_way {
            Some(scan) => scan.step(wire::ChangesAsk { scan: None, most }).await?,
            None => {
                let scan = Some(wire::ChangeScan::new(self.copy.shard(), &self.scan));
                let (credits, asks) = credits(wire::ChangesAsk { scan, most });
                let ask = async |line: Line| line.shards().changes(asks).await;
                let (answers, thread) = self.copy.peer.stream(ask).await?;
                let scan = self.under_way.insert(Scan { credits, answers, thread });
                scan.answer().await?
            }
        };
        let step = ShardStep::try_from(step)?;
        match &self.scan.filter {
            Filter::Docs(filter) => self.sift(step, filter.clone()).await,
            _ => Ok(step),
        }
    }

    /// Leaves of a step what passes a filter that is code of this node.
    async fn sift(
        &self,
        mut step: ShardStep,
        filter: Arc<dyn DocFilter>,
    ) -> Result<ShardStep, Error> {
        let line = |row: &ShardChange| BulkGet {
            id: row.change.id.clone(),
            revs: Revs::Some(row.change.revs.clone()),
        };
        let lines: Vec<BulkGet> = step.rows.iter().map(line).collect();
        if lines.is_empty() {
            return Ok(step);
        }
        let leaves = self.copy.revisions_of_many(lines, false).await?;
        crate::steps::blocking(move || {
            let mut passed = Vec::with_capacity(step.rows.len());
            for (mut row, leaves) in step.rows.into_iter().zip(leaves) {
                let mut revs = Vec::new();
                for leaf in leaves {
                    // One that was purged meanwhile does not pass.
                    let RevResult::Found(leaf) = leaf else { continue };
                    let Some(rev) = leaf.rev() else { continue };
                    let tip = StoredDoc { revs: RevPath::single(rev.clone()), ..leaf };
                    if filter.passes(&tip)? {
                        revs.push(rev);
                    }
                }
                // Best first, as they were named.
                row.change.revs.retain(|rev| revs.contains(rev));
                if !row.change.revs.is_empty() {
                    passed.push(row);
                }
            }
            step.rows = passed;
            Ok(step)
        })
        .await
    }
}
