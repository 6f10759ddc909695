//! A copy-on-write B+tree of byte keys and byte values in pages of a shard file. A tree is a value:
//! applying a batch gives a new one and leaves the old one as it was, so a snapshot is a clone.
//! Never locks, never syncs, never knows what keys and values mean.

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;

use crate::{
    Error,
    page::{PagePtr, PageWriter, Pages, Synced},
};

/// Summarises entries. The result of a range must not depend on how it was cut into parts.
pub trait Reducer: Send + Sync + 'static {
    /// Reduces entries of one leaf, in key order, at least one.
    fn leaf(&self, entries: Entries<'_>) -> Result<Bytes, Error>;

    /// Reduces reductions, in key order; none at all is the empty tree.
    fn combine(&self, parts: &[Bytes]) -> Result<Bytes, Error>;
}

/// Reduces everything to nothing, for trees that only need the built-in count.
#[derive(Debug, Clone, Copy)]
pub struct NoReduction;

impl Reducer for NoReduction {
    fn leaf(&self, _: Entries<'_>) -> Result<Bytes, Error> {
        Ok(Bytes::new())
    }
    fn combine(&self, _: &[Bytes]) -> Result<Bytes, Error> {
        Ok(Bytes::new())
    }
}

/// Consecutive entries of one leaf: an iterator over (key, value).
pub struct Entries<'a> {
    _leaf: &'a [u8],
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], &'a [u8]);
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// What all versions of one tree have in common.
#[derive(Clone)]
pub struct Spec {
    /// How entries are summarised.
    pub reducer: Arc<dyn Reducer>,
    /// About how large a leaf gets, in bytes before compression.
    pub page_size: usize,
}

/// One version of a tree. Cheap to clone; a clone is a snapshot.
#[derive(Clone)]
pub struct Tree {}

/// What a shard file's header keeps of a clean tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The root page; `None` for an empty tree.
    pub page: Option<PagePtr>,
    /// Level of the root page, 0 for a leaf.
    pub level: u8,
    /// Number of entries.
    pub count: u64,
    /// Bytes of the frames of all pages of the tree.
    pub stored: u64,
    /// Reduction of the whole tree.
    pub reduction: Bytes,
}

impl Root {
    /// Appends the form of docs/format.md section 2.
    pub fn encode(&self, _out: &mut Vec<u8>) {
        todo!()
    }

    /// Reads one root off the front of `input`; `None` if it is cut short or absurd.
    pub fn decode(_input: &mut &[u8]) -> Option<Root> {
        todo!()
    }
}

/// Which way a cursor goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Ascending keys.
    Forward,
    /// Descending keys.
    Backward,
}

/// A range of keys.
pub type KeyRange = (Bound<Bytes>, Bound<Bytes>);

/// An entry that shares its page's memory.
#[derive(Debug, Clone)]
pub struct Entry {}

impl Entry {
    /// The key.
    pub fn key(&self) -> &[u8] {
        todo!()
    }
    /// The value.
    pub fn value(&self) -> &[u8] {
        todo!()
    }
    /// The key, sharing the page's memory.
    pub fn key_bytes(&self) -> Bytes {
        todo!()
    }
    /// The value, sharing the page's memory.
    pub fn value_bytes(&self) -> Bytes {
        todo!()
    }
}

/// Walks a range of one version of a tree. After an error the same call may be repeated.
pub struct Cursor {}

impl Cursor {
    /// The next entry in the cursor's direction.
    pub fn next(&mut self) -> Result<Option<Entry>, Error> {
        todo!()
    }
    /// Skips to the first entry not before `key` in the cursor's direction.
    pub fn seek(&mut self, _key: &[u8]) {
        todo!()
    }
    /// Goes on with other pages of the same file, e.g. allowed to wait for the disk now.
    pub fn set_pages(&mut self, _pages: Pages) {
        todo!()
    }
}

impl Iterator for Cursor {
    type Item = Result<Entry, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

/// One difference between two versions.
#[derive(Debug, Clone)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// Its value in the old version.
    pub old: Option<Bytes>,
    /// Its value in the new version.
    pub new: Option<Bytes>,
}

/// Walks the differences between two versions of one tree in key order, skipping what they share.
pub struct Diff {}

