//! [`respond`]: the way of one request through the house. Checks in CouchDB's order (the target,
//! then who asks, then what they may, then what there is), and dresses the answer with the headers
//! that all answers have. Never does the work of a route: that is `handlers`'.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use http::header::{ACCEPT, CONTENT_LENGTH, EXPECT, HOST, HeaderValue, LOCATION, SERVER};
use http::header::{HeaderName, SET_COOKIE, WWW_AUTHENTICATE, X_FRAME_OPTIONS};
use http::uri::Authority;
use http::{Request, Response, StatusCode};
use hyper::body::Incoming;

use crate::access::{self, Asked};
use crate::auth::authenticate;
use crate::body::{Length, RequestBody};
use crate::buffered;
use crate::context::{App, Ctx};
use crate::error::Error;
use crate::handlers::dispatch;
use crate::peer::{Asker, Peer, asker};
use crate::percent::{self, push_segment};
use crate::query::Query;
use crate::reply::{Reply, ReplyBody};
use crate::route::{Endpoint, Method, route};
use crate::stats::{OfRequest, stats};

/// Answers a request.
pub async fn respond(app: Arc<App>, peer: Peer, request: Request<Incoming>) -> Response<ReplyBody> {
    let began = Instant::now();
    let (head, body) = request.into_parts();
    let settings = app.settings();
    let Asker { peer, shown } = asker(settings.peer_header.as_ref(), &head.headers, peer);
    let asked = access::wanted().then(|| Asked::new(&head, shown, began));
    let is_head = head.method == http::Method::HEAD;
    let (most, patience) = (settings.max_http_request_size, app.patience.body);
    let body = RequestBody::from_wire(&head.headers, body, most, patience);
    let mut ctx = Ctx {
        user: app.accounts.nobody(),
        app,
        settings,
        method: method(&head),
        head: is_head,
        uri: head.uri,
        headers: head.headers,
        query: Query::default(),
        body,
        rewrites: 0,
        peer,
    };
    let (mut refresh, mut counted) = (None, OfRequest::default());
    let mut reply = match preflight(&ctx) {
        Some(reply) => reply,
        None => answered(&mut ctx, &mut refresh, &mut counted).await,
    };
    let id = request_id();
    dress(&ctx, &mut reply, refresh, &id);
    stats().count_request(head.method.as_str(), counted, reply.status, began);
    if let Some(asked) = asked {
        asked.follow(&mut reply, &ctx.user, id.to_str().unwrap_or_default());
    }
    reply.into()
}

/// The method that is meant: a `POST` may name another, for clients that know no more.
fn method(head: &http::request::Parts) -> Method {
    if head.method == http::Method::POST {
        let meant = head.headers.get("x-http-method-override");
        if let Some(meant) = meant.and_then(|value| value.to_str().ok()) {
            return match Method::parse(meant) {
                Method::Options | Method::Other => Method::Post,
                method => method,
            };
        }
    }
    Method::parse(head.method.as_str())
}

/// What a browser is told that asks for a page whether it may ask: it sends no credentials for that,
/// so this comes before anybody is asked who they are.
fn preflight(ctx: &Ctx) -> Option<Reply> {
    let cors = ctx.settings.cors.as_ref().filter(|_| ctx.method == Method::Options)?;
    check_target(ctx).ok()?;
    let mut reply = Reply::empty(StatusCode::NO_CONTENT);
    reply.headers = cors.preflight(ctx.host(), &ctx.headers)?;
    Some(reply)
}

async fn answered(ctx: &mut Ctx, refresh: &mut Option<String>, counted: &mut OfRequest) -> Reply {
    let result = run(ctx, refresh, counted).await;
    make_room(ctx).await;
    let mut reply = result.unwrap_or_else(|error| refusal(ctx, error));
    if let Some(cors) = &ctx.settings.cors {
        cors.allow(ctx.host(), &ctx.headers, &mut reply.headers);
    }
    reply
}

/// A design document may make another request of one: that is answered as if it had just come.
async fn run(
    ctx: &mut Ctx,
    refresh: &mut Option<String>,
    counted: &mut OfRequest,
) -> Result<Reply, Error> {
    loop {
        let endpoint = find(ctx)?;
        *counted = OfRequest::new(&endpoint, ctx.method);
        let asked = (&endpoint, ctx.method);
        let identity =
            authenticate(&ctx.app.accounts, &ctx.settings, &ctx.headers, ctx.peer, asked).await?;
        ctx.user = identity.user;
        if ctx.user.name.is_none() {
            ctx.body.hurry(ctx.app.patience.stranger);
        }
        *refresh = identity.refresh;
        let before = ctx.rewrites;
        let reply = handled(ctx, endpoint).await?;
        if ctx.rewrites != before {
            continue;
        }
        return match buffered::wanted(ctx, &reply) {
            true => buffered::buffered(reply).await,
            false if ctx.head => Ok(reply),
            false => reply.begun().await,
        };
    }
}

/// On the heap, and without its type: the ways of all requests are long and wide, and the connection
/// need not know them.
fn handled(
    ctx: &mut Ctx,
    endpoint: Endpoint,
) -> Pin<Box<dyn Future<Output = Result<Reply, Error>> + Send + '_>> {
    Box::pin(dispatch(ctx, endpoint))
}

