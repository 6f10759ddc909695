//! What peers ask of this node's shards, handed to the local copy. Nothing is decided here.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use settee_engine::ShardId;
use settee_engine::shard::Decision;
use settee_model::doc::{AttContent, Chunk, Hold};
use settee_model::docid::DocId;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::codegen::BoxFuture;
use tonic::{Request, Response, Status, Streaming};

use super::serve_view::{send_built, send_found, send_view};
use super::wire::decide_step::Step;
use super::wire::shards_server::Shards;
use super::wire::{self, RowsStep, each, malformed, need, status_of, upload_part::Part};
use crate::attachment::{AttStream, Gathering, Lane};
use crate::copy::ShardCopy;
use crate::docs::BulkGet;
use crate::durable::Durable;
use crate::local::LocalCopy;
use crate::shard::rows::{RowBatch, ShardHead};
use crate::streams::{ChangeStream, RowStream};
use crate::views::DesignDoc;
use crate::{Error, Host};

/// The shards of this node.
pub(crate) struct ShardService {
    host: Host,
    patience: Duration,
}

type Answer<T> = Result<Response<T>, Status>;
type Answers<T> = ReceiverStream<Result<T, Status>>;

impl ShardService {
    pub(crate) fn new(host: Host, patience: Duration) -> ShardService {
        ShardService { host, patience }
    }

    /// The copy of that name. Those that a node keeps for itself are none of its peers' business.
    fn copy(&self, shard: &str) -> Result<LocalCopy, Status> {
        let id = ShardId::parse(shard).map_err(|error| refuse(&error.to_string()))?;
        if shard.starts_with('_') {
            return Err(refuse("a node's own shard"));
        }
        Ok(LocalCopy::new(self.host.clone(), id, self.patience))
    }

    /// The first question of a stream.
    async fn first<A>(&self, asks: &mut Streaming<A>) -> Result<A, Status> {
        let ask = timeout(self.patience, asks.message()).await;
        let ask = ask.map_err(|_| status_of(Error::Timeout))??;
        need(ask, "no question").map_err(status_of)
    }
}

fn refuse(why: &str) -> Status {
    status_of(Error::BadRequest(why.into()))
}

fn answer<T>(result: Result<T, Error>) -> Answer<T> {
    result.map(Response::new).map_err(status_of)
}

fn nothing(result: Result<(), Error>) -> Answer<wire::Nothing> {
    answer(result.map(|()| wire::Nothing {}))
}

fn number(result: Result<u64, Error>) -> Answer<wire::Number> {
    answer(result.map(|number| wire::Number { number }))
}

/// A count that fits whatever it counts.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[tonic::async_trait]
impl Shards for ShardService {
    type RowsStream = Answers<wire::RowsAnswer>;
    type BuildStream = Answers<wire::BuildStep>;
    type ViewStream = Answers<wire::ViewAnswer>;
    type FindStream = Answers<wire::FindAnswer>;
    type ChangesStream = Answers<wire::ChangesStep>;
    type ReadAttachmentStream = Answers<wire::Piece>;
    type DecideStream = Decided;
    type UploadStream = Answers<wire::UploadDone>;

    async fn create(&self, request: Request<wire::ShardAsk>) -> Answer<wire::Nothing> {
        nothing(self.copy(&request.get_ref().shard)?.create().await)
    }

    async fn remove(&self, request: Request<wire::ShardAsk>) -> Answer<wire::Nothing> {
        nothing(self.copy(&request.get_ref().shard)?.remove().await)
    }

    async fn compact(&self, request: Request<wire::CompactAsk>) -> Answer<wire::Nothing> {
        let ask = request.get_ref();
        nothing(self.copy(&ask.shard)?.compact(ask.revs_limit).await)
    }

    async fn state(&self, request: Request<wire::StateAsk>) -> Answer<wire::ShardState> {
        let wire::StateAsk { shard, partition } = request.into_inner();
        let copy = self.copy(&shard)?;
        let state = match partition {
            Some(partition) => copy.partition(partition).await,
            None => copy.state().await,
        };
        answer(state.map(wire::ShardState::from))
    }

    async fn end(&self, request: Request<wire::ShardAsk>) -> Answer<wire::Point> {
        answer(self.copy(&request.get_ref().shard)?.end().await.map(wire::Point::from))
    }

