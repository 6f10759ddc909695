//! Rows of an index of a copy on another node. The first question names the design document of a view by its
//! hash; a node that does not know it is sent the whole. While an index is built there, all who ask for
//! it here wait for that in one call, and no stream of rows is open.

use std::sync::Arc;

use settee_engine::index::Position;

use super::peer::Line;
use super::remote::RemoteCopy;
use super::remote_feeds::RemoteRows;
use super::wire::{self, NotYet, malformed};
use crate::Error;
use crate::shard::find::{FindScan, FindSource, FoundRow};
use crate::shard::view::{ViewEntry, ViewScan};
use crate::streams::RowStream;
use crate::views::DesignDoc;

/// Questions for the same rows.
const ATTEMPTS: usize = 8;

/// What was learnt from questions for rows of an index.
#[derive(Default)]
struct Learnt {
    /// Where the index must be.
    at_least: Option<Position>,
    /// Whether the whole design document is to be sent.
    whole: bool,
}

impl Learnt {
    /// Whether it has waited for an index, maybe with many others.
    fn has_waited(&self) -> bool {
        self.at_least.is_some()
    }

    /// There were no rows: sees to it that there are the next time.
    async fn learn(
        &mut self,
        why: NotYet,
        copy: &RemoteCopy,
        ddoc: &Arc<DesignDoc>,
    ) -> Result<(), Error> {
        match why {
            NotYet::Unknown if self.whole => Err(malformed("a design document that stays unknown")),
            NotYet::Unknown => {
                self.whole = true;
                Ok(())
            }
            NotYet::Building(at_least) => {
                self.at_least = Some(at_least);
                built(copy, ddoc).await
            }
        }
    }
}

/// Rows of a view: head and first ones, and where the rest comes from.
pub(super) async fn view(
    copy: &RemoteCopy,
    mut scan: ViewScan,
    first: usize,
) -> Result<RowStream<ViewEntry>, Error> {
    let mut learnt = Learnt::default();
    for _ in 0..ATTEMPTS {
        scan.at_least = learnt.at_least;
        let asked = Some(wire::ViewScan::new(copy.shard(), &scan, learnt.whole));
        let ask = wire::ViewAsk { scan: asked, first: first as u64 };
        let call = async |line: Line, asks| line.shards().view(asks).await;
        match RemoteRows::begin(copy, learnt.has_waited(), ask, call).await? {
            Ok(rows) => return Ok(rows),
            Err(why) => learnt.learn(why, copy, &scan.ddoc).await?,
        }
    }
    Err(Error::Overloaded)
}

/// The same of what a question to Mango finds.
pub(super) async fn find(
    copy: &RemoteCopy,
    mut scan: FindScan,
    first: usize,
) -> Result<RowStream<FoundRow>, Error> {
    let mut learnt = Learnt::default();
    for _ in 0..ATTEMPTS {
        let asked = Some(wire::FindScan::new(copy.shard(), &scan));
        let ask = wire::FindAsk { scan: asked, first: first as u64 };
        let call = async |line: Line, asks| line.shards().find(asks).await;
        match (RemoteRows::begin(copy, learnt.has_waited(), ask, call).await?, &mut scan.source) {
            (Ok(rows), _) => return Ok(rows),
            (Err(why), FindSource::Index(source)) => {
                learnt.learn(why, copy, &source.ddoc).await?;
                source.at_least = learnt.at_least;
            }
            (Err(_), FindSource::Ids(_)) => return Err(malformed("an index of ids")),
        }
    }
    Err(Error::Overloaded)
}

/// Waits until the indexes of a design document are up to date there, with all who do.
async fn built(copy: &RemoteCopy, ddoc: &Arc<DesignDoc>) -> Result<(), Error> {
    let name = (copy.id().clone(), ddoc.hash());
    let flight = copy.peer.builds().join(name, |_| wait(copy.clone(), ddoc.clone()));
    flight.ended().await.unwrap_or(Err(Error::Closing))
}

async fn wait(copy: RemoteCopy, ddoc: Arc<DesignDoc>) -> Result<(), Error> {
    let ask = wire::BuildAsk { shard: copy.shard(), ddoc: Some((&*ddoc).into()) };
    let ask = async |line: Line| line.shards().build(ask).await;
    let (mut steps, thread) = copy.peer.stream(ask).await?;
    loop {
        match thread.step(steps.message()).await? {
            Some(wire::BuildStep { done: true }) => return Ok(()),
            Some(_) => {}
            None => return Err(thread.cut()),
        }
    }
}
