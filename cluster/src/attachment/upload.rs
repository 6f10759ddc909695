//! An attachment on its way in: digests, compression, chunks into the shard of its document.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use settee_engine::Shard;
use settee_engine::shard::ChunkWriter;
use settee_model::doc::{AttContent, Encoding, Uploaded};
use tokio::task::JoinHandle;

use super::gzip::Encoder;
use crate::Error;
use crate::mesh::RemoteUpload;
use crate::steps::Steps;

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
    work: Steps<Work, Result<(), Error>>,
    gathered: Vec<Bytes>,
    length: usize,
}

/// Bytes that lie in the shard and may be named by an edit.
#[derive(Clone, Debug)]
pub struct Finished {
    /// For [`settee_model::doc::AttSource::Uploaded`]. Where a client sent gzip, `content.length`
    /// is the encoded length; one who knows better (multipart stubs) may set it.
    pub uploaded: Uploaded,
    /// MD5 of the bytes as they came in, for a client's `digest`.
    pub identity_md5: [u8; 16],
}

/// Where the bytes go.
enum Work {
    Local(Box<LocalWork>),
    Remote(Box<RemoteUpload>),
}

/// What is done with the bytes, on threads that may block.
struct LocalWork {
    writer: ChunkWriter,
    client_gzip: bool,
    /// The server's own compression, and the digest of what went into it.
    gzip: Option<(Encoder, Md5)>,
    encoded: Vec<u8>,
    stored_md5: Md5,
    length: u64,
    stored_length: u64,
}

impl Upload {
    pub(crate) fn new(shard: &Arc<Shard>, options: UploadOptions) -> Upload {
        let client_gzip = options.encoding == Encoding::Gzip;
        let level = options.compress.filter(|level| !client_gzip && (1..=9).contains(level));
        let work = LocalWork {
            writer: shard.chunk_writer(),
            client_gzip,
            gzip: level.map(|level| (Encoder::new(level), Md5::new())),
            encoded: Vec::new(),
            stored_md5: Md5::new(),
            length: 0,
            stored_length: 0,
        };
        Upload::of(Work::Local(Box::new(work)))
    }

    /// Sends the bytes to another node.
    pub(crate) fn remote(upload: RemoteUpload) -> Upload {
        Upload::of(Work::Remote(Box::new(upload)))
    }

    fn of(work: Work) -> Upload {
        Upload { work: Steps::new(work), gathered: Vec::new(), length: 0 }
    }

    /// Takes more bytes; waits while the disk is behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.length += bytes.len();
        self.gathered.push(bytes);
        if self.length >= GATHER { self.work_off().await } else { Ok(()) }
    }

    /// Ends the upload.
    pub async fn finish(mut self) -> Result<Finished, Error> {
        self.work.result().await?.transpose()?;
        let (work, gathered) = (self.work.into_state().await?, self.gathered);
        match work {
            Work::Local(work) => crate::steps::blocking(move || work.finish(gathered)).await,
            Work::Remote(upload) => upload.finish(gathered).await,
        }
    }

    async fn work_off(&mut self) -> Result<(), Error> {
        self.work.result().await?.transpose()?;
        let gathered = mem::take(&mut self.gathered);
        self.length = 0;
        self.work.begin(|work| work.begin(gathered));
        Ok(())
    }
}

impl Work {
    fn begin(self, gathered: Vec<Bytes>) -> JoinHandle<(Work, Result<(), Error>)> {
        match self {
            Work::Local(mut work) => tokio::task::spawn_blocking(move || {
                let taken = gathered.iter().try_for_each(|bytes| work.take(bytes));
                (Work::Local(work), taken)
            }),
            Work::Remote(mut upload) => tokio::spawn(async move {
                let sent = upload.send(gathered).await;
                (Work::Remote(upload), sent)
            }),
        }
    }
}

impl LocalWork {
    fn take(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.length += bytes.len() as u64;
        let Some((encoder, identity_md5)) = &mut self.gzip else { return self.store(bytes) };
        identity_md5.update(bytes);
        encoder.push(bytes, &mut self.encoded)?;
        self.store_encoded()
    }

    fn store_encoded(&mut self) -> Result<(), Error> {
        let mut encoded = mem::take(&mut self.encoded);
        self.store(&encoded)?;
        encoded.clear();
        self.encoded = encoded;
        Ok(())
    }

    fn store(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.stored_length += bytes.len() as u64;
        self.stored_md5.update(bytes);
        Ok(self.writer.write(bytes)?)
    }

    fn finish(mut self, gathered: Vec<Bytes>) -> Result<Finished, Error> {
        gathered.iter().try_for_each(|bytes| self.take(bytes))?;
        let mut identity = None;
        if let Some((mut encoder, identity_md5)) = self.gzip.take() {
            encoder.finish(&mut self.encoded)?;
            self.store_encoded()?;
            identity = Some(identity_md5.finalize().into());
        }
        let by_gzip = identity.is_some() || self.client_gzip;
        let md5 = self.stored_md5.finalize().into();
        let (chunks, hold) = self.writer.finish()?;
        let content = AttContent {
            encoding: if by_gzip { Encoding::Gzip } else { Encoding::Identity },
            length: self.length,
            stored_length: self.stored_length,
            md5,
            chunks,
        };
        let uploaded = Uploaded { content, hold };
        Ok(Finished { uploaded, identity_md5: identity.unwrap_or(md5) })
    }
}
