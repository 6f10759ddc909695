//! A browser's form: `POST /{db}/{docid}` as `multipart/form-data`, with a document (`_doc`) or
//! the revision of a stored one (`_rev`), and files to attach (`_attachments`). Never takes one that a
//! page of another server sends.

use http::StatusCode;
use http::header::{CONTENT_TYPE, REFERER};
use settee_cluster::Db;
use settee_cluster::attachment::EditUploads;
use settee_cluster::docs::EditMode;
use settee_model::doc::{AttEdit, Encoding};
use settee_model::docid::DocId;
use settee_model::json::{check_attachment_name, parse_doc};
use settee_model::rev::Rev;

use super::attachment_write::open_rev;
use super::edit;
use super::parts::{Parts, header};
use crate::body::require_content_type;
use crate::context::Ctx;
use crate::error::Error;
use crate::multipart::Parameters;
use crate::render::etag;
use crate::reply::Reply;

/// What a form says.
#[derive(Default)]
struct Form {
    doc: Option<Vec<u8>>,
    rev: Option<Vec<u8>>,
    atts: Vec<AttEdit>,
}

/// `POST /{db}/{docid}`
pub async fn post(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    check_referer(ctx)?;
    edit::check_id(ctx, &db, &id)?;
    require_content_type(&ctx.headers, "multipart/form-data")?;
    let form = read(ctx, &db, &id).await?;
    let mode = EditMode::Interactive;
    let mut edit = match (form.doc, form.rev) {
        (Some(json), _) => {
            let mut doc = parse_doc(&json, &ctx.settings.json_limits())?;
            let body_revs = std::mem::take(&mut doc.revs);
            doc.revs =
                edit::agreed_revs(body_revs, ctx.query.get("rev"), ctx.if_match().as_deref())?;
            edit::build(ctx, &db.uploads(), id.clone(), doc, mode).await?
        }
        (None, Some(rev)) => {
            let rev: Rev = String::from_utf8_lossy(&rev).parse()?;
            open_rev(&db, &id, &rev).await?.into_edit()
        }
        (None, None) => return Err(Error::bad_request("The form has neither `_doc` nor `_rev`.")),
    };
    let kept = edit.atts.drain(..).filter(|old| form.atts.iter().all(|new| new.name != old.name));
    let kept: Vec<AttEdit> = kept.collect();
    edit.atts = form.atts;
    edit.atts.extend(kept);
    let body = edit.body.clone();
    let saved = edit::submit_one(ctx, &db, edit, mode).await?;
    Ok(saved.reply(&id, StatusCode::CREATED).etag(&etag::of_rev(&id, &saved.rev, &body)))
}

/// Files are uploaded as they come.
async fn read(ctx: &mut Ctx, db: &Db, id: &DocId) -> Result<Form, Error> {
    let mut form = Form::default();
    let mut parts = Parts::new(ctx.header(&CONTENT_TYPE).unwrap_or_default())?;
    let limit = ctx.settings.max_http_request_size;
    let uploads = db.uploads().of(id)?;
    while let Some(headers) = parts.next_part(&mut ctx.body).await? {
        let field = header(&headers, "content-disposition").unwrap_or_default();
        match (field.get("name"), field.get("filename")) {
            (Some("_doc"), None) => form.doc = Some(parts.whole(&mut ctx.body, limit).await?),
            (Some("_rev"), None) => form.rev = Some(parts.whole(&mut ctx.body, 1024).await?),
            (Some("_attachments"), Some(file)) => {
                check_attachment_name(file)?;
                let media = header(&headers, "content-type");
                let att = receive_file(ctx, &uploads, &mut parts, (file, media)).await?;
                form.atts.retain(|other| other.name != att.name);
                form.atts.push(att);
            }
            _ => {}
        }
    }
    Ok(form)
}

async fn receive_file(
    ctx: &mut Ctx,
    uploads: &EditUploads,
    parts: &mut Parts,
    (name, media): (&str, Option<Parameters>),
) -> Result<AttEdit, Error> {
    let media = media.map_or_else(|| "application/octet-stream".to_owned(), |media| media.value);
    let options = edit::upload_options(&ctx.settings, &media, Encoding::Identity);
    let mut upload = uploads.begin(options);
    let mut sum = 0;
    while let Some(piece) = parts.piece(&mut ctx.body).await? {
        sum += piece.len() as u64;
        if sum > ctx.settings.max_attachment_size {
            return Err(Error::AttachmentTooLarge(name.to_owned()));
        }
        upload.write(piece).await?;
    }
    Ok(edit::new_att(name.to_owned(), media, upload.finish().await?.uploaded))
}

/// A form must come from a page of this server: any other page could send one in its reader's
/// name.
fn check_referer(ctx: &Ctx) -> Result<(), Error> {
    let referer = ctx.header(&REFERER);
    let referer = referer.ok_or_else(|| Error::bad_request("Referer header required."))?;
    let host = ctx.host();
    let sender = referer.split_once("://").map_or("", |(_, rest)| rest);
    let sender = sender.split(['/', '?', '#']).next();
    if host.is_some() && sender == host {
        Ok(())
    } else {
        Err(Error::bad_request("Referer header must match host."))
    }
}
