//! What is there before any database: `/`, `/_up`, `/favicon.ico`, `/_utils`. Opens no database, and no
//! file: those of the web interface are `site`'s.

use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, EXPIRES, LOCATION, VARY,
};

use crate::accept::accepts_gzip;
use crate::auth::unix_time;
use crate::context::Ctx;
use crate::csp;
use crate::date;
use crate::error::Error;
use crate::reply::{Reply, push_string};
use crate::site::Page;

/// The version of CouchDB that clients shall take this for.
pub const COUCHDB_VERSION: &str = "3.4.2";

const YEAR: u64 = 365 * 24 * 3600;

/// `GET /`
///
/// # Errors
/// None.
pub async fn welcome(ctx: &mut Ctx) -> Result<Reply, Error> {
    let mut out = Vec::with_capacity(256);
    out.extend_from_slice(b"{\"couchdb\":\"Welcome\",\"version\":");
    push_string(&mut out, COUCHDB_VERSION);
    out.extend_from_slice(b",\"git_sha\":");
    push_string(&mut out, concat!("settee-", env!("CARGO_PKG_VERSION")));
    out.extend_from_slice(b",\"uuid\":");
    push_string(&mut out, &ctx.app.cluster.uuid());
    out.extend_from_slice(
        b",\"features\":[\"access-ready\",\"partitioned\"],\"vendor\":{\"name\":",
    );
    push_string(&mut out, &ctx.settings.vendor);
    out.extend_from_slice(b"}}");
    Ok(Reply::json(StatusCode::OK, out))
}

/// `GET /_up`
///
/// # Errors
/// None.
pub async fn up(ctx: &mut Ctx) -> Result<Reply, Error> {
    let mode = match ctx.settings.maintenance_mode.as_deref() {
        Some("true") => "{\"status\":\"maintenance_mode\"}",
        Some("nolb") => "{\"status\":\"nolb\"}",
        _ => return Ok(Reply::json(StatusCode::OK, "{\"status\":\"ok\",\"seeds\":{}}")),
    };
    Ok(Reply::json(StatusCode::NOT_FOUND, mode))
}

/// `GET /favicon.ico`: there is none, which browsers may remember for a year.
///
/// # Errors
/// None.
pub async fn favicon(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    let reply = Reply::bytes(StatusCode::NOT_FOUND, &b"Not found."[..]);
    let reply = reply.header(CONTENT_TYPE, "text/plain");
    let reply = reply.header(CACHE_CONTROL, "public, max-age=31536000");
    Ok(reply.header(EXPIRES, &date::http(unix_time() + YEAR)))
}

/// `GET /_utils/…`
///
/// # Errors
/// A file that is there and cannot be read.
pub async fn utils(ctx: &mut Ctx, path: Option<String>) -> Result<Reply, Error> {
    if path.is_none() {
        let reply = Reply::empty(StatusCode::MOVED_PERMANENTLY);
        return Ok(reply.header(LOCATION, &ctx.absolute_uri("/_utils/")));
    }
    let found = ctx.app.site.page(path.as_deref().unwrap_or_default()).await;
    let mut reply = match found {
        Ok(page) => {
            let known = ctx.etag_matches(&page.tag);
            let unpacks = accepts_gzip(ctx.header(&ACCEPT_ENCODING));
            show(page, known, unpacks).await?
        }
        Err(error) if error == Error::missing() => {
            let text = if ctx.app.site.is_empty() { NO_SITE } else { "Not found." };
            let reply = Reply::bytes(StatusCode::NOT_FOUND, text);
            let reply = reply.header(CONTENT_TYPE, "text/plain");
            reply.header(CACHE_CONTROL, "private, must-revalidate")
        }
        Err(error) => return Err(error),
    };
    csp::restrict(&mut reply.headers, ctx.settings.csp.utils.as_ref());
    Ok(reply)
}

async fn show(page: &Page, known: bool, unpacks: bool) -> Result<Reply, Error> {
    let reply = match (known, unpacks) {
        (true, _) => Reply::not_modified(&page.tag),
        (_, true) => Reply::bytes(StatusCode::OK, page.packed()).header(CONTENT_ENCODING, "gzip"),
        _ => Reply::bytes(StatusCode::OK, page.plain().await?),
    };
    let kept = if page.is_eternal { ETERNAL } else { "private, must-revalidate" };
    let reply = reply.etag(&page.tag).header(VARY, "Accept-Encoding").header(CACHE_CONTROL, kept);
    Ok(reply.header(CONTENT_TYPE, page.media))
}

/// How long browsers may keep what never changes under its name.
const ETERNAL: &str = "public, max-age=31536000, immutable";
/// What is said where the web interface would be.
const NO_SITE: &str = "Not found. Fauxton is not installed here: start settee with --fauxton DIR, where DIR holds its files.\n";
