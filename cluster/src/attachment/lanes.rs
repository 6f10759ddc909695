//! An attachment on its way into all copies of a range at once. A copy that fails in between is left
//! out and heals later, as long as there is one that does not fail.

use std::sync::Arc;

use bytes::Bytes;
use settee_model::doc::{Chunk, Hold};

use super::Lane;
use crate::Error;
use crate::copy::{Home, ShardCopy};
use crate::join::join_all;

/// The ways to those copies that have not failed yet.
pub(super) struct Lanes {
    lanes: Vec<(Home, Lane)>,
    /// Whether the range has other copies, so that it matters which ones were reached.
    several: bool,
}

/// The copies that have what was uploaded, each with its own hold.
struct Held(Vec<(Home, Hold)>);

/// Whether the copy that is there has what was uploaded under a hold.
pub(crate) fn is_held(hold: &Hold, home: &Home) -> bool {
    let at = |held: &Held| held.0.iter().any(|(at, _)| at == home);
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
        let mut given = join_all(given).await.into_iter();
        let mut failed = Error::Closing;
        self.lanes.retain(|(home, _)| match given.next() {
            Some(Ok(())) => true,
            other => {
                let error = other.and_then(Result::err).unwrap_or(Error::Closing);
                failed = left_out(home, error);
                false
            }
        });
        if self.lanes.is_empty() { Err(failed) } else { Ok(()) }
    }

    /// Ends the upload with the last bytes: their names, and what keeps them.
    pub(super) async fn finish(self, stored: Vec<Bytes>) -> Result<(Vec<Chunk>, Hold), Error> {
        let finish = |(home, lane): (Home, Lane)| {
            let stored = stored.clone();
            async move { (home, lane.finish(stored).await) }
        };
        let mut holds = Vec::new();
        let mut first: Option<(Vec<Chunk>, Hold)> = None;
        let mut failed = Error::Closing;
        for (home, finished) in join_all(self.lanes.into_iter().map(finish)).await {
            match finished {
                Ok((chunks, hold)) => {
                    let (known, _) = first.get_or_insert_with(|| (chunks.clone(), hold.clone()));
                    // Who has other chunks could not carry out what the others can.
                    if *known == chunks {
                        holds.push((home, hold));
                    }
                }
                Err(error) => failed = left_out(&home, error),
            }
        }
        let (chunks, hold) = first.ok_or(failed)?;
        let hold = if self.several { Hold::new(Arc::new(Held(holds))) } else { hold };
        Ok((chunks, hold))
    }
}

fn left_out(home: &Home, error: Error) -> Error {
    tracing::debug!(?home, %error, "a copy did not take an attachment");
    error
}
