//! The tree against recorded histories of CouchDB's, and against sets of paths.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::rev::RevPath;

impl Tombstone for u64 {
    fn is_tombstone(&self) -> bool {
        self % 2 == 1
    }
}

fn rev(text: &str) -> Rev {
    let (pos, id) = text.split_once('-').unwrap();
    Rev { pos: pos.parse().unwrap(), id: RevId::from_bytes(id.as_bytes()) }
}

fn revs(text: &str, separator: char) -> Vec<Rev> {
    text.split(separator).filter(|text| !text.is_empty()).map(rev).collect()
}

fn path(start: u64, ids: &str) -> RevPath {
    RevPath { start, ids: ids.split(',').map(|id| RevId::from_bytes(id.as_bytes())).collect() }
}

fn dump(tree: &RevTree<u64>) -> String {
    let node = |node: &Node<u64>| {
        let root = if node.root { "!" } else { "" };
        let value = node.value.map_or("-".to_owned(), |value| value.to_string());
        format!("{root}{}.{}={value}", node.pos, node.id)
    };
    tree.nodes().iter().map(node).collect::<Vec<_>>().join(" ")
}

/// A recorded history: `case LIMIT`, then
/// `merge|merge+stem START IDS same|changed OUTCOME TREE` (values count up from 1), and at the end
/// `missing REVS -> REVS`, `latest REVS -> LEAVES | MISSING`, `purge REVS -> REMOVED | TREE`.
#[derive(Default)]
struct Replay {
    limit: usize,
    tree: RevTree<u64>,
    value: u64,
}

impl Replay {
    fn line(&mut self, line: &str) {
        let words: Vec<&str> = line.splitn(6, ' ').collect();
        match words[0] {
            "case" => *self = Replay { limit: words[1].parse().unwrap(), ..Replay::default() },
            "merge" => self.merge(&words, false),
            "merge+stem" => self.merge(&words, true),
            _ => {
                let (asked, answer) = line.split_once(" ->").unwrap();
                let (verb, asked) = asked.split_once(' ').unwrap();
                self.ask(verb, &revs(asked, ','), answer, line);
            }
        }
    }

    fn merge(&mut self, words: &[&str], stem: bool) {
        let path = path(words[1].parse().unwrap(), words[2]);
        self.value += 1;
        let before = self.tree.clone();
        let foreseen = self.tree.foresee(&path).0;
        let outcome = self.tree.merge(&path, self.value);
        assert_eq!(foreseen, outcome, "{words:?}");
        assert_eq!(outcome == MergeOutcome::Unchanged, before == self.tree, "{words:?}");
        assert_eq!(words[3] == "same", before == self.tree, "{words:?}");
        let expected = match words[4] {
            "new_leaf" => outcome == MergeOutcome::NewLeaf,
            "new_branch" => outcome == MergeOutcome::NewBranch,
            _ => matches!(outcome, MergeOutcome::Internal | MergeOutcome::Unchanged),
        };
        assert!(expected, "{outcome:?} {words:?}");
        if stem {
            self.tree.stem(self.limit);
        }
        assert_eq!(dump(&self.tree), words[5]);
        let again = RevTree::from_nodes(self.tree.nodes().to_vec());
        assert_eq!(again.as_ref(), Ok(&self.tree), "{words:?}");
    }

    fn ask(&mut self, verb: &str, asked: &[Rev], answer: &str, line: &str) {
        let (found, rest) = answer.split_once('|').unwrap_or((answer, ""));
        let found = revs(found, ' ');
        match verb {
            "missing" => assert_eq!(self.tree.find_missing(asked), found, "{line}"),
            "latest" => {
                let latest = self.tree.latest(asked);
                let leaves: Vec<Rev> = latest.leaves.iter().map(Leaf::rev).collect();
                assert_eq!((leaves, latest.missing), (found, revs(rest, ' ')), "{line}");
            }
            _ => {
                assert_eq!(self.tree.remove_leaves(asked), found, "{line}");
                assert_eq!(dump(&self.tree), rest.trim(), "{line}");
            }
        }
    }
}

