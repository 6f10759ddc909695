//! A document's history: the revisions that are known of it, as a forest of branches. Holds what
//! CouchDB's key tree holds and answers as it does: merging, stemming, leaves, the winner, paths,
//! what is missing. Never looks into the values that revisions carry, and never decides whether
//! an edit is welcome (see `edit`).
//!
//! The nodes lie in one flat list, parents before children: a branch is followed by its own
//! subtree before its next sibling comes, siblings are ordered by id, roots by generation and id.
//! A generation and a mark on roots are then all that is needed to know each node's parent (the
//! nearest node before it that is one generation older), so that appending a revision to a chain
//! is a push, and forgetting its oldest one is a move of bytes.

mod merge;
mod prune;
mod query;
#[cfg(test)]
mod tests;

pub use merge::MergeOutcome;
pub use query::{Latest, Leaf};

use crate::rev::{Rev, RevId};

/// Tells live revisions from tombstones, which lose against any live one.
pub trait Tombstone {
    /// Whether the revision deletes its branch of the document.
    fn is_tombstone(&self) -> bool;
}

/// One revision in a [`RevTree`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node<V> {
    /// Generation.
    pub pos: u64,
    /// What tells it from others of its generation.
    pub id: RevId,
    /// Whether its own parent is unknown (never told, or stemmed away).
    pub root: bool,
    /// What is kept for the revision; `None` for an ancestor known by name only. Leaves have it.
    pub value: Option<V>,
}

impl<V> Node<V> {
    /// The revision's full name.
    #[must_use]
    pub fn rev(&self) -> Rev {
        Rev { pos: self.pos, id: self.id.clone() }
    }

    fn is(&self, rev: &Rev) -> bool {
        self.pos == rev.pos && self.id == rev.id
    }

    fn key(&self) -> (u64, &RevId) {
        (self.pos, &self.id)
    }
}

/// The revisions known of a document. See the module's description for the layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RevTree<V> {
    nodes: Vec<Node<V>>,
    /// How many of the nodes have no child; one means that the tree is a plain chain.
    leaves: usize,
}

/// A list of nodes that is no revision tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("revision tree: {0}")]
pub struct BadTree(&'static str);

impl<V> Default for RevTree<V> {
    fn default() -> Self {
        RevTree { nodes: Vec::new(), leaves: 0 }
    }
}

impl<V> RevTree<V> {
    /// The tree of a document that has no revision.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Rebuilds a tree from what [`RevTree::nodes`] gave.
    ///
    /// # Errors
    /// [`BadTree`] if the nodes are not in a tree's order or a leaf has no value.
    pub fn from_nodes(nodes: Vec<Node<V>>) -> Result<Self, BadTree> {
        for (index, node) in nodes.iter().enumerate() {
            let (before, after) = nodes.split_at(index);
            check_place(before, node)?;
            let leaf = after.get(1).is_none_or(|next| next.root || next.pos <= node.pos);
            if leaf && node.value.is_none() {
                return Err(BadTree("a leaf has no value"));
            }
        }
        let mut tree = RevTree { nodes, leaves: 0 };
        tree.count_leaves();
        Ok(tree)
    }

    /// All nodes, parents before children, in the order that [`RevTree::from_nodes`] takes.
    #[must_use]
    pub fn nodes(&self) -> &[Node<V>] {
        &self.nodes
    }

    /// All nodes for changing what they carry; their places stay.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.nodes.iter_mut().filter_map(|node| node.value.as_mut())
    }

    /// Whether no revision is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// How many revisions are known, those without a value included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// How many branches end in this tree; more than one live one is a conflict.
    #[must_use]
    pub fn leaf_count(&self) -> usize {
        self.leaves
    }

    fn count_leaves(&mut self) {
        self.leaves = (0..self.nodes.len()).filter(|index| self.is_leaf(*index)).count();
    }

    fn is_leaf(&self, index: usize) -> bool {
        match (self.nodes.get(index), self.nodes.get(index + 1)) {
            (Some(node), Some(next)) => next.root || next.pos <= node.pos,
            (node, None) => node.is_some(),
            (None, _) => false,
        }
    }

    /// Where the subtree of the node at `index` ends (exclusive).
    fn subtree_end(&self, index: usize) -> usize {
        let Some((node, rest)) = self.nodes.get(index..).and_then(<[_]>::split_first) else {
            return index;
        };
        let inside = rest.iter().take_while(|next| !next.root && next.pos > node.pos).count();
        index + 1 + inside
    }

    /// Index ranges of the trees of the forest, oldest root first.
    fn trees(&self) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
        let mut start = 0;
        std::iter::from_fn(move || {
            let tree = start..self.subtree_end(start);
            start = tree.end;
            (!tree.is_empty()).then_some(tree)
        })
    }
}

/// Whether `node` may stand right behind the nodes `before` it.
fn check_place<V>(before: &[Node<V>], node: &Node<V>) -> Result<(), BadTree> {
    let Some(last) = before.last() else {
        return if node.root { Ok(()) } else { Err(BadTree("does not begin with a root")) };
    };
    if node.root {
        let previous = before.iter().rev().find(|other| other.root);
        return match previous {
            Some(root) if root.key() > node.key() => Err(BadTree("roots are out of order")),
            _ => Ok(()),
        };
    }
    if last.pos.checked_add(1) == Some(node.pos) {
        return Ok(());
    }
    // A sibling of something before it: going back, the first node of the same generation.
    for other in before.iter().rev() {
        if other.pos <= node.pos {
            let sibling = other.pos == node.pos && !other.root && other.id < node.id;
            return if sibling { Ok(()) } else { Err(BadTree("siblings are out of order")) };
        }
        if other.root {
            break;
        }
    }
    Err(BadTree("a node has no parent"))
}