    async fn total(&self, request: Request<wire::TotalAsk>) -> Answer<wire::Number> {
        let ask = request.get_ref();
        number(self.copy(&ask.shard)?.total(ask.namespace().into()).await)
    }

    async fn write_batch(&self, request: Request<wire::WriteAsk>) -> Answer<wire::Outcomes> {
        let ask = request.into_inner();
        let copy = self.copy(&ask.shard)?;
        let outcomes = copy.write(ask.batch().map_err(status_of)?).await;
        answer(outcomes.map(|outcomes| wire::Outcomes { outcomes: each(outcomes) }))
    }

    async fn decide(&self, request: Request<wire::WriteAsk>) -> Answer<Self::DecideStream> {
        let ask = request.into_inner();
        let copy = self.copy(&ask.shard)?;
        let batch = ask.batch().map_err(status_of)?;
        let (decision, durable) = copy.decide(batch).await.map_err(status_of)?;
        Ok(Response::new(Decided::new(decision, durable)))
    }

    async fn open(&self, request: Request<wire::OpenAsk>) -> Answer<wire::Opened> {
        let ask = request.into_inner();
        let copy = self.copy(&ask.shard)?;
        let (id, options) = ask.options();
        answer(copy.open(id, options).await.map(wire::Opened::from))
    }

    async fn revisions(
        &self,
        request: Request<wire::RevisionsAsk>,
    ) -> Answer<wire::RevisionsAnswer> {
        let wire::RevisionsAsk { shard, lines, latest } = request.into_inner();
        let lines: Vec<BulkGet> = each(lines);
        let results = self.copy(&shard)?.revisions_of_many(lines, latest).await;
        answer(results.map(|lines| wire::RevisionsAnswer { lines: each(lines) }))
    }

    async fn revs_diff(&self, request: Request<wire::RevsDiffAsk>) -> Answer<wire::RevsDiffAnswer> {
        let wire::RevsDiffAsk { shard, asked } = request.into_inner();
        let lines = self.copy(&shard)?.revs_diff(each(asked)).await;
        answer(lines.map(|lines| wire::RevsDiffAnswer { lines: each(&lines) }))
    }

    async fn purged(&self, request: Request<wire::ShardAsk>) -> Answer<wire::PurgedAnswer> {
        let purged = self.copy(&request.get_ref().shard)?.purged().await;
        answer(purged.map(|purged| wire::PurgedAnswer { purged: each(&purged) }))
    }

    async fn sync(&self, request: Request<wire::SyncAsk>) -> Answer<wire::SyncAnswer> {
        let ask = request.into_inner();
        let copy = self.copy(&ask.shard)?;
        let ask = ask.ask().map_err(status_of)?;
        answer(copy.sync(ask).await.map(|answer| wire::SyncAnswer::from(&answer)))
    }

    async fn rows_of(&self, request: Request<wire::RowsOfAsk>) -> Answer<wire::RowsOfAnswer> {
        let wire::RowsOfAsk { shard, keys, include_docs, conflicts } = request.into_inner();
        let keys = keys.iter().map(|key| DocId::trusted(key)).collect();
        let rows = self.copy(&shard)?.rows_of(keys, include_docs, conflicts).await;
        let row = |row: &Option<crate::rows::DocRow>| wire::MaybeRow {
            row: row.as_ref().map(wire::DocRow::from),
        };
        answer(rows.map(|rows| wire::RowsOfAnswer { rows: rows.iter().map(row).collect() }))
    }

