//! The request object of functions: what CouchDB tells them of a request and the database, in the
//! same order. It carries nothing that proves who asks: no cookie, no credentials. Bodies are bytes
//! until the object is written down, which is done where the function runs.

use bytes::Bytes;
use http::{HeaderMap, HeaderName};
use serde_json::{Map, Value};
use settee_cluster::Db;
use settee_model::json;

use super::{security, user};
use crate::auth::Proxy;
use crate::body::Length;
use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::database::info_json;
use crate::percent::{Plus, decode};
use crate::query::Query;
use crate::reply::push_string;
use crate::route::Method;

/// Headers that functions must neither see nor set, and what a proxy proves itself with.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// A body may take this part of an engine's memory: it is there more than once.
const PART: usize = 4;

/// What the body of a request is to functions.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// There is none.
    None,
    /// As it came.
    Bytes(Bytes),
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
    bound(ctx);
    Ok(Content::Bytes(ctx.body.bytes().await?))
}

/// Takes no larger body than an engine can be given.
pub fn bound(ctx: &mut Ctx) {
    let memory = ctx.settings.functions.limits.memory;
    ctx.body.limit_to(u64::try_from(memory / PART).unwrap_or(u64::MAX));
}

/// Whether a header proves who asks.
fn is_secret(name: &HeaderName, proxy: &Proxy) -> bool {
    SECRET.contains(&name.as_str()) || proxy.proves_by(name)
}

/// Whether a header says who asks, so that no function may set it.
#[must_use]
pub fn says_who(name: &HeaderName, proxy: &Proxy) -> bool {
    is_secret(name, proxy) || proxy.reads(name)
}

/// A request object that is not written down yet.
#[derive(Debug)]
pub struct Request {
    /// In their order; `body` and `form` only hold the places of what follows from the content.
    fields: Map<String, Value>,
    content: Content,
    /// Whether the content is the fields of a form.
    is_form: bool,
}

impl Request {
    /// The request object. `id` is that of the document that the path names.
    ///
    /// # Errors
    /// 400 for keys in the query that are no JSON.
    pub async fn new(
        ctx: &Ctx,
        db: &Db,
        id: Option<&str>,
        content: Content,
    ) -> Result<Self, Error> {
        let mut fields = Map::new();
        fields.insert("info".into(), info_json(db, &db.info().await?));
        fields.insert("uuid".into(), ctx.new_uuid().into());
        fields.insert("id".into(), id.map_or(Value::Null, Value::from));
        fields.extend(common(ctx)?);
        fields.insert("form".into(), Value::Null);
        Ok(Self::complete(ctx, db, fields, content))
    }

    /// The request object of a function that rewrites, which knows less.
    ///
    /// # Errors
    /// As [`Request::new`].
    pub fn of_rewrite(ctx: &Ctx, db: &Db, content: Content) -> Result<Self, Error> {
        Ok(Self::complete(ctx, db, common(ctx)?, content))
    }

    fn complete(ctx: &Ctx, db: &Db, mut fields: Map<String, Value>, content: Content) -> Self {
        fields.insert("cookie".into(), Value::Object(Map::new()));
        fields.insert("userCtx".into(), user(ctx, db));
        let security = json::value(&security(ctx, db)).unwrap_or_default();
        fields.insert("secObj".into(), security);
        let media = ctx.header(&http::header::CONTENT_TYPE).unwrap_or_default();
        let is_form = media.starts_with("application/x-www-form-urlencoded")
            && matches!(ctx.method, Method::Post | Method::Put);
        Request { fields, content, is_form }
    }

    /// Writes it down.
    ///
    /// # Errors
    /// 400 for a form whose fields are no text.
    pub fn json(&self) -> Result<Vec<u8>, Error> {
        let text = match &self.content {
            Content::Bytes(bytes) => Some(String::from_utf8_lossy(bytes)),
            Content::None | Content::Json(_) => None,
        };
        let mut out = Vec::with_capacity(text.as_ref().map_or(0, |text| text.len()) + 2048);
        for (place, (name, value)) in self.fields.iter().enumerate() {
            out.push(if place == 0 { b'{' } else { b',' });
            push_string(&mut out, name);
            out.push(b':');
            match (name.as_str(), &text, &self.content) {
                ("body", Some(text), _) => push_string(&mut out, text),
                ("body", None, Content::Json(value)) => push_json(&mut out, value),
                ("body", ..) => push_string(&mut out, "undefined"),
                ("form", Some(text), _) if self.is_form => push_json(&mut out, &form(text)?),
                ("form", ..) => out.extend_from_slice(b"{}"),
                _ => push_json(&mut out, value),
            }
        }
        out.push(b'}');
        Ok(out)
    }
}

