//! `/{db}/_design/{ddoc}/_show/{name}`, and a document's id behind it: a response of any kind, made
//! of a document or of nothing.

use http::header::ACCEPT;
use settee_query::js::Design;

use super::response::Response;
use super::{Called, Functions};
use crate::context::Ctx;
use crate::error::Error;
use crate::render::etag;
use crate::reply::Reply;

/// Answers with any method.
///
/// # Errors
/// 404 for what is not there, and those of the function.
pub async fn answer(ctx: &mut Ctx, functions: Functions, rest: &[String]) -> Result<Reply, Error> {
    let called = Called::find(ctx, &functions, "shows", "show_error", rest).await?;
    let tag = tag(ctx, &functions, called.doc().map(etag::of_doc).as_deref());
    if ctx.etag_matches(&tag) {
        return Ok(Reply::not_modified(&tag));
    }
    let mut response = Response::read(&called.run(ctx, &functions, Design::show).await?)?;
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
