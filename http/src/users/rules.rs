//! The design document of a users' database: `_design/_auth`, whose validation function says what
//! users' documents look like and who may write them.

use bytes::Bytes;
use settee_cluster::Db;
use settee_cluster::docs::{EditMode, OpenOptions, UpdateOptions};
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::json::Raw;
use settee_model::rev::RevPath;

/// The function, as it stands in the design document.
const RULES: &str = include_str!("rules.js");
const DDOC: &str = "_design/_auth";

/// Stores the rules, if they are not there or not these.
///
/// # Errors
/// Shards that cannot be read or written.
pub async fn ensure(db: &Db) -> Result<(), settee_cluster::Error> {
    let id = DocId::trusted(DDOC);
    let old = match db.open_doc(&id, OpenOptions::default()).await {
        Ok(opened) => Some(opened.doc),
        Err(settee_cluster::Error::NotFound { .. }) => None,
        Err(error) => return Err(error),
    };
    let said = old.as_ref().and_then(|doc| Raw(&doc.record.body).get("validate_doc_update"));
    if said.and_then(Raw::as_str).as_deref() == Some(RULES) {
        return Ok(());
    }
    let revs = old.as_ref().and_then(|doc| doc.rev()).map(RevPath::single).unwrap_or_default();
    let body = serde_json::json!({ "language": "javascript", "validate_doc_update": RULES });
    let body = Bytes::from(body.to_string());
    let edit = DocEdit { id, revs, deleted: false, body, atts: Vec::new() };
    // Another node may be quicker, with the same.
    db.update(vec![edit], EditMode::Interactive, UpdateOptions::default()).await?;
    Ok(())
}
