//! `/_node/{node}` and `/_node/{node}/_config/…`: the configuration, for administrators. What a node
//! tells of itself is in `stats`, what lies under `_nodes` and `_dbs` in `node_docs`; other nodes are
//! asked by `elsewhere`.

use http::StatusCode;
use serde_json::Value;
use settee_model::config::table::{self, Closed};
use settee_model::docid::DbName;

use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::{elsewhere, node_docs, stats, welcome};
use crate::reply::{Reply, push_string};
use crate::route::Method;

/// Anything under `/_node`; `path` is what follows.
///
/// # Errors
/// 404 for unknown nodes and values, 400 for values that are none.
pub async fn any(ctx: &mut Ctx, path: Vec<String>) -> Result<Reply, Error> {
    let words: Vec<&str> = path.iter().map(String::as_str).collect();
    let [node, rest @ ..] = words.as_slice() else {
        return Err(Error::bad_request("Incomplete path to _node request"));
    };
    if ctx.method == Method::Post {
        ctx.require_no_other_page()?;
    }
    let own = ctx.app.cluster.node_name();
    match (*node, rest) {
        ("_local", []) => {
            let mut out = b"{\"name\":".to_vec();
            push_string(&mut out, own);
            out.push(b'}');
            Ok(Reply::json(StatusCode::OK, out))
        }
        (node, rest) if node == "_local" || node == own => here(ctx, rest).await,
        (node, rest) => {
            check(ctx.method, rest)?;
            elsewhere::ask(ctx, node, rest).await
        }
    }
}

/// Refuses what no node would do, before it is known whether there is such a node.
fn check(method: Method, path: &[&str]) -> Result<(), Error> {
    let allow = match path {
        ["_config"] | ["_versions" | "_stats" | "_prometheus" | "_system"] => "GET",
        ["_config", "_reload"] | ["_restart"] => "POST",
        ["_config", _] | ["_smoosh", "status"] => "GET",
        ["_config", _, _] => "GET,PUT,DELETE",
        ["_config", ..] => return Err(Error::missing()),
        _ => return Ok(()),
    };
    if !allow.split(',').any(|allowed| allowed == method.name()) {
        return Err(Error::MethodNotAllowed(allow));
    }
    let closed = |why: Closed| Error::Forbidden(why.to_string().into());
    match (path, method) {
        ([_, section, key], Method::Put) => table::may_set(section, key).map_err(closed),
        ([_, section, key], Method::Delete) => table::may_remove(section, key).map_err(closed),
        _ => Ok(()),
    }
}

/// What is asked of this node; `path` is what follows its name.
///
/// # Errors
/// 404 for unknown values, 400 for values that are none.
pub async fn here(ctx: &mut Ctx, path: &[&str]) -> Result<Reply, Error> {
    check(ctx.method, path)?;
    match path {
        [] => welcome::welcome(ctx).await,
        ["_config"] => Ok(whole(ctx)),
        ["_config", "_reload"] => {
            ctx.app.reload_config().await?;
            go_by_what_is_set(ctx);
            Ok(Reply::ok(StatusCode::OK))
        }
        ["_config", name] => {
            let mut out = Vec::new();
            push_section(&mut out, ctx, name);
            Ok(Reply::json(StatusCode::OK, out))
        }
        ["_config", section, key] => match ctx.method {
            Method::Get => value(ctx, section, key),
            Method::Put => put(ctx, section, key).await,
            Method::Delete => delete(ctx, section, key).await,
            _ => Err(Error::missing()),
        },
        ["_versions"] => Ok(stats::versions()),
        ["_stats", place @ ..] if ctx.method == Method::Get => Ok(stats::metrics(ctx, place)),
        ["_system"] => Ok(stats::system(ctx)),
        ["_prometheus"] => Ok(stats::prometheus(&ctx.app)),
        ["_smoosh", "status"] => Ok(stats::smoosh(ctx)),
        ["_restart"] => Ok(stats::restart(ctx)),
        ["_nodes", path @ ..] => node_docs::nodes(ctx, path).await,
        ["_dbs", path @ ..] => node_docs::dbs(ctx, path).await,
        // CouchDB looks for a file of the node's.
        [name, ..] if name.starts_with('_') || DbName::parse(name).is_err() => {
            Err(Error::IllegalDbName((*name).to_owned()))
        }
        _ => Err(Error::NotFound("no_db_file".into())),
    }
}

/// No node has this name.
pub fn unknown(node: &str) -> Error {
    Error::NotFound(format!("no such node: {node}").into())
}

/// Whether a setting is shown to administrators: what nodes prove to each other who they are with is
/// nobody's who asks over HTTP.
fn is_shown(section: &str, key: &str) -> bool {
    (section, key) != ("cluster", "secret")
}

fn whole(ctx: &Ctx) -> Reply {
    let config = ctx.app.config.now();
    let mut out = b"{".to_vec();
    for (index, name) in config.sections().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(&mut out, name);
        out.push(b':');
        push_section(&mut out, ctx, name);
    }
    out.push(b'}');
    Reply::json(StatusCode::OK, out)
}

fn push_section(out: &mut Vec<u8>, ctx: &Ctx, name: &str) {
    let config = ctx.app.config.now();
    let shown = config.section(name).filter(|(key, _)| is_shown(name, key));
    out.push(b'{');
    for (index, (key, value)) in shown.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        push_string(out, key);
        out.push(b':');
        push_string(out, value);
    }
    out.push(b'}');
}

fn value(ctx: &Ctx, section: &str, key: &str) -> Result<Reply, Error> {
    let config = ctx.app.config.now();
    let told = config.told(section, key).filter(|_| is_shown(section, key));
    told.map(text).ok_or_else(no_value)
}

/// What may stand around a value.
const BLANK: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];

async fn put(ctx: &mut Ctx, section: &str, key: &str) -> Result<Reply, Error> {
    let body = ctx.body.json().await?;
    let value = match settee_model::json::value(&body) {
        Ok(Value::String(value)) => value,
        Ok(_) => return Err(Error::bad_request("a JSON string expected")),
        Err(_) => return Err(Error::invalid_json()),
    };
    let persist = ctx.header("x-couch-persist") != Some("false");
    let old = ctx.app.set_config(section, key, value.trim_matches(BLANK), persist).await?;
    go_by_what_is_set(ctx);
    Ok(text(&old))
}

async fn delete(ctx: &mut Ctx, section: &str, key: &str) -> Result<Reply, Error> {
    let persist = ctx.header("x-couch-persist") != Some("false");
    let old = ctx.app.delete_config(section, key, persist).await?;
    go_by_what_is_set(ctx);
    old.as_deref().map(text).ok_or_else(no_value)
}

/// What was just set holds for the answer that says so, too.
fn go_by_what_is_set(ctx: &mut Ctx) {
    ctx.settings = ctx.app.settings();
}

fn text(value: &str) -> Reply {
    let mut out = Vec::with_capacity(value.len() + 3);
    push_string(&mut out, value);
    Reply::json(StatusCode::OK, out)
}

fn no_value() -> Error {
    Error::NotFound("unknown_config_value".into())
}
