//! A copy-on-write B+tree of byte keys and byte values in pages of a shard file. A tree is a value:
//! applying a batch gives a new one and leaves the old one as it was, so a snapshot is a clone.
//! Never locks, never syncs, never knows what keys and values mean.

mod apply;
mod builder;
mod checkpoint;
mod cursor;
mod diff;
mod groups;
mod inner;
mod merge;
mod node;
mod read;
mod reducer;
mod root;
mod split;
mod verify;

#[cfg(test)]
mod tests;

use std::{ops::Bound, sync::Arc};

use bytes::Bytes;

pub use builder::Builder;
pub use checkpoint::Checkpoint;
pub use cursor::{Cursor, Direction, Entry};
pub use diff::{Change, Diff};
pub use groups::{Group, Groups, Prefix, above};
pub use node::Sizes;
pub use reducer::{Entries, NoReduction, Reducer};
pub use root::Root;

use self::node::{Child, Clean};
use crate::{
    Error,
    page::{PageWriter, Pages},
};

/// Largest key and value together, in bytes.
const MAX_ENTRY: usize = 1 << 30;

/// What all versions of one tree have in common.
#[derive(Clone)]
pub struct Spec {
    /// How entries are summarised.
    pub reducer: Arc<dyn Reducer>,
    /// How large a leaf gets, in bytes before compression; a larger entry stands alone.
    pub page_size: usize,
}

/// A range of keys.
pub type KeyRange = (Bound<Bytes>, Bound<Bytes>);

/// One version of a tree. Cheap to clone; a clone is a snapshot.
///
/// The pages given to its methods must be those of the file that the tree was opened from or is
/// checkpointed to.
#[derive(Clone)]
pub struct Tree {
    spec: Arc<Spec>,
    top: Option<Top>,
}

/// The root node and how high it stands above the leaves.
#[derive(Clone)]
struct Top {
    child: Child,
    level: u8,
}

impl Tree {
    /// A tree without entries.
    pub fn empty(spec: Arc<Spec>) -> Tree {
        Tree { spec, top: None }
    }

    /// The tree that `root` leads to.
    pub fn open(spec: Arc<Spec>, root: Root) -> Tree {
        let Root { page, level, count, stored, reduction } = root;
        let top = page.map(|ptr| {
            let child = Child::Clean(Clean { ptr, count, stored, reduction });
            Top { child, level }
        });
        Tree { spec, top }
    }

    /// The root, if everything has its place on disk (right after a checkpoint).
    pub fn root(&self) -> Option<Root> {
        match &self.top {
            None => Some(Root::empty()),
            Some(Top { child: Child::Clean(clean), level }) => {
                Some(Root::of(clean.clone(), *level))
            }
            Some(_) => None,
        }
    }

    /// Number of entries.
    pub fn count(&self) -> u64 {
        self.top.as_ref().map_or(0, |top| top.child.count())
    }

    /// Bytes that this tree takes in the file and in memory only.
    pub fn sizes(&self) -> Sizes {
        self.top.as_ref().map_or(Sizes::default(), |top| top.child.sizes())
    }

    /// Reduction of all entries. Reads no page.
    pub fn reduction(&self) -> Result<Bytes, Error> {
        match &self.top {
            Some(top) => top.child.reduction(&*self.spec.reducer),
            None => self.spec.reducer.combine(&[]),
        }
    }

    /// Puts (`Some`) and deletes (`None`) keys, strictly ascending.
    pub fn apply<K: AsRef<[u8]>, V: AsRef<[u8]>>(
        &self,
        pages: &Pages,
        ops: &[(K, Option<V>)],
    ) -> Result<Tree, Error> {
        let ops: Vec<apply::Op<'_>> = ops
            .iter()
            .map(|(key, value)| (key.as_ref(), value.as_ref().map(AsRef::as_ref)))
            .collect();
        if ops.is_sorted_by(|(a, _), (b, _)| a < b) {
            ops.iter().try_for_each(|(key, value)| check_entry(key, value.unwrap_or_default()))?;
            let top = apply::apply(&self.spec, pages, self.top.as_ref(), &ops)?;
            Ok(Tree { spec: self.spec.clone(), top })
        } else {
            Err(Error::Unordered)
        }
    }

    /// A cursor over a range. Reads nothing before it is asked for an entry.
    pub fn range(&self, pages: &Pages, range: KeyRange, direction: Direction) -> Cursor {
        Cursor::new(self.top.clone(), pages.clone(), range, direction)
    }

    /// What changed from `self` to `new`, both versions of the same tree in the same file.
    pub fn diff(&self, pages: &Pages, new: &Tree) -> Diff {
        Diff::new(pages.clone(), self.top.as_ref(), new.top.as_ref())
    }

    /// Puts every node that has no place in the file into `writer`, children first. The clean tree
    /// comes from [`Checkpoint::publish`] when the writer has finished.
    pub fn checkpoint(&self, writer: &mut PageWriter) -> Result<Checkpoint, Error> {
        checkpoint::checkpoint(self, writer)
    }

    /// The same tree without holding on to nodes that a published checkpoint gave a place.
    pub fn settle(&self) -> Tree {
        checkpoint::settle(self)
    }

    /// Reads every page from disk and checks everything that can be checked, reporting each damage.
    pub fn verify(&self, pages: &Pages, report: &mut dyn FnMut(Error)) {
        verify::verify(self, &pages.uncached(), report);
    }
}

/// Refuses what a page's fields cannot hold.
fn check_entry(key: &[u8], value: &[u8]) -> Result<(), Error> {
    if key.len() + value.len() > MAX_ENTRY {
        return Err(Error::TooLarge { what: "an entry" });
    }
    Ok(())
}
