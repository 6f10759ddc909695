//! `/{db}/_design/{ddoc}/_update/{name}`, and a document's id behind it: a function decides what is
//! written and what is answered. What it writes goes the way of all writes. Never calls the function
//! again after a conflict.

use http::StatusCode;
use settee_cluster::Db;
use settee_cluster::docs::EditMode;
use settee_model::docid::DocId;
use settee_model::json::parse_doc;
use settee_query::js::Design;

use super::response::Response;
use super::{Called, Functions};
use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::edit::{self, Saved};
use crate::percent::push_segment;
use crate::reply::Reply;

/// Answers with any method; that `GET` is none of them is for the function's side to say.
///
/// # Errors
/// 404 for what is not there, and those of the function and of the write.
pub async fn answer(
    ctx: &mut Ctx,
    db: &Db,
    functions: Functions,
    rest: &[String],
) -> Result<Reply, Error> {
    let called = Called::find(ctx, &functions, "updates", "update_error", rest).await?;
    let updated = called.run(ctx, &functions, Design::update).await?;
    let Some(doc) = updated.doc else {
        return Ok(Response::read(&updated.response)?.reply(ctx));
    };
    let (id, saved) = save(ctx, db, &doc).await?;
    let mut response = Response::read(&updated.response)?;
    let mut encoded = String::new();
    push_segment(&mut encoded, id.as_str());
    response.set_header("x-couch-update-newrev", &saved.rev.to_string());
    response.set_header("x-couch-id", &encoded);
    Ok(response.or_code(saved.status(StatusCode::CREATED)).reply(ctx))
}

async fn save(ctx: &Ctx, db: &Db, doc: &str) -> Result<(DocId, Saved), Error> {
    let mut doc = parse_doc(doc.as_bytes(), &ctx.settings.json_limits())?;
    let id = doc.id.take().unwrap_or_else(|| DocId::trusted(""));
    edit::check_id(ctx, db, &id)?;
    let mode = EditMode::Interactive;
    let edit = edit::build(ctx, &db.uploads(), id.clone(), doc, mode).await?;
    Ok((id, edit::submit_one(ctx, db, edit, mode).await?))
}
