//! What a shard keeps about a document beside its revisions' content. No content, no rules.

use crate::docid::DocId;
use crate::rev::Rev;
use crate::revtree::{Leaf, RevTree, Tombstone};

/// What a shard knows of a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocInfo {
    /// Which document.
    pub id: DocId,
    /// Local sequence number of its last change.
    pub seq: u64,
    /// Its revisions.
    pub tree: RevTree<RevInfo>,
}

/// What a shard keeps for a revision whose content came here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct RevInfo {
    /// Whether the revision is a tombstone.
    pub deleted: bool,
    /// Local sequence number of the change that brought it.
    pub seq: u64,
    /// Number of its content; `None` if that was dropped since.
    pub body: Option<u64>,
    /// Bytes that its record takes as stored.
    pub stored: u64,
    /// Bytes that its attachments take as stored.
    pub atts: u64,
    /// Bytes of body and attachments as clients see them.
    pub external: u64,
}

impl Tombstone for RevInfo {
    fn is_tombstone(&self) -> bool {
        self.deleted
    }
}

impl DocInfo {
    /// A document that no revision is known of.
    #[must_use]
    pub fn new(id: DocId) -> Self {
        DocInfo { id, seq: 0, tree: RevTree::new() }
    }

    /// The revision that readers get who name none.
    #[must_use]
    pub fn winner(&self) -> Option<Leaf<'_, RevInfo>> {
        self.tree.winner()
    }

    /// Whether every branch ends in a tombstone, so that the document counts as deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.tree.is_deleted()
    }

    /// Live leaves that lost against the winner, best first: `_conflicts`.
    #[must_use]
    pub fn conflicts(&self) -> Vec<Rev> {
        self.losers(false)
    }

    /// Tombstones that lost against the winner, best first: `_deleted_conflicts`.
    #[must_use]
    pub fn deleted_conflicts(&self) -> Vec<Rev> {
        self.losers(true)
    }

    fn losers(&self, deleted: bool) -> Vec<Rev> {
        let leaves = self.tree.leaves();
        let losers = leaves.iter().skip(1).filter(|leaf| leaf.value.deleted == deleted);
        losers.map(Leaf::rev).collect()
    }
}
