//! `/_session`: log in for a cookie, see who one is, log out. Never judges a password (`auth` does) and
//! remembers no session: the cookie is all there is of it.

use http::StatusCode;
use http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use serde_json::Value;

use crate::auth::{Proof, cookie, session_cookie, unix_time};
use crate::context::Ctx;
use crate::error::Error;
use crate::query::Query;
use crate::reply::{Reply, push_string};

/// `GET`
///
/// # Errors
/// 401 if `basic=true` asks for a login and there is none.
pub async fn get(ctx: &mut Ctx) -> Result<Reply, Error> {
    let user = &ctx.user;
    if user.name.is_none() && ctx.query.is_true("basic") {
        return Err(Error::Unauthorized("Please login.".into()));
    }
    let mut out = b"{\"ok\":true,\"userCtx\":{\"name\":".to_vec();
    push_name_and_roles(&mut out, user.name.as_deref(), &user.roles);
    out.extend_from_slice(b"},\"info\":{\"authentication_handlers\":");
    push_list(&mut out, ctx.settings.auth.handlers.iter().map(|handler| handler.name()));
    if let Some(handler) = user.handler {
        out.extend_from_slice(b",\"authenticated\":");
        push_string(&mut out, handler);
    }
    // Said only if it stands in exactly this section.
    if let Some(db) = ctx.app.config.now().raw("chttpd_auth", "authentication_db") {
        out.extend_from_slice(b",\"authentication_db\":");
        push_string(&mut out, db);
    }
    out.extend_from_slice(b"}}");
    Ok(Reply::json(StatusCode::OK, out))
}

fn push_name_and_roles(out: &mut Vec<u8>, name: Option<&str>, roles: &[String]) {
    match name {
        Some(name) => push_string(out, name),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"roles\":");
    push_list(out, roles.iter().map(String::as_str));
}

fn push_list<'a>(out: &mut Vec<u8>, items: impl Iterator<Item = &'a str>) {
    out.push(b'[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, item);
    }
    out.push(b']');
}

/// `POST`
///
/// # Errors
/// 400 and 415 for bodies without credentials. Wrong ones are an answer, which takes an old cookie
/// back.
pub async fn post(ctx: &mut Ctx) -> Result<Reply, Error> {
    let Credentials { name, password, token } = credentials(ctx).await?;
    let settings = ctx.settings.clone();
    let proof = Proof { password: &password, token: Some(&token) };
    let checked = ctx.app.accounts.check(&settings, &name, proof, ctx.peer).await;
    let account = match checked {
        Ok(account) => account,
        Err(error @ Error::Unauthorized(_)) => {
            let mut reply = Reply::from(error);
            if let Some(target) = ctx.query.get("fail") {
                reply = redirect(ctx, reply, target)?;
            }
            return Ok(logged_out(ctx, reply));
        }
        Err(error) => return Err(error),
    };
    let settings = match settings.auth.secrets.current() {
        Some(_) => settings,
        None => {
            ctx.app.make_secret().await?;
            ctx.app.settings()
        }
    };
    let mut out = b"{\"ok\":true,\"name\":".to_vec();
    push_name_and_roles(&mut out, Some(&name), &account.by_cookie.roles);
    out.push(b'}');
    let mut reply = Reply::json(StatusCode::OK, out);
    if let Some(target) = ctx.query.get("next") {
        reply = redirect(ctx, reply, target)?;
    }
    let cookie = session_cookie(&settings, &account, unix_time(), ctx.is_secure());
    Ok(cookie.into_iter().fold(reply, |reply, cookie| reply.header(SET_COOKIE, &cookie)))
}

/// `DELETE`
///
/// # Errors
/// 400 for a `next` that is no path.
pub async fn delete(ctx: &mut Ctx) -> Result<Reply, Error> {
    let mut reply = Reply::ok(StatusCode::OK);
    if let Some(target) = ctx.query.get("next") {
        reply = redirect(ctx, reply, target)?;
    }
    Ok(logged_out(ctx, reply))
}

fn logged_out(ctx: &Ctx, reply: Reply) -> Reply {
    let dress = &ctx.settings.auth.cookie;
    reply.header(SET_COOKIE, &cookie::set_cookie("", unix_time(), dress, ctx.is_secure()))
}

/// Sends a browser on to another page of this server, and of no other.
fn redirect(ctx: &Ctx, mut reply: Reply, target: &str) -> Result<Reply, Error> {
    if !target.starts_with('/') || target.starts_with("//") {
        return Err(Error::bad_request("path must begin with a /."));
    }
    // Who writes a line break there means a header of their own.
    let encoded = |char: char| match char.is_ascii_control() {
        true => format!("%{:02X}", u32::from(char)),
        false => char.to_string(),
    };
    let target: String = target.chars().map(encoded).collect();
    reply.status = StatusCode::FOUND;
    Ok(reply.header(LOCATION, &ctx.absolute_uri(&target)))
}

/// Most bytes of a login. Strangers send these, and what they send is held in memory.
const MOST: u64 = 64 << 10;

/// What somebody logs in with. What was not sent is empty, and matches nothing.
struct Credentials {
    name: String,
    password: String,
    /// A number of a second factor.
    token: String,
}

async fn credentials(ctx: &mut Ctx) -> Result<Credentials, Error> {
    ctx.body.limit_to(MOST);
    let media = ctx.header(&CONTENT_TYPE).unwrap_or_default().to_owned();
    let form = if media.starts_with("application/x-www-form-urlencoded") {
        let body = ctx.body.bytes().await?;
        Form::Query(Query::of_form(&String::from_utf8_lossy(&body)))
    } else if media.starts_with("application/json") {
        let body = ctx.body.json().await?;
        Form::Json(settee_model::json::value(&body).map_err(|_| Error::invalid_json())?)
    } else {
        let reason = "Content-Type must be 'application/x-www-form-urlencoded' or \
                      'application/json'";
        return Err(Error::BadContentType(reason.into()));
    };
    let name = match (form.get("username"), form.get("name")) {
        (None, None) => {
            return Err(Error::bad_request("request body must contain a username"));
        }
        (Some(username), Some(name)) if username != name => {
            return Err(Error::bad_request("request body contains different usernames"));
        }
        (Some(name), _) | (None, Some(name)) => name.to_owned(),
    };
    let said = |name: &str| form.get(name).unwrap_or_default().to_owned();
    Ok(Credentials { name, password: said("password"), token: said("token") })
}

/// What a login may be sent as.
enum Form {
    Query(Query),
    Json(Value),
}

impl Form {
    fn get(&self, name: &str) -> Option<&str> {
        match self {
            Form::Query(query) => query.get(name),
            Form::Json(object) => object.get(name)?.as_str(),
        }
    }
}