    async fn rows(&self, request: Request<Streaming<wire::RowsAsk>>) -> Answer<Self::RowsStream> {
        let mut asks = request.into_inner();
        let ask = self.first(&mut asks).await?;
        let scan = need(ask.scan, "no scan").map_err(status_of)?;
        let copy = self.copy(&scan.shard)?;
        let scan = scan.scan().map_err(status_of)?;
        let rows = copy.rows(scan, count(ask.first)).await.map_err(status_of)?;
        let (answers, stream) = mpsc::channel(1);
        tokio::spawn(send_rows(rows, self.patience / 4, asks, answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn indexes(&self, request: Request<wire::IndexAsk>) -> Answer<wire::IndexState> {
        let ask = request.into_inner();
        let copy = self.copy(&ask.shard)?;
        let ask = ask.ask().map_err(status_of)?;
        answer(copy.indexes(ask).await.map(wire::IndexState::from))
    }

    async fn build(&self, request: Request<wire::BuildAsk>) -> Answer<Self::BuildStream> {
        let wire::BuildAsk { shard, ddoc } = request.into_inner();
        let copy = self.copy(&shard)?;
        let ddoc = need(ddoc, "a design document").map_err(status_of)?;
        let (answers, stream) = mpsc::channel(1);
        let ddoc = Arc::new(DesignDoc::from(ddoc));
        tokio::spawn(send_built(copy, ddoc, answers, self.patience / 4));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn view(&self, request: Request<Streaming<wire::ViewAsk>>) -> Answer<Self::ViewStream> {
        let mut asks = request.into_inner();
        let ask = self.first(&mut asks).await?;
        let scan = need(ask.scan, "no scan").map_err(status_of)?;
        let copy = self.copy(&scan.shard)?;
        let (answers, stream) = mpsc::channel(1);
        let first = count(ask.first);
        tokio::spawn(send_view(copy, scan, first, asks, answers, self.patience / 4));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn find(&self, request: Request<Streaming<wire::FindAsk>>) -> Answer<Self::FindStream> {
        let mut asks = request.into_inner();
        let ask = self.first(&mut asks).await?;
        let scan = need(ask.scan, "no scan").map_err(status_of)?;
        let copy = self.copy(&scan.shard)?;
        let scan = scan.scan().map_err(status_of)?;
        let (answers, stream) = mpsc::channel(1);
        let first = count(ask.first);
        tokio::spawn(send_found(copy, scan, first, asks, answers, self.patience / 4));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn changes(
        &self,
        request: Request<Streaming<wire::ChangesAsk>>,
    ) -> Answer<Self::ChangesStream> {
        let mut asks = request.into_inner();
        let ask = self.first(&mut asks).await?;
        let scan = need(ask.scan, "no scan").map_err(status_of)?;
        let copy = self.copy(&scan.shard)?;
        let scan = scan.scan().map_err(status_of)?;
        let most = count(ask.most);
        let changes = copy.changes(scan, most);
        let (answers, stream) = mpsc::channel(1);
        tokio::spawn(send_changes(changes, most, asks, answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn read_attachment(
        &self,
        request: Request<wire::AttachmentAsk>,
    ) -> Answer<Self::ReadAttachmentStream> {
        let ask = request.into_inner();
        let copy = ShardCopy::Local(self.copy(&ask.shard)?);
        let content = need(ask.content, "no content").and_then(AttContent::try_from);
        let content = content.map_err(status_of)?;
        let range = ask.start..ask.end.unwrap_or(u64::MAX);
        let pieces = AttStream::new(Ok(copy), &content, Some(range), ask.decode);
        let (answers, stream) = mpsc::channel(1);
        tokio::spawn(send_pieces(pieces, answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn upload(
        &self,
        request: Request<Streaming<wire::UploadPart>>,
    ) -> Answer<Self::UploadStream> {
        let mut parts = request.into_inner();
        let Some(Part::Begin(begin)) = self.first(&mut parts).await?.part else {
            return Err(status_of(malformed("an upload that does not begin")));
        };
        let lane = self.copy(&begin.shard)?.upload().await.map_err(status_of)?;
        let (answers, stream) = mpsc::channel(1);
        tokio::spawn(take_parts(lane, parts, answers));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

pub(super) type Sink<T> = mpsc::Sender<Result<T, Status>>;

/// A decision, then that it is durable. Who does not listen any more does not need to know.
pub(crate) struct Decided {
    decision: Option<wire::Decision>,
    durable: Option<BoxFuture<(), Error>>,
}

impl Decided {
    fn new(decision: Decision, durable: Durable) -> Decided {
        Decided { decision: Some(decision.into()), durable: Some(Box::pin(durable.wait())) }
    }
}

impl Stream for Decided {
    type Item = Result<wire::DecideStep, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let step = |step| wire::DecideStep { step: Some(step) };
        if let Some(decision) = self.decision.take() {
            return Poll::Ready(Some(Ok(step(Step::Decision(decision)))));
        }
        let Some(durable) = &mut self.durable else { return Poll::Ready(None) };
        let done = ready!(durable.as_mut().poll(context));
        self.durable = None;
        let done = done.map(|()| step(Step::Durable(wire::Nothing {})));
        Poll::Ready(Some(done.map_err(status_of)))
    }
}

/// Gives a batch for each credit, until the rows end or the caller does. One that takes longer than a
/// beat is preceded by empty ones, so that nobody takes this node for dead.
pub(super) async fn send_rows<A, M: RowsStep>(
    mut rows: RowStream<M::Row>,
    beat: Duration,
    mut asks: Streaming<A>,
    answers: Sink<M>,
) {
    let mut head = Some(rows.head);
    loop {
        let nothing = RowBatch { rows: Vec::new(), ended: false };
        let batch = timeout(beat, rows.next()).await.unwrap_or(Ok(nothing));
        let last = batch.as_ref().map_or(true, |batch| batch.ended);
        let answer = batch.map(|batch| M::new(head.take(), batch));
        if answers.send(answer.map_err(status_of)).await.is_err() || last {
            return;
        }
        let Ok(Some(_)) = asks.message().await else { return };
    }
}

/// The same of rows that may take long to begin: until then there is an answer without rows from
/// time to time.
pub(super) async fn send_slowly<A, M: RowsStep>(
    begin: impl Future<Output = Result<RowStream<M::Row>, Error>>,
    beat: Duration,
    mut asks: Streaming<A>,
    answers: Sink<M>,
) {
    let mut begin = pin!(begin);
    loop {
        match timeout(beat, &mut begin).await {
            Ok(Ok(rows)) => return send_rows(rows, beat, asks, answers).await,
            // If the caller does not hear why, it has gone.
            Ok(Err(error)) => return drop(answers.send(Err(status_of(error))).await),
            Err(_) => {}
        }
        let nothing = RowBatch { rows: Vec::new(), ended: false };
        if answers.send(Ok(M::new(Some(ShardHead::default()), nothing))).await.is_err() {
            return;
        }
        let Ok(Some(_)) = asks.message().await else { return };
    }
}

/// Gives a step for each credit, until the changes end or the caller does.
async fn send_changes(
    mut changes: ChangeStream,
    mut most: usize,
    mut asks: Streaming<wire::ChangesAsk>,
    answers: Sink<wire::ChangesStep>,
) {
    loop {
        changes.go_on(most);
        let step = match changes.result().await {
            Ok(Some(step)) => Ok(step),
            Ok(None) => Err(Error::Closing),
            Err(error) => Err(error),
        };
        let last = step.as_ref().map_or(true, |step| step.done);
        let answer = step.map(|step| wire::ChangesStep::from(&step)).map_err(status_of);
        if answers.send(answer).await.is_err() || last {
            return;
        }
        let Ok(Some(ask)) = asks.message().await else { return };
        most = count(ask.most);
    }
}

async fn send_pieces(mut pieces: AttStream, answers: Sink<wire::Piece>) {
    while let Some(piece) = pieces.next().await {
        let failed = piece.is_err();
        let answer = piece.map(|bytes| wire::Piece { bytes }).map_err(status_of);
        if answers.send(answer).await.is_err() || failed {
            return;
        }
    }
}

/// Takes uploads in, one after the other, and holds them until the caller lets go.
async fn take_parts(
    mut lane: Lane,
    mut parts: Streaming<wire::UploadPart>,
    answers: Sink<wire::UploadDone>,
) {
    let mut held = Vec::new();
    loop {
        let answer = match take_all(&mut lane, &mut parts).await {
            Ok(Some((chunks, hold))) => {
                held.push(hold);
                Ok(wire::UploadDone { chunks: each(&chunks) })
            }
            // The caller has let go.
            Ok(None) => return,
            Err(error) => Err(status_of(error)),
        };
        let failed = answer.is_err();
        // If it does not hear why, it has gone.
        if answers.send(answer).await.is_err() || failed {
            return;
        }
    }
}

async fn take_all(
    lane: &mut Lane,
    parts: &mut Streaming<wire::UploadPart>,
) -> Result<Option<(Vec<Chunk>, Hold)>, Error> {
    let mut gathering = Gathering::default();
    while let Ok(Some(part)) = parts.message().await {
        match part.part {
            Some(Part::Bytes(bytes)) => {
                if let Some(gathered) = gathering.add(bytes) {
                    lane.give(gathered).await?;
                }
            }
            Some(Part::Finish(_)) => return lane.finish(gathering.take()).await.map(Some),
            Some(Part::Begin(_)) | None => return Err(malformed("part of an upload")),
        }
    }
    Ok(None)
}
