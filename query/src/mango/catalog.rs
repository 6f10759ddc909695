//! All indexes of a database, in CouchDB's order, and how they are listed and found to be
//! deleted. Never reads or writes design documents.

use std::sync::Arc;

use serde_json::{Value, json};

use super::error::MangoError;
use super::index::{Index, all_docs_json};

/// The indexes of a database: the one of all documents, which is always there, and those of
/// design documents.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    /// By design document, then name.
    indexes: Vec<Arc<Index>>,
    partitioned: bool,
}

/// An index of a [`Catalog`]. The order of the references is that of the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reference {
    /// All documents by their ids.
    AllDocs,
    /// The n-th of the others.
    Json(usize),
}

impl Catalog {
    /// Collects the indexes of design documents: their ids and bodies in stored form.
    /// `partitioned`: whether the database is.
    pub fn new<'a>(
        ddocs: impl IntoIterator<Item = (&'a str, &'a [u8])>,
        partitioned: bool,
    ) -> Catalog {
        let ddocs = ddocs.into_iter();
        let mut indexes: Vec<Arc<Index>> = ddocs
            .flat_map(|(id, body)| Index::of_ddoc(id, body, partitioned))
            .map(Arc::new)
            .collect();
        indexes.sort_by(|a, b| (a.ddoc(), a.name()).cmp(&(b.ddoc(), b.name())));
        Catalog { indexes, partitioned }
    }

    /// The indexes of design documents.
    #[must_use]
    pub fn indexes(&self) -> &[Arc<Index>] {
        &self.indexes
    }

    /// Whether the database is partitioned.
    #[must_use]
    pub fn is_partitioned(&self) -> bool {
        self.partitioned
    }

    pub(super) fn references(&self) -> impl Iterator<Item = Reference> {
        let all_docs = std::iter::once(Reference::AllDocs);
        all_docs.chain((0..self.indexes.len()).map(Reference::Json))
    }

    /// The JSON index behind a reference.
    pub(super) fn get(&self, reference: Reference) -> Option<&Arc<Index>> {
        match reference {
            Reference::AllDocs => None,
            Reference::Json(at) => self.indexes.get(at),
        }
    }

    pub(super) fn show(&self, reference: Reference) -> Value {
        self.get(reference).map_or_else(all_docs_json, |index| index.to_json())
    }

    /// The answer to `GET _index`, of which `limit` and `skip` are the parameters as written.
    ///
    /// # Errors
    /// `invalid_list_index_params`, unless `limit` is an integer above 0 and `skip` one of 0 or
    /// more.
    pub fn list(&self, limit: Option<&str>, skip: Option<&str>) -> Result<Value, MangoError> {
        let number = |text: Option<&str>, least: i64| match text {
            None => Some(None),
            Some(text) => text.parse().ok().filter(|number: &i64| *number >= least).map(Some),
        };
        let (Some(limit), Some(skip)) = (number(limit, 1), number(skip, 0)) else {
            return Err(MangoError {
                status: 500,
                error: "invalid_list_index_params".into(),
                reason: "Index parameter ranges: limit > 1, skip > 0".into(),
            });
        };
        let count = |number: i64| usize::try_from(number).unwrap_or(usize::MAX);
        let all = self.references().map(|reference| self.show(reference));
        let page = all.skip(skip.map_or(0, count)).take(limit.map_or(usize::MAX, count));
        let indexes: Vec<Value> = page.collect();
        Ok(json!({"total_rows": self.indexes.len() + 1, "indexes": indexes}))
    }

    /// The index that `DELETE _index/{ddoc}/{type}/{name}` means; the design document is named
    /// with or without `_design/`.
    #[must_use]
    pub fn find(&self, ddoc: &str, index_type: &str, name: &str) -> Option<&Arc<Index>> {
        let ddoc = design_id(ddoc);
        let wanted = |index: &&Arc<Index>| index.ddoc() == ddoc && index.name() == name;
        self.indexes.iter().filter(|_| index_type == "json").find(wanted)
    }

    /// All indexes of a design document.
    pub fn of_ddoc(&self, ddoc: &str) -> impl Iterator<Item = &Arc<Index>> {
        let ddoc = design_id(ddoc);
        self.indexes.iter().filter(move |index| index.ddoc() == ddoc)
    }
}

/// The id of a design document that was named with or without `_design/`.
#[must_use]
pub fn design_id(name: &str) -> String {
    if name.starts_with("_design/") { name.to_owned() } else { format!("_design/{name}") }
}
