//! A database as a whole: `/{db}` itself, its security object, limits, shards and upkeep. Never decides
//! where shards lie (the coordinator does), and lists no databases (`lists` does).

use std::time::Instant;

use http::StatusCode;
use http::header::LOCATION;
use serde_json::{Map, Value, json};
use settee_cluster::info::DbInfo;
use settee_cluster::{CreateOptions, Db, ShardPlace, Written};
use settee_model::docid::{DbName, DocId};
use settee_model::{json as stored, partition};

use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::{edit, view};
use crate::percent::push_segment;
use crate::reply::Reply;
use crate::stats::{Distribution, stats};
use crate::users::is_of_logins;
use crate::{layout, listing};

/// `PUT /{db}`
pub async fn create(ctx: &mut Ctx, name: String) -> Result<Reply, Error> {
    let options = create_options(ctx)?;
    // There it is, for `_node/_local/_dbs`.
    if name == "_dbs" {
        return Err(Error::DbExists);
    }
    let name = DbName::parse(&name).map_err(|_| Error::IllegalDbName(name))?;
    if options.partitioned && name.as_str().starts_with('_') {
        return Err(Error::bad_request("Cannot partition a system database"));
    }
    name.check_length().map_err(|too_long| Error::DbNameTooLong(too_long.0))?;
    if name.has_empty_part() {
        return Err(Error::IllegalDbName(name.as_str().to_owned()));
    }
    let written = ctx.app.cluster.create_db(&name, options).await?;
    let mut path = String::from("/");
    push_segment(&mut path, name.as_str());
    Ok(Reply::ok(status(written, StatusCode::CREATED)).header(LOCATION, &ctx.absolute_uri(&path)))
}

fn status(written: Written, done: StatusCode) -> StatusCode {
    match written {
        Written::Created => done,
        Written::Accepted => StatusCode::ACCEPTED,
    }
}

fn create_options(ctx: &Ctx) -> Result<CreateOptions, Error> {
    let query = &ctx.query;
    let count = |name| query.get(name).map(|text| layout::count(name, text)).transpose();
    // In the order in which CouchDB finds fault with them.
    let (n, q) = (count("n")?, count("q")?);
    let placement = query.get("placement").map(layout::placement).transpose()?;
    if query.get("engine").is_some_and(|engine| engine != "couch") {
        return Err(Error::bad_request("invalid_engine_extension"));
    }
    let partitioned = match query.get("partitioned") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return Err(Error::bad_request("Invalid `partitioned` parameter")),
    };
    let placement = placement.map(str::to_owned);
    let security = Some(ctx.settings.default_security.clone());
    Ok(CreateOptions { q, n, partitioned, placement, security })
}

/// `DELETE /{db}`
pub async fn remove(ctx: &mut Ctx, name: String) -> Result<Reply, Error> {
    if ctx.query.get("rev").is_some() {
        return Err(Error::bad_request(
            "You tried to DELETE a database with a ?=rev parameter. Did you mean to DELETE a document instead?",
        ));
    }
    let written = ctx.app.cluster.delete_db(&DbName::trusted(&name)).await?;
    Ok(Reply::ok(status(written, StatusCode::OK)))
}

/// `GET /{db}`
pub async fn info(_ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let began = Instant::now();
    let info = db.info().await?;
    stats().took(Distribution::DbInfo, began, Instant::now());
    Ok(Reply::json(StatusCode::OK, info_json(&db, &info).to_string()))
}

/// What `GET /{db}` answers, also for the rows of `_dbs_info`.
#[must_use]
pub fn info_json(db: &Db, info: &DbInfo) -> Value {
    let meta = db.meta();
    let props = if meta.partitioned { json!({"partitioned": true}) } else { json!({}) };
    json!({
        "instance_start_time": meta.created.to_string(),
        "db_name": db.name().as_str(),
        "purge_seq": info.purge_seq,
        "update_seq": info.update_seq,
        "sizes": {
            "file": info.sizes.file,
            "external": info.sizes.external,
            "active": info.sizes.active,
        },
        "props": props,
        "doc_del_count": info.doc_del_count,
        "doc_count": info.doc_count,
        "disk_format_version": info.disk_format_version,
        "compact_running": info.compact_running,
        "cluster": {"q": meta.q, "n": meta.n, "w": info.w, "r": info.r},
    })
}

/// `GET /{db}/_partition/{partition}`
pub async fn partition(_ctx: &mut Ctx, db: Db, partition: String) -> Result<Reply, Error> {
    partition::check(&partition)?;
    if !db.meta().partitioned {
        return Err(Error::bad_request("database is not partitioned"));
    }
    let info = db.partition_info(&partition).await?;
    let body = json!({
        "db_name": db.name().as_str(),
        "sizes": {"active": info.sizes.active, "external": info.sizes.external},
        "partition": partition,
        "doc_count": info.doc_count,
        "doc_del_count": info.doc_del_count,
    });
    Ok(Reply::json(StatusCode::OK, body.to_string()))
}

/// `GET /{db}/_security`
pub async fn security(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let meta = db.meta();
    let security = meta.security.as_ref().unwrap_or(&ctx.settings.default_security);
    Ok(Reply::json(StatusCode::OK, security.as_ref()))
}

