//! Small attachments, which travel with the edit that names them: each copy stores their bytes when it
//! takes the edit on. No copy hears of them before.

use std::sync::Arc;

use bytes::Bytes;
use settee_engine::Shard;
use settee_engine::shard::{Batch, Write, name_chunk};
use settee_model::doc::{AttSource, Chunk, Hold};

use crate::Error;

/// Bytes of an attachment that travel with its edit, at most; larger ones go ahead of it. What is so
/// small waits in memory for the edit's log frame wherever it is.
pub(super) const CARRIED: u64 = 32 << 10;

/// The bytes of one attachment, as they are to be stored.
struct Carried(Bytes);

/// How an edit names bytes that it brings, and what keeps them until then.
pub(super) fn carry(bytes: Bytes) -> Result<(Vec<Chunk>, Hold), Error> {
    if bytes.is_empty() {
        return Ok((Vec::new(), Hold::default()));
    }
    Ok((vec![name_chunk(&bytes)?], carried_hold(bytes)))
}

/// What an edit from another node brings.
pub(crate) fn carried_hold(bytes: Bytes) -> Hold {
    Hold::new(Arc::new(Carried(bytes)))
}

/// What a hold carries, if it does.
pub(crate) fn carried(hold: &Hold) -> Option<&Bytes> {
    hold.kept().map(|Carried(bytes)| bytes)
}

/// Whether a batch brings bytes.
pub(crate) fn carries(batch: &Batch) -> bool {
    let mut atts = batch.writes.iter().filter_map(Write::edit).flat_map(|edit| &edit.atts);
    atts.any(|att| match &att.source {
        AttSource::Uploaded(uploaded) => carried(&uploaded.hold).is_some(),
        AttSource::Stub => false,
    })
}

/// Puts what a batch brings into a shard, which holds it as long as the batch does. May block.
pub(crate) fn unload(shard: &Arc<Shard>, mut batch: Batch) -> Result<Batch, Error> {
    for edit in batch.writes.iter_mut().filter_map(Write::edit_mut) {
        for att in &mut edit.atts {
            let AttSource::Uploaded(uploaded) = &mut att.source else { continue };
            let Some(bytes) = carried(&uploaded.hold) else { continue };
            let mut writer = shard.chunk_writer();
            writer.write(bytes)?;
            let (chunks, hold) = writer.finish()?;
            if chunks != uploaded.content.chunks {
                return Err(Error::AttachmentMismatch);
            }
            uploaded.hold = hold;
        }
    }
    Ok(batch)
}
