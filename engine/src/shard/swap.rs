//! How a shard is compacted, from being asked to the last step: with the writer standing still, takes
//! over the last changes and the uploads that no edit has named yet, and lets the shard go on in the
//! new file. Readers of the old one are not disturbed. Copying trees is the business of `compact`.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::state::State;
use super::store::Store;
use super::uploads::{Held, HeldChunks, Place};
use super::{CHUNK_KIND, NONE, Shard};
use crate::Error;
use crate::compact::{self, Copy};
use crate::engine::Job;
use crate::page::PageWriter;

impl Shard {
    /// Asks for a compaction that remembers so many generations of each branch; it runs in the
    /// background.
    pub fn compact(self: &Arc<Self>, revs_limit: u32) {
        self.revs_limit.store(revs_limit, Ordering::Relaxed);
        self.ask_for_compaction();
    }

    fn ask_for_compaction(self: &Arc<Self>) {
        if !self.compacting.swap(true, Ordering::Relaxed) {
            self.env.compactions.push(Job::Shard(self.clone()));
        }
    }

    /// Compacts, in the background thread that was asked to.
    pub(crate) fn compact_requested(self: &Arc<Self>) {
        match self.compact_now() {
            // It was dropped meanwhile.
            Ok(()) | Err(Error::ShardMissing { .. }) => {}
            Err(error) => tracing::warn!(shard = %self.id, %error, "compaction failed"),
        }
        self.compacting.store(false, Ordering::Relaxed);
    }

    /// Compacts and waits for it. Not for threads that must not block.
    pub fn compact_now(self: &Arc<Self>) -> Result<(), Error> {
        let _turn = self.compaction.lock();
        self.with_reserve(|| compact::compact(self, &self.env))
    }

    /// How many generations of a branch compaction keeps.
    pub(crate) fn revs_limit(&self) -> usize {
        self.revs_limit.load(Ordering::Relaxed) as usize
    }

    /// Asks for a compaction if the file holds too much garbage. Looks at each header once.
    pub(crate) fn compact_if_worth_it(self: &Arc<Self>) {
        let header = self.durable_state().store.generation();
        if self.judged.swap(header, Ordering::Relaxed) == header {
            return;
        }
        match self.sizes() {
            Ok(sizes) if self.env.options.compaction.wants(&sizes) => self.ask_for_compaction(),
            Ok(_) => {}
            Err(error) => tracing::warn!(shard = %self.id, %error, "cannot tell the size"),
        }
    }

    /// Puts a copy that is up to date with `seen` in the place of the shard's file. Nothing is
    /// written meanwhile, so it should be nearly up to date, and does not rest.
    pub(crate) fn swap(&self, mut copy: Copy<'_>, seen: &State, draft: &str) -> Result<(), Error> {
        copy.hurry();
        let _turn = self.upkeep.lock();
        let mut head = self.head.lock();
        self.check_going()?;
        let last = self.wait_durable(&head)?;
        copy.catch_up(seen, &last)?;
        let held = self.uploads.freeze();
        let moves = move_uploads(&held, &last, &copy)?;
        copy.save()?;
        let store = copy.store().clone();
        store.write_header(&store.header(&last, copy.trees())?)?;
        // If that fails, nobody knows which file has the name: the shard goes on in the old one, but
        // what were written there now might not be found after a restart.
        let placed = self.env.put_in_place(draft, &self.id.file());
        placed.inspect_err(|_| last.store.fail())?;
        for (held, place) in moves {
            held.move_to(place);
        }
        *head = State { store, trees: copy.trees().clone(), ..(*last).clone() };
        self.durable.lock().state = Arc::new(head.clone());
        self.oldest_lsn.store(NONE, Ordering::Release);
        self.account(&head);
        Ok(())
    }
}

/// Gives uploaded chunks a place that the copy does not have: they will be in no other file. They
/// move when the copy is in place.
fn move_uploads(
    held: &HeldChunks<'_>,
    last: &State,
    copy: &Copy<'_>,
) -> Result<Vec<(Arc<Held>, Place)>, Error> {
    let mut writer = copy.writer();
    let mut moves = Vec::new();
    for (hash, weak) in held.iter() {
        let Some(held) = weak.upgrade() else { continue };
        if copy.trees().chunks.get(&copy.store().pages, hash)?.is_some() {
            continue;
        }
        let bytes = match held.place() {
            Place::Extent(store, ptr) => store.pages.read(ptr, CHUNK_KIND)?,
            Place::Known => match known_chunk(last, hash)? {
                Some(bytes) => bytes,
                None => continue,
            },
        };
        moves.push((held, append(copy.store(), &mut writer, &bytes)?));
    }
    // Saving the copy syncs it too.
    writer.write_out()?;
    Ok(moves)
}

fn append(store: &Arc<Store>, writer: &mut PageWriter, bytes: &Bytes) -> Result<Place, Error> {
    Ok(Place::Extent(store.clone(), writer.put(CHUNK_KIND, bytes)?))
}

fn known_chunk(state: &State, hash: &[u8; 32]) -> Result<Option<Bytes>, Error> {
    let pages = &state.store.pages;
    let value = state.trees.chunks.get(pages, hash)?;
    let read = |value| state.store.chunk(pages, &state.store.stored_chunk(&value)?.place);
    value.map(read).transpose()
}
