//! Putting a path of revisions into a tree, as CouchDB's key tree does. Never stems: whoever
//! merges then calls [`RevTree::stem`], which also joins what a merge brought together.

use crate::rev::{RevId, RevPath};

use super::{Node, RevTree};

/// What a merge did, or would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MergeOutcome {
    /// The path extends a leaf (or is the document's first).
    NewLeaf,
    /// The path ends in a branch of its own: a conflict.
    NewBranch,
    /// The path ends in a revision that was known, but brought ancestors or a value for it.
    Internal,
    /// All of it was known.
    Unchanged,
}

/// Revisions of consecutive generations, oldest first, with what is to be kept for them.
pub(super) struct Branch<V> {
    /// Generation of the first.
    pub start: u64,
    pub nodes: Vec<(RevId, Option<V>)>,
}

/// Where a branch meets a tree.
struct Seat {
    /// Index of the root of the tree that takes the branch.
    root: usize,
    /// How many revisions of the branch are older than that root.
    above: usize,
    /// Index of the tree's node that equals the last revision of the branch that is known.
    node: usize,
    /// How many revisions of the branch are at or before that node.
    matched: usize,
    /// Index at which the rest of the branch belongs.
    insert: usize,
}

impl RevPath {
    /// The ids oldest first, with the generation of the first. Ancestors that would be older
    /// than the first generation of all are left out: no server can have made them.
    fn oldest_first(&self) -> (u64, impl Iterator<Item = &RevId> + Clone) {
        let possible = usize::try_from(self.start).unwrap_or(usize::MAX).saturating_add(1);
        let count = self.ids.len().min(possible);
        let start = self.start.saturating_sub(count.saturating_sub(1) as u64);
        (start, self.ids.iter().take(count).rev())
    }
}

impl<V> RevTree<V> {
    /// Puts `path` into the tree; its newest revision carries `value`, its ancestors nothing.
    /// A revision that has a value keeps it.
    pub fn merge(&mut self, path: &RevPath, value: V) -> MergeOutcome {
        let (start, ids) = path.oldest_first();
        let mut nodes: Vec<_> = ids.map(|id| (id.clone(), None)).collect();
        match nodes.last_mut() {
            Some((_, tip)) => *tip = Some(value),
            None => return MergeOutcome::Unchanged,
        }
        self.merge_branch(Branch { start, nodes })
    }

    /// What [`RevTree::merge`] would answer for `path`, and the nearest ancestor of the path's
    /// newest revision that the tree has a value for, counting only the path's own line.
    #[must_use]
    pub fn foresee(&self, path: &RevPath) -> (MergeOutcome, Option<&Node<V>>) {
        let (start, ids) = path.oldest_first();
        let length = ids.clone().count();
        if length == 0 {
            return (MergeOutcome::Unchanged, None);
        }
        let Some(seat) = self.find_seat(start, ids) else {
            return (self.outcome_apart(), None);
        };
        let ends = seat.matched == length;
        let fills = ends && self.nodes.get(seat.node).is_some_and(|node| node.value.is_none());
        let mut line = self.line(seat.node).skip(usize::from(ends));
        (self.outcome_at(&seat, ends, fills), line.find(|node| node.value.is_some()))
    }

    /// Whether a path knows ancestors of its newest revision that this tree does not, and agrees with
    /// those that it does: merged and stemmed it joins what belongs together.
    #[must_use]
    pub fn reaches_beyond(&self, path: &RevPath) -> bool {
        let (_, ids) = path.oldest_first();
        let possible = ids.count();
        let known = path.tip().and_then(|tip| self.index_of(&tip));
        let mut ids = path.ids.iter().take(possible);
        let agrees = |at| self.line(at).all(|node| ids.next() == Some(&node.id));
        known.is_some_and(agrees) && ids.next().is_some()
    }

    fn outcome_apart(&self) -> MergeOutcome {
        match self.is_empty() {
            true => MergeOutcome::NewLeaf,
            false => MergeOutcome::NewBranch,
        }
    }

    /// `ends`: the branch ends at the seat; `fills`: it brings a value that was not there.
    fn outcome_at(&self, seat: &Seat, ends: bool, fills: bool) -> MergeOutcome {
        match ends {
            false if self.is_leaf(seat.node) => MergeOutcome::NewLeaf,
            false => MergeOutcome::NewBranch,
            true if fills || seat.above > 0 => MergeOutcome::Internal,
            true => MergeOutcome::Unchanged,
        }
    }

