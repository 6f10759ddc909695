//! Gives a peer rows of indexes of a copy here. One that asks for an index that is not there soon is told so,
//! and waits for it apart, once for all of its clients: no stream of rows is open meanwhile. When nobody
//! waits any more the build ends. Nothing is decided here.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use settee_engine::Shard;
use settee_engine::index::Position;
use tokio::time::{sleep, timeout};
use tonic::Streaming;

use super::shards::{Sink, send_rows, send_slowly};
use super::wire::{self, IndexStep, status_of};
use crate::Error;
use crate::catalogue::instance_of;
use crate::local::LocalCopy;
use crate::shard::find::{FindScan, FindSource};
use crate::shard::view::ViewScan;
use crate::views::{DesignDoc, Known, Update, end};

/// How long an index may take so that nobody has to ask twice.
const SOON: Duration = Duration::from_millis(250);
/// How long a build goes on for a peer that was told to wait for it, until it does.
const GRACE: Duration = Duration::from_secs(2);

/// Answers one scan of a view from its beginning to its end.
pub(super) async fn send_view(
    copy: LocalCopy,
    scan: wire::ViewScan,
    first: usize,
    asks: Streaming<wire::ViewAsk>,
    answers: Sink<wire::ViewAnswer>,
    beat: Duration,
) {
    let (shard, known, mut scan) = match named(&copy, scan).await {
        Ok(Some(named)) => named,
        Ok(None) => {
            let unknown = wire::ViewAnswer { unknown: true, ..wire::ViewAnswer::default() };
            // If it does not hear this, it has gone.
            return drop(answers.send(Ok(unknown)).await);
        }
        Err(error) => return drop(answers.send(Err(status_of(error))).await),
    };
    if scan.update == Update::True {
        let at_least = *scan.at_least.get_or_insert_with(|| end(&shard));
        if !is_ready(&copy, &shard, &known, at_least, &answers).await {
            return;
        }
    }
    let another = wire::ViewAnswer { beat: true, ..wire::ViewAnswer::default() };
    let begun = tokio::select! {
        begun = copy.view_known(shard, known, scan, first) => begun,
        () = keep_saying(&answers, another, beat) => return,
    };
    match begun {
        Ok(rows) => send_rows(rows, beat, asks, answers).await,
        Err(error) => drop(answers.send(Err(status_of(error))).await),
    }
}

/// The shard, the design document and what to look for in its views; none if it is not known.
async fn named(
    copy: &LocalCopy,
    mut scan: wire::ViewScan,
) -> Result<Option<(Arc<Shard>, Arc<Known>, ViewScan)>, Error> {
    let shard = copy.shard().await?;
    let instance = instance_of(shard.id());
    let known = match scan.ddoc.take() {
        Some(ddoc) => Some(copy.views().known(instance, &Arc::new(DesignDoc::from(ddoc)))?),
        None => copy.views().known_by_hash(instance, &scan.hash),
    };
    let Some(known) = known else { return Ok(None) };
    let scan = scan.scan(known.ddoc().clone())?;
    Ok(Some((shard, known, scan)))
}

/// Answers one question to Mango.
pub(super) async fn send_found(
    copy: LocalCopy,
    mut scan: FindScan,
    first: usize,
    asks: Streaming<wire::FindAsk>,
    answers: Sink<wire::FindAnswer>,
    beat: Duration,
) {
    if let FindSource::Index(source) = &mut scan.source
        && source.update
    {
        let shard = copy.shard().await;
        let known = shard.and_then(|shard| {
            let known = copy.views().known(instance_of(shard.id()), &source.ddoc)?;
            Ok((shard, known))
        });
        let (shard, known) = match known {
            Ok(known) => known,
            Err(error) => return drop(answers.send(Err(status_of(error))).await),
        };
        let at_least = *source.at_least.get_or_insert_with(|| end(&shard));
        if !is_ready(&copy, &shard, &known, at_least, &answers).await {
            return;
        }
    }
    let find = async move { copy.find(scan, first).await };
    send_slowly(find, beat, asks, answers).await;
}

/// Whether an index is at a position soon. If not, the peer knows.
async fn is_ready<M: IndexStep>(
    copy: &LocalCopy,
    shard: &Arc<Shard>,
    known: &Arc<Known>,
    at_least: Position,
    answers: &Sink<M>,
) -> bool {
    let mut ready = pin!(copy.views().up_to_date(shard, known, Some(at_least)));
    match timeout(SOON, &mut ready).await {
        Ok(Ok(_)) => true,
        Ok(Err(error)) => {
            drop(answers.send(Err(status_of(error))).await);
            false
        }
        Err(_) => {
            if answers.send(Ok(M::building(at_least))).await.is_ok() {
                drop(timeout(GRACE, ready).await);
            }
            false
        }
    }
}

/// Brings indexes up to date for a peer, and says so from time to time.
pub(super) async fn send_built(
    copy: LocalCopy,
    ddoc: Arc<DesignDoc>,
    answers: Sink<wire::BuildStep>,
    beat: Duration,
) {
    let built = tokio::select! {
        built = copy.build(&ddoc) => built,
        () = keep_saying(&answers, wire::BuildStep { done: false }, beat) => return,
    };
    let done = built.map(|()| wire::BuildStep { done: true });
    drop(answers.send(done.map_err(status_of)).await);
}

/// Ends when nobody listens any more.
async fn keep_saying<M: Clone>(answers: &Sink<M>, what: M, beat: Duration) {
    loop {
        tokio::select! {
            () = sleep(beat) => {}
            () = answers.closed() => return,
        }
        if answers.send(Ok(what.clone())).await.is_err() {
            return;
        }
    }
}
