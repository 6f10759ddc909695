//! What compaction keeps of a shard, and how it gets into another file: first everything that is
//! live in one state, straight into packed pages; then, for as long as writers go on, what later
//! states changed. Never swaps files, never touches a shard.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use settee_model::docid::DocId;
use settee_model::docinfo::DocInfo;

use super::live::NumberSet;
use super::pacer::Step;
use crate::Error;
use crate::codec::chunk::{Place, Stored};
use crate::codec::{Malformed, change, docinfo};
use crate::page::{PageWriter, Pages};
use crate::shard::CHUNK_KIND;
use crate::shard::state::{PerTree, SPECS, State, Trees};
use crate::shard::store::Store;
use crate::tree::{Builder, Change, Checkpoint, Direction, Entry, Spec, Tree};

/// Told how much was done; may wait, and may end the work.
pub(crate) type Pace<'a> = &'a dyn Fn(Step) -> Result<(), Error>;

/// Entries between two looks at the pace.
const STRIDE: u64 = 256;
/// Bytes written between two looks, about: a chunk may be large, and writers may wait for the next look.
const STRIDE_BYTES: u64 = 1 << 20;
/// Changes that are applied to a tree at once, in number and bytes.
const GROUP: usize = 1000;
const GROUP_BYTES: usize = 4 << 20;
/// Memory for pages of the copy that are not written yet.
const DIRTY: u64 = 16 << 20;

/// A copy in the making.
pub(crate) struct Copy<'a> {
    store: Arc<Store>,
    /// Generations that are remembered of each branch.
    revs_limit: usize,
    pace: Pace<'a>,
    trees: Trees,
}

/// Everything of one state that is copied in one go.
struct Packing<'a, 'p> {
    from: &'a State,
    revs_limit: usize,
    /// Reads the old file without filling the cache.
    pages: Pages,
    writer: PageWriter,
    pace: Pace<'p>,
    entries: u64,
    bytes: u64,
}

