//! What the server has: `_all_dbs`, `_dbs_info`, `_active_tasks`, `_uuids`, `_membership`. Looks into no
//! document; a single database is the business of `database`.

use std::sync::Arc;

use http::StatusCode;
use http::header::{CACHE_CONTROL, EXPIRES, PRAGMA};
use serde_json::{Value, json};
use settee_cluster::info::{ActiveTask, TaskKind};
use settee_cluster::{Db, DbMeta};
use settee_model::docid::DbName;

use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::database;
use crate::listing::Listing;
use crate::render::etag;
use crate::reply::{Reply, push_string};

/// Pieces of an answer are handed over when they have grown to this many bytes.
const PIECE: usize = 16 << 10;

/// `GET /_all_dbs`
pub async fn all_dbs(ctx: &mut Ctx) -> Result<Reply, Error> {
    let dbs = selected(ctx)?;
    let mut out = Vec::with_capacity(16 * dbs.len() + 2);
    out.push(b'[');
    for (at, db) in dbs.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        push_string(&mut out, db.name.as_str());
    }
    out.push(b']');
    let tag = etag::of_state(&[&out]);
    if ctx.etag_matches(&tag) {
        return Ok(Reply::not_modified(&tag));
    }
    Ok(Reply::json(StatusCode::OK, out).etag(&tag))
}

/// `GET /_dbs_info`
pub async fn dbs_info(ctx: &mut Ctx) -> Result<Reply, Error> {
    let names: Vec<_> = selected(ctx)?.iter().map(|db| Value::from(db.name.as_str())).collect();
    let tag = etag::of_state(&[Value::from(names.as_slice()).to_string().as_bytes()]);
    Ok(infos(ctx, names, false).etag(&tag))
}

/// `POST /_dbs_info`
pub async fn dbs_info_of(ctx: &mut Ctx) -> Result<Reply, Error> {
    let body = ctx.json_object().await?;
    let keys = match body.get("keys") {
        Some(Value::Array(keys)) => keys.clone(),
        Some(_) => return Err(Error::bad_request("`keys` member must be an array.")),
        None => return Err(Error::bad_request("`keys` member must exist.")),
    };
    if keys.len() > ctx.settings.max_dbs_info {
        return Err(Error::bad_request("too_many_keys"));
    }
    Ok(infos(ctx, keys, true))
}

/// Databases in the range that was asked for.
fn selected(ctx: &Ctx) -> Result<Vec<Arc<DbMeta>>, Error> {
    let listing = Listing::from_query(&ctx.query)?;
    listing.check()?;
    if listing.keys.as_ref().is_some_and(|keys| keys.len() != 1) {
        return Err(Error::bad_request("`keys` are not supported here."));
    }
    let text = |key: &Option<Value>| {
        // A key that is no string sorts before every name.
        key.as_ref().map(|key| key.as_str().unwrap_or_default().to_owned())
    };
    let (start, end) = (text(&listing.start), text(&listing.end));
    let (low, high) = if listing.descending { (&end, &start) } else { (&start, &end) };
    let within = |name: &str| {
        low.as_deref().is_none_or(|low| name >= low)
            && high.as_deref().is_none_or(|high| name <= high)
            && (listing.inclusive_end || end.as_deref() != Some(name))
    };
    let dbs = ctx.app.cluster.all_dbs();
    let found = dbs.iter().filter(|(name, _)| within(name.as_str())).map(|(_, db)| db.clone());
    let skip = usize::try_from(listing.skip).unwrap_or(usize::MAX);
    let limit = listing.limit.and_then(|limit| limit.try_into().ok()).unwrap_or(usize::MAX);
    Ok(if listing.descending {
        found.rev().skip(skip).take(limit).collect()
    } else {
        found.skip(skip).take(limit).collect()
    })
}

/// One row for each name; those that are gone are left out, or named if they were asked for.
fn infos(ctx: &Ctx, names: Vec<Value>, name_missing: bool) -> Reply {
    let cluster = ctx.app.cluster.clone();
    Reply::json_stream(StatusCode::OK, |mut sink| async move {
        let mut out = vec![b'['];
        let mut first = true;
        for name in names {
            let db = name.as_str().and_then(|name| cluster.db(&DbName::trusted(name)).ok());
            let info = match &db {
                Some(db) => info(db).await,
                None => None,
            };
            if info.is_none() && !name_missing {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            let row = match info {
                Some(info) => json!({"key": name, "info": info}),
                None => json!({"key": name, "error": "not_found"}),
            };
            out.extend_from_slice(row.to_string().as_bytes());
            if out.len() > PIECE {
                sink.send(std::mem::take(&mut out)).await;
            }
        }
        out.extend_from_slice(b"]\n");
        sink.send(out).await;
        Ok(())
    })
}

async fn info(db: &Db) -> Option<Value> {
    db.info().await.ok().map(|info| database::info_json(db, &info))
}

/// `GET /_active_tasks`
pub async fn active_tasks(ctx: &mut Ctx) -> Result<Reply, Error> {
    let tasks: Vec<_> = ctx.app.cluster.active_tasks().iter().map(task_json).collect();
    Ok(Reply::json(StatusCode::OK, Value::from(tasks).to_string()))
}

fn task_json(task: &ActiveTask) -> Value {
    let progress = match task.total_changes {
        0 => 100,
        total => (task.changes_done.saturating_mul(100) / total).min(100),
    };
    let mut json = json!({
        "node": task.node,
        "pid": "<0.0.0>",
        "changes_done": task.changes_done,
        "database": task.database,
        "progress": progress,
        "started_on": task.started_on,
        "total_changes": task.total_changes,
        "updated_on": task.updated_on,
    });
    let own = match &task.kind {
        TaskKind::Compaction => json!({"type": "database_compaction", "phase": "document_copy"}),
        TaskKind::Indexer { design_document } => json!({
            "type": "indexer",
            "design_document": design_document,
            "indexer_pid": "<0.0.0>",
        }),
    };
    if let (Some(json), Value::Object(own)) = (json.as_object_mut(), own) {
        json.extend(own);
    }
    json
}

/// `GET /_uuids`
pub async fn uuids(ctx: &mut Ctx) -> Result<Reply, Error> {
    let not_positive = || Error::bad_request("count must be a positive integer");
    let count: i64 = match ctx.query.get("count") {
        None => 1,
        Some(text) => text.parse().map_err(|_| not_positive())?,
    };
    let count = u64::try_from(count).map_err(|_| not_positive())?;
    if count > ctx.settings.max_uuids {
        return Err(Error::bad_request("count parameter too large"));
    }
    let uuids: Vec<String> = (0..count).map(|_| ctx.new_uuid()).collect();
    let body = json!({ "uuids": uuids }).to_string();
    let tag = etag::of_state(&[body.as_bytes()]);
    // Nobody may get the same ones again from a cache.
    Ok(Reply::json(StatusCode::OK, body)
        .etag(&tag)
        .header(CACHE_CONTROL, "no-cache")
        .header(EXPIRES, "Mon, 01 Jan 1990 00:00:00 GMT")
        .header(PRAGMA, "no-cache"))
}

/// `GET /_membership`
pub async fn membership(ctx: &mut Ctx) -> Result<Reply, Error> {
    let members = ctx.app.cluster.members();
    let body = json!({"all_nodes": members.all_nodes, "cluster_nodes": members.cluster_nodes});
    Ok(Reply::json(StatusCode::OK, body.to_string()))
}
