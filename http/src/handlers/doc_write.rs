//! Writing one document from JSON: `PUT` and `DELETE` of `/{db}/{docid}`, `POST` of `/{db}`. Reads no
//! multipart itself: `doc_multipart` does.

use http::StatusCode;
use http::header::CONTENT_TYPE;
use settee_cluster::Db;
use settee_cluster::docs::{EditMode, OpenOptions};
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::json::parse_doc;
use settee_model::rev::{Rev, RevPath};

use super::doc_query::DocQuery;
use super::{doc_multipart, edit};
use crate::context::Ctx;
use crate::error::Error;
use crate::render::etag;
use crate::reply::Reply;
use crate::users;

/// `PUT /{db}/{docid}`
pub async fn put(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    let mode = DocQuery::parse(&ctx.query)?.mode;
    edit::check_id(ctx, &db, &id)?;
    let media = ctx.header(&CONTENT_TYPE).unwrap_or_default();
    if media.starts_with("multipart/related;") {
        let edit = doc_multipart::receive(ctx, &db, id, mode).await?;
        return save(ctx, &db, edit, mode).await;
    }
    let body = ctx.body.json().await?;
    let doc = parse_doc(&body, &ctx.settings.json_limits())?;
    if let Some(own) = &doc.id {
        // It means nothing, but must be an id.
        edit::check_id(ctx, &db, own)?;
    }
    let edit = edit::from_request(ctx, &db, id, doc, mode).await?;
    if is_batch(ctx) {
        return later(ctx, &db, edit, mode).await;
    }
    save(ctx, &db, edit, mode).await
}

async fn save(ctx: &Ctx, db: &Db, edit: DocEdit, mode: EditMode) -> Result<Reply, Error> {
    let (id, body) = (edit.id.clone(), edit.body.clone());
    let given = edit.revs.tip().filter(|_| mode == EditMode::Replicated);
    let done = if edit.deleted { StatusCode::OK } else { StatusCode::CREATED };
    let mut saved = edit::submit_one(ctx, db, edit, mode).await?;
    // A replicated edit says itself what it is, even where a local document counts on.
    saved.rev = given.unwrap_or(saved.rev);
    let reply = saved.reply(&id, done).etag(&etag::of_rev(&id, &saved.rev, &body));
    Ok(edit::with_location(reply, ctx, db, &id))
}

/// `DELETE /{db}/{docid}`. What is not there, or is gone already, is missed before anything else.
pub async fn delete(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    edit::check_place(&db, &id)?;
    users::open_doc(ctx, &db, &id, OpenOptions::default()).await?;
    let rev = ctx.query.get("rev").map(str::parse::<Rev>).transpose()?;
    let rev = edit::named_rev(rev.as_ref(), ctx.if_match().as_deref())?;
    let edit = DocEdit {
        id: id.clone(),
        revs: rev.map(RevPath::single).unwrap_or_default(),
        deleted: true,
        body: bytes::Bytes::from_static(b"{}"),
        atts: Vec::new(),
    };
    let saved = edit::submit_one(ctx, &db, edit, EditMode::Interactive).await?;
    Ok(saved.reply(&id, StatusCode::OK).etag(&etag::of_rev(&id, &saved.rev, b"{}")))
}

/// `POST /{db}`: a document that may leave its id to us.
pub async fn create(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    ctx.require_json()?;
    let body = ctx.body.json().await?;
    let mut doc = parse_doc(&body, &ctx.settings.json_limits())?;
    let id = match doc.id.take() {
        Some(id) => id,
        None => {
            doc.revs = RevPath::default();
            DocId::trusted(&ctx.new_uuid())
        }
    };
    edit::check_id(ctx, &db, &id)?;
    let mode = EditMode::Interactive;
    let edit = edit::build(ctx, &db.uploads(), id.clone(), doc, mode).await?;
    if is_batch(ctx) {
        return later(ctx, &db, edit, mode).await;
    }
    let saved = edit::submit_one(ctx, &db, edit, mode).await?;
    Ok(edit::with_location(saved.reply(&id, StatusCode::CREATED), ctx, &db, &id))
}

fn is_batch(ctx: &Ctx) -> bool {
    ctx.query.get("batch") == Some("ok")
}

/// `batch=ok`: the client does not want to know what became of it, not even that it was refused.
async fn later(ctx: &Ctx, db: &Db, edit: DocEdit, mode: EditMode) -> Result<Reply, Error> {
    let id = edit.id.clone();
    let options = edit::update_options(ctx)?;
    let edit = edit::allowed(ctx, db, vec![edit], mode).await?;
    if !edit.is_empty() {
        db.update_later(edit, mode, options)?;
    }
    Ok(edit::batched(&id))
}
