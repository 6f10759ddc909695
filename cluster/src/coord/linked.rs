//! Documents that values of rows name: `{"_id": …}`, maybe with a `_rev`. They are looked up some at a
//! time, each where it is, and most copies must agree on them. Rows that name none pass untouched.

use std::collections::VecDeque;

use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::json::Raw;
use settee_model::rev::Rev;

use super::docs;
use crate::Error;
use crate::database::Database;
use crate::docs::{BulkGet, OpenOptions, RevResult, Revs};
use crate::portion::Portion;
use crate::views::{LineDoc, LineValue, ViewLine};

/// What a value names.
enum Named {
    /// What can be no document.
    Nobody,
    /// A document as it is.
    Winner(DocId),
    /// A revision of a document.
    Rev(DocId, Rev),
    /// A revision of the row's own document.
    OwnRev(Rev),
}

/// Rows whose values may name documents, and how many of these are read at once.
#[derive(Default)]
pub(super) struct Lines {
    waiting: VecDeque<ViewLine>,
    portion: Portion,
}

/// A document that a row shows.
struct Shown {
    /// Of the row.
    place: usize,
    /// Whether it is the row's own.
    own: bool,
    ask: BulkGet,
}

impl Lines {
    /// More rows, when there are no others.
    pub(super) fn add(&mut self, lines: impl Iterator<Item = ViewLine>) {
        self.waiting.extend(lines);
    }

    /// The next rows with the documents that their values name, as far as these are read at once; none if
    /// there are no more. Cancel safe.
    pub(super) async fn next(&mut self, database: &Database) -> Result<Vec<ViewLine>, Error> {
        let (mut shown, mut places) = (Vec::new(), Vec::new());
        let mut count = 0;
        for (place, line) in self.waiting.iter().enumerate() {
            if shown.len() >= self.portion.documents() {
                break;
            }
            count += 1;
            if let Some(named) = named_by(line)? {
                places.push(place);
                shown.extend(named.shown(place, line));
            }
        }
        let asks = shown.iter().map(|shown| shown.ask.clone()).collect();
        let mut found = Vec::with_capacity(shown.len());
        let all = docs::open_many(database, asks, false).await?;
        for (Shown { ask, .. }, revs) in shown.iter().zip(all) {
            found.push(match chosen(&ask.revs, revs?) {
                None if ask.id.is_local() && ask.revs == Revs::All => {
                    local(database, &ask.id).await?
                }
                doc => doc,
            });
        }
        let mut lines: Vec<ViewLine> = self.waiting.drain(..count).collect();
        for place in places {
            if let Some(line) = lines.get_mut(place) {
                line.doc = Some(LineDoc::Missing);
            }
        }
        let (read, mut bytes) = (shown.len(), 0);
        for (Shown { place, own, .. }, doc) in shown.into_iter().zip(found) {
            let Some(doc) = doc else { continue };
            bytes += doc.record.body.len();
            let doc = Box::new(doc);
            let doc = match own {
                true => LineDoc::Own { doc, conflicts: Vec::new() },
                false => LineDoc::Linked(doc),
            };
            if let Some(line) = lines.get_mut(place) {
                line.doc = Some(doc);
            }
        }
        self.portion.had(read, bytes);
        Ok(lines)
    }
}

impl Named {
    fn shown(self, place: usize, line: &ViewLine) -> Option<Shown> {
        let shown = |own, id, revs| Some(Shown { place, own, ask: BulkGet { id, revs } });
        match self {
            Named::Nobody => None,
            Named::Winner(id) => shown(false, id, Revs::All),
            Named::Rev(id, rev) => shown(false, id, Revs::Some(vec![rev])),
            Named::OwnRev(rev) => {
                let id = DocId::trusted(line.id.as_deref().unwrap_or_default());
                shown(true, id, Revs::Some(vec![rev]))
            }
        }
    }
}

/// The revision that was asked for; of all leaves the winner, unless it is a tombstone.
fn chosen(asked: &Revs, found: Vec<RevResult>) -> Option<StoredDoc> {
    let mut found = found.into_iter().filter_map(|result| match result {
        RevResult::Found(doc) => Some(doc),
        RevResult::Missing(_) => None,
    });
    match asked {
        Revs::Some(_) => found.next(),
        Revs::All => {
            found.max_by_key(|doc| (!doc.deleted, doc.rev())).filter(|winner| !winner.deleted)
        }
    }
}

/// A `_local` document: it has no leaves, and is opened by itself.
async fn local(database: &Database, id: &DocId) -> Result<Option<StoredDoc>, Error> {
    match docs::open(database, id, OpenOptions::default()).await {
        Ok(opened) => Ok(Some(opened.doc)),
        Err(Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// What the value of a row names; none if the row's own document is shown.
fn named_by(line: &ViewLine) -> Result<Option<Named>, Error> {
    match &line.value {
        LineValue::Value(value) => named(value),
        LineValue::Error { .. } => Ok(None),
    }
}

fn named(value: &[u8]) -> Result<Option<Named>, Error> {
    if !value.starts_with(b"{") {
        return Ok(None);
    }
    let [id, rev] = Raw(value).pick(["_id", "_rev"]);
    let rev = rev.and_then(Raw::as_str).map(|rev| rev.parse()).transpose();
    let rev = rev.map_err(|_| Error::BadRequest("Invalid rev format".into()))?;
    let id = id.map(|id| id.as_str().map(|id| DocId::trusted(&id)));
    Ok(match (id, rev) {
        (None, None) => None,
        (None, Some(rev)) => Some(Named::OwnRev(rev)),
        (Some(None), _) => Some(Named::Nobody),
        (Some(Some(id)), None) => Some(Named::Winner(id)),
        (Some(Some(id)), Some(rev)) => Some(Named::Rev(id, rev)),
    })
}
