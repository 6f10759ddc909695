//! An attachment on its way in: digests first, then all copies of its range. What is small enough stays
//! here and travels with the edit that names it.

use bytes::Bytes;
use settee_model::doc::{Encoding, Uploaded};
use tokio::task::yield_now;

use super::carried::{CARRIED, carry};
use super::digest::{Digest, Digested, length};
use super::gather::Gathering;
use super::lanes::Lanes;
use crate::Error;
use crate::copy::ShardCopy;
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

/// An upload under way. Dropping it gives up; what was written is garbage for the compactor.
pub struct Upload {
    copies: Vec<ShardCopy>,
    gathering: Gathering,
    digest: Steps<Digest, Result<Vec<Bytes>, Error>>,
    /// Begun when there is more than an edit carries.
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
    /// Begins an upload to the copies of a range. Nothing is asked of them yet.
    pub(crate) fn new(copies: Vec<ShardCopy>, options: UploadOptions) -> Upload {
        Upload {
            copies,
            gathering: Gathering::default(),
            digest: Steps::new(Digest::new(options)),
            lanes: None,
        }
    }

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
            none => Ok(none.insert(Lanes::begin(&self.copies).await?)),
        }
    }

    /// Ends the upload.
    pub async fn finish(mut self) -> Result<Finished, Error> {
        let rest = self.gathering.take();
        if self.lanes.is_none() && length(&rest) <= CARRIED {
            let (stored, digested) = digest_all(self.digest.into_state().await?, rest).await?;
            let (chunks, hold) = carry(stored.concat().into())?;
            return Ok(finished(&digested, Uploaded { content: digested.content(chunks), hold }));
        }
        let stored = self.digested().await?;
        self.lanes().await?.give(stored).await?;
        let Upload { digest, lanes, .. } = self;
        let (stored, digested) = digest_all(digest.into_state().await?, rest).await?;
        let (chunks, hold) = lanes.ok_or(Error::Closing)?.finish(stored).await?;
        if !digested.fills(&chunks) {
            return Err(Error::AttachmentMismatch);
        }
        Ok(finished(&digested, Uploaded { content: digested.content(chunks), hold }))
    }
}

/// Off the async threads, unless it is done at once.
async fn digest_all(digest: Digest, rest: Vec<Bytes>) -> Result<(Vec<Bytes>, Digested), Error> {
    if length(&rest) <= CARRIED && !digest.compresses() {
        // One after the other of many: others have their turn in between.
        yield_now().await;
        return digest.finish(rest);
    }
    blocking(move || digest.finish(rest)).await
}

fn finished(digested: &Digested, uploaded: Uploaded) -> Finished {
    Finished { uploaded, identity_md5: digested.identity_md5 }
}
