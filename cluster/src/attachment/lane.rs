//! An attachment on its way into one copy: digests, compression, chunks into the shard. What it is
//! given is worked on while the next bytes come.

use std::mem;
use std::sync::Arc;

use bytes::Bytes;
use md5::{Digest, Md5};
use settee_engine::Shard;
use settee_engine::shard::ChunkWriter;
use settee_model::doc::{AttContent, Encoding, Uploaded};
use tokio::task::JoinHandle;

use super::gzip::Encoder;
use super::{Finished, UploadOptions};
use crate::Error;
use crate::mesh::RemoteUpload;
use crate::steps::{Steps, off};

/// The way to one copy. Dropping it gives up; what was written is garbage for the compactor.
pub(crate) struct Lane(Steps<Work, Result<(), Error>>);

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

impl Lane {
    pub(crate) fn new(shard: &Arc<Shard>, options: UploadOptions) -> Lane {
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
        Lane(Steps::new(Work::Local(Box::new(work))))
    }

    /// Sends the bytes to another node.
    pub(crate) fn remote(upload: RemoteUpload) -> Lane {
        Lane(Steps::new(Work::Remote(Box::new(upload))))
    }

    /// Waits until it has worked off what it was given.
    pub(super) async fn ready(&mut self) -> Result<(), Error> {
        self.0.result().await?.unwrap_or(Ok(()))
    }

    /// Gives it bytes, once it is ready.
    pub(super) fn give(&mut self, gathered: Vec<Bytes>) {
        self.0.begin(|work| work.begin(gathered));
    }

    /// Ends the upload with the last bytes.
    pub(super) async fn finish(mut self, gathered: Vec<Bytes>) -> Result<Finished, Error> {
        self.ready().await?;
        match self.0.into_state().await? {
            Work::Local(work) => crate::steps::blocking(move || work.finish(gathered)).await,
            Work::Remote(upload) => upload.finish(gathered).await,
        }
    }
}

impl Work {
    fn begin(self, gathered: Vec<Bytes>) -> JoinHandle<(Work, Result<(), Error>)> {
        match self {
            Work::Local(mut work) => off(move || {
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
