//! Gives a peer the rows of a view of a copy here. Until the index is up to date the peer is told from
//! time to time that it is being built; when the peer leaves, that ends. Nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep;
use tonic::{Status, Streaming};

use super::shards::send_rows;
use super::wire::{self, status_of};
use crate::Error;
use crate::catalogue::instance_of;
use crate::local::LocalCopy;
use crate::shard::view::ViewEntry;
use crate::streams::RowStream;
use crate::views::DesignDoc;

type Sink = mpsc::Sender<Result<wire::ViewAnswer, Status>>;

/// Answers one scan from its beginning to its end.
pub(super) async fn send_view(
    copy: LocalCopy,
    scan: wire::ViewScan,
    first: usize,
    asks: Streaming<wire::ViewAsk>,
    answers: Sink,
    beat: Duration,
) {
    let begun = tokio::select! {
        begun = begin(&copy, scan, first) => begun,
        () = say_building(&answers, beat) => return,
    };
    match begun {
        Ok(Some(rows)) => send_rows(rows, asks, answers).await,
        Ok(None) => {
            let unknown = wire::ViewAnswer { unknown: true, ..wire::ViewAnswer::default() };
            // If it does not hear this, it has gone.
            let _ = answers.send(Ok(unknown)).await;
        }
        Err(error) => drop(answers.send(Err(status_of(error))).await),
    }
}

/// The rows; none if the design document is not known.
async fn begin(
    copy: &LocalCopy,
    mut scan: wire::ViewScan,
    first: usize,
) -> Result<Option<RowStream<ViewEntry>>, Error> {
    let shard = copy.shard().await?;
    let instance = instance_of(shard.id());
    let known = match scan.ddoc.take() {
        Some(ddoc) => Some(copy.views().known(instance, &Arc::new(DesignDoc::from(ddoc)))?),
        None => copy.views().known_by_hash(instance, &scan.hash),
    };
    let Some(known) = known else { return Ok(None) };
    let scan = scan.scan(known.ddoc().clone());
    copy.view_known(shard, known, scan, first).await.map(Some)
}

/// Ends when nobody listens any more.
async fn say_building(answers: &Sink, beat: Duration) {
    loop {
        tokio::select! {
            () = sleep(beat) => {}
            () = answers.closed() => return,
        }
        let building = wire::ViewAnswer { building: true, ..wire::ViewAnswer::default() };
        if answers.send(Ok(building)).await.is_err() {
            return;
        }
    }
}
