//! Attachments of a request's edits on their way into all copies of a range at once. A copy that fails
//! in between is left out and heals later, as long as there is one that does not fail.

use std::sync::Arc;

use bytes::Bytes;
use settee_model::doc::{Chunk, Hold};

use super::Lane;
use crate::Error;
use crate::copy::{Home, ShardCopy};
use crate::join::join_all;
use crate::mesh::is_broken;

/// The ways to those copies that have not failed yet.
pub(super) struct Lanes {
    lanes: Vec<(Home, Lane)>,
    /// Whether the range has other copies, so that it matters which ones were reached.
    several: bool,
}

/// The copies that have what was uploaded, each with its own hold.
struct Held(Vec<(Home, Hold)>);

/// Whether the copy that is there has what was uploaded under a hold, as far as is known.
pub(crate) fn is_held(hold: &Hold, home: &Home) -> bool {
    let here = |(at, hold): &(Home, Hold)| at == home && !is_broken(hold);
    let at = |held: &Held| held.0.iter().any(here);
    hold.kept::<Held>().is_none_or(at)
}

impl Lanes {
    /// The ways to those copies that take it on; errs if there is none.
    pub(super) async fn begin(copies: &[ShardCopy]) -> Result<Lanes, Error> {
        if let [only] = copies {
            let lanes = vec![(only.home(), only.upload().await?)];
            return Ok(Lanes { lanes, several: false });
        }
        // With none that is believed to be alive, those say why it fails who would have to take the edit.
        let any = copies.iter().any(ShardCopy::is_live);
        let asked = copies.iter().filter(|copy| copy.is_live() || !any);
        let begin = |copy: &ShardCopy| {
            let copy = copy.clone();
            async move { (copy.home(), copy.upload().await) }
        };
        let mut failed = Error::Timeout;
        let mut lanes = Vec::new();
        for (home, lane) in join_all(asked.map(begin)).await {
            match lane {
                Ok(lane) => lanes.push((home, lane)),
                Err(error) => failed = left_out(&home, error),
            }
        }
        if lanes.is_empty() { Err(failed) } else { Ok(Lanes { lanes, several: true }) }
    }

    /// Gives all of them bytes; waits while the disks are behind.
    pub(super) async fn give(&mut self, stored: Vec<Bytes>) -> Result<(), Error> {
        if stored.is_empty() {
            return Ok(());
        }
        let given = self.lanes.iter_mut().map(|(_, lane)| lane.give(stored.clone()));
        let given = join_all(given).await;
        self.keep(given).map(drop)
    }

    /// Ends an attachment with its last bytes: their names, and what keeps them.
    pub(super) async fn finish(&mut self, stored: Vec<Bytes>) -> Result<(Vec<Chunk>, Hold), Error> {
        let finished = self.lanes.iter_mut().map(|(_, lane)| lane.finish(stored.clone()));
        let finished = join_all(finished).await;
        let finished = self.keep(finished)?;
        let Some((chunks, hold)) = finished.first().cloned() else { return Err(Error::Closing) };
        if !self.several {
            return Ok((chunks, hold));
        }
        let homes = self.lanes.iter().map(|(home, _)| home.clone());
        // Who has other chunks could not carry out what the others can.
        let same = homes.zip(finished).filter(|(_, (others, _))| *others == chunks);
        let holds = same.map(|(home, (_, hold))| (home, hold)).collect();
        Ok((chunks, Hold::new(Arc::new(Held(holds)))))
    }

    /// Leaves those out that failed: what the others did, in their order.
    fn keep<T>(&mut self, done: Vec<Result<T, Error>>) -> Result<Vec<T>, Error> {
        let mut failed = Error::Closing;
        let mut kept = Vec::with_capacity(done.len());
        let mut done = done.into_iter();
        self.lanes.retain(|(home, _)| match done.next().unwrap_or(Err(Error::Closing)) {
            Ok(done) => {
                kept.push(done);
                true
            }
            Err(error) => {
                failed = left_out(home, error);
                false
            }
        });
        if kept.is_empty() { Err(failed) } else { Ok(kept) }
    }
}

fn left_out(home: &Home, error: Error) -> Error {
    tracing::debug!(?home, %error, "a copy did not take an attachment");
    error
}
