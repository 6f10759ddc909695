//! From memory to the shard's file: what the log holds so far is put into pages, so that memory can
//! be given back and the log cut. Writers and readers go on meanwhile. Never compacts.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::state::{PerTree, State};
use super::store::Store;
use super::{NONE, Shard};
use crate::Error;
use crate::page::{Extent, PageWriter, Synced};
use crate::tree::Checkpoint;

/// What a checkpoint has put into the file.
struct Saved {
    checkpoints: PerTree<Checkpoint>,
    extents: Vec<Extent>,
    synced: Synced,
}

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
        self.check_it_fits()?;
        let (store, saved) = if state.store.has_file() {
            (state.store.clone(), write_pages(&state, &state.store)?)
        } else {
            self.write_first(&state)?
        };
        self.settle(&store, saved, state.counters.number, lsn_bound)?;
        Ok(true)
    }

    /// Begins nothing on a disk that cannot hold it: what was written of it would stay there as garbage,
    /// and eat the room that is made little by little. Pages are about half as large when packed.
    fn check_it_fits(&self) -> Result<(), Error> {
        let needed = self.dirty_bytes() / 2;
        match self.env.storage.room() {
            Ok(room) if room.free < needed => Err(Error::DiskFull { file: self.id.file().into() }),
            _ => Ok(()),
        }
    }

    /// The first checkpoint makes the file, beside its place and then there, so that a file that
    /// stands in its place has a header.
    fn write_first(&self, state: &State) -> Result<(Arc<Store>, Saved), Error> {
        let place = self.id.file();
        let draft = self.env.draft_path();
        let file = self.env.storage.create(&draft)?;
        let store = Store::first(file, &state.store, &self.env.cache);
        let saved = write_pages(state, &store).and_then(|saved| {
            self.env.put_in_place(&draft, &place)?;
            Ok(saved)
        });
        match saved {
            Ok(saved) => Ok((Arc::new(store), saved)),
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
        saved: Saved,
        number: u64,
        lsn_bound: u64,
    ) -> Result<(), Error> {
        let mut head = self.head.lock();
        self.wait_durable(&head)?;
        saved.checkpoints.map(|checkpoint| drop(checkpoint.publish(&saved.synced)));
        if !Arc::ptr_eq(store, &head.store) {
            store.bring(head.store.unwritten().all());
        }
        store.unwritten().remove(&saved.extents);
        head.trees = head.trees.settle();
        head.store = store.clone();
        self.durable.lock().state = Arc::new(head.clone());
        let oldest = if head.counters.number > number { lsn_bound + 1 } else { NONE };
        self.oldest_lsn.store(oldest, Ordering::Release);
        self.account(&head);
        Ok(())
    }
}

/// Writes what is not in the file yet, and then the header that leads to it.
fn write_pages(state: &State, store: &Store) -> Result<Saved, Error> {
    let mut writer = PageWriter::new(&store.pages, store.tail.clone());
    // Those of later states too: it does no harm.
    let extents = state.store.unwritten().all();
    extents.iter().try_for_each(|extent| writer.put_extent(extent))?;
    let checkpoints = state.trees.try_map(|tree| tree.checkpoint(&mut writer))?;
    let roots = checkpoints.try_map(|checkpoint| Ok::<_, Error>(checkpoint.root().clone()))?;
    // A page that could not be written is no harm: nothing leads to it.
    writer.write_out()?;
    let synced = writer.finish()?;
    store.write_header(&store.header_of(state, roots))?;
    Ok(Saved { checkpoints, extents, synced })
}