#[test]
fn does_what_couchdb_did() {
    let mut replay = Replay::default();
    let recorded = include_str!("key_tree.txt");
    for line in recorded.lines().filter(|line| !line.starts_with('#')) {
        replay.line(line);
    }
}

/// The world of the property tests: every revision has one parent, whoever tells of it.
fn parent(rev: (u64, u64)) -> Option<(u64, u64)> {
    (rev.0 > 1).then(|| (rev.0 - 1, (rev.1 * 7 + rev.0 * 3) % 3))
}

fn world_path(tip: (u64, u64), length: usize) -> RevPath {
    let line = std::iter::successors(Some(tip), |rev| parent(*rev)).take(length);
    let ids = line.map(|(pos, id)| RevId::from_bytes(format!("{id}@{pos}").as_bytes())).collect();
    RevPath { start: tip.0, ids }
}

fn paths() -> impl Strategy<Value = Vec<RevPath>> {
    let path = (1..9_u64, 0..3_u64, 1..6_usize);
    let path = path.prop_map(|(pos, id, length)| world_path((pos, id), length));
    proptest::collection::vec(path, 1..12)
}

fn built(paths: &[RevPath]) -> RevTree<u64> {
    let mut tree = RevTree::new();
    for path in paths {
        tree.merge(path, path.start * 2);
        tree.stem(usize::MAX);
    }
    tree
}

/// All leaves with their ancestors.
fn branches(tree: &RevTree<u64>) -> BTreeSet<Vec<Rev>> {
    let line = |leaf: Leaf<'_, u64>| tree.lineage(&leaf.rev()).map(Node::rev).collect();
    tree.leaves_unordered().map(line).collect()
}

/// The same from first principles: known revisions, and known parents.
fn model(paths: &[RevPath]) -> BTreeSet<Vec<Rev>> {
    let mut parents: BTreeMap<Rev, Option<Rev>> = BTreeMap::new();
    for path in paths {
        let revs: Vec<Rev> = (0..)
            .zip(&path.ids)
            .map(|(age, id)| Rev { pos: path.start - age, id: id.clone() })
            .collect();
        for (index, rev) in revs.iter().enumerate() {
            let known = parents.entry(rev.clone()).or_default();
            *known = known.take().or(revs.get(index + 1).cloned());
        }
    }
    let inner: BTreeSet<&Rev> = parents.values().flatten().collect();
    let leaves = parents.keys().filter(|rev| !inner.contains(rev));
    let line = |leaf: &Rev| {
        std::iter::successors(Some(leaf.clone()), |rev| parents.get(rev).cloned().flatten())
            .collect()
    };
    leaves.map(line).collect()
}

proptest! {
    #[test]
    fn holds_the_paths_it_was_told(paths in paths()) {
        let tree = built(&paths);
        prop_assert_eq!(branches(&tree), model(&paths));
        prop_assert_eq!(tree.leaf_count(), model(&paths).len());
    }

    #[test]
    fn order_and_repetition_do_not_matter(
        (paths, shuffled) in
            paths().prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let tree = built(&paths);
        prop_assert_eq!(branches(&tree), branches(&built(&shuffled)));
        let mut again = tree.clone();
        for path in &paths {
            prop_assert_eq!(again.merge(path, 0), MergeOutcome::Unchanged);
        }
        prop_assert_eq!(again, tree);
    }

    #[test]
    fn stemming_keeps_leaves_and_their_last_ancestors(paths in paths(), limit in 1..6_usize) {
        let full = built(&paths);
        let mut tree = full.clone();
        tree.stem(limit);
        let (old, new) = (branches(&full), branches(&tree));
        prop_assert_eq!(old.len(), new.len());
        for line in &new {
            let whole = old.iter().find(|old| old.starts_with(line));
            prop_assert!(whole.is_some_and(|whole| line.len() >= whole.len().min(limit)));
        }
        let near: BTreeSet<&Rev> = new.iter().flat_map(|line| line.iter().take(limit)).collect();
        prop_assert_eq!(near.len(), tree.len());
    }

    #[test]
    fn damaged_nodes_are_refused_or_harmless(
        paths in paths(),
        at in any::<usize>(),
        pos in 0..9_u64,
    ) {
        let mut nodes = built(&paths).nodes().to_vec();
        let at = at % nodes.len();
        nodes[at].pos = pos;
        if let Ok(tree) = RevTree::from_nodes(nodes) {
            let leaves = tree.leaves();
            prop_assert_eq!(leaves.len(), tree.leaf_count());
            prop_assert!(leaves.iter().all(|leaf| tree.path_of(&leaf.rev()).is_some()));
        }
    }
}

