//! From memory to the index's file: pages, sync, header slot, sync. What came since the last time is
//! lost in a crash and made again from the shard. Never compacts.

use std::sync::Arc;

use super::Index;
use super::state::State;
use super::store::Store;
use crate::Error;
use crate::page::{PageWriter, Synced};
use crate::tree::{Checkpoint, Tree};

impl Index {
    /// Puts everything into the file. Meanwhile nothing is put into the index; readers go on.
    pub fn checkpoint(&self) -> Result<(), Error> {
        let _writer = self.writer.lock();
        self.check()?;
        let state = self.state();
        if state.is_saved() || (!state.store.has_file() && state.position.epoch == 0) {
            return Ok(());
        }
        let state = state.with_plan_noted()?;
        let written = if state.store.has_file() {
            write(&state, &state.store).map(|written| (written, state.store.clone()))
        } else {
            self.write_first(&state)
        };
        match written {
            Ok((written, store)) => {
                self.publish(State { store, ..written.publish(&state) });
                Ok(())
            }
            Err(error) => {
                // Nobody knows what the file holds after a failed sync. It can be made again.
                if state.store.pages.has_failed() {
                    self.forget();
                }
                Err(error)
            }
        }
    }

    /// The first checkpoint makes the file, beside its place and then there.
    fn write_first(&self, state: &State) -> Result<(Written, Arc<Store>), Error> {
        let (draft, place) = (self.env.draft_path(), self.path());
        let store = Arc::new(Store::over(self.env.storage.create(&draft)?, &self.env.cache));
        let written = write(state, &store).and_then(|written| {
            self.env.put_in_place(&draft, &place)?;
            Ok((written, store))
        });
        written.inspect_err(|_| self.env.discard(&draft))
    }
}

/// What is in a file that may still have to be put in its place.
pub(super) struct Written {
    trees: [Checkpoint; 3],
    synced: Synced,
}

impl Written {
    /// The same index as it is in the file, which has its place. Only now nodes may be told theirs.
    pub(super) fn publish(self, state: &State) -> State {
        let [docs, rows, notes] = self.trees.map(|tree| tree.publish(&self.synced));
        State { docs, rows, notes, ..state.clone() }
    }
}

/// Writes what has no place yet, and then the header that leads to it.
pub(super) fn write(state: &State, store: &Store) -> Result<Written, Error> {
    let mut writer = PageWriter::new(&store.pages, store.tail.clone());
    let trees = each(state, |tree| tree.checkpoint(&mut writer))?;
    let roots = trees.each_ref().map(|tree| tree.root().clone());
    // A page that could not be written is no harm: nothing leads to it.
    writer.write_out()?;
    let synced = writer.finish()?;
    store.write_header(state.position, roots)?;
    Ok(Written { trees, synced })
}

fn each<T>(state: &State, mut f: impl FnMut(&Tree) -> Result<T, Error>) -> Result<[T; 3], Error> {
    Ok([f(&state.docs)?, f(&state.rows)?, f(&state.notes)?])
}
