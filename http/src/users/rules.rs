//! The design document of a users' database: `_design/_auth`, whose validation function says what
//! users' documents look like and who may write them. The rules are never applied here: they hold as any
//! validation does (`handlers::functions::validate`).

use bytes::Bytes;
use settee_cluster::Db;
use settee_cluster::docs::{EditMode, OpenOptions, UpdateOptions};
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::json::{self, Raw};
use settee_model::rev::RevPath;

use crate::error::Error;

/// The function, as it stands in the design document.
const RULES: &str = include_str!("rules.js");
const DDOC: &str = "_design/_auth";
const MEMBER: &str = "validate_doc_update";

/// Stores the rules, if they are not there or not these; what else the design document holds stays.
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
    let edit = match old {
        Some(doc) if rules_of(&doc.record.body).as_deref() == Some(RULES) => return Ok(()),
        Some(doc) => {
            let edit = doc.into_edit();
            DocEdit { body: with_rules(&edit.body), ..edit }
        }
        None => {
            let (revs, body) = (RevPath::default(), with_rules(br#"{"language":"javascript"}"#));
            DocEdit { id, revs, deleted: false, body, atts: Vec::new() }
        }
    };
    let results = db.update(vec![edit], EditMode::Interactive, UpdateOptions::default()).await?;
    for result in results {
        match result.result {
            // Another node was quicker, with the same.
            Ok(_) | Err(settee_cluster::Error::Conflict) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Makes sure that the rules hold for what is written from now on.
///
/// # Errors
/// 503 if they cannot be made to; shards that cannot be read or written.
pub async fn require(db: &Db) -> Result<(), Error> {
    for _ in 0..2 {
        if db.validations().await?.iter().any(|validation| validation.ddoc.id.as_str() == DDOC) {
            return Ok(());
        }
        ensure(db).await?;
    }
    Err(Error::Unavailable("The rules of the users database are not there yet.".into()))
}

fn rules_of(body: &[u8]) -> Option<String> {
    Raw(body).get(MEMBER).and_then(Raw::as_str).map(|rules| rules.into_owned())
}

fn with_rules(body: &[u8]) -> Bytes {
    let mut object = json::value(body).unwrap_or_default();
    if let Some(members) = object.as_object_mut() {
        members.insert(MEMBER.to_owned(), RULES.into());
    }
    object.to_string().into()
}