    pub(super) fn merge_branch(&mut self, mut branch: Branch<V>) -> MergeOutcome {
        let ids = branch.nodes.iter().map(|(id, _)| id);
        let Some(seat) = self.find_seat(branch.start, ids) else {
            let outcome = self.outcome_apart();
            self.insert_tree(to_nodes(branch.start, true, branch.nodes));
            self.leaves += 1;
            return outcome;
        };
        let rest = branch.nodes.split_off(seat.matched);
        let ends = rest.is_empty();
        let extends = !ends && self.is_leaf(seat.node);
        let rest_start = branch.start.saturating_add(seat.matched as u64);
        let known = branch.nodes.split_off(seat.above);
        let fills = self.fill_values(seat.node, known);
        let outcome = self.outcome_at(&seat, ends, fills);
        self.leaves += usize::from(!ends && !extends);
        self.nodes.splice(seat.insert..seat.insert, to_nodes(rest_start, false, rest));
        if seat.above > 0 {
            self.put_above(seat.root, to_nodes(branch.start, true, branch.nodes));
        }
        outcome
    }

    /// Gives values to the nodes that lack one, from `node` upward; `known` is oldest first.
    fn fill_values(&mut self, node: usize, known: Vec<(RevId, Option<V>)>) -> bool {
        let mut fills = false;
        let mut index = Some(node);
        for (_, value) in known.into_iter().rev() {
            let Some(at) = index else { break };
            if let (Some(node), Some(value)) = (self.nodes.get_mut(at), value)
                && node.value.is_none()
            {
                node.value = Some(value);
                fills = true;
            }
            index = self.parent(at);
        }
        fills
    }

    fn find_seat<'a>(
        &self,
        start: u64,
        ids: impl Iterator<Item = &'a RevId> + Clone,
    ) -> Option<Seat> {
        self.trees().find_map(|tree| {
            let root = self.nodes.get(tree.start)?;
            let (above, first) = match root.pos.checked_sub(start) {
                Some(above) => {
                    let above = usize::try_from(above).ok()?;
                    (above, (ids.clone().nth(above)? == &root.id).then_some(tree.start)?)
                }
                None => (0, self.find_in(tree.clone(), start, ids.clone().next()?)?),
            };
            Some(self.descend(tree.start, above, first, ids.clone()))
        })
    }

    /// The first node of `tree` that is the revision `pos`-`id`.
    fn find_in(&self, tree: std::ops::Range<usize>, pos: u64, id: &RevId) -> Option<usize> {
        // As many nodes as there are generations between come before it at the least.
        let depth = usize::try_from(pos.checked_sub(self.nodes.get(tree.start)?.pos)?).ok()?;
        let from = tree.start.checked_add(depth).filter(|from| *from < tree.end)?;
        let candidates = self.nodes.get(from..tree.end)?;
        let found = candidates.iter().position(|node| node.pos == pos && node.id == *id)?;
        Some(from + found)
    }

    /// Follows the branch from its match at node `first` as deep as the tree knows it.
    fn descend<'a>(
        &self,
        root: usize,
        above: usize,
        first: usize,
        ids: impl Iterator<Item = &'a RevId>,
    ) -> Seat {
        let mut seat =
            Seat { root, above, node: first, matched: above + 1, insert: self.subtree_end(first) };
        for id in ids.skip(seat.matched) {
            match self.find_child(seat.node, id) {
                Ok(child) => seat.node = child,
                Err(place) => {
                    seat.insert = place;
                    break;
                }
            }
            seat.matched += 1;
        }
        seat
    }

    /// The child `id` of the node at `parent`, or the index at which it would have to stand.
    fn find_child(&self, parent: usize, id: &RevId) -> Result<usize, usize> {
        let mut child = parent + 1;
        let Some(pos) = self.nodes.get(parent).map(|node| node.pos) else { return Err(child) };
        while let Some(node) = self.nodes.get(child).filter(|node| !node.root && node.pos > pos) {
            match node.id.cmp(id) {
                std::cmp::Ordering::Less => child = self.subtree_end(child),
                std::cmp::Ordering::Equal => return Ok(child),
                std::cmp::Ordering::Greater => break,
            }
        }
        Err(child)
    }

    /// Puts `ancestors` on top of the tree whose root is at `root`, and the tree into its place.
    fn put_above(&mut self, root: usize, mut ancestors: Vec<Node<V>>) {
        let end = self.subtree_end(root);
        ancestors.extend(self.nodes.drain(root..end));
        let old_root = ancestors.iter_mut().skip(1).find(|node| node.root);
        if let Some(node) = old_root {
            node.root = false;
        }
        self.insert_tree(ancestors);
    }

    /// Adds a tree of its own (a root and what follows it) at its place among the roots.
    fn insert_tree(&mut self, tree: Vec<Node<V>>) {
        let Some(new) = tree.first() else { return };
        let place = self.nodes.iter().position(|node| node.root && node.key() > new.key());
        let place = place.unwrap_or(self.nodes.len());
        self.nodes.splice(place..place, tree);
    }
}

fn to_nodes<V>(start: u64, root: bool, branch: Vec<(RevId, Option<V>)>) -> Vec<Node<V>> {
    let numbered = branch.into_iter().enumerate();
    numbered
        .map(|(age, (id, value))| Node {
            pos: start + age as u64,
            id,
            root: root && age == 0,
            value,
        })
        .collect()
}
