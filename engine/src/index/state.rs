//! An index at one moment. A value; putting rows in makes another one. Reads pages, writes none.

use std::sync::Arc;

use bytes::Bytes;

use super::rows::keys_of;
use super::store::{Header, Store};
use super::{DocRows, PLAN, Position};
use crate::Error;
use crate::tree::{NoReduction, Reducer, Sizes, Spec, Tree};

/// Rows are mostly read by ranges, and small: larger pages pack better and are fewer.
const PAGE: usize = 16 << 10;

/// See the module's description.
#[derive(Clone)]
pub(super) struct State {
    pub(super) store: Arc<Store>,
    pub(super) position: Position,
    /// What the reducer was made from.
    pub(super) plan: Bytes,
    pub(super) reducer: Arc<dyn Reducer>,
    pub(super) docs: Tree,
    pub(super) rows: Tree,
    pub(super) notes: Tree,
}

/// A key that is put with a value or deleted.
type Op<'a> = (&'a [u8], Option<&'a [u8]>);

impl State {
    /// An index without anything in it.
    pub(super) fn empty(store: Arc<Store>, plan: Bytes, reducer: Arc<dyn Reducer>) -> State {
        State {
            store,
            position: Position::default(),
            docs: Tree::empty(plain()),
            rows: Tree::empty(spec(&reducer)),
            notes: Tree::empty(plain()),
            plan,
            reducer,
        }
    }

    /// The index that a file's header leads to.
    pub(super) fn open(
        store: Arc<Store>,
        header: Header,
        reducers: super::Reducers<'_>,
    ) -> Result<State, Error> {
        let [docs, rows, notes] = header.roots;
        let notes = Tree::open(plain(), notes);
        let plan = notes.get(&store.pages, PLAN)?.unwrap_or_default();
        let reducer = reducers(&plan)?;
        Ok(State {
            store,
            position: header.position,
            docs: Tree::open(plain(), docs),
            rows: Tree::open(spec(&reducer), rows),
            notes,
            plan,
            reducer,
        })
    }

    /// With these documents' rows instead of the ones they had.
    pub(super) fn apply(&self, docs: &[DocRows], to: Position) -> Result<State, Error> {
        let pages = &self.store.pages;
        let mut order: Vec<&DocRows> = docs.iter().collect();
        order.sort_unstable_by(|a, b| a.id().cmp(b.id()));
        let ids: Vec<&[u8]> = order.iter().map(|doc| doc.id().as_str().as_bytes()).collect();
        let before = self.docs.get_many(pages, &ids)?;
        let mut old = Vec::new();
        for (doc, sorts) in order.iter().zip(&before) {
            let Some(sorts) = sorts else { continue };
            let keys = keys_of(doc.id().as_str(), sorts);
            old.extend(keys.map_err(|damage| self.store.unreadable(damage))?);
        }
        let had = before.iter().map(Option::is_some);
        let in_docs = ids.iter().zip(&order).zip(had);
        let in_docs = in_docs.filter(|((_, doc), had)| *had || !doc.is_empty());
        let in_docs: Vec<Op<'_>> = in_docs.map(|((id, doc), _)| (*id, doc.sorts())).collect();
        let in_rows = merged(&old, &order);
        Ok(State {
            position: to,
            docs: self.docs.apply(pages, &in_docs)?,
            rows: self.rows.apply(pages, &in_rows)?,
            ..self.clone()
        })
    }

    /// Bytes of all trees.
    pub(super) fn sizes(&self) -> Sizes {
        let mut sizes = self.docs.sizes();
        sizes += self.rows.sizes();
        sizes += self.notes.sizes();
        sizes
    }

    /// Whether the file has all of it.
    pub(super) fn is_saved(&self) -> bool {
        self.store.saved() == Some(self.position) && self.sizes().dirty == 0
    }

    /// With the plan among the notes.
    pub(super) fn with_plan_noted(&self) -> Result<State, Error> {
        let pages = &self.store.pages;
        if self.notes.get(pages, PLAN)?.unwrap_or_default() == self.plan {
            return Ok(self.clone());
        }
        let notes = self.notes.apply(pages, &[(PLAN, Some(&self.plan))])?;
        Ok(State { notes, ..self.clone() })
    }
}

/// What deletes the old rows and puts those of the documents, in the order of keys. A key that is
/// both old and new is put.
fn merged<'a>(old: &'a [Vec<u8>], docs: &[&'a DocRows]) -> Vec<Op<'a>> {
    let count: usize = docs.iter().map(|doc| doc.len()).sum();
    let mut ops: Vec<Op<'a>> = Vec::with_capacity(old.len() + count);
    for doc in docs {
        ops.extend(doc.entries().map(|(key, value)| (key, Some(value))));
    }
    ops.extend(old.iter().map(|key| (key.as_slice(), None)));
    // Puts come first among equals.
    ops.sort_unstable_by(|a, b| a.0.cmp(b.0).then(a.1.is_none().cmp(&b.1.is_none())));
    ops.dedup_by(|later, first| later.0 == first.0);
    ops
}

/// How the rows' tree is made.
pub(super) fn spec(reducer: &Arc<dyn Reducer>) -> Arc<Spec> {
    Arc::new(Spec { reducer: reducer.clone(), page_size: PAGE })
}

/// How the other trees are made.
pub(super) fn plain() -> Arc<Spec> {
    Arc::new(Spec { reducer: Arc::new(NoReduction), page_size: PAGE })
}
