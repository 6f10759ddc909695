//! How a question is answered: the index, where in it to look, and what must be read besides.
//! Never reads anything.

use std::sync::Arc;

use serde_json::Value;
use settee_model::collate::{compare, compare_terms};
use settee_model::json::Raw;

use super::bookmark::Bookmark;
use super::bound::{Bound, Order, Span};
use super::catalog::{Catalog, Reference};
use super::choose::{Choice, no_usable_index};
use super::error::MangoError;
use super::find::Find;
use super::index::Index;
use super::narrow::{id_spans, intersection, key_spans};
use super::range::{Range, Ranges};
use super::shape;

/// A way to answer a question.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where to look.
    pub source: Source,
    /// What to look at there.
    pub scan: Scan,
    /// From the last key to the first, and of documents with the same key from the last id.
    pub descending: bool,
    /// Whether rows of the index say all that is needed of a document.
    pub covering: bool,
    /// Whether documents are read where the rows are: not if several copies must agree, and not
    /// if the rows say it all.
    pub include_docs: bool,
    /// Whether to bring the index up to date first.
    pub update: bool,
    /// Whether to ask always the same copies.
    pub stable: bool,
}

/// An index to look into.
#[derive(Clone, Debug)]
pub enum Source {
    /// All documents by their ids, by bytes.
    AllDocs,
    /// The index of a view, by the order of views.
    Index(Arc<Index>),
}

/// The part of an index that can hold what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scan {
    /// Nothing can match, and the answer has no more than an empty list.
    Nothing,
    /// What lies in these spans, which don't overlap and are in ascending order; none at all is
    /// possible. The keys of [`Source::AllDocs`] count as arrays of one id.
    Spans(Vec<Span>),
}

impl Plan {
    /// Finds the way that CouchDB would take, or a shorter one through the same index.
    ///
    /// # Errors
    /// `no_usable_index`, `invalid_index`.
    pub fn new(find: &Find, catalog: &Catalog) -> Result<Plan, MangoError> {
        let choice = Choice::make(find, catalog);
        let Some(winner) = choice.winner() else { return Err(no_usable_index(find, catalog)) };
        choice.allowed(find, catalog)?;
        Ok(Plan::with(find, catalog, &choice, winner))
    }

    /// What is left to look into after a row: the row's own key too, as more documents may have
    /// it. All if there is no row.
    #[must_use]
    pub fn spans_after(&self, row: Option<&Bookmark>) -> Vec<Span> {
        let Scan::Spans(spans) = &self.scan else { return Vec::new() };
        let Some(row) = row else { return spans.clone() };
        let values = match Raw(&row.key).elements() {
            Some(elements) => elements.map(|element| element.to_vec()).collect(),
            None => vec![row.key.clone()],
        };
        let at = |after| Bound { values: values.clone(), after };
        let rest = match self.descending {
            false => Span { low: at(false), high: Bound::end() },
            true => Span { low: Bound::start(), high: at(true) },
        };
        intersection(spans, &[rest], self.source.order())
    }

    pub(super) fn with(
        find: &Find,
        catalog: &Catalog,
        choice: &Choice<'_>,
        winner: Reference,
    ) -> Plan {
        let source = match catalog.get(winner) {
            Some(index) => Source::Index(index.clone()),
            None => Source::AllDocs,
        };
        let scan = match source.outline(find, &choice.ranges) {
            None => Scan::Nothing,
            Some(outline) => Scan::Spans(source.spans(find, &outline.span())),
        };
        let covering = source.covers(find);
        Plan {
            descending: find.sort.is_descending(),
            covering,
            include_docs: find.r == 1 && !covering,
            update: find.update && !find.stale_ok,
            stable: find.stable || find.stale_ok,
            source,
            scan,
        }
    }
}

/// Where CouchDB begins and ends: values for the first columns.
pub(super) struct Outline {
    pub start: Vec<Value>,
    pub end: Vec<Value>,
}

impl Outline {
    pub fn span(&self) -> Span {
        let texts =
            |values: &[Value]| values.iter().map(|value| value.to_string().into_bytes()).collect();
        Span {
            low: Bound { values: texts(&self.start), after: false },
            high: Bound { values: texts(&self.end), after: true },
        }
    }
}

impl Source {
    /// The order of values in its keys.
    #[must_use]
    pub fn order(&self) -> Order {
        match self {
            Source::AllDocs => compare_terms,
            Source::Index(_) => compare,
        }
    }

    /// The one range that CouchDB looks into; `None` if it is empty.
    pub(super) fn outline(&self, find: &Find, ranges: &Ranges<'_>) -> Option<Outline> {
        if is_noop(find.selector.normal_form()) {
            return None;
        }
        let columns: Vec<Range> = match self {
            Source::AllDocs => match ranges.get("_id") {
                Some(range) => vec![range?.clone()],
                None => Vec::new(),
            },
            Source::Index(index) => {
                let prefix = index.columns().map_while(|column| ranges.get(column));
                prefix.map(|range| range.cloned()).collect::<Option<_>>()?
            }
        };
        let ends = |end: fn(&Range) -> Option<&Value>| columns.iter().map_while(end).cloned();
        Some(Outline { start: ends(Range::low).collect(), end: ends(Range::high).collect() })
    }

    /// What of that range can hold matches.
    fn spans(&self, find: &Find, outline: &Span) -> Vec<Span> {
        let selector = find.selector.normal_form();
        let spans = match self {
            Source::AllDocs => id_spans(selector),
            Source::Index(index) => key_spans(selector, index.columns()),
        };
        intersection(&spans, std::slice::from_ref(outline), self.order())
    }

    /// Whether its rows have all fields that are shown or asked about.
    fn covers(&self, find: &Find) -> bool {
        let (Source::Index(index), Some(fields)) = (self, &find.fields) else { return false };
        let asked = shape::fields(find.selector.normal_form());
        covers(index, fields.iter().map(String::as_str).chain(asked))
    }
}

/// Whether the rows of an index have all these fields.
pub(super) fn covers<'f>(index: &Index, mut fields: impl Iterator<Item = &'f str>) -> bool {
    fields.all(|field| field == "_id" || index.columns().any(|column| column == field))
}

/// Selectors for which CouchDB does not look at all, although one of them matches everything.
fn is_noop(selector: &Value) -> bool {
    let Some((operator, Value::Array(parts))) = shape::single(selector) else { return false };
    parts.is_empty() && matches!(operator, "$all" | "$and" | "$or" | "$in")
}