impl Iterator for Diff {
    type Item = Result<Change, Error>;
    fn next(&mut self) -> Option<Self::Item> {
        todo!()
    }
}

impl Tree {
    /// A tree without entries.
    pub fn empty(_spec: Arc<Spec>) -> Tree {
        todo!()
    }

    /// The tree that `root` leads to.
    pub fn open(_spec: Arc<Spec>, _root: Root) -> Tree {
        todo!()
    }

    /// The root, if everything has its place on disk (right after a checkpoint).
    pub fn root(&self) -> Option<Root> {
        todo!()
    }

    /// Number of entries.
    pub fn count(&self) -> u64 {
        todo!()
    }

    /// Bytes in the file that this tree's clean pages take, and bytes in memory that have no place
    /// in the file yet.
    pub fn sizes(&self) -> (u64, u64) {
        todo!()
    }

    /// The value of a key.
    pub fn get(&self, _pages: &Pages, _key: &[u8]) -> Result<Option<Bytes>, Error> {
        todo!()
    }

    /// The values of many keys, ascending, in one pass.
    pub fn get_many<K: AsRef<[u8]>>(
        &self,
        _pages: &Pages,
        _keys: &[K],
    ) -> Result<Vec<Option<Bytes>>, Error> {
        todo!()
    }

    /// Puts (`Some`) and deletes (`None`) keys, strictly ascending.
    pub fn apply<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        _pages: &Pages,
        _ops: &[(K, Option<V>)],
    ) -> Result<Tree, Error> {
        todo!()
    }

    /// A cursor over a range.
    pub fn range(&self, _pages: &Pages, _range: KeyRange, _direction: Direction) -> Cursor {
        todo!()
    }

    /// How many keys are below `key`.
    pub fn rank(&self, _pages: &Pages, _key: &[u8]) -> Result<u64, Error> {
        todo!()
    }

    /// The key with so many keys below it.
    pub fn key_at(&self, _pages: &Pages, _rank: u64) -> Result<Option<Bytes>, Error> {
        todo!()
    }

    /// Reduction of all entries. Reads no page.
    pub fn reduction(&self) -> Result<Bytes, Error> {
        todo!()
    }

    /// Reduction of a range.
    pub fn reduce(&self, _pages: &Pages, _range: &KeyRange) -> Result<Bytes, Error> {
        todo!()
    }

    /// What changed from `self` to `new`, both versions of the same tree in the same file.
    pub fn diff(&self, _pages: &Pages, _new: &Tree) -> Diff {
        todo!()
    }

    /// Puts every node that has no place in the file into `writer`, children first. The clean tree
    /// comes from [`Checkpoint::publish`] when the writer has finished.
    pub fn checkpoint(&self, _writer: &mut PageWriter) -> Result<Checkpoint, Error> {
        todo!()
    }

    /// The same tree without holding on to nodes that a finished checkpoint gave a place.
    pub fn settle(&self) -> Tree {
        todo!()
    }

    /// Reads every page and checks everything that can be checked, reporting each damage.
    pub fn verify(&self, _pages: &Pages, _report: &mut dyn FnMut(Error)) {
        todo!()
    }
}

/// A tree whose pages were put into a writer, but may not be on disk yet.
pub struct Checkpoint {}

impl Checkpoint {
    /// The root to be stored in the shard's header.
    pub fn root(&self) -> Root {
        todo!()
    }

    /// Now that it is durable: tells the nodes their place, so that [`Tree::settle`] of later
    /// versions lets go of them, caches their pages and returns the clean tree.
    pub fn publish(self, _synced: &Synced) -> Tree {
        todo!()
    }
}

/// Builds a clean tree from ascending keys, straight into a file.
pub struct Builder {}

impl Builder {
    /// Nothing yet.
    pub fn new(_spec: Arc<Spec>) -> Builder {
        todo!()
    }

    /// Adds an entry above all before it.
    pub fn push(
        &mut self,
        _writer: &mut PageWriter,
        _key: &[u8],
        _value: &[u8],
    ) -> Result<(), Error> {
        todo!()
    }

    /// Writes what is left.
    pub fn finish(self, _writer: &mut PageWriter) -> Result<Checkpoint, Error> {
        todo!()
    }
}
