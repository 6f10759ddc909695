//! What a revision tree can be asked: leaves, the winner, paths, what is missing. Changes nothing.

use std::cmp::Reverse;

use crate::rev::{Rev, RevId, RevPath};

use super::{Node, RevTree, Tombstone};

/// The end of a branch.
#[derive(Debug, PartialEq, Eq)]
pub struct Leaf<'a, V> {
    /// Generation.
    pub pos: u64,
    /// What tells it from others of its generation.
    pub id: &'a RevId,
    /// What is kept for it.
    pub value: &'a V,
}

impl<V> Clone for Leaf<'_, V> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<V> Copy for Leaf<'_, V> {}

impl<V> Leaf<'_, V> {
    /// The revision's full name.
    #[must_use]
    pub fn rev(&self) -> Rev {
        Rev { pos: self.pos, id: self.id.clone() }
    }
}

/// What became of revisions that were asked for with `latest`.
#[derive(Debug)]
pub struct Latest<'a, V> {
    /// The leaves that descend from them (a leaf descends from itself), by generation and id.
    pub leaves: Vec<Leaf<'a, V>>,
    /// Revisions that the tree does not know.
    pub missing: Vec<Rev>,
}

impl<V> RevTree<V> {
    /// The node of a revision.
    #[must_use]
    pub fn get(&self, rev: &Rev) -> Option<&Node<V>> {
        self.nodes.get(self.index_of(rev)?)
    }

    /// The leaf with that name; `None` also if the revision is known but has descendants.
    #[must_use]
    pub fn leaf(&self, rev: &Rev) -> Option<Leaf<'_, V>> {
        let named = |index: &usize| self.nodes.get(*index).is_some_and(|node| node.is(rev));
        let index = (0..self.nodes.len()).rev().find(|at| named(at) && self.is_leaf(*at))?;
        self.leaf_at(index)
    }

    /// A revision and its known ancestors, newest first.
    #[must_use]
    pub fn path_of(&self, rev: &Rev) -> Option<RevPath> {
        let ids = self.line(self.index_of(rev)?).map(|node| node.id.clone()).collect();
        Some(RevPath { start: rev.pos, ids })
    }

    /// The nodes of a revision and of its known ancestors, newest first; none if it is unknown.
    pub fn lineage(&self, rev: &Rev) -> impl Iterator<Item = &Node<V>> {
        self.index_of(rev).into_iter().flat_map(|index| self.line(index))
    }

    /// Those of `revs` that the tree does not know, ordered by generation and id. A revision that
    /// is named twice and known once is missing once, as CouchDB has it.
    #[must_use]
    pub fn find_missing(&self, revs: &[Rev]) -> Vec<Rev> {
        let mut wanted: Vec<(&Rev, bool)> = revs.iter().map(|rev| (rev, false)).collect();
        wanted.sort_unstable();
        for node in &self.nodes {
            let from = wanted.partition_point(|(rev, _)| (rev.pos, &rev.id) < node.key());
            let named = wanted.iter_mut().skip(from).take_while(|(rev, _)| node.is(rev));
            if let Some((_, found)) = named.into_iter().find(|(_, found)| !*found) {
                *found = true;
            }
        }
        wanted.into_iter().filter(|(_, found)| !found).map(|(rev, _)| rev.clone()).collect()
    }

    /// The leaves under the given revisions.
    #[must_use]
    pub fn latest(&self, revs: &[Rev]) -> Latest<'_, V> {
        let mut missing = revs.to_vec();
        let mut leaves = Vec::new();
        let mut inside = 0;
        for (index, node) in self.nodes.iter().enumerate() {
            if let Some(found) = missing.iter().position(|rev| node.is(rev)) {
                missing.swap_remove(found);
                inside = inside.max(self.subtree_end(index));
            }
            if index < inside && self.is_leaf(index) {
                leaves.extend(self.leaf_at(index));
            }
        }
        leaves.sort_by_key(|leaf| (leaf.pos, leaf.id));
        missing.sort_unstable();
        Latest { leaves, missing }
    }

    /// The ends of all branches, in the tree's own order.
    pub fn leaves_unordered(&self) -> impl Iterator<Item = Leaf<'_, V>> {
        // A chain has its one leaf at the end: no need to look at its ancestors.
        let from = if self.leaves == 1 { self.nodes.len() - 1 } else { 0 };
        (from..self.nodes.len()).filter(|at| self.is_leaf(*at)).filter_map(|at| self.leaf_at(at))
    }

    fn leaf_at(&self, index: usize) -> Option<Leaf<'_, V>> {
        let node = self.nodes.get(index)?;
        Some(Leaf { pos: node.pos, id: &node.id, value: node.value.as_ref()? })
    }

    pub(super) fn index_of(&self, rev: &Rev) -> Option<usize> {
        self.nodes.iter().position(|node| node.is(rev))
    }

    /// The node at `index` and its ancestors, newest first.
    pub(super) fn line(&self, index: usize) -> impl Iterator<Item = &Node<V>> {
        let mut next = Some(index);
        std::iter::from_fn(move || {
            let index = next?;
            next = self.parent(index);
            self.nodes.get(index)
        })
    }

    /// Index of the parent of the node at `index`.
    pub(super) fn parent(&self, index: usize) -> Option<usize> {
        let node = self.nodes.get(index).filter(|node| !node.root)?;
        self.nodes.get(..index)?.iter().rposition(|other| other.pos < node.pos)
    }
}

impl<V: Tombstone> RevTree<V> {
    /// The ends of all branches, the winner first: live ones before tombstones, then the higher
    /// generation, then the greater id.
    #[must_use]
    pub fn leaves(&self) -> Vec<Leaf<'_, V>> {
        let mut leaves: Vec<_> = self.leaves_unordered().collect();
        leaves.sort_by(|a, b| rank(b).cmp(&rank(a)));
        leaves
    }

    /// The revision that readers get who name none.
    #[must_use]
    pub fn winner(&self) -> Option<Leaf<'_, V>> {
        self.leaves_unordered().max_by(|a, b| rank(a).cmp(&rank(b)))
    }

    /// Whether every branch ends in a tombstone. False for an empty tree.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        !self.is_empty() && self.leaves_unordered().all(|leaf| leaf.value.is_tombstone())
    }

    /// Leaves from which revisions that are missing here may descend: those that are older than
    /// the youngest of `missing`; the winner first.
    #[must_use]
    pub fn possible_ancestors(&self, missing: &[Rev]) -> Vec<Rev> {
        let youngest = missing.iter().map(|rev| rev.pos).max().unwrap_or(0);
        let mut leaves = self.leaves();
        leaves.retain(|leaf| leaf.pos < youngest);
        leaves.iter().map(Leaf::rev).collect()
    }
}

fn rank<'a, V: Tombstone>(leaf: &Leaf<'a, V>) -> (Reverse<bool>, u64, &'a RevId) {
    (Reverse(leaf.value.is_tombstone()), leaf.pos, leaf.id)
}
