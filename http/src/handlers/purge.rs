//! `_purge` and `_purged_infos`. Looks how much is asked at once, and purges nothing itself: shards do.

use http::StatusCode;
use serde_json::{Map, Value, json};
use settee_cluster::Db;
use settee_cluster::docs::UpdateOptions;

use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::edit::check_place;
use crate::handlers::revs::{id_revs, texts};
use crate::reply::Reply;
use crate::stats::{Counter, stats};
use crate::users::Written;

/// `POST /{db}/_purge`
pub async fn post(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let requests = id_revs(&ctx.json_object().await?)?;
    if requests.len() > ctx.settings.max_purge_ids {
        return Err(Error::bad_request("Exceeded maximum number of documents."));
    }
    if requests.iter().map(|request| request.revs.len()).sum::<usize>()
        > ctx.settings.max_purge_revs
    {
        return Err(Error::bad_request("Exceeded maximum number of revisions."));
    }
    requests.iter().try_for_each(|request| check_place(&db, &request.id))?;
    let ids: Vec<_> = requests.iter().map(|request| request.id.as_str().to_owned()).collect();
    let w = ctx.query.get("w").and_then(|w| w.parse().ok());
    let written = Written::of(ctx, &db, requests.iter().map(|request| &request.id));
    let results = db.purge(requests, UpdateOptions { w, ..UpdateOptions::default() }).await?;
    drop(written);
    let purged = results.iter().filter(|result| result.result.is_ok()).count() as u64;
    stats().add(Counter::DocumentPurges, results.len() as u64);
    stats().add(Counter::DocumentPurged, purged);
    stats().add(Counter::DocumentNotPurged, results.len() as u64 - purged);
    let mut status = StatusCode::CREATED;
    let mut purged = Map::new();
    for (id, result) in ids.into_iter().zip(results) {
        let row = match result.result {
            Ok(revs) => json!(texts(&revs)),
            Err(error) => {
                let error = Error::from(error);
                let (code, name, reason) = error.info();
                status = code;
                json!({"error": name, "reason": reason})
            }
        };
        if result.accepted && status == StatusCode::CREATED {
            status = StatusCode::ACCEPTED;
        }
        purged.insert(id, row);
    }
    let body = json!({"purge_seq": null, "purged": Value::Object(purged)});
    Ok(Reply::json(status, body.to_string()))
}

/// `GET /{db}/_purged_infos`
pub async fn infos(_ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let mut infos = db.purged_infos().await?;
    for info in &mut infos {
        info.revs.sort();
        info.revs.dedup();
    }
    infos.sort_by(|a, b| (&a.id, &a.revs).cmp(&(&b.id, &b.revs)));
    infos.dedup();
    let rows: Vec<_> = infos
        .iter()
        .map(|info| json!({"id": info.id.as_str(), "revs": texts(&info.revs)}))
        .collect();
    Ok(Reply::json(StatusCode::OK, json!({ "purged_infos": rows }).to_string()))
}
