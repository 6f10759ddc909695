//! A shard at one moment: the roots of its trees and a few counters. A value; changing it makes
//! another one (see `workspace`). Reads pages, writes none.

use std::sync::{Arc, LazyLock};

use super::PURGES_DONE;
use super::store::Store;
use crate::Error;
use crate::codec::reduce::{self, Bodies, ById, ChunkSizes, Chunks, Counts};
use crate::codec::{change, local};
use crate::page::Pages;
use crate::tree::{NoReduction, Reducer, Root, Spec, Tree};

/// One of something for each tree of a shard. Keys and values: docs/format.md section 4.
#[derive(Clone)]
pub(crate) struct PerTree<T> {
    pub(crate) by_id: T,
    pub(crate) by_seq: T,
    pub(crate) local: T,
    pub(crate) purges: T,
    pub(crate) purge_ids: T,
    pub(crate) bodies: T,
    pub(crate) chunks: T,
}

/// The trees of a shard.
pub(crate) type Trees = PerTree<Tree>;

/// Numbers that go up with every frame applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Number of the last frame applied.
    pub(crate) number: u64,
    /// Sequence of the last change of a document or purge.
    pub(crate) update_seq: u64,
    /// Number of the last purge.
    pub(crate) purge_seq: u64,
    /// The next body gets this number.
    pub(crate) next_body: u64,
    /// How many purges the last purge wanted remembered.
    pub(crate) purge_infos_limit: u64,
}

/// A shard at one moment.
#[derive(Clone)]
pub(crate) struct State {
    /// Names this life of the shard, from its creation to its removal.
    pub(crate) epoch: u64,
    pub(crate) counters: Counters,
    pub(crate) trees: Trees,
    /// Where the trees' pages are.
    pub(crate) store: Arc<Store>,
}

impl<T> PerTree<T> {
    /// In the order in which a header names the trees.
    pub(crate) fn each(&self) -> [&T; 7] {
        let PerTree { by_id, by_seq, local, purges, purge_ids, bodies, chunks } = self;
        [by_id, by_seq, local, purges, purge_ids, bodies, chunks]
    }

    /// Makes one of something else out of each.
    pub(crate) fn map<U>(self, mut f: impl FnMut(T) -> U) -> PerTree<U> {
        PerTree {
            by_id: f(self.by_id),
            by_seq: f(self.by_seq),
            local: f(self.local),
            purges: f(self.purges),
            purge_ids: f(self.purge_ids),
            bodies: f(self.bodies),
            chunks: f(self.chunks),
        }
    }

    /// Makes one of something else for each tree, in the order of [`PerTree::each`].
    pub(crate) fn try_map<U, E>(
        &self,
        mut f: impl FnMut(&T) -> Result<U, E>,
    ) -> Result<PerTree<U>, E> {
        Ok(PerTree {
            by_id: f(&self.by_id)?,
            by_seq: f(&self.by_seq)?,
            local: f(&self.local)?,
            purges: f(&self.purges)?,
            purge_ids: f(&self.purge_ids)?,
            bodies: f(&self.bodies)?,
            chunks: f(&self.chunks)?,
        })
    }
}

/// What the trees are named in reports.
pub(crate) static NAMES: PerTree<&str> = PerTree {
    by_id: "by_id",
    by_seq: "by_seq",
    local: "local",
    purges: "purges",
    purge_ids: "purge_ids",
    bodies: "bodies",
    chunks: "chunks",
};

/// How each tree summarises its entries.
pub(crate) static SPECS: LazyLock<PerTree<Arc<Spec>>> = LazyLock::new(|| PerTree {
    by_id: spec(ById),
    by_seq: spec(NoReduction),
    local: spec(NoReduction),
    purges: spec(NoReduction),
    purge_ids: spec(NoReduction),
    bodies: spec(Bodies),
    chunks: spec(Chunks),
});

/// A read of one document unpacks a page of each of two trees: of a million documents hardly any page
/// is in memory unpacked. Larger pages pack better, and a read pays for that.
const PAGE: usize = 4 << 10;

fn spec(reducer: impl Reducer) -> Arc<Spec> {
    Arc::new(Spec { reducer: Arc::new(reducer), page_size: PAGE })
}

