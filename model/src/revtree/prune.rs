//! Forgetting: old ancestors beyond a limit, and leaves that are purged. Never touches a leaf
//! that it was not told to remove.

use std::collections::HashSet;

use crate::rev::Rev;

use super::merge::Branch;
use super::{Node, RevTree};

impl<V: Clone + Ord> RevTree<V> {
    /// Forgets revisions whose nearest leaf is `limit` or more generations away; at least the
    /// leaves stay. Branches that a merge has made to overlap are joined.
    pub fn stem(&mut self, limit: usize) {
        let limit = limit.max(1);
        if self.leaves <= 1 {
            let excess = self.nodes.len().saturating_sub(limit);
            self.nodes.drain(..excess);
            if let Some(root) = self.nodes.first_mut() {
                root.root = true;
            }
        } else if self.repeats_an_id() {
            self.rebuild(&self.leaf_indices(), limit);
        } else if self.nodes.len() > limit {
            self.drop_distant(limit);
        }
    }

    /// Removes the branches that end in one of `revs` (revisions that have descendants, or are
    /// unknown, are passed over), with those ancestors that no other branch has.
    /// Answers with the revisions whose branches went, by generation and id.
    pub fn remove_leaves(&mut self, revs: &[Rev]) -> Vec<Rev> {
        let mut wanted = revs.to_vec();
        let mut removed = Vec::new();
        let mut leaves = self.leaf_indices();
        leaves.retain(|leaf| {
            let node = self.nodes.get(*leaf);
            let named = wanted.iter().position(|rev| node.is_some_and(|node| node.is(rev)));
            removed.extend(named.map(|index| wanted.swap_remove(index)));
            named.is_none()
        });
        if !removed.is_empty() {
            self.rebuild(&leaves, usize::MAX);
        }
        removed.sort_unstable();
        removed
    }

    /// Drops the values of revisions that have descendants, unless they are to stay; such
    /// revisions are then known by name only.
    pub fn forget_ancestors(&mut self, mut stays: impl FnMut(&V) -> bool) {
        for index in 0..self.nodes.len() {
            let inner = !self.is_leaf(index);
            if let Some(node) = self.nodes.get_mut(index).filter(|_| inner) {
                node.value = node.value.take().filter(|value| stays(value));
            }
        }
    }

    /// Youngest tree first: of a leaf that is there twice, the one in it is purged first.
    fn leaf_indices(&self) -> Vec<usize> {
        let mut trees: Vec<_> = self.trees().collect();
        trees.reverse();
        trees.into_iter().flatten().filter(|index| self.is_leaf(*index)).collect()
    }

    /// Whether an id stands for several revisions: of one, in trees that grew together, or of
    /// different generations.
    fn repeats_an_id(&self) -> bool {
        let mut seen = HashSet::with_capacity(self.nodes.len());
        !self.nodes.iter().all(|node| seen.insert(&node.id))
    }

    /// Makes the tree anew of the branches that end at `leaves`, at most `limit` of each.
    fn rebuild(&mut self, leaves: &[usize], limit: usize) {
        let mut lines: Vec<Vec<&Node<V>>> =
            leaves.iter().map(|leaf| self.line(*leaf).take(limit).collect()).collect();
        lines.sort_by(|a, b| {
            let oldest = |line: &[&Node<V>]| line.last().map(|node| node.pos);
            // Of a revision that is there twice, the lesser value is merged first and stays.
            let key = |node: &Node<V>| (node.id.clone(), node.value.is_none(), node.value.clone());
            let newest = || a.iter().map(|node| key(node)).cmp(b.iter().map(|node| key(node)));
            oldest(a).cmp(&oldest(b)).then_with(newest)
        });
        let mut tree = RevTree::new();
        for line in lines {
            let Some(oldest) = line.last() else { continue };
            let nodes = line.iter().rev().map(|node| (node.id.clone(), node.value.clone()));
            tree.merge_branch(Branch { start: oldest.pos, nodes: nodes.collect() });
        }
        *self = tree;
    }

    fn drop_distant(&mut self, limit: usize) {
        let near = self.near_a_leaf(limit);
        if near.iter().all(|near| *near) {
            return;
        }
        // A node that stays while its parent goes begins a tree of its own.
        let mut trees: Vec<Vec<Node<V>>> = Vec::new();
        // For the current node's ancestors, oldest first: the tree that each is in, if it stays.
        let mut above: Vec<Option<usize>> = Vec::new();
        let mut base = 0;
        for (mut node, stays) in std::mem::take(&mut self.nodes).into_iter().zip(near) {
            if node.root {
                base = node.pos;
            }
            above.truncate(usize::try_from(node.pos - base).unwrap_or(usize::MAX));
            if !stays {
                above.push(None);
                continue;
            }
            let parent = above.last().copied().flatten();
            let tree = parent.unwrap_or(trees.len());
            above.push(Some(tree));
            match trees.get_mut(tree) {
                Some(nodes) => nodes.push(node),
                None => {
                    node.root = true;
                    trees.push(vec![node]);
                }
            }
        }
        let key = |tree: &[Node<V>]| tree.first().map(|root| (root.pos, root.id.clone()));
        trees.sort_by_cached_key(|tree| key(tree));
        self.nodes = trees.into_iter().flatten().collect();
    }

    /// For each node, whether its nearest leaf is less than `limit` generations away.
    fn near_a_leaf(&self, limit: usize) -> Vec<bool> {
        // Going backwards, children come before their parents. Generation and distance of the
        // nodes whose parent has not come yet, one for each generation.
        let mut below: Vec<(u64, usize)> = Vec::new();
        let mut near = Vec::with_capacity(self.nodes.len());
        for node in self.nodes.iter().rev() {
            let is_child = below.last().is_some_and(|(pos, _)| *pos > node.pos);
            let child = if is_child { below.pop() } else { None };
            let distance = child.map_or(0, |(_, distance)| distance + 1);
            near.push(distance < limit);
            match below.last_mut() {
                _ if node.root => {}
                Some((pos, sibling)) if *pos == node.pos => *sibling = distance.min(*sibling),
                _ => below.push((node.pos, distance)),
            }
        }
        near.reverse();
        near
    }
}
