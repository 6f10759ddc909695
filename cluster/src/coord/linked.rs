//! Documents that values of rows name: `{"_id": …}`, maybe with a `_rev`. They are looked up all at once,
//! each where it is.

use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::json::Raw;
use settee_model::rev::Rev;

use super::docs;
use super::rows::look_up;
use crate::Error;
use crate::database::Database;
use crate::docs::{BulkGet, RevResult, Revs};
use crate::views::{LineDoc, LineValue, ViewLine};

/// What a value names.
enum Named {
    /// Nothing: the row's own document is shown.
    Own,
    /// What can be no document.
    Nobody,
    /// A document as it is.
    Winner(DocId),
    /// A revision of a document.
    Rev(DocId, Rev),
    /// A revision of the row's own document.
    OwnRev(Rev),
}

/// Fills in the documents that the values of these rows name.
pub(super) async fn fill(database: &Database, lines: &mut [ViewLine]) -> Result<(), Error> {
    let (mut winners, mut places, mut revs) = (Vec::new(), Vec::new(), Vec::new());
    for (place, line) in lines.iter_mut().enumerate() {
        let LineValue::Value(value) = &line.value else { continue };
        match named(value)? {
            Named::Own => continue,
            Named::Nobody => {}
            Named::Winner(id) => winners.push((place, id)),
            Named::Rev(id, rev) => {
                places.push((place, false));
                revs.push(BulkGet { id, revs: Revs::Some(vec![rev]) });
            }
            Named::OwnRev(rev) => {
                let id = DocId::trusted(line.id.as_deref().unwrap_or_default());
                places.push((place, true));
                revs.push(BulkGet { id, revs: Revs::Some(vec![rev]) });
            }
        }
        line.doc = Some(LineDoc::Missing);
    }
    let mut show = |place: usize, own: bool, doc: Option<StoredDoc>| {
        if let (Some(line), Some(doc)) = (lines.get_mut(place), doc.map(Box::new)) {
            line.doc = Some(match own {
                true => LineDoc::Own { doc, conflicts: Vec::new() },
                false => LineDoc::Linked(doc),
            });
        }
    };
    if !winners.is_empty() {
        for (place, row) in look_up(database, winners, true, false).await? {
            show(place, false, row.and_then(|row| row.doc));
        }
    }
    if !revs.is_empty() {
        let found = docs::open_many(database, revs, false).await?;
        for ((place, own), found) in places.into_iter().zip(found) {
            show(
                place,
                own,
                found?.into_iter().find_map(|result| match result {
                    RevResult::Found(doc) => Some(doc),
                    RevResult::Missing(_) => None,
                }),
            );
        }
    }
    Ok(())
}

fn named(value: &[u8]) -> Result<Named, Error> {
    if !value.starts_with(b"{") {
        return Ok(Named::Own);
    }
    let [id, rev] = Raw(value).pick(["_id", "_rev"]);
    let rev = rev.and_then(Raw::as_str).map(|rev| rev.parse()).transpose();
    let rev = rev.map_err(|_| Error::BadRequest("Invalid rev format".into()))?;
    let id = id.map(|id| id.as_str().map(|id| DocId::trusted(&id)));
    Ok(match (id, rev) {
        (None, None) => Named::Own,
        (None, Some(rev)) => Named::OwnRev(rev),
        (Some(None), _) => Named::Nobody,
        (Some(Some(id)), None) => Named::Winner(id),
        (Some(Some(id)), Some(rev)) => Named::Rev(id, rev),
    })
}