impl<'a> Copy<'a> {
    /// Packs what is live in `from` into the file of `store`.
    pub(crate) fn of(
        from: &State,
        store: Arc<Store>,
        revs_limit: usize,
        pace: Pace<'a>,
    ) -> Result<Copy<'a>, Error> {
        let writer = PageWriter::new(&store.pages, store.tail.clone());
        let pages = from.store.pages.uncached();
        let mut packing = Packing { from, revs_limit, pages, writer, pace, entries: 0, bytes: 0 };
        let checkpoints = packing.pack()?;
        pace(Step::Sync)?;
        let synced = packing.writer.finish()?;
        let trees = checkpoints.map(|checkpoint| checkpoint.publish(&synced));
        Ok(Copy { store, revs_limit, pace, trees })
    }

    pub(crate) fn store(&self) -> &Arc<Store> {
        &self.store
    }

    pub(crate) fn trees(&self) -> &Trees {
        &self.trees
    }

    /// Goes on without asking for the pace: somebody waits for the rest.
    pub(crate) fn hurry(&mut self) {
        self.pace = &|_| Ok(());
    }

    /// Takes over what changed from one state to a later one. Both are in the old file.
    pub(crate) fn catch_up(&mut self, from: &State, to: &State) -> Result<(), Error> {
        let pages = &to.store.pages;
        let (old, new) = (&from.trees, &to.trees);
        // Also those that are older than `from`, and were named by nothing there.
        self.follow(
            |t| &mut t.chunks,
            old.chunks.diff(pages, &new.chunks),
            |copy, change| copy.bring_chunk(to, change),
        )?;
        self.follow(
            |t| &mut t.by_id,
            old.by_id.diff(pages, &new.by_id),
            |copy, change| {
                let Some(value) = change.new else { return Ok(None) };
                let mut info = info(&to.store, &change.key, &value)?;
                Ok(Some(slim(&mut info, copy.revs_limit).into()))
            },
        )?;
        let as_it_is = |_: &mut Self, change: Change| Ok(change.new);
        self.follow(|t| &mut t.bodies, old.bodies.diff(pages, &new.bodies), as_it_is)?;
        self.follow(|t| &mut t.by_seq, old.by_seq.diff(pages, &new.by_seq), as_it_is)?;
        self.follow(|t| &mut t.local, old.local.diff(pages, &new.local), as_it_is)?;
        self.follow(|t| &mut t.purges, old.purges.diff(pages, &new.purges), as_it_is)?;
        self.follow(|t| &mut t.purge_ids, old.purge_ids.diff(pages, &new.purge_ids), as_it_is)
    }

    /// Applies the differences of one tree, in groups.
    fn follow(
        &mut self,
        tree: fn(&mut Trees) -> &mut Tree,
        diff: impl Iterator<Item = Result<Change, Error>>,
        mut value: impl FnMut(&mut Self, Change) -> Result<Option<Bytes>, Error>,
    ) -> Result<(), Error> {
        let mut ops: Vec<(Bytes, Option<Bytes>)> = Vec::new();
        let mut bytes = 0;
        for change in diff {
            let change = change?;
            let key = change.key.clone();
            let new = value(self, change)?;
            bytes += key.len() + new.as_ref().map_or(0, Bytes::len);
            ops.push((key, new));
            if ops.len() >= GROUP || bytes >= GROUP_BYTES {
                self.put(tree, &std::mem::take(&mut ops))?;
                bytes = 0;
            }
        }
        self.put(tree, &ops)
    }

    fn put(
        &mut self,
        tree: fn(&mut Trees) -> &mut Tree,
        ops: &[(Bytes, Option<Bytes>)],
    ) -> Result<(), Error> {
        if ops.is_empty() {
            return Ok(());
        }
        let tree = tree(&mut self.trees);
        *tree = tree.apply(&self.store.pages, ops)?;
        (self.pace)(Step::Done { entries: ops.len() as u64, bytes: 0 })?;
        if self.trees.dirty_bytes() > DIRTY { self.save() } else { Ok(()) }
    }

    /// What becomes of a chunk that changed: its bytes are copied if the copy lacks them and something
    /// names them.
    fn bring_chunk(&mut self, from: &State, change: Change) -> Result<Option<Bytes>, Error> {
        let Some(new) = change.new else { return Ok(None) };
        let new = from.store.stored_chunk(&new)?;
        let place = match self.trees.chunks.get(&self.store.pages, &change.key)? {
            Some(known) => self.store.stored_chunk(&known)?.place,
            None if new.names == 0 => return Ok(None),
            None => {
                let mut writer = self.writer();
                let place = copy_chunk(from, &new, &mut writer)?;
                // Saving what leads to it syncs it too.
                writer.write_out()?;
                (self.pace)(Step::Done { entries: 0, bytes: writer.written() })?;
                place
            }
        };
        Ok(Some(Stored { place, ..new }.encode().into()))
    }

    /// Appends to the copy's file.
    pub(crate) fn writer(&self) -> PageWriter {
        PageWriter::new(&self.store.pages, self.store.tail.clone())
    }

    /// Puts everything into the file and syncs it. Without a header it is still no shard.
    pub(crate) fn save(&mut self) -> Result<(), Error> {
        let mut writer = self.writer();
        let checkpoints = self.trees.try_map(|tree| tree.checkpoint(&mut writer))?;
        (self.pace)(Step::Done { entries: 0, bytes: writer.written() })?;
        (self.pace)(Step::Sync)?;
        let synced = writer.finish()?;
        self.trees = checkpoints.map(|checkpoint| checkpoint.publish(&synced));
        Ok(())
    }
}

impl Packing<'_, '_> {
    fn pack(&mut self) -> Result<PerTree<Checkpoint>, Error> {
        let specs = &*SPECS;
        let from = self.from;
        let trees = &from.trees;
        let mut live = NumberSet::default();
        let by_id = self.pack_tree(&specs.by_id, &trees.by_id, None, |packing, entry| {
            let mut info = info(&from.store, entry.key(), entry.value())?;
            let slim = slim(&mut info, packing.revs_limit);
            let bodies = info.tree.leaves_unordered().filter_map(|leaf| leaf.value.body);
            bodies.for_each(|body| live.insert(body));
            Ok(Some(slim.into()))
        })?;
        let bodies = self.pack_tree(&specs.bodies, &trees.bodies, None, |_, entry| {
            let number =
                change::decode_key(entry.key()).map_err(|what| from.store.unreadable(what))?;
            Ok(live.contains(number).then(|| entry.value_bytes()))
        })?;
        let chunks = self.pack_tree(&specs.chunks, &trees.chunks, None, |packing, entry| {
            let old = from.store.stored_chunk(&entry.value_bytes())?;
            if old.names == 0 {
                return Ok(None);
            }
            let place = copy_chunk(from, &old, &mut packing.writer)?;
            Ok(Some(Stored { place, ..old }.encode().into()))
        })?;
        let by_seq = self.pack_tree(&specs.by_seq, &trees.by_seq, None, as_it_is)?;
        let local = self.pack_tree(&specs.local, &trees.local, None, as_it_is)?;
        let oldest = change::key(from.oldest_purge(&self.pages)?);
        let start = Some(Bytes::copy_from_slice(&oldest));
        let purges = self.pack_tree(&specs.purges, &trees.purges, start, as_it_is)?;
        let purge_ids = self.pack_tree(&specs.purge_ids, &trees.purge_ids, None, |_, entry| {
            Ok((entry.value() >= &oldest[..]).then(|| entry.value_bytes()))
        })?;
        Ok(PerTree { by_id, by_seq, local, purges, purge_ids, bodies, chunks })
    }