fn tree(paths: &[(u64, &str, u64)]) -> RevTree<u64> {
    let mut tree = RevTree::new();
    for (start, ids, value) in paths {
        tree.merge(&path(*start, ids), *value);
    }
    tree
}

#[test]
fn winner_is_live_then_longest_then_greatest() {
    let leaves = |tree: &RevTree<u64>| {
        tree.leaves().iter().map(|leaf| leaf.rev().to_string()).collect::<Vec<_>>()
    };
    let forked = tree(&[(2, "b,a", 2), (2, "c,a", 2), (3, "x,d,a", 3), (1, "z", 4)]);
    assert_eq!(leaves(&forked), ["2-c", "2-b", "1-z", "3-x"]);
    assert_eq!(forked.winner().unwrap().rev().to_string(), "2-c");
    assert!(!forked.is_deleted());
    assert!(tree(&[(2, "b,a", 1), (2, "c,a", 3)]).is_deleted());
    assert!(!RevTree::<u64>::new().is_deleted());
    assert_eq!(forked.possible_ancestors(&revs("2-q,3-q", ',')), revs("2-c,2-b,1-z", ','));
    assert_eq!(forked.possible_ancestors(&[]), []);
}

#[test]
fn a_long_chain_stays_a_chain() {
    let mut tree = RevTree::new();
    let id = |pos: u64| RevId::from_bytes(&pos.to_be_bytes());
    for pos in 1..=3000 {
        let path = RevPath { start: pos, ids: vec![id(pos), id(pos - 1)] };
        assert_eq!(tree.merge(&path, pos), MergeOutcome::NewLeaf);
        tree.stem(1000);
    }
    assert_eq!((tree.len(), tree.leaf_count()), (1000, 1));
    let tip = Rev { pos: 3000, id: id(3000) };
    let path = tree.path_of(&tip).unwrap();
    assert_eq!((path.ids.len(), path.ids.last()), (1000, Some(&id(2001))));
    assert_eq!(tree.remove_leaves(&[Rev { pos: 2999, id: id(2999) }]), []);
    assert_eq!(tree.remove_leaves(std::slice::from_ref(&tip)), [tip]);
    assert!(tree.is_empty());
}

#[test]
fn a_revision_named_twice_is_missing_once() {
    let tree = tree(&[(2, "b,a", 2)]);
    assert_eq!(tree.find_missing(&revs("1-a,1-a,2-b,2-x", ',')), revs("1-a,2-x", ','));
}

#[test]
fn impossible_generations_do_no_harm() {
    let mut tree = tree(&[(1, "c,b,a,z", 2)]);
    assert_eq!(dump(&tree), "!0.b=- 1.c=2");
    assert_eq!(tree.merge(&RevPath::default(), 0), MergeOutcome::Unchanged);
    tree.merge(&path(u64::MAX, "m,l"), 4);
    tree.merge(&path(u64::MAX, "m"), 4);
    assert_eq!(tree.path_of(&Rev { pos: u64::MAX, id: RevId::parse("m") }).unwrap().ids.len(), 2);
}
