//! Brings a revision's attachments from another copy, so that it can be written here. Bytes go
//! through piece by piece, and only what is small is ever together in memory; what lies here already stays there.
//! Writes no revision: the session does.

use settee_model::doc::{AttBytes, AttContent, AttEdit, AttSource, DocEdit, StoredDoc, Uploaded};

use super::ask::{Source, Target};
use crate::Error;
use crate::attachment::{EditUploads, UploadOptions};
use crate::copy::ShardCopy;
use crate::steps::blocking;

/// The edit that makes this copy have a revision of another one. What was brought is held for as
/// long as the edit lives.
pub(super) async fn edit(
    target: &Target,
    source: &Source,
    doc: StoredDoc,
) -> Result<DocEdit, Error> {
    let uploads = EditUploads::to(vec![ShardCopy::Local(target.copy.clone())]);
    let mut atts = Vec::with_capacity(doc.record.atts.len());
    for att in doc.record.atts {
        atts.push(AttEdit {
            source: AttSource::Uploaded(bring((target, &uploads), source, &att.content).await?),
            name: att.name,
            content_type: att.content_type,
            revpos: Some(att.revpos),
        });
    }
    Ok(DocEdit { id: doc.id, revs: doc.revs, deleted: doc.deleted, body: doc.record.body, atts })
}

async fn bring(
    (target, uploads): (&Target, &EditUploads),
    source: &Source,
    content: &AttContent,
) -> Result<Uploaded, Error> {
    let (shard, chunks) = (target.note(target.copy.shard().await)?, content.chunks.clone());
    let hold = blocking(move || Ok(shard.hold_chunks(&chunks)?)).await;
    if let Some(hold) = target.note(hold)? {
        return Ok(Uploaded { content: content.clone(), bytes: AttBytes::Held(hold) });
    }
    let options = UploadOptions { encoding: content.encoding, compress: None };
    let mut upload = uploads.begin(options);
    let mut pieces = source.attachment(content);
    while let Some(piece) = source.in_time(async { pieces.next().await.transpose() }).await? {
        target.note(upload.write(piece).await)?;
    }
    let Uploaded { content: here, bytes } = target.note(upload.finish().await)?.uploaded;
    if (here.md5, here.stored_length) != (content.md5, content.stored_length) {
        return Err(Error::AttachmentMismatch);
    }
    // How long it is for clients is known to who took it in first.
    Ok(Uploaded { content: AttContent { chunks: here.chunks, ..content.clone() }, bytes })
}
