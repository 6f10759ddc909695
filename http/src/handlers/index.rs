//! `_index`: indexes of Mango, which are views of design documents, listed, made and deleted. Never
//! builds one (the coordinator does), and never reads a definition (`query::mango` does).

use bytes::Bytes;
use http::StatusCode;
use serde_json::Value;
use settee_cluster::docs::{EditMode, OpenOptions, UpdateOptions};
use settee_cluster::{Db, Error as ClusterError};
use settee_model::doc::{AttEdit, AttSource, Attachment, DocEdit, StoredDoc};
use settee_model::docid::DocId;
use settee_model::json as stored;
use settee_model::rev::RevPath;
use settee_query::mango::{
    Change, MangoError, NewIndex, bulk_delete_response, parse_bulk_delete, take_from,
};

use super::{edit, enter_partition, find};
use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;
use crate::route::Method;

/// Whatever is under `_index`: `rest` is what follows.
pub async fn any(
    ctx: &mut Ctx,
    db: Db,
    partition: Option<String>,
    rest: Vec<String>,
) -> Result<Reply, Error> {
    enter_partition(ctx, &db, partition.as_deref())?;
    let words: Vec<&str> = rest.iter().map(String::as_str).collect();
    match (words.as_slice(), ctx.method) {
        ([], Method::Get) => list(ctx, &db).await,
        ([], Method::Post) => create(ctx, &db).await,
        ([], _) => Err(Error::MethodNotAllowed("GET,POST")),
        (["_bulk_delete"], Method::Post) => bulk_delete(ctx, &db).await,
        (["_bulk_delete"], _) => Err(Error::MethodNotAllowed("POST")),
        (["_design", ddoc, kind, name] | [ddoc, kind, name], Method::Delete) => {
            delete(ctx, &db, ddoc, kind, name).await
        }
        (["_design", _, _, _] | [_, _, _], _) => Err(Error::MethodNotAllowed("DELETE")),
        _ => Err(Error::missing()),
    }
}

async fn list(ctx: &Ctx, db: &Db) -> Result<Reply, Error> {
    let (limit, skip) = (ctx.query.get("limit"), ctx.query.get("skip"));
    answer(&db.indexes().await?.list(limit, skip)?)
}

async fn create(ctx: &mut Ctx, db: &Db) -> Result<Reply, Error> {
    let index = NewIndex::parse(&body(ctx).await?)?;
    let id = DocId::trusted(&index.ddoc);
    let ddoc = open(db, &id).await?;
    edit::check_id(ctx, db, &id)?;
    let change = index.put_into(ddoc.as_ref().map(|ddoc| &*ddoc.record.body))?;
    save(ctx, db, id, ddoc, &change, index.w).await?.map_err(|why| MangoError::not_saved(&why))?;
    answer(&index.response(&change))
}

async fn delete(ctx: &Ctx, db: &Db, ddoc: &str, kind: &str, name: &str) -> Result<Reply, Error> {
    let catalog = db.indexes().await?;
    let index = catalog.find(ddoc, kind, name).ok_or_else(Error::missing)?;
    let w = ctx.query.get("w").and_then(|w| w.parse().ok()).unwrap_or(2);
    let id = DocId::trusted(index.ddoc());
    let removed = remove(ctx, db, id, &[index.name()], w).await?;
    removed.map_err(|why| MangoError::not_saved(&why))?;
    Ok(Reply::ok(StatusCode::OK))
}

async fn bulk_delete(ctx: &mut Ctx, db: &Db) -> Result<Reply, Error> {
    let (ids, w) = parse_bulk_delete(&body(ctx).await?)?;
    let catalog = db.indexes().await?;
    let mut results = Vec::with_capacity(ids.len());
    for id in ids {
        let names: Vec<&str> = catalog.of_ddoc(&id).map(|index| index.name()).collect();
        let failed = match names.is_empty() {
            true => Some("not_found".to_owned()),
            false => remove(ctx, db, DocId::trusted(&id), &names, w).await?.err(),
        };
        results.push((id, failed));
    }
    answer(&bulk_delete_response(&results))
}

fn answer(value: &Value) -> Result<Reply, Error> {
    Ok(Reply::json(StatusCode::OK, value.to_string()))
}

async fn body(ctx: &mut Ctx) -> Result<Vec<u8>, Error> {
    ctx.require_json()?;
    Ok(stored::normalise(&ctx.body.json().await?, &find::limits(&ctx.settings))?)
}

async fn open(db: &Db, id: &DocId) -> Result<Option<StoredDoc>, Error> {
    match db.open_doc(id, OpenOptions::default()).await {
        Ok(opened) => Ok(Some(opened.doc)),
        Err(ClusterError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Takes indexes out of a design document. The inner error is that of the write.
async fn remove(
    ctx: &Ctx,
    db: &Db,
    id: DocId,
    names: &[&str],
    w: u64,
) -> Result<Result<(), String>, Error> {
    let Some(ddoc) = open(db, &id).await? else { return Ok(Err("not_found".into())) };
    let change = take_from(&ddoc.record.body, names.iter().copied())?;
    save(ctx, db, id, Some(ddoc), &change, w).await
}

/// Writes what has become of a design document. The inner error is that of the write.
async fn save(
    ctx: &Ctx,
    db: &Db,
    id: DocId,
    before: Option<StoredDoc>,
    change: &Change,
    w: u64,
) -> Result<Result<(), String>, Error> {
    let (deleted, body) = match change {
        Change::None => return Ok(Ok(())),
        Change::Write(body) => (false, Bytes::copy_from_slice(body)),
        Change::Delete => (true, Bytes::from_static(b"{}")),
    };
    let revs = before.as_ref().and_then(StoredDoc::rev).map(RevPath::single).unwrap_or_default();
    let atts = before.filter(|_| !deleted).map(|ddoc| ddoc.record.atts).unwrap_or_default();
    let atts = atts.into_iter().map(stub).collect();
    let edit = DocEdit { id, revs, deleted, body, atts };
    let w = Some(u32::try_from(w).unwrap_or(u32::MAX));
    let options = UpdateOptions { w, max_partition_size: ctx.settings.max_partition_size };
    let results = edit::submit(ctx, db, vec![edit], EditMode::Interactive, options).await?;
    let failed = results.into_iter().find_map(Result::err);
    Ok(failed.map_or(Ok(()), |error| Err(error.info().1.to_owned())))
}

fn stub(att: Attachment) -> AttEdit {
    let Attachment { name, content_type, revpos, .. } = att;
    AttEdit { name, content_type, revpos: Some(revpos), source: AttSource::Stub }
}
