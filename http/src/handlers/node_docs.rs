//! `/_node/_local/_nodes/…` and `/_node/_local/_dbs/…`: what CouchDB keeps in databases of each
//! node, and settee in its metadata, shown as documents. Nodes are added and removed through them. Shards
//! are never moved by them.

use http::StatusCode;
use http::header::{ETAG, LOCATION};
use serde_json::{Map, Value, json};
use settee_cluster::DbMeta;
use settee_model::docid::DbName;

use crate::context::Ctx;
use crate::error::Error;
use crate::listing;
use crate::percent::push_segment;
use crate::reply::Reply;
use crate::route::Method;

/// Revisions of a document without members, and of its deletion.
const FIRST: &str = "1-967a00dff5e02add41819138abb3284d";
const DELETED: &str = "2-eec205a9d413992850a6e32678485900";

/// Anything under `_nodes`.
///
/// # Errors
/// 404 for nodes that are not members, 409 for a wrong revision, 400 for a node that cannot join.
pub async fn nodes(ctx: &mut Ctx, path: &[&str]) -> Result<Reply, Error> {
    let members = ctx.app.cluster.members().cluster_nodes;
    match (ctx.method, path) {
        (Method::Get, []) => Ok(info("_nodes", members.len())),
        (Method::Get, ["_all_docs"]) => {
            let rows = members.iter().map(|name| (name.clone(), FIRST.to_owned()));
            Ok(all_docs(rows.collect()))
        }
        (Method::Get, [name]) if members.iter().any(|member| member == name) => {
            let doc = json!({"_id": name, "_rev": FIRST});
            Ok(Reply::json(StatusCode::OK, doc.to_string()).header(ETAG, &format!("\"{FIRST}\"")))
        }
        (Method::Put, [name]) => add(ctx, name).await,
        (Method::Delete, [name]) if members.iter().any(|member| member == name) => {
            if ctx.query.get("rev") != Some(FIRST) {
                return Err(Error::Conflict);
            }
            ctx.app.cluster.remove_node(name).await?;
            Ok(saved(name, DELETED, StatusCode::OK))
        }
        (Method::Get | Method::Delete, [_]) => Err(Error::missing()),
        _ => Err(Error::MethodNotAllowed("DELETE,GET,PUT")),
    }
}

async fn add(ctx: &mut Ctx, name: &str) -> Result<Reply, Error> {
    let body = ctx.body.json().await?;
    let doc = listing::object(&body)?;
    if name.split_once('@').is_none_or(|(_, host)| host.is_empty()) {
        return Err(Error::bad_request("A node's name is `name@host`."));
    }
    // At the usual port, unless the document says another.
    let address = doc.get("mesh").and_then(Value::as_str).unwrap_or(name);
    ctx.app.cluster.add_node(address).await?;
    let mut path = String::from("/_nodes/");
    push_segment(&mut path, name);
    Ok(saved(name, FIRST, StatusCode::CREATED).header(LOCATION, &ctx.absolute_uri(&path)))
}

/// Anything under `_dbs`.
///
/// # Errors
/// 404 for databases that are not there, 501 for changes: shards are not moved by hand.
pub async fn dbs(ctx: &mut Ctx, path: &[&str]) -> Result<Reply, Error> {
    let all = ctx.app.cluster.all_dbs();
    match (ctx.method, path) {
        (Method::Get, []) => Ok(info("_dbs", all.len())),
        (Method::Get, ["_all_docs"]) => {
            let rows =
                all.values().map(|meta| (meta.name.as_str().to_owned(), shards(ctx, meta).1));
            Ok(all_docs(rows.collect()))
        }
        (Method::Get, name) => {
            let meta = all.get(&DbName::trusted(&name.join("/")));
            let (doc, rev) = shards(ctx, meta.ok_or_else(Error::missing)?);
            Ok(Reply::json(StatusCode::OK, doc.to_string()).header(ETAG, &format!("\"{rev}\"")))
        }
        (Method::Put | Method::Delete, [_, ..]) => Err(Error::NotImplemented),
        _ => Err(Error::MethodNotAllowed("DELETE,GET,PUT")),
    }
}

/// A database's document, and its revision.
fn shards(ctx: &Ctx, meta: &DbMeta) -> (Value, String) {
    let (mut by_node, mut by_range) = (Map::new(), Map::new());
    let mut changelog = Vec::new();
    for place in &meta.shards {
        let names = ctx.app.cluster.names(&place.nodes);
        for name in &names {
            changelog.push(json!(["add", place.range, name]));
            let ranges = by_node.entry(name.as_str()).or_insert_with(|| json!([]));
            if let Some(ranges) = ranges.as_array_mut() {
                ranges.push(json!(place.range));
            }
        }
        by_range.insert(place.range.clone(), json!(names));
    }
    let suffix: Vec<u8> = format!(".{}", meta.created).into_bytes();
    let props = if meta.partitioned { json!({"partitioned": true}) } else { json!({}) };
    let digest = blake3::hash(json!([suffix, by_range]).to_string().as_bytes()).to_hex();
    let rev = format!("1-{}", digest.get(..32).unwrap_or_default());
    let doc = json!({
        "_id": meta.name.as_str(),
        "_rev": rev,
        "shard_suffix": suffix,
        "changelog": changelog,
        "by_node": by_node,
        "by_range": by_range,
        "props": props,
    });
    (doc, rev)
}

fn info(name: &str, documents: usize) -> Reply {
    let body = json!({"db_name": name, "doc_count": documents, "doc_del_count": 0, "props": {}});
    Reply::json(StatusCode::OK, body.to_string())
}

fn all_docs(rows: Vec<(String, String)>) -> Reply {
    let row = |(id, rev): &(String, String)| json!({"id": id, "key": id, "value": {"rev": rev}});
    let rows: Vec<Value> = rows.iter().map(row).collect();
    let body = json!({"total_rows": rows.len(), "offset": 0, "rows": rows});
    Reply::json(StatusCode::OK, body.to_string())
}

fn saved(name: &str, rev: &str, status: StatusCode) -> Reply {
    let body = json!({"ok": true, "id": name, "rev": rev});
    Reply::json(status, body.to_string()).header(ETAG, &format!("\"{rev}\""))
}