fn check_target(ctx: &Ctx) -> Result<(), Error> {
    if let Some(hosts) = &ctx.settings.hosts {
        let host = ctx.header(&HOST);
        hosts.check(host.or_else(|| ctx.uri.authority().map(Authority::as_str)))?;
    }
    let target = ctx.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    if ctx.settings.max_uri_length.is_some_and(|most| target.len() > most) {
        return Err(Error::UriTooLong);
    }
    if !percent::is_sound(target) {
        return Err(Error::bad_request("invalid_url_encoding"));
    }
    Ok(())
}

fn find(ctx: &mut Ctx) -> Result<Endpoint, Error> {
    check_target(ctx)?;
    ctx.query = ctx.uri.query().map(Query::parse).transpose()?.unwrap_or_default();
    Ok(route(ctx.method, ctx.uri.path(), ctx.settings.plus))
}

/// Reads the rest of a small body that nobody wanted, so that the connection can be used again. Who
/// waits for leave to send it is spared that.
async fn make_room(ctx: &mut Ctx) {
    let small = match ctx.body.length() {
        Length::None => false,
        Length::Known(length) => length <= 1 << 20 && ctx.body.came() < length,
        Length::Chunked => true,
    };
    if small && !ctx.headers.contains_key(EXPECT) {
        ctx.body.drain().await;
    }
}

/// An error as an answer. Who must log in is told how, in the way they asked for: a header for
/// programs, another page for browsers.
fn refusal(ctx: &Ctx, error: Error) -> Reply {
    let settings = &ctx.settings;
    let login = error.info().0 == StatusCode::UNAUTHORIZED;
    let reason = if login { error.info().2.into_owned() } else { String::new() };
    let mut reply = Reply::from(error);
    if !login {
        return reply;
    }
    let asked = ctx.headers.get("x-couchdb-www-authenticate").cloned();
    let told = settings.www_authenticate.as_deref().map(HeaderValue::from_str);
    let basic = HeaderValue::from_static("Basic realm=\"server\"");
    let wanted = settings.auth.require_valid_user.then_some(basic);
    if let Some(value) = asked.or(told.and_then(Result::ok)).or(wanted) {
        reply.headers.insert(WWW_AUTHENTICATE, value);
        return reply;
    }
    let accept = ctx.header(&ACCEPT).map_or(Cow::Borrowed("*/*"), Cow::Borrowed);
    let accepts = |media: &[&str]| {
        let mut ranges = accept.split(',').map(|range| range.split(';').next().unwrap_or(""));
        ranges.any(|range| media.contains(&range.trim()))
    };
    let program = accepts(&["*/*", "application/*", "application/json"]);
    if !program && accepts(&["text/*", "text/html"]) {
        let mut target = format!("{}?return=", settings.authentication_redirect);
        push_segment(&mut target, ctx.uri.path());
        target.push_str("&reason=");
        push_segment(&mut target, &reason);
        reply.status = StatusCode::FOUND;
        return reply.header(LOCATION, &ctx.absolute_uri(&target));
    }
    reply
}

const REQUEST_ID: HeaderName = HeaderName::from_static("x-couch-request-id");
const BODY_TIME: HeaderName = HeaderName::from_static("x-couchdb-body-time");

/// Gives an answer the headers that all have, and `HEAD` no body.
fn dress(ctx: &Ctx, reply: &mut Reply, refresh: Option<String>, id: &HeaderValue) {
    let headers = &mut reply.headers;
    headers.insert(SERVER, ctx.settings.server_header.clone());
    headers.insert(REQUEST_ID, id.clone());
    let waited = ctx.body.time_spent().as_millis();
    headers.insert(BODY_TIME, HeaderValue::from(u64::try_from(waited).unwrap_or(u64::MAX)));
    if let Some(cookie) = refresh.filter(|_| !headers.contains_key(SET_COOKIE))
        && let Ok(cookie) = HeaderValue::from_str(&cookie)
    {
        headers.insert(SET_COOKIE, cookie);
    }
    if let Some(frames) = &ctx.settings.frames {
        let own = ctx.host().map(|_| ctx.absolute_uri(""));
        if let Ok(told) = HeaderValue::from_str(&frames.told(own.as_deref())) {
            headers.insert(X_FRAME_OPTIONS, told);
        }
    }
    ctx.settings.few.keep(&ctx.headers, headers);
    if reply.status == StatusCode::NOT_MODIFIED {
        say_that_nothing_follows(reply);
    }
    if ctx.head {
        if let Some(length) = reply.body.length() {
            reply.headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        reply.body = ReplyBody::Full(bytes::Bytes::new());
    }
}

/// `Content-Length: 0`, on which clients of CouchDB rely. The connection writes it only before a
/// body that has not ended yet.
fn say_that_nothing_follows(reply: &mut Reply) {
    reply.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    reply.body = Reply::stream(reply.status, Some(0), |_| async { Ok(()) }).body;
}

/// Ten digits that tell requests apart in logs. Not secret, so a counter that is stirred will do.
fn request_id() -> HeaderValue {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    static SEED: std::sync::LazyLock<u64> =
        std::sync::LazyLock::new(|| u64::from_ne_bytes(crate::random::bytes()));
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let mut stirred = SEED.wrapping_add(count.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    stirred = (stirred ^ (stirred >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    stirred = (stirred ^ (stirred >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    let mut digits = [0; 10];
    for (at, digit) in digits.iter_mut().enumerate() {
        let value = (stirred >> (4 * at) & 15) as u32;
        *digit = char::from_digit(value, 16).map_or(b'0', |digit| digit as u8);
    }
    HeaderValue::from_bytes(&digits).unwrap_or(HeaderValue::from_static("0000000000"))
}
