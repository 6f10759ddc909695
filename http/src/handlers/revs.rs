//! `_revs_diff` and `_missing_revs`: what a replicator lacks here. Compares names of revisions only:
//! reads no body and writes nothing.

use http::StatusCode;
use serde_json::{Map, Value, json};
use settee_cluster::Db;
use settee_cluster::docs::IdRevs;
use settee_model::docid::DocId;
use settee_model::rev::Rev;

use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::edit::check_place;
use crate::reply::Reply;

/// `POST /{db}/_revs_diff`
pub async fn revs_diff(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let asked = asked(ctx, &db).await?;
    let mut answer = Map::new();
    for diff in db.revs_diff(asked).await? {
        if diff.missing.is_empty() {
            continue;
        }
        let mut row = json!({"missing": texts(&diff.missing)});
        if !diff.possible_ancestors.is_empty()
            && let Some(row) = row.as_object_mut()
        {
            row.insert("possible_ancestors".into(), json!(texts(&diff.possible_ancestors)));
        }
        answer.insert(diff.id.as_str().to_owned(), row);
    }
    Ok(Reply::json(StatusCode::OK, Value::Object(answer).to_string()))
}

/// `POST /{db}/_missing_revs`
pub async fn missing_revs(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let asked = asked(ctx, &db).await?;
    let diffs = db.revs_diff(asked).await?;
    let missing: Map<String, Value> = diffs
        .iter()
        .filter(|diff| !diff.missing.is_empty())
        .map(|diff| (diff.id.as_str().to_owned(), json!(texts(&diff.missing))))
        .collect();
    Ok(Reply::json(StatusCode::OK, json!({ "missing_revs": missing }).to_string()))
}

async fn asked(ctx: &mut Ctx, db: &Db) -> Result<Vec<IdRevs>, Error> {
    let asked = id_revs(&ctx.json_object().await?)?;
    asked.iter().try_for_each(|asked| check_place(db, &asked.id))?;
    Ok(asked)
}

/// `{"id": ["1-abc", …], …}`, as `_revs_diff` and `_purge` take it.
///
/// # Errors
/// 400 for anything that is no list of revisions.
pub fn id_revs(body: &Value) -> Result<Vec<IdRevs>, Error> {
    let members = body.as_object().into_iter().flatten();
    members
        .map(|(id, revs)| {
            let revs =
                revs.as_array().ok_or_else(|| Error::bad_request("Invalid list of revisions"))?;
            let revs = revs.iter().map(|rev| {
                rev.as_str().and_then(|text| text.parse::<Rev>().ok()).ok_or_else(bad_rev)
            });
            Ok(IdRevs { id: DocId::trusted(id), revs: revs.collect::<Result<_, _>>()? })
        })
        .collect()
}

fn bad_rev() -> Error {
    Error::bad_request("Invalid rev format")
}

/// Revisions as clients see them.
#[must_use]
pub fn texts(revs: &[Rev]) -> Vec<String> {
    revs.iter().map(Rev::to_string).collect()
}