    fn pack_tree(
        &mut self,
        spec: &Arc<Spec>,
        tree: &Tree,
        start: Option<Bytes>,
        mut value: impl FnMut(&mut Self, &Entry) -> Result<Option<Bytes>, Error>,
    ) -> Result<Checkpoint, Error> {
        let mut builder = Builder::new(spec.clone());
        let start = start.map_or(Bound::Unbounded, Bound::Included);
        for entry in tree.range(&self.pages, (start, Bound::Unbounded), Direction::Forward) {
            let entry = entry?;
            if let Some(value) = value(self, &entry)? {
                builder.push(&mut self.writer, entry.key(), &value)?;
            }
            self.entries += 1;
            if self.entries == STRIDE || self.writer.written() - self.bytes >= STRIDE_BYTES {
                self.report()?;
            }
        }
        self.report()?;
        builder.finish(&mut self.writer)
    }

    fn report(&mut self) -> Result<(), Error> {
        let written = self.writer.written();
        let entries = std::mem::take(&mut self.entries);
        let bytes = written - std::mem::replace(&mut self.bytes, written);
        (self.pace)(Step::Done { entries, bytes })
    }
}

fn as_it_is(_: &mut Packing<'_, '_>, entry: &Entry) -> Result<Option<Bytes>, Error> {
    Ok(Some(entry.value_bytes()))
}

/// Reads a document's info.
fn info(store: &Store, key: &[u8], value: &[u8]) -> Result<DocInfo, Error> {
    let id =
        std::str::from_utf8(key).map_err(|_| store.unreadable(Malformed("id is not UTF-8")))?;
    docinfo::decode(DocId::trusted(id), value).map_err(|damage| store.unreadable(damage))
}

/// Forgets revisions beyond the limit, and what is kept for those that are no leaves. Answers with
/// the info as it is stored.
fn slim(info: &mut DocInfo, revs_limit: usize) -> Vec<u8> {
    info.tree.stem(revs_limit);
    info.tree.forget_ancestors(|_| false);
    docinfo::encode(info)
}

/// Copies a chunk's bytes; where they are in the copy.
fn copy_chunk(from: &State, chunk: &Stored, writer: &mut PageWriter) -> Result<Place, Error> {
    let bytes = from.store.chunk(&from.store.pages, &chunk.place)?;
    Ok(Place::Extent(writer.put(CHUNK_KIND, &bytes)?))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use settee_model::rev::RevPath;

    use super::*;
    use crate::io::{SimStorage, Storage};
    use crate::page::Cache;
    use crate::shard::tests::kit::*;

    #[test]
    fn large_chunks_are_copied_in_small_steps() {
        let disk = SimStorage::new();
        let engine = open(&disk);
        let shard = engine.create_shard(&shard_id()).unwrap();
        let upload = |n: u64| upload(&shard, &n.to_string(), noise(n, 500_000).as_bytes());
        let atts = (1..=10).map(upload).collect();
        put(&shard, settee_model::doc::DocEdit { atts, ..edit("a", RevPath::default(), "{}") });
        let store = Store::over(disk.create("copy").unwrap(), "copy".into(), &Cache::new(1 << 20));
        let most = Cell::new(0);
        let pace = |step| {
            if let Step::Done { bytes, .. } = step {
                most.set(most.get().max(bytes));
            }
            Ok(())
        };
        Copy::of(&shard.durable_state(), store.into(), 1000, &pace).unwrap();
        assert!((STRIDE_BYTES..2 * STRIDE_BYTES).contains(&most.get()), "{} bytes", most.get());
    }
}
