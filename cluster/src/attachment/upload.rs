//! An attachment on its way in, to all copies of a range at once. A copy that fails in between is
//! left out and heals later, as long as there is one that does not fail.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use settee_model::doc::{Encoding, Hold, Uploaded};

use super::Lane;
use crate::Error;
use crate::copy::Home;
use crate::join::join_all;

/// Bytes that are gathered before they are worked on; about twice as many are in memory at most.
const GATHER: usize = 256 * 1024;

/// How to store what is uploaded.
#[derive(Clone, Copy, Debug)]
pub struct UploadOptions {
    /// How the client has encoded the bytes; they are stored as they come.
    pub encoding: Encoding,
    /// Compress with gzip at this level (1 to 9), if the client sends them as they are:
    /// `[attachments] compression_level` for a compressible type.
    pub compress: Option<u32>,
}

/// An upload under way. Dropping it gives up; what was written is garbage for the compactor.
pub struct Upload {
    lanes: Vec<(Home, Lane)>,
    /// Whether the range has other copies, so that it matters which ones were reached.
    several: bool,
    gathered: Vec<Bytes>,
    length: usize,
}

/// Bytes that lie in the shard and may be named by an edit.
#[derive(Clone, Debug)]
pub struct Finished {
    /// For [`settee_model::doc::AttSource::Uploaded`]. Where a client sent gzip, `content.length`
    /// is the encoded length; one who knows better (multipart stubs) may set it.
    pub uploaded: Uploaded,
    /// MD5 of the bytes as they came in, for a client's `Content-MD5`.
    pub identity_md5: [u8; 16],
}

/// The copies that have what was uploaded, each with its own hold.
struct Held(Vec<(Home, Hold)>);

/// Whether the copy that is there has what was uploaded under a hold.
pub(crate) fn is_held(hold: &Hold, home: &Home) -> bool {
    let at = |held: &Held| held.0.iter().any(|(at, _)| at == home);
    hold.kept::<Held>().is_none_or(at)
}

impl Upload {
    /// An upload to the only copy that matters.
    pub(crate) fn to_one(home: Home, lane: Lane) -> Upload {
        Upload { lanes: vec![(home, lane)], several: false, gathered: Vec::new(), length: 0 }
    }

    /// An upload to those copies of a range that took it on.
    pub(crate) fn to_some(lanes: Vec<(Home, Lane)>) -> Upload {
        Upload { lanes, several: true, gathered: Vec::new(), length: 0 }
    }

    /// Takes more bytes; waits while the disks are behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.length += bytes.len();
        self.gathered.push(bytes);
        if self.length >= GATHER { self.work_off().await } else { Ok(()) }
    }

    async fn work_off(&mut self) -> Result<(), Error> {
        let gathered = mem::take(&mut self.gathered);
        self.length = 0;
        let ready = self.lanes.iter_mut().map(|(_, lane)| lane.ready());
        let mut ready = join_all(ready).await.into_iter();
        let mut failed = Error::Closing;
        self.lanes.retain_mut(|(home, lane)| match ready.next() {
            Some(Ok(())) => {
                lane.give(gathered.clone());
                true
            }
            other => {
                failed = left_out(home, other.and_then(Result::err));
                false
            }
        });
        if self.lanes.is_empty() { Err(failed) } else { Ok(()) }
    }

    /// Ends the upload.
    pub async fn finish(self) -> Result<Finished, Error> {
        let Upload { lanes, several, gathered, .. } = self;
        let finish = |(home, lane): (Home, Lane)| {
            let gathered = gathered.clone();
            async move { (home, lane.finish(gathered).await) }
        };
        let mut holds = Vec::new();
        let mut first: Option<Finished> = None;
        let mut failed = Error::Closing;
        for (home, finished) in join_all(lanes.into_iter().map(finish)).await {
            match finished {
                Ok(finished) => {
                    let known = first.get_or_insert_with(|| finished.clone());
                    // Who has other chunks could not carry out what the others can.
                    if known.uploaded.content == finished.uploaded.content {
                        holds.push((home, finished.uploaded.hold));
                    }
                }
                Err(error) => failed = left_out(&home, Some(error)),
            }
        }
        let mut finished = first.ok_or(failed)?;
        if several {
            finished.uploaded.hold = Hold::new(Arc::new(Held(holds)));
        }
        Ok(finished)
    }
}

fn left_out(home: &Home, error: Option<Error>) -> Error {
    let error = error.unwrap_or(Error::Closing);
    tracing::debug!(?home, %error, "a copy did not take an attachment");
    error
}
