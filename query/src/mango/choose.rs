//! Which index answers a question: which ones could, which ones may be used, and which of those
//! CouchDB would take. Keeps what was thought on the way, for `_explain`. Never computes where
//! in the index to look (see `plan`).

use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::catalog::{Catalog, Reference};
use super::error::MangoError;
use super::find::{Find, UseIndex};
use super::index::Index;
use super::range::Ranges;
use super::shape;

/// Why an index is not used, as `_explain` names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    NeedsTextSearch,
    FieldMismatch,
    SortOrderMismatch,
}

impl Reason {
    pub fn name(self) -> &'static str {
        match self {
            Reason::NeedsTextSearch => "needs_text_search",
            Reason::FieldMismatch => "field_mismatch",
            Reason::SortOrderMismatch => "sort_order_mismatch",
        }
    }
}

/// The sets of indexes that the choice went through, each a part of the one before it, but for
/// partial indexes that the client named.
#[derive(Clone, Debug)]
pub(super) struct Choice<'a> {
    /// What the selector leaves of its fields.
    pub ranges: Ranges<'a>,
    /// Those about all documents.
    pub global: BTreeSet<Reference>,
    /// Those for the partition that is asked for, or for none.
    pub in_scope: BTreeSet<Reference>,
    /// Those that don't fit, and why.
    pub misfits: Vec<(Reference, Reason)>,
    /// Those that could answer.
    pub usable: BTreeSet<Reference>,
    /// Those of them that the client wants; all, if none is or the client doesn't say.
    pub wanted: BTreeSet<Reference>,
    /// Those of the best kind, the best first, with the number of ranges that each can't use.
    pub ranked: Vec<(Reference, usize)>,
}

