//! A document that comes with its attachments as `multipart/related`: JSON first, then the bytes
//! of each attachment that it says will follow, in the same order. They are uploaded as they
//! come; the names that parts give themselves mean nothing, as in CouchDB.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use settee_cluster::Db;
use settee_cluster::attachment::{EditUploads, Upload};
use settee_cluster::docs::EditMode;
use settee_model::doc::{AttEdit, AttSource, DocEdit, Encoding};
use settee_model::docid::DocId;
use settee_model::json::{AttData, ParsedAtt, parse_doc};

use super::edit;
use super::parts::{Parts, header};
use crate::body::RequestBody;
use crate::context::Ctx;
use crate::error::Error;
use crate::multipart::Event;

/// Bytes that one byte of gzip can stand for: 258 in two bits (RFC 1951).
const MOST_IN_A_BYTE: u64 = 1032;

/// Reads the request and uploads what follows; the edit is still to be made.
///
/// # Errors
/// What is wrong with the document or what follows it.
pub async fn receive(ctx: &mut Ctx, db: &Db, id: DocId, mode: EditMode) -> Result<DocEdit, Error> {
    let limit = ctx.settings.max_http_request_size;
    let length = ctx.header(&CONTENT_LENGTH).and_then(|length| length.parse::<u64>().ok());
    if length.is_some_and(|length| length > limit) {
        return Err(Error::TooLarge);
    }
    let mut parts = Parts::new(ctx.header(&CONTENT_TYPE).unwrap_or_default())?;
    let headers = parts.next_part(&mut ctx.body).await?.unwrap_or_default();
    if header(&headers, "content-type").is_none_or(|media| media.value != "application/json") {
        return Err(Error::BadContentType("Content-Type must be application/json".into()));
    }
    let json = parts.whole(&mut ctx.body, limit).await?;
    let mut doc = parse_doc(&json, &ctx.settings.json_limits())?;
    drop(json);
    let atts = std::mem::take(&mut doc.atts);
    let mut edit = edit::from_request(ctx, db, id, doc, mode).await?;
    let uploads = db.uploads().of(&edit.id)?;
    for att in atts {
        let att = match att.data {
            AttData::Follows { .. } => following(ctx, &uploads, &mut parts, (att, mode)).await?,
            _ => edit::inline_or_stub(ctx, &uploads, att, mode).await?,
        };
        edit.atts.push(att);
    }
    Ok(edit)
}

/// Uploads the next attachment that follows.
async fn following(
    ctx: &mut Ctx,
    uploads: &EditUploads,
    parts: &mut Parts,
    (att, mode): (ParsedAtt, EditMode),
) -> Result<AttEdit, Error> {
    let AttData::Follows { length, encoded_length, encoding, md5 } = att.data else {
        return Err(Error::bad_request("the attachment does not follow"));
    };
    let options = edit::upload_options(&ctx.settings, &att.content_type, encoding);
    let mut upload = uploads.begin(options);
    let sent = match encoding {
        Encoding::Identity => length,
        Encoding::Gzip => encoded_length.or(length),
    };
    let most = ctx.settings.max_attachment_size;
    copy_part(parts, &mut ctx.body, &mut upload, sent, most).await.map_err(
        |error| match error {
            Error::AttachmentTooLarge(_) => Error::AttachmentTooLarge(att.name.clone()),
            error => error,
        },
    )?;
    let mut finished = upload.finish().await?;
    if md5.is_some_and(|md5| md5 != finished.identity_md5) {
        return Err(settee_cluster::Error::AttachmentMismatch.into());
    }
    if let (Encoding::Gzip, Some(length)) = (encoding, length) {
        let content = &mut finished.uploaded.content;
        if length > content.stored_length.saturating_mul(MOST_IN_A_BYTE) {
            return Err(Error::bad_request("`length` is more than the attachment can hold"));
        }
        content.length = length;
    }
    Ok(AttEdit {
        name: att.name,
        content_type: att.content_type,
        revpos: edit::new_revpos(att.revpos, mode),
        source: AttSource::Uploaded(finished.uploaded),
    })
}

/// Copies as many bytes as were promised, be it from one part or from several. What promises
/// nothing gets one part.
async fn copy_part(
    parts: &mut Parts,
    body: &mut RequestBody,
    upload: &mut Upload,
    promised: Option<u64>,
    most: u64,
) -> Result<(), Error> {
    let mut sum: u64 = 0;
    while promised != Some(sum) {
        match parts.next(body).await? {
            Some(Event::Body(piece)) => {
                sum += piece.len() as u64;
                if promised.is_some_and(|promised| sum > promised) {
                    return Err(Error::bad_request("attachment longer than expected"));
                }
                if sum > most {
                    return Err(Error::AttachmentTooLarge(String::new()));
                }
                upload.write(piece).await?;
            }
            Some(Event::PartEnd) if promised.is_none() => return Ok(()),
            Some(_) => {}
            None => return Err(Error::bad_request("attachment shorter than expected")),
        }
    }
    if sum > 0 && parts.piece(body).await?.is_some() {
        return Err(Error::bad_request("attachment longer than expected"));
    }
    Ok(())
}