fn push_json(out: &mut Vec<u8>, value: &Value) {
    // Writing to a vector cannot fail, and a value has no key that could not be written.
    let _ = serde_json::to_writer(out, value);
}

fn common(ctx: &Ctx) -> Result<Map<String, Value>, Error> {
    let raw = ctx.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let requested = ctx.header("x-couchdb-requested-path").unwrap_or(raw);
    let mut fields = Map::new();
    fields.insert("method".into(), ctx.method.name().into());
    fields.insert("requested_path".into(), segments(requested, Plus::Space));
    fields.insert("path".into(), segments(ctx.uri.path(), ctx.settings.plus));
    fields.insert("raw_path".into(), raw.into());
    fields.insert("query".into(), query(&ctx.query)?);
    fields.insert("headers".into(), headers(&ctx.headers, &ctx.settings.auth.proxy));
    fields.insert("body".into(), Value::Null);
    fields.insert("peer".into(), ctx.peer.ip().to_string().into());
    Ok(fields)
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
fn headers(headers: &HeaderMap, proxy: &Proxy) -> Value {
    let shown = headers.keys().filter(|name| !is_secret(name, proxy));
    let mut names: Vec<_> = shown.collect();
    names.sort_unstable_by(|one, other| one.as_str().cmp(other.as_str()));
    let value = |name: &HeaderName| {
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

/// The fields of a form, which is written as a query string is.
fn form(text: &str) -> Result<Value, Error> {
    let pairs = Query::parse(text)?;
    Ok(Value::Object(pairs.iter().map(|(key, value)| (key.to_owned(), value.into())).collect()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use settee_model::config::Config;

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
        for (name, value) in [
            ("x-foo", "1"),
            ("cookie", "a=b"),
            ("authorization", "Basic x"),
            ("proxy-authorization", "Basic y"),
            ("x-auth-couchdb-token", "z"),
            ("accept", "*/*"),
        ] {
            map.append(name, value.parse().unwrap());
        }
        map.append("x-foo", "2".parse().unwrap());
        let mut config = Config::default();
        let shown = |config: &Config| headers(&map, &Proxy::from_config(config)).to_string();
        assert_eq!(shown(&config), r#"{"Accept":"*/*","X-Foo":"1, 2"}"#);
        config.set("chttpd_auth", "x_auth_token", "X-Foo");
        assert_eq!(shown(&config), r#"{"Accept":"*/*","X-Auth-Couchdb-Token":"z"}"#);
    }

    #[test]
    fn bodies_and_forms_take_their_places() {
        let fields: Map<_, _> =
            ["a", "body", "b", "form"].into_iter().map(|name| (name.into(), Value::Null)).collect();
        let sent = Content::Bytes(Bytes::from_static(b"k=%22\xff"));
        let json = Content::Json(json!({"k": 1}));
        for (content, is_form, body, form) in [
            (Content::None, true, "\"undefined\"", "{}"),
            (json, true, "{\"k\":1}", "{}"),
            (sent.clone(), false, "\"k=%22\u{fffd}\"", "{}"),
            (sent, true, "\"k=%22\u{fffd}\"", "{\"k\":\"\\\"\u{fffd}\"}"),
        ] {
            let written = Request { fields: fields.clone(), content, is_form }.json().unwrap();
            let expected = format!("{{\"a\":null,\"body\":{body},\"b\":null,\"form\":{form}}}");
            assert_eq!(String::from_utf8(written).unwrap(), expected);
        }
        let (content, is_form) = (Content::Bytes(Bytes::from_static(b"k=%ff")), true);
        assert!(Request { fields, content, is_form }.json().is_err());
    }
}