impl<'a> Choice<'a> {
    /// Finds out what could answer: nothing, possibly.
    pub fn make(find: &'a Find, catalog: &Catalog) -> Choice<'a> {
        let means = |reference: &Reference| {
            let index = catalog.get(*reference);
            index.is_some_and(|index| find.use_index.means(index.ddoc(), index.name()))
        };
        let complete =
            |reference: &Reference| catalog.get(*reference).is_none_or(|index| !index.is_partial());
        let global: BTreeSet<_> = catalog.references().filter(complete).collect();
        let mut in_scope: BTreeSet<_> = catalog.references().filter(means).collect();
        in_scope.extend(&global);
        in_scope.retain(|reference| {
            let partitioned = find.partition.is_some();
            catalog.get(*reference).is_none_or(|index| index.is_partitioned() == partitioned)
        });
        let misfit = |reference: &Reference| {
            let reason = match catalog.get(*reference) {
                Some(index) => why_not(index, find),
                None => why_not_all_docs(find),
            };
            Some((*reference, reason?))
        };
        let misfits: Vec<_> = in_scope.iter().filter_map(misfit).collect();
        let mut usable = in_scope.clone();
        usable.retain(|reference| misfits.iter().all(|(misfit, _)| misfit != reference));
        let mut wanted: BTreeSet<_> = usable.iter().copied().filter(means).collect();
        if wanted.is_empty() {
            wanted.clone_from(&usable);
        }
        let ranges = Ranges::of(find.selector.normal_form());
        let ranked = rank(&wanted, &ranges, catalog);
        Choice { ranges, global, in_scope, misfits, usable, wanted, ranked }
    }

    /// Checks that the best index is one that the client agrees to.
    ///
    /// # Errors
    /// `invalid_index` if the index that the client names can't be used, or there is none but
    /// all documents, and the client wants no other.
    pub fn allowed(&self, find: &Find, catalog: &Catalog) -> Result<(), MangoError> {
        let named = self.wanted.iter().filter_map(|reference| catalog.get(*reference));
        let mut named = named.filter(|index| find.use_index.means(index.ddoc(), index.name()));
        let unasked = find.use_index == UseIndex::Any && self.usable.len() > 1;
        match find.allow_fallback || unasked || named.next().is_some() {
            true => Ok(()),
            false => Err(not_suitable(&find.use_index)),
        }
    }

    /// The index to use, if there is one.
    pub fn winner(&self) -> Option<Reference> {
        self.ranked.first().map(|(reference, _)| *reference)
    }
}

/// No index gives the order that is asked for.
pub(super) fn no_usable_index(find: &Find, catalog: &Catalog) -> MangoError {
    let which = match (catalog.is_partitioned(), &find.partition) {
        (false, _) => "",
        (true, Some(_)) => "partitioned ",
        (true, None) => "global ",
    };
    let reason = format!("No {which}index exists for this sort, try indexing by the sort fields.");
    MangoError::bad("no_usable_index", reason)
}

fn not_suitable(use_index: &UseIndex) -> MangoError {
    let name = match use_index {
        UseIndex::Any => {
            let reason = "You must specify an index with the `use_index` parameter.";
            return MangoError::bad("invalid_index", reason);
        }
        UseIndex::In(_) | UseIndex::Named(..) => shown(use_index),
    };
    let end = "specified by `use_index` could not be found or it is not suitable.";
    MangoError::bad("invalid_index", format!("{name} {end}"))
}

/// The index that a client named, as errors and warnings show it.
pub(super) fn shown(use_index: &UseIndex) -> String {
    let short = |ddoc: &str| ddoc.strip_prefix("_design/").unwrap_or(ddoc).to_owned();
    match use_index {
        UseIndex::Any => String::new(),
        UseIndex::In(ddoc) => format!("_design/{}", short(ddoc)),
        UseIndex::Named(ddoc, name) => format!("_design/{}, {name}", short(ddoc)),
    }
}

/// An index is of use if every document that matches is in it, in the right order.
fn why_not(index: &Index, find: &Find) -> Option<Reason> {
    let selector = find.selector.normal_form();
    let sort = find.sort.fields();
    if shape::is_text_search(selector) {
        return Some(Reason::NeedsTextSearch);
    }
    // What is sorted by must be there, and every document has an id and a revision.
    let sure = |column: &&str| {
        matches!(*column, "_id" | "_rev") || sort.iter().any(|field| field == column)
    };
    let unsure = index.columns().filter(|column| !sure(column)).collect();
    if !shape::optional_fields(selector, unsure).is_empty() {
        return Some(Reason::FieldMismatch);
    }
    // Columns that have the same value in all that matches don't disturb the order.
    let constant = |column: &&str| {
        sort.first().is_some_and(|field| field != column) && shape::is_constant(selector, column)
    };
    let mut columns = index.columns().skip_while(constant);
    let sorted = sort.iter().all(|field| columns.next() == Some(field));
    (!sorted).then_some(Reason::SortOrderMismatch)
}

fn why_not_all_docs(find: &Find) -> Option<Reason> {
    match find.sort.fields() {
        [] => None,
        _ if !shape::indexable_fields(find.selector.normal_form()).contains(&"_id") => {
            Some(Reason::FieldMismatch)
        }
        [only] if only == "_id" => None,
        _ => Some(Reason::SortOrderMismatch),
    }
}

/// Brings the indexes of the best kind in order: those first of which most columns have a range,
/// then those with few columns, then by name.
fn rank(
    wanted: &BTreeSet<Reference>,
    ranges: &Ranges<'_>,
    catalog: &Catalog,
) -> Vec<(Reference, usize)> {
    let json = wanted.iter().filter_map(|reference| {
        let index = catalog.get(*reference)?;
        let prefix = ranges.prefix(index.columns());
        Some((*reference, prefix, index.columns().len()))
    });
    let mut json: Vec<_> = json.collect();
    if json.is_empty() {
        return wanted.iter().map(|reference| (*reference, 0)).collect();
    }
    json.sort_by_key(|(_, prefix, columns)| (Reverse(*prefix), *columns));
    json.into_iter().map(|(reference, prefix, _)| (reference, ranges.len() - prefix)).collect()
}