impl Trees {
    /// Trees without entries.
    pub(crate) fn empty() -> Trees {
        SPECS.clone().map(Tree::empty)
    }

    /// The trees that a header's roots lead to.
    pub(crate) fn open(roots: PerTree<Root>) -> Trees {
        let specs = &*SPECS;
        let open = |spec: &Arc<Spec>, root| Tree::open(spec.clone(), root);
        PerTree {
            by_id: open(&specs.by_id, roots.by_id),
            by_seq: open(&specs.by_seq, roots.by_seq),
            local: open(&specs.local, roots.local),
            purges: open(&specs.purges, roots.purges),
            purge_ids: open(&specs.purge_ids, roots.purge_ids),
            bodies: open(&specs.bodies, roots.bodies),
            chunks: open(&specs.chunks, roots.chunks),
        }
    }

    /// Without holding on to nodes that a checkpoint gave a place.
    pub(crate) fn settle(&self) -> Trees {
        self.clone().map(|tree| tree.settle())
    }

    /// Bytes of pages in memory that have no place in the file yet.
    pub(crate) fn dirty_bytes(&self) -> u64 {
        self.each().into_iter().map(|tree| tree.sizes().dirty).sum()
    }
}

impl State {
    /// A shard without anything in it.
    pub(crate) fn new(epoch: u64, store: Arc<Store>) -> State {
        State { epoch, counters: Counters::default(), trees: Trees::empty(), store }
    }

    /// Bytes in memory that are not in the file yet.
    pub(crate) fn dirty_bytes(&self) -> u64 {
        self.trees.dirty_bytes() + self.store.unwritten().bytes()
    }

    /// Number of the oldest purge that must be remembered: compaction forgets those before it.
    pub(crate) fn oldest_purge(&self, pages: &Pages) -> Result<u64, Error> {
        let number = |key: &[u8]| change::decode_key(key);
        let tree = &self.trees.purges;
        let beyond = match tree.count().checked_sub(self.counters.purge_infos_limit.max(1)) {
            Some(excess @ 1..) => tree.key_at(pages, excess)?,
            _ => None,
        };
        let Some(beyond) = beyond else { return Ok(0) };
        let beyond = number(&beyond).map_err(|damage| self.store.unreadable(damage))?;
        let done = self.trees.local.get(pages, &local::property_key(PURGES_DONE))?;
        let needed = done.and_then(|done| number(&done).ok()).map(|done| done.saturating_add(1));
        Ok(needed.map_or(beyond, |needed| needed.min(beyond)))
    }

    /// Reduction of all documents.
    pub(crate) fn counts(&self) -> Result<Counts, Error> {
        let reduction = self.trees.by_id.reduction()?;
        Counts::decode(&reduction).map_err(|damage| self.store.unreadable(damage))
    }

    /// Bytes of all bodies and chunks that were ever written to its file.
    pub(crate) fn content_bytes(&self) -> Result<u64, Error> {
        Ok(self.body_bytes()?.saturating_add(self.chunk_sizes()?.all))
    }

    fn body_bytes(&self) -> Result<u64, Error> {
        let reduction = self.trees.bodies.reduction()?;
        reduce::decode_sum(&reduction).map_err(|damage| self.store.unreadable(damage))
    }

    fn chunk_sizes(&self) -> Result<ChunkSizes, Error> {
        let reduction = self.trees.chunks.reduction()?;
        ChunkSizes::decode(&reduction).map_err(|damage| self.store.unreadable(damage))
    }

    /// An estimate of the bytes of the file that compaction would keep.
    pub(crate) fn live_bytes(&self) -> Result<u64, Error> {
        let PerTree { by_id, by_seq, local, purges, purge_ids, bodies, chunks } = &self.trees;
        let indexes = [by_id, by_seq, local, purges, purge_ids, chunks];
        let indexes: u64 = indexes.into_iter().map(|tree| tree.sizes().stored).sum();
        let whole = self.body_bytes()?.max(1);
        let live = self.counts()?.sizes.stored.min(whole);
        let packed = u128::from(bodies.sizes().stored) * u128::from(live) / u128::from(whole);
        let packed = u64::try_from(packed).unwrap_or(u64::MAX);
        Ok(indexes.saturating_add(packed).saturating_add(self.chunk_sizes()?.live))
    }
}
