//! `/{db}/_design/{ddoc}/_rewrite/…`: rules or a function of the design document say which other
//! request this one is, and that one is answered, with everything that is checked of any request. Never
//! answers that one itself: `respond` takes it from the beginning.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderName, HeaderValue, StatusCode, Uri};
use serde_json::{Map, Value};
use settee_cluster::Db;
use settee_cluster::functions::Kind;
use settee_model::docid::DocId;

use super::request::{self, Content, Request};
use super::{Functions, response, rules};
use crate::body::RequestBody;
use crate::context::Ctx;
use crate::error::Error;
use crate::percent::{self, push_segment};
use crate::reply::Reply;
use crate::route::Method;

/// Answers with any method.
///
/// # Errors
/// 404 if nothing says where the request goes; those of the request that it becomes.
pub async fn answer(
    ctx: &mut Ctx,
    db: &Db,
    ddoc: &DocId,
    functions: Functions,
    rest: &[String],
) -> Result<Reply, Error> {
    if ctx.rewrites >= ctx.settings.rewrite_limit {
        return Err(Error::bad_request("Exceeded rewrite recursion limit"));
    }
    let nowhere = || Error::NotFoundNamed("rewrite_error", "Invalid path.");
    let rewrites = functions.body().get("rewrites").ok_or_else(nowhere)?;
    let rewrites = settee_model::json::value(rewrites.bytes()).map_err(|_| nowhere())?;
    match rewrites {
        Value::Array(rules) => by_rules(ctx, db, ddoc, &rules, rest),
        Value::String(_) => by_function(ctx, db, ddoc, functions).await,
        _ => Err(nowhere()),
    }
}

fn by_rules(
    ctx: &mut Ctx,
    db: &Db,
    ddoc: &DocId,
    rules: &[Value],
    rest: &[String],
) -> Result<Reply, Error> {
    let query = ctx.query.iter().map(|(name, value)| rules::parameter(name, value));
    let query = query.collect::<Result<Vec<_>, _>>()?;
    let secure = ctx.settings.secure_rewrites;
    let target = rules::apply(rules, ctx.method.name(), rest, &query, secure)?;
    let target = target.ok_or_else(Error::missing)?;
    let parts: Vec<String> = target.parts.iter().map(|part| percent::form(part)).collect();
    let mut path = parts.join("/");
    push_query(&mut path, target.query.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let target = from_design_document(db, ddoc, &path);
    if ctx.settings.secure_rewrites && !is_within(db, &target) {
        return Err(rules::insecure());
    }
    go(ctx, &target)
}

async fn by_function(
    ctx: &mut Ctx,
    db: &Db,
    ddoc: &DocId,
    functions: Functions,
) -> Result<Reply, Error> {
    let content = request::content(ctx).await?;
    let sent = match &content {
        Content::Bytes(bytes) => Some(bytes.clone()),
        Content::None | Content::Json(_) => None,
    };
    let req = Request::of_rewrite(ctx, db, content)?;
    let rewrite = functions.run_over(Kind::Call, req, |design, req| design.rewrite(req)).await?;
    let rewrite = rewrite.ok_or(Error::NotFoundNamed("rewrite_error", "Invalid path."))?;
    let rewrite: Map<String, Value> = serde_json::from_str(&rewrite).unwrap_or_default();
    let text = |name: &str| rewrite.get(name).and_then(Value::as_str).map(str::to_owned);
    let body = text("body").map(Bytes::from);
    if let Some(code) = rewrite.get("code").and_then(Value::as_u64) {
        return Ok(directly(ctx, &rewrite, code, body.or(sent)));
    }
    let path = text("path").ok_or(Error::Internal(
        "rewrite_error",
        "Rewrite result must produce a new path.".into(),
    ))?;
    let mut path = from_design_document(db, ddoc, &path);
    if let Some(method) = text("method") {
        // Whether the client waits for a body is not for the function to say.
        ctx.method = Method::parse(&method);
    }
    // What is read elsewhere goes to who may read it; whoever follows a link changes nothing there.
    let reads = ctx.method == Method::Get;
    if ctx.settings.secure_rewrites && !reads && !is_within(db, &path) {
        return Err(rules::insecure());
    }
    match rewrite.get("query").and_then(Value::as_object) {
        Some(query) => {
            let pairs = query
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
            push_query(&mut path, pairs);
        }
        None => push_query(&mut path, ctx.query.iter()),
    }
    // Who asks stays who asked.
    let proxy = &ctx.settings.auth.proxy;
    let given = given_headers(&rewrite).filter(|(name, _)| !request::says_who(name, proxy));
    given.for_each(|(name, value)| drop(ctx.headers.insert(name, value)));
    replace_body(ctx, body, sent);
    go(ctx, &path)
}

/// The body of the other request: the function's, or what was sent, as it was sent.
fn replace_body(ctx: &mut Ctx, given: Option<Bytes>, sent: Option<Bytes>) {
    if given.is_some() {
        // It is text, however the client's was packed.
        ctx.headers.remove(CONTENT_ENCODING);
    }
    let Some(body) = given.or(sent) else { return };
    ctx.headers.remove(TRANSFER_ENCODING);
    ctx.headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
    let limit = ctx.settings.max_http_request_size;
    ctx.body = RequestBody::from_bytes(&ctx.headers, body, limit);
}

/// The function answers itself.
fn directly(ctx: &Ctx, rewrite: &Map<String, Value>, code: u64, body: Option<Bytes>) -> Reply {
    let status = u16::try_from(code).ok().and_then(|code| StatusCode::from_u16(code).ok());
    let mut reply =
        Reply::bytes(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), body.unwrap_or_default());
    reply.headers.extend(given_headers(rewrite));
    response::leave_to_connection(&mut reply.headers);
    response::restrict(ctx, &mut reply.headers);
    reply
}

