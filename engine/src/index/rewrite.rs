//! A new file for an index: everything live is copied into packed pages while writers and readers go
//! on, then what changed meanwhile, and at last the file takes the place of the old one. For getting
//! rid of garbage, and for other reductions over the same rows. Never asks for rows to be made again.

use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::save::write;
use super::state::{State, plain, spec};
use super::store::Store;
use super::{Index, Planned};
use crate::Error;
use crate::page::{PageWriter, Pages};
use crate::tree::{Builder, Checkpoint, Direction, Reducer, Spec, Tree};

/// Rounds of catching up without stopping the writer.
const ROUNDS: usize = 4;
/// Differences that are applied to a tree at once.
const GROUP: usize = 4000;
/// Entries between two looks at whether the index is still wanted.
const STRIDE: usize = 1024;

impl Index {
    /// Copies what is live into a new file.
    pub fn compact(&self) -> Result<(), Error> {
        let state = self.state();
        if !state.store.has_file() {
            return Ok(());
        }
        self.rewrite(&Planned { plan: state.plan.clone(), reducer: state.reducer.clone() })
    }

    /// Has the rows summarised by another reducer from now on; `plan` is what it can be made from
    /// again. The old summaries serve until the new ones are there.
    pub fn replan(&self, plan: Bytes, reducer: Arc<dyn Reducer>) -> Result<(), Error> {
        {
            let _writer = self.writer.lock();
            self.check()?;
            let state = self.state();
            if state.plan == plan {
                return Ok(());
            }
            if state.rows.count() == 0 && !state.store.has_file() {
                let rows = Tree::empty(spec(&reducer));
                self.publish(State { plan, reducer, rows, ..(*state).clone() });
                return Ok(());
            }
        }
        self.rewrite(&Planned { plan, reducer })
    }

    fn rewrite(&self, planned: &Planned) -> Result<(), Error> {
        let _turn = self.rewriting.lock();
        for _ in 0..ROUNDS {
            self.checkpoint()?;
            let draft = self.env.draft_path();
            match self.copy_and_swap(planned, &draft) {
                Ok(true) => return Ok(()),
                Ok(false) => self.env.discard(&draft),
                Err(error) => {
                    self.env.discard(&draft);
                    return Err(error);
                }
            }
        }
        Err(Error::Overloaded)
    }

    /// Answers `false` if the index began anew meanwhile, so that the copy is of no use.
    fn copy_and_swap(&self, planned: &Planned, draft: &str) -> Result<bool, Error> {
        self.check()?;
        let file = self.env.storage.create(draft)?;
        let store = Arc::new(Store::over(file, &self.env.cache));
        let mut seen = self.state();
        let mut copy = self.copy(&seen, planned, &store)?;
        for _ in 0..ROUNDS {
            let now = self.state();
            if Arc::ptr_eq(&now, &seen) || !Arc::ptr_eq(&now.store, &seen.store) {
                break;
            }
            copy = follow(&copy, &seen, &now)?;
            seen = now;
        }
        let _writer = self.writer.lock();
        self.check()?;
        let last = self.state();
        if !Arc::ptr_eq(&last.store, &seen.store) {
            return Ok(false);
        }
        let copy = follow(&copy, &seen, &last)?.with_plan_noted()?;
        let written = write(&copy, &store)?;
        let placed = self.env.put_in_place(draft, &self.path());
        // If that failed nobody knows which file has the name: begin anew rather than guess.
        placed.inspect_err(|_| self.forget())?;
        self.publish(written.publish(&copy));
        Ok(true)
    }

    /// The same index in another file.
    fn copy(&self, from: &State, planned: &Planned, to: &Arc<Store>) -> Result<State, Error> {
        let pages = from.store.pages.uncached();
        let mut writer = PageWriter::new(&to.pages, to.tail.clone());
        let docs = self.pack(&from.docs, &pages, &plain(), &mut writer)?;
        let rows = self.pack(&from.rows, &pages, &spec(&planned.reducer), &mut writer)?;
        let notes = self.pack(&from.notes, &pages, &plain(), &mut writer)?;
        let synced = writer.finish()?;
        Ok(State {
            store: to.clone(),
            position: from.position,
            plan: planned.plan.clone(),
            reducer: planned.reducer.clone(),
            docs: docs.publish(&synced),
            rows: rows.publish(&synced),
            notes: notes.publish(&synced),
        })
    }

    fn pack(
        &self,
        tree: &Tree,
        pages: &Pages,
        spec: &Arc<Spec>,
        writer: &mut PageWriter,
    ) -> Result<Checkpoint, Error> {
        let mut builder = Builder::new(spec.clone());
        let all = (Bound::Unbounded, Bound::Unbounded);
        for (at, entry) in tree.range(pages, all, Direction::Forward).enumerate() {
            let entry = entry?;
            builder.push(writer, entry.key(), entry.value())?;
            if at % STRIDE == 0 {
                self.check()?;
            }
        }
        builder.finish(writer)
    }

    /// Compacts, in the background thread that was asked to.
    pub(crate) fn compact_requested(&self) {
        self.rest_after("compaction", self.compact());
        self.compacting.store(false, Ordering::Relaxed);
    }
}

/// The copy with what changed from one state of the original to a later one in the same file.
fn follow(copy: &State, old: &State, new: &State) -> Result<State, Error> {
    let mut next = State { position: new.position, ..copy.clone() };
    let trees = [(&mut next.docs, &old.docs, &new.docs), (&mut next.rows, &old.rows, &new.rows)];
    for (tree, old, latest) in trees {
        let mut ops: Vec<(Bytes, Option<Bytes>)> = Vec::new();
        for change in old.diff(&new.store.pages, latest) {
            let change = change?;
            ops.push((change.key, change.new));
            if ops.len() >= GROUP {
                *tree = tree.apply(&copy.store.pages, &std::mem::take(&mut ops))?;
            }
        }
        *tree = tree.apply(&copy.store.pages, &ops)?;
    }
    Ok(next)
}
