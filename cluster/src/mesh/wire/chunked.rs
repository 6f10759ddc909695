//! Attachments: their names, and the chunks that their bytes are. The bytes themselves are here
//! only where they come with an edit; others go by `remote_files`.

use bytes::Bytes;
use settee_model::doc::{
    AttBytes, AttContent, AttEdit, AttSource, Attachment, Chunk, Encoding, Hold, Uploaded,
};

use super as wire;
use crate::Error;

impl From<&AttContent> for wire::AttContent {
    fn from(content: &AttContent) -> wire::AttContent {
        wire::AttContent {
            gzip: content.encoding == Encoding::Gzip,
            length: content.length,
            stored_length: content.stored_length,
            md5: Bytes::copy_from_slice(&content.md5),
            chunks: wire::each(&content.chunks),
        }
    }
}

impl TryFrom<wire::AttContent> for AttContent {
    type Error = Error;

    fn try_from(content: wire::AttContent) -> Result<AttContent, Error> {
        Ok(AttContent {
            encoding: if content.gzip { Encoding::Gzip } else { Encoding::Identity },
            length: content.length,
            stored_length: content.stored_length,
            md5: digest(&content.md5, "digest of an attachment")?,
            chunks: wire::all(content.chunks)?,
        })
    }
}

impl From<&Chunk> for wire::Chunk {
    fn from(chunk: &Chunk) -> wire::Chunk {
        wire::Chunk { hash: Bytes::copy_from_slice(&chunk.hash), length: chunk.length }
    }
}

impl TryFrom<wire::Chunk> for Chunk {
    type Error = Error;

    fn try_from(chunk: wire::Chunk) -> Result<Chunk, Error> {
        Ok(Chunk { hash: digest(&chunk.hash, "hash of a chunk")?, length: chunk.length })
    }
}

/// A digest of known length.
pub(crate) fn digest<const N: usize>(bytes: &[u8], what: &'static str) -> Result<[u8; N], Error> {
    <[u8; N]>::try_from(bytes).map_err(|_| wire::malformed(what))
}

impl From<&Attachment> for wire::Attachment {
    fn from(att: &Attachment) -> wire::Attachment {
        wire::Attachment {
            name: att.name.clone(),
            content_type: att.content_type.clone(),
            revpos: att.revpos,
            content: Some((&att.content).into()),
        }
    }
}

impl TryFrom<wire::Attachment> for Attachment {
    type Error = Error;

    fn try_from(att: wire::Attachment) -> Result<Attachment, Error> {
        let content = wire::need(att.content, "content of an attachment")?.try_into()?;
        let wire::Attachment { name, content_type, revpos, .. } = att;
        Ok(Attachment { name, content_type, revpos, content })
    }
}

impl From<&AttEdit> for wire::AttEdit {
    fn from(att: &AttEdit) -> wire::AttEdit {
        let uploaded = match &att.source {
            AttSource::Stub => None,
            AttSource::Uploaded(uploaded) => Some(uploaded),
        };
        wire::AttEdit {
            name: att.name.clone(),
            content_type: att.content_type.clone(),
            revpos: att.revpos,
            uploaded: uploaded.map(|uploaded| (&uploaded.content).into()),
            carried: uploaded.and_then(|uploaded| match &uploaded.bytes {
                AttBytes::Held(_) => None,
                AttBytes::Carried(bytes) => Some(bytes.clone()),
            }),
        }
    }
}

impl TryFrom<wire::AttEdit> for AttEdit {
    type Error = Error;

    fn try_from(att: wire::AttEdit) -> Result<AttEdit, Error> {
        let source = match att.uploaded {
            None => AttSource::Stub,
            Some(content) => AttSource::Uploaded(Uploaded {
                content: content.try_into()?,
                bytes: match att.carried {
                    Some(bytes) => AttBytes::Carried(bytes),
                    // The stream that brought the bytes holds them.
                    None => AttBytes::Held(Hold::default()),
                },
            }),
        };
        let wire::AttEdit { name, content_type, revpos, .. } = att;
        Ok(AttEdit { name, content_type, revpos, source })
    }
}
