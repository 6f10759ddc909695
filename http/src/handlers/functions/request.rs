//! The request object of functions: what CouchDB tells them of a request and the database, in the
//! same order. It carries nothing that proves who asks: no cookie, no credentials.

use http::HeaderMap;
use serde_json::{Map, Value};
use settee_cluster::Db;
use settee_model::json;

use super::{security, user};
use crate::body::Length;
use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::database::info_json;
use crate::query::Query;
use crate::route::{Method, Plus, decode};

/// Headers that functions must not see.
const SECRET: [&str; 3] = ["authorization", "cookie", "x-auth-couchdb-token"];

/// What the body of a request is to functions.
#[derive(Clone, Debug)]
pub enum Content {
    /// There is none.
    None,
    /// As it came.
    Text(String),
    /// It was read as JSON before.
    Json(Value),
}

/// Reads the body.
///
/// # Errors
/// 413, or the client went away.
pub async fn content(ctx: &mut Ctx) -> Result<Content, Error> {
    if ctx.body.length() == Length::None {
        return Ok(Content::None);
    }
    let bytes = ctx.body.bytes().await?;
    Ok(Content::Text(String::from_utf8_lossy(&bytes).into_owned()))
}

/// The request object. `id` is that of the document that the path names.
///
/// # Errors
/// 400 for keys in the query that are no JSON.
pub async fn object(
    ctx: &Ctx,
    db: &Db,
    id: Option<&str>,
    content: Content,
) -> Result<Vec<u8>, Error> {
    let info = info_json(db, &db.info().await?);
    let mut fields = Map::new();
    fields.insert("info".into(), info);
    fields.insert("uuid".into(), ctx.new_uuid().into());
    fields.insert("id".into(), id.map_or(Value::Null, Value::from));
    let form = form(ctx, &content)?;
    fields.extend(common(ctx, content)?);
    fields.insert("form".into(), form);
    fields.insert("cookie".into(), Value::Object(Map::new()));
    finish(ctx, db, fields)
}

/// The request object of a function that rewrites, which knows less.
///
/// # Errors
/// As [`object`].
pub fn object_of_rewrite(ctx: &Ctx, db: &Db, content: Content) -> Result<Vec<u8>, Error> {
    let mut fields = common(ctx, content)?;
    fields.insert("cookie".into(), Value::Object(Map::new()));
    finish(ctx, db, fields)
}

fn common(ctx: &Ctx, content: Content) -> Result<Map<String, Value>, Error> {
    let raw = ctx.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let requested = ctx.header_named("x-couchdb-requested-path").unwrap_or(raw);
    let mut fields = Map::new();
    fields.insert("method".into(), ctx.method.name().into());
    fields.insert("requested_path".into(), segments(requested, Plus::Space));
    fields.insert("path".into(), segments(ctx.uri.path(), ctx.settings.plus));
    fields.insert("raw_path".into(), raw.into());
    fields.insert("query".into(), query(&ctx.query)?);
    fields.insert("headers".into(), headers(&ctx.headers));
    fields.insert(
        "body".into(),
        match content {
            Content::None => "undefined".into(),
            Content::Text(text) => text.into(),
            Content::Json(value) => value,
        },
    );
    fields.insert("peer".into(), ctx.peer.ip().to_string().into());
    Ok(fields)
}

fn finish(ctx: &Ctx, db: &Db, mut fields: Map<String, Value>) -> Result<Vec<u8>, Error> {
    fields.insert("userCtx".into(), user(ctx, db));
    let security = json::value(&security(ctx, db)).unwrap_or_default();
    fields.insert("secObj".into(), security);
    Ok(Value::Object(fields).to_string().into_bytes())
}

fn segments(path: &str, plus: Plus) -> Value {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let text = |part: &str| decode(part, plus).map_or_else(|_| part.into(), |text| text.into());
    Value::Array(parts.map(|part| Value::String(text(part))).collect())
}

/// Keys of views are JSON, everything else is text.
fn query(query: &Query) -> Result<Value, Error> {
    let mut fields = Map::new();
    for (name, value) in query.iter() {
        let value = match name {
            "startkey" | "endkey" | "key" | "descending" => {
                json::value(value.as_bytes()).map_err(|_| Error::invalid_json())?
            }
            _ => value.into(),
        };
        fields.insert(name.to_owned(), value);
    }
    Ok(Value::Object(fields))
}

/// In the order of their names, which are written as servers of old wrote them.
fn headers(headers: &HeaderMap) -> Value {
    let shown = headers.keys().filter(|name| !SECRET.contains(&name.as_str()));
    let mut names: Vec<_> = shown.collect();
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    let value = |name: &http::HeaderName| {
        let values = headers.get_all(name).iter();
        let texts: Vec<_> =
            values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect();
        texts.join(", ")
    };
    let fields = names.into_iter().map(|name| (titled(name.as_str()), value(name).into()));
    Value::Object(fields.collect())
}

fn titled(name: &str) -> String {
    let mut begins = true;
    let letter = |letter: char| {
        let shown = if begins { letter.to_ascii_uppercase() } else { letter };
        begins = letter == '-';
        shown
    };
    name.chars().map(letter).collect()
}

/// The fields of a form that was sent as a query string is written.
fn form(ctx: &Ctx, content: &Content) -> Result<Value, Error> {
    let media = ctx.header(&http::header::CONTENT_TYPE).unwrap_or_default();
    let is_form = media.starts_with("application/x-www-form-urlencoded")
        && matches!(ctx.method, Method::Post | Method::Put);
    let Content::Text(text) = content else { return Ok(Value::Object(Map::new())) };
    if !is_form {
        return Ok(Value::Object(Map::new()));
    }
    let pairs = Query::parse(text)?;
    Ok(Value::Object(pairs.iter().map(|(key, value)| (key.to_owned(), value.into())).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn paths_are_cut_before_they_are_decoded() {
        assert_eq!(
            segments("/db//_design/a%2Fb/_show", Plus::Space),
            json!(["db", "_design", "a/b", "_show"])
        );
        let requested = segments("/db/x?a=1&b=x%20y", Plus::Space);
        assert_eq!(requested, json!(["db", "x?a=1&b=x y"]));
    }

    #[test]
    fn keys_in_queries_are_json() {
        let shown = query(&Query::parse("key=%5B1%5D&q=1&descending=true").unwrap()).unwrap();
        assert_eq!(shown, json!({"key": [1], "q": "1", "descending": true}));
        assert!(query(&Query::parse("key=abc").unwrap()).is_err());
    }

    #[test]
    fn headers_show_no_secrets() {
        let mut map = HeaderMap::new();
        for (name, value) in
            [("x-foo", "1"), ("cookie", "a=b"), ("authorization", "Basic x"), ("accept", "*/*")]
        {
            map.append(name, value.parse().unwrap());
        }
        map.append("x-foo", "2".parse().unwrap());
        let shown = headers(&map);
        assert_eq!(shown.to_string(), r#"{"Accept":"*/*","X-Foo":"1, 2"}"#);
    }
}
