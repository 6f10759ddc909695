//! `/{db}/_design/{ddoc}/_show/{name}`, and a document's id behind it: a response of any kind, made
//! of a document or of nothing.

use http::header::ACCEPT;
use settee_cluster::Db;
use settee_cluster::functions::Kind;
use settee_model::docid::DocId;

use super::response::Response;
use super::{Called, Functions, called, request};
use crate::context::Ctx;
use crate::error::Error;
use crate::render::etag;
use crate::reply::Reply;

/// Answers with any method.
///
/// # Errors
/// 404 for what is not there, and those of the function.
pub async fn answer(
    ctx: &mut Ctx,
    db: &Db,
    functions: Functions,
    rest: &[String],
) -> Result<Reply, Error> {
    let Called { name, id, found } = called(ctx, db, &functions, "shows", rest)
        .await?
        .ok_or(Error::NotFoundNamed("show_error", "Invalid path."))?;
    let tag = tag(ctx, &functions, found.as_ref().map(|(_, doc)| etag::of_doc(doc)).as_deref());
    if ctx.etag_matches(&tag) {
        return Ok(Reply::not_modified(&tag));
    }
    let content = request::content(ctx).await?;
    let req = request::object(ctx, db, id.as_ref().map(DocId::as_str), content).await?;
    let doc = found.map(|(json, _)| json);
    let show =
        move |design: &mut settee_query::js::Design| design.show(&name, doc.as_deref(), &req);
    let mut response = Response::read(&functions.run(Kind::Call, show).await?)?;
    response.set_header("etag", &tag);
    response.set_header("vary", "Accept");
    Ok(response.reply(ctx))
}

/// Tag of a response that is made of these alone, whatever the function makes of them.
fn tag(ctx: &Ctx, functions: &Functions, doc: Option<&str>) -> String {
    let roles = ctx.user.roles.join(",");
    let accept = ctx.header(&ACCEPT);
    let parts = [&*functions.tag(), doc.unwrap_or_default(), accept.unwrap_or("*"), &roles];
    let parts = parts.map(|part| [part.as_bytes(), b"\n"].concat());
    etag::of_state(&parts.each_ref().map(Vec::as_slice))
}
