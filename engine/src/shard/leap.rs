//! Passing over long runs of deleted documents without reading them: where the reduction says that
//! no document of a range is live, the range is left out. Knows nothing of documents but that.

use std::ops::Bound;

use bytes::Bytes;

use crate::Error;
use crate::codec::Malformed;
use crate::codec::reduce::Counts;
use crate::page::Pages;
use crate::tree::{Direction, KeyRange, Tree};

/// So many deleted documents in a row are read before it is worth looking at reductions.
const PATIENCE: usize = 64;

/// See the module's description.
pub(super) struct Leap {
    tree: Tree,
    pages: Pages,
    direction: Direction,
    /// The last deleted document, and how many there were in a row.
    last: Option<Bytes>,
    run: usize,
}

impl Leap {
    pub(super) fn new(tree: Tree, pages: Pages, direction: Direction) -> Self {
        Leap { tree, pages, direction, last: None, run: 0 }
    }

    /// A live document was met.
    pub(super) fn stay(&mut self) {
        self.run = 0;
    }

    /// A deleted document was met.
    pub(super) fn pass(&mut self, key: Bytes) {
        self.run += 1;
        if self.run >= PATIENCE {
            self.last = Some(key);
        }
    }

    /// Where to go on, if there have been so many deleted documents that it pays to look ahead:
    /// a key with none but deleted documents before it.
    pub(super) fn target(&mut self) -> Result<Option<Bytes>, Error> {
        let Some(last) = &self.last else { return Ok(None) };
        let mut rank = self.tree.rank(&self.pages, last)?;
        let mut reached = last.clone();
        let mut step = PATIENCE as u64;
        let mut growing = true;
        while step >= PATIENCE as u64 {
            let ahead = match self.direction {
                Direction::Forward => rank.saturating_add(step).min(self.tree.count() - 1),
                Direction::Backward => rank.saturating_sub(step),
            };
            let key = if ahead == rank { None } else { self.tree.key_at(&self.pages, ahead)? };
            let Some(key) = key else { break };
            if self.all_deleted(&reached, &key)? {
                (rank, reached) = (ahead, key);
            } else {
                growing = false;
            }
            step = if growing { step * 4 } else { step / 4 };
        }
        self.last = None;
        self.run = 0;
        Ok(Some(reached))
    }

    /// Whether no document from one key to right before another is live.
    fn all_deleted(&self, from: &Bytes, to: &Bytes) -> Result<bool, Error> {
        let range: KeyRange = match self.direction {
            Direction::Forward => (Bound::Included(from.clone()), Bound::Excluded(to.clone())),
            Direction::Backward => (Bound::Excluded(to.clone()), Bound::Included(from.clone())),
        };
        let reduction = self.tree.reduce(&self.pages, &range)?;
        let unreadable = |Malformed(what)| Error::corrupt(self.pages.file().path(), 0, what);
        Ok(Counts::decode(&reduction).map_err(unreadable)?.doc_count == 0)
    }
}
