//! Rows and changes of a copy on another node. Each step is a credit that is sent and the batch
//! that answers it: a caller who takes nothing makes the other node read nothing.

use std::future::Future;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Response, Status, Streaming};

use super::peer::{Line, Thread};
use super::remote::RemoteCopy;
use super::wire::{self, NotYet, RowsStep};
use crate::Error;
use crate::changes::Filter;
use crate::copy::ShardCopy;
use crate::shard::changes::{ChangeScan, ShardStep};
use crate::sift::sift;
use crate::streams::{Batches, Reading, RowStream};

/// A scan under way on another node.
pub(super) struct Scan<A, M> {
    pub(super) credits: mpsc::Sender<A>,
    pub(super) answers: Streaming<M>,
    pub(super) thread: Thread,
}

impl<A, M> Scan<A, M> {
    /// Sends a credit and waits for its answer.
    pub(super) async fn step(&mut self, credit: A) -> Result<M, Error> {
        // Whoever does not take credits any more has said why.
        let _ = self.credits.try_send(credit);
        self.answer().await
    }

    pub(super) async fn answer(&mut self) -> Result<M, Error> {
        let answer = self.thread.step(self.answers.message()).await?;
        answer.ok_or_else(|| self.thread.cut())
    }
}

/// Questions to send, with the first of them in it.
pub(super) fn credits<A>(first: A) -> (mpsc::Sender<A>, ReceiverStream<A>) {
    let (credits, stream) = mpsc::channel(2);
    // There is room: it was just made.
    let _ = credits.try_send(first);
    (credits, ReceiverStream::new(stream))
}

/// The rest of a copy's rows. `A` is a credit, and with a scan in it the first question; `M` its
/// answer.
pub(crate) struct RemoteRows<A, M>(Scan<A, M>);

impl<A, M> RemoteRows<A, M>
where
    A: Default + Send + 'static,
    M: RowsStep + Send + 'static,
{
    /// Head and first rows, or why there are none yet. `in_turn`: many may begin at this moment.
    pub(super) async fn begin<F>(
        copy: &RemoteCopy,
        in_turn: bool,
        first: A,
        call: impl FnOnce(Line, ReceiverStream<A>) -> F,
    ) -> Result<Result<RowStream<M::Row>, NotYet>, Error>
    where
        F: Future<Output = Result<Response<Streaming<M>>, Status>>,
    {
        let (credits, asks) = credits(first);
        let call = |line: Line| call(line, asks);
        let (answers, thread) = match in_turn {
            true => copy.peer.stream_in_turn(call).await?,
            false => copy.peer.stream(call).await?,
        };
        let mut scan = Scan { credits, answers, thread };
        let mut answer = scan.answer().await?;
        while answer.is_beat() {
            answer = scan.answer().await?;
        }
        if let Some(why) = answer.not_yet() {
            return Ok(Err(why));
        }
        let head = answer.take_head()?;
        Ok(Ok(RowStream::new(head, answer.batch()?, RemoteRows(scan))))
    }
}

impl<A, M> Batches<M::Row> for RemoteRows<A, M>
where
    A: Default + Send + 'static,
    M: RowsStep + Send + 'static,
{
    fn begin(mut self: Box<Self>) -> Reading<M::Row> {
        tokio::spawn(async move {
            let step = self.0.step(A::default()).await;
            let batch = step.and_then(RowsStep::batch);
            (self as Box<dyn Batches<M::Row>>, batch)
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
            Filter::Docs(_) | Filter::Judged(_) => {
                sift(&ShardCopy::Remote(self.copy.clone()), &self.scan, step).await
            }
            _ => Ok(step),
        }
    }
}
