//! An attachment on its way in: digests first, then all copies of its range. What is small enough stays
//! here and travels with the edit that names it. Whether it is compressed is for who begins it to say.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use parking_lot::Mutex;
use settee_model::doc::{AttBytes, Chunk, Encoding, Uploaded};
use settee_model::docid::DocId;
use tokio::task::yield_now;

use super::digest::{Digest, Digested, length};
use super::gather::Gathering;
use super::lanes::Lanes;
use super::luggage::{Luggage, carry};
use crate::Error;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::steps::{Steps, blocking, off};

/// How to store what is uploaded.
#[derive(Clone, Copy, Debug)]
pub struct UploadOptions {
    /// How the client has encoded the bytes; they are stored as they come.
    pub encoding: Encoding,
    /// Compress with gzip at this level (1 to 9), if the client sends them as they are:
    /// `[attachments] compression_level` for a compressible type.
    pub compress: Option<u32>,
}

/// The attachments of a request's edits, which are uploaded before them. A request of any number of edits
/// takes one way to each copy.
pub struct Uploads {
    database: Arc<Database>,
    ways: Mutex<BTreeMap<usize, Arc<Ways>>>,
}

/// The attachments of one edit.
pub struct EditUploads {
    ways: Arc<Ways>,
    luggage: Arc<Luggage>,
}

/// The ways to the copies of a range.
struct Ways {
    copies: Vec<ShardCopy>,
    /// While no upload is on them.
    free: Mutex<Option<Lanes>>,
}

impl Uploads {
    /// Those of a request to a database.
    pub(crate) fn new(database: Arc<Database>) -> Uploads {
        Uploads { database, ways: Mutex::default() }
    }

    /// Those of the edit of a document.
    ///
    /// # Errors
    /// The database has no such range any more.
    pub fn of(&self, id: &DocId) -> Result<EditUploads, Error> {
        let range = self.database.ring().shard_of(id);
        let copies = self.database.copies(range)?;
        let mut ways = self.ways.lock();
        let ways = ways.entry(range).or_insert_with(|| Ways::to(copies.to_vec()));
        Ok(EditUploads::on(ways.clone()))
    }
}

impl EditUploads {
    /// Those of an edit that goes to these copies of a range.
    pub(crate) fn to(copies: Vec<ShardCopy>) -> EditUploads {
        EditUploads::on(Ways::to(copies))
    }

    fn on(ways: Arc<Ways>) -> EditUploads {
        EditUploads { ways, luggage: Arc::default() }
    }

    /// Begins to upload one. No copy is asked before there is more than an edit brings along.
    #[must_use]
    pub fn begin(&self, options: UploadOptions) -> Upload {
        Upload {
            ways: self.ways.clone(),
            luggage: self.luggage.clone(),
            gathering: Gathering::default(),
            digest: Steps::new(Digest::new(options)),
            lanes: None,
        }
    }
}

impl Ways {
    fn to(copies: Vec<ShardCopy>) -> Arc<Ways> {
        Arc::new(Ways { copies, free: Mutex::default() })
    }

    /// Ends an attachment that went ahead; then the next one may.
    async fn finish(
        &self,
        mut lanes: Lanes,
        stored: Vec<Bytes>,
    ) -> Result<(Vec<Chunk>, AttBytes), Error> {
        let (chunks, hold) = lanes.finish(stored).await?;
        *self.free.lock() = Some(lanes);
        Ok((chunks, AttBytes::Held(hold)))
    }

    async fn lanes(&self) -> Result<Lanes, Error> {
        let free = self.free.lock().take();
        match free {
            Some(lanes) => Ok(lanes),
            None => Lanes::begin(&self.copies).await,
        }
    }
}

/// An upload under way. Dropping it gives up; what was written is garbage for the compactor.
pub struct Upload {
    ways: Arc<Ways>,
    luggage: Arc<Luggage>,
    gathering: Gathering,
    digest: Steps<Digest, Result<Vec<Bytes>, Error>>,
    /// Begun when there is more than an edit brings along.
    lanes: Option<Lanes>,
}

/// Bytes that lie in the shard, or come with the edit, and may be named by it.
#[derive(Clone, Debug)]
pub struct Finished {
    /// For [`settee_model::doc::AttSource::Uploaded`]. Where a client sent gzip, `content.length`
    /// is the encoded length; one who knows better (multipart stubs) may set it.
    pub uploaded: Uploaded,
    /// MD5 of the bytes as they came in, for a client's `Content-MD5`.
    pub identity_md5: [u8; 16],
}

impl Upload {
    /// Takes more bytes; waits while the disks are behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let Some(gathered) = self.gathering.add(bytes) else { return Ok(()) };
        let stored = self.digested().await?;
        self.lanes().await?.give(stored).await?;
        // Digested while the copies store what came before.
        let work = move |mut digest: Digest| {
            off(move || {
                let stored = digest.take(gathered);
                (digest, stored)
            })
        };
        self.digest.begin(work);
        Ok(())
    }

    /// What is to be stored of the bytes that were given to the digest last.
    async fn digested(&mut self) -> Result<Vec<Bytes>, Error> {
        self.digest.result().await?.unwrap_or_else(|| Ok(Vec::new()))
    }

    async fn lanes(&mut self) -> Result<&mut Lanes, Error> {
        match &mut self.lanes {
            Some(lanes) => Ok(lanes),
            none => Ok(none.insert(self.ways.lanes().await?)),
        }
    }

    /// Ends the upload.
    pub async fn finish(mut self) -> Result<Finished, Error> {
        let rest = self.gathering.take();
        if self.lanes.is_some() {
            let stored = self.digested().await?;
            self.lanes().await?.give(stored).await?;
        }
        let Upload { ways, luggage, digest, lanes, .. } = self;
        let (stored, digested) = digest_all(digest.into_state().await?, rest).await?;
        let (chunks, bytes) = match lanes {
            Some(lanes) => ways.finish(lanes, stored).await?,
            None if luggage.takes(length(&stored)) => carry(stored.concat().into())?,
            None => ways.finish(ways.lanes().await?, stored).await?,
        };
        if !digested.fills(&chunks) {
            return Err(Error::AttachmentMismatch);
        }
        let uploaded = Uploaded { content: digested.content(chunks), bytes };
        Ok(Finished { uploaded, identity_md5: digested.identity_md5 })
    }
}

/// What may be digested without a thread of its own.
const QUICK: u64 = 32 << 10;

/// Off the async threads, unless it is done at once.
async fn digest_all(digest: Digest, rest: Vec<Bytes>) -> Result<(Vec<Bytes>, Digested), Error> {
    if length(&rest) <= QUICK && !digest.compresses() {
        // One after the other of many: others have their turn in between.
        yield_now().await;
        return digest.finish(rest);
    }
    blocking(move || digest.finish(rest)).await
}