/// `PUT /{db}/_security`
pub async fn set_security(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let body = ctx.body.json().await?;
    if is_of_logins(&ctx.settings, &db) && !ctx.settings.users_db_security_editable {
        let reason = "You can't edit the security object of the user database.";
        return Err(Error::Forbidden(reason.into()));
    }
    check_security(&listing::object(&body)?)?;
    let text = stored::normalise(&body, &ctx.settings.json_limits())?;
    db.set_security(text.into()).await?;
    Ok(Reply::ok(StatusCode::OK))
}

/// `admins` and `members` (and `readers`, its older name) are objects; `names` and `roles` in
/// them are lists of strings.
fn check_security(security: &Value) -> Result<(), Error> {
    for group in ["admins", "members", "readers"] {
        let Some(group) = security.get(group) else { continue };
        let Value::Object(group) = group else {
            return Err(Error::bad_request("`admins` and `members` must be JSON objects."));
        };
        for (list, reason) in [
            ("names", "`names` must be a JSON list of strings"),
            ("roles", "`roles` must be a JSON list of strings"),
        ] {
            let is_texts = |list: &Value| {
                list.as_array().is_some_and(|list| list.iter().all(Value::is_string))
            };
            if !group.get(list).is_none_or(is_texts) {
                return Err(Error::bad_request(reason));
            }
        }
    }
    Ok(())
}

/// `GET /{db}/_revs_limit`
pub async fn revs_limit(_ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    Ok(Reply::json(StatusCode::OK, db.meta().revs_limit.to_string()))
}

/// `PUT /{db}/_revs_limit`
pub async fn set_revs_limit(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let limit = positive(ctx, "`revs_limit` must be positive integer").await?;
    db.set_revs_limit(limit).await?;
    Ok(Reply::ok(StatusCode::OK))
}

/// `GET /{db}/_purged_infos_limit`
pub async fn purged_infos_limit(_ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    Ok(Reply::json(StatusCode::OK, db.meta().purged_infos_limit.to_string()))
}

/// `PUT /{db}/_purged_infos_limit`
pub async fn set_purged_infos_limit(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let limit = positive(ctx, "`purged_infos_limit` must be positive integer").await?;
    db.set_purged_infos_limit(limit).await?;
    Ok(Reply::ok(StatusCode::OK))
}

async fn positive(ctx: &mut Ctx, reason: &'static str) -> Result<u32, Error> {
    let body = ctx.body.json().await?;
    let value: Value = settee_model::json::value(&body).map_err(|_| Error::invalid_json())?;
    match value.as_u64() {
        Some(limit) if limit > 0 => Ok(u32::try_from(limit).unwrap_or(u32::MAX)),
        _ => Err(Error::bad_request(reason)),
    }
}

/// `POST /{db}/_compact`
pub async fn compact(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    ctx.require_json()?;
    db.compact().await?;
    Ok(Reply::ok(StatusCode::ACCEPTED))
}

/// `POST /{db}/_compact/{ddoc}`
pub async fn compact_views(ctx: &mut Ctx, db: Db, ddoc: String) -> Result<Reply, Error> {
    ctx.require_json()?;
    let id = DocId::trusted(&format!("_design/{ddoc}"));
    let opened = db.open_doc(&id, Default::default()).await?;
    db.compact_views(&view::ddoc(&db, opened)).await?;
    Ok(Reply::ok(StatusCode::ACCEPTED))
}

/// `POST /{db}/_view_cleanup`
pub async fn view_cleanup(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    ctx.require_no_other_page()?;
    db.clean_up_views().await?;
    Ok(Reply::ok(StatusCode::ACCEPTED))
}

/// `POST /{db}/_search_cleanup` and `_nouveau_cleanup`: no index of that kind is ever made.
pub fn search_cleanup() -> Reply {
    Reply::ok(StatusCode::ACCEPTED)
}

/// `POST /{db}/_ensure_full_commit`
pub async fn ensure_full_commit(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    ctx.require_json()?;
    db.ensure_full_commit().await?;
    let started = db.meta().created.to_string();
    let body = json!({"ok": true, "instance_start_time": started});
    Ok(Reply::json(StatusCode::CREATED, body.to_string()))
}

/// `GET /{db}/_shards`
pub async fn shards(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let row = |place: &ShardPlace| (place.range.clone(), json!(nodes(ctx, place)));
    let shards: Map<String, Value> = db.meta().shards.iter().map(row).collect();
    Ok(Reply::json(StatusCode::OK, json!({ "shards": shards }).to_string()))
}

/// `GET /{db}/_shards/{docid}`
pub async fn shard_of(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    edit::need_partition(&db, &id)?;
    let place = db.shard_of(&id);
    let body = json!({"range": place.range, "nodes": nodes(ctx, &place)});
    Ok(Reply::json(StatusCode::OK, body.to_string()))
}

fn nodes(ctx: &Ctx, place: &ShardPlace) -> Vec<String> {
    ctx.app.cluster.names(&place.nodes)
}

/// `POST /{db}/_sync_shards`
pub async fn sync_shards(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    ctx.require_no_other_page()?;
    db.sync_shards().await?;
    Ok(Reply::ok(StatusCode::ACCEPTED))
}
