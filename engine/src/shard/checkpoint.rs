//! From memory to the shard's file: what the log holds so far is put into pages, so that memory can
//! be given back and the log cut. Writers and readers go on meanwhile. Never compacts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::state::{PerTree, State};
use super::store::Store;
use super::{NONE, Shard};
use crate::Error;
use crate::page::{PageWriter, Synced};
use crate::tree::Checkpoint;

impl Shard {
    /// Puts everything that is durable by now into the file.
    pub(crate) fn checkpoint(self: &Arc<Self>) -> Result<(), Error> {
        // After a failed sync nothing is tried again on that file: the shard gets another one.
        if self.with_reserve(|| self.save_in_place())? { Ok(()) } else { self.compact_now() }
    }

    /// Does what frees room in the end, once more if the disk was full and has a reserve.
    pub(super) fn with_reserve<T>(&self, work: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
        match work() {
            Err(Error::DiskFull { .. }) if self.env.release_reserve() => work(),
            other => other,
        }
    }

    /// The same, unless that takes another file: then nothing happens, and the answer is `false`.
    /// Never compacts, so that compaction can begin with it.
    pub(crate) fn save_in_place(&self) -> Result<bool, Error> {
        let _turn = self.upkeep.lock();
        self.check_going()?;
        let (state, lsn_bound) = {
            let durable = self.durable.lock();
            (durable.state.clone(), durable.lsn_bound)
        };
        if state.store.has_failed() {
            return Ok(false);
        }
        if state.store.holds(state.counters.number) {
            return Ok(true);
        }
        let (store, checkpoints, synced) = if state.store.has_file() {
            let store = state.store.clone();
            let (checkpoints, synced) = self.write_pages(&state, &store)?;
            (store, checkpoints, synced)
        } else {
            self.write_first(&state)?
        };
        self.settle(&store, checkpoints, &synced, state.counters.number, lsn_bound)?;
        Ok(true)
    }

    /// Writes what has no place yet, and then the header that leads to it.
    fn write_pages(
        &self,
        state: &State,
        store: &Store,
    ) -> Result<(PerTree<Checkpoint>, Synced), Error> {
        let mut writer = PageWriter::new(&store.pages, store.tail.clone());
        let checkpoints = state.trees.try_map(|tree| tree.checkpoint(&mut writer))?;
        let roots = checkpoints.try_map(|checkpoint| Ok::<_, Error>(checkpoint.root().clone()))?;
        // A page that could not be written is no harm: nothing leads to it.
        writer.write_out()?;
        let finish = || {
            let synced = writer.finish()?;
            store.write_header(&store.header_of(state, roots))?;
            Ok(synced)
        };
        let synced = finish().inspect_err(|_| store.fail())?;
        Ok((checkpoints, synced))
    }

    /// The first checkpoint makes the file, beside its place and then there, so that a file that
    /// stands in its place has a header.
    fn write_first(
        &self,
        state: &State,
    ) -> Result<(Arc<Store>, PerTree<Checkpoint>, Synced), Error> {
        let place = self.id.file();
        let draft = self.env.draft_path();
        let file = self.env.storage.create(&draft)?;
        let store = Store::over(file, place.as_str().into(), &self.env.cache);
        let written = self.write_pages(state, &store).and_then(|written| {
            self.env.put_in_place(&draft, &place)?;
            Ok(written)
        });
        match written {
            Ok((checkpoints, synced)) => Ok((Arc::new(store), checkpoints, synced)),
            Err(error) => {
                self.env.discard(&draft);
                Err(error)
            }
        }
    }

    /// Lets go of the memory, and of the log. The writer stands still for a moment, until the log
    /// has synced what is under way: no state without a place for its pages must come after.
    fn settle(
        &self,
        store: &Arc<Store>,
        checkpoints: PerTree<Checkpoint>,
        synced: &Synced,
        number: u64,
        lsn_bound: u64,
    ) -> Result<(), Error> {
        let mut head = self.head.lock();
        self.wait_durable(&head)?;
        checkpoints.map(|checkpoint| drop(checkpoint.publish(synced)));
        head.trees = head.trees.settle();
        head.store = store.clone();
        self.durable.lock().state = Arc::new(head.clone());
        let oldest = if head.counters.number > number { lsn_bound + 1 } else { NONE };
        self.oldest_lsn.store(oldest, Ordering::Release);
        self.account(&head);
        Ok(())
    }
}
