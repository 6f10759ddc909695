//! An attachment on its way in: digests, compression, chunks into the shard of its document.

use bytes::Bytes;
use settee_model::doc::{Encoding, Uploaded};

use crate::Error;

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
pub struct Upload {}

/// Bytes that lie in the shard and may be named by an edit.
#[derive(Clone, Debug)]
pub struct Finished {
    /// For [`settee_model::doc::AttSource::Uploaded`]. Where a client sent gzip, `content.length` is
    /// the encoded length; one who knows better (multipart stubs) may set it.
    pub uploaded: Uploaded,
    /// MD5 of the bytes as they came in, for a client's `Content-MD5`.
    pub identity_md5: [u8; 16],
}

impl Upload {
    /// Takes more bytes; waits while the disk is behind.
    pub async fn write(&mut self, bytes: Bytes) -> Result<(), Error> {
        let _ = bytes;
        todo!()
    }

    /// Ends the upload.
    pub async fn finish(self) -> Result<Finished, Error> {
        todo!()
    }
}
