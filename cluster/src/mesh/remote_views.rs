//! Rows of a view of a copy on another node. The first question names the design document by its hash;
//! a node that does not know it is sent the whole. While an index is built there, it says so from
//! time to time, so that nobody takes it for dead.

use super::peer::Line;
use super::remote::RemoteCopy;
use super::remote_feeds::{RemoteRows, Scan, credits};
use super::wire::{self, RowsStep, malformed};
use crate::Error;
use crate::shard::view::{ViewEntry, ViewScan};
use crate::streams::RowStream;

/// Head and first rows, and where the rest comes from.
pub(super) async fn begin(
    copy: &RemoteCopy,
    scan: &ViewScan,
    first: usize,
) -> Result<RowStream<ViewEntry>, Error> {
    for whole in [false, true] {
        let scan = Some(wire::ViewScan::new(copy.shard(), scan, whole));
        let (credits, asks) = credits(wire::ViewAsk { scan, first: first as u64 });
        let ask = async |line: Line| line.shards().view(asks).await;
        let (answers, thread) = copy.peer.stream(ask).await?;
        let mut rows = Scan { credits, answers, thread };
        let mut answer = rows.answer().await?;
        while answer.building {
            answer = rows.answer().await?;
        }
        if !answer.unknown {
            let head = answer.take_head()?;
            return Ok(RowStream::new(head, answer.batch()?, RemoteRows::after(rows)));
        }
    }
    Err(malformed("a design document that stays unknown"))
}