/// Headers that the function gave; one that none can be is left out.
fn given_headers(rewrite: &Map<String, Value>) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let given = rewrite.get("headers").and_then(Value::as_object).into_iter().flatten();
    given.filter_map(|(name, value)| {
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_str()?.as_bytes()).ok()?))
    })
}

/// Makes another request of this one. Nobody sees the reply: who called looks at the request.
fn go(ctx: &mut Ctx, target: &str) -> Result<Reply, Error> {
    let target: Uri =
        percent::target(target).parse().map_err(|_| Error::bad_request("invalid_url_encoding"))?;
    let mut parts = std::mem::take(&mut ctx.uri).into_parts();
    parts.path_and_query = target.into_parts().path_and_query;
    ctx.uri = Uri::from_parts(parts).map_err(|_| Error::bad_request("invalid_url_encoding"))?;
    ctx.rewrites += 1;
    Ok(Reply::empty(StatusCode::OK))
}

/// A path that is relative to a design document, as one from the top, with its `..` gone.
fn from_design_document(db: &Db, ddoc: &DocId, path: &str) -> String {
    let mut whole = format!("{}/_design/", address(db));
    push_segment(&mut whole, ddoc.as_str().trim_start_matches("_design/"));
    whole.push('/');
    whole.push_str(path);
    straight(&whole)
}

fn address(db: &Db) -> String {
    let mut path = String::from("/");
    push_segment(&mut path, db.name().as_str());
    path
}

/// Whether a path leads to a database, or to something in it.
fn is_within(db: &Db, path: &str) -> bool {
    is_below(&address(db), path)
}

fn is_below(database: &str, path: &str) -> bool {
    let rest = path.strip_prefix(database);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']))
}

fn straight(path: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    for part in path.split('/').filter(|part| !part.is_empty() && *part != ".") {
        match parts.last() {
            Some(last) if part == ".." && *last != ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

fn push_query<'a>(path: &mut String, pairs: impl Iterator<Item = (&'a str, &'a str)>) {
    for (place, (name, value)) in pairs.enumerate() {
        path.push(if place == 0 { '?' } else { '&' });
        path.push_str(&percent::form(name));
        path.push('=');
        path.push_str(&percent::form(value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_where_they_say() {
        for (path, expected) in [
            ("/db/_design/x/../../d1", "/db/d1"),
            ("/db/_design/x//_view/./v/", "/db/_design/x/_view/v"),
            ("/db/../../../y", "/../../y"),
        ] {
            assert_eq!(straight(path), expected);
        }
        for (path, within) in [
            ("/db", true),
            ("/db?x=1", true),
            ("/db/_all_docs", true),
            ("/db2/_all_docs", false),
            ("/_all_dbs", false),
            ("/../../y", false),
        ] {
            assert_eq!(is_below("/db", path), within, "{path}");
        }
        let mut path = "a".to_owned();
        push_query(&mut path, [("k", "[\"a b\"]"), ("", "ü/")].into_iter());
        assert_eq!(path, "a?k=%5B%22a+b%22%5D&=%C3%BC%2F");
    }
}
