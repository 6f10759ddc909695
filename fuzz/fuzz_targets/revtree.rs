//! Histories as replication brings them, in any order: the tree stays one that its own reader takes,
//! and says of itself what its nodes say.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settee_model::rev::{RevId, RevPath};
use settee_model::revtree::{Leaf, RevTree, Tombstone};

/// Whether a revision deletes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Deleted(bool);

impl Tombstone for Deleted {
    fn is_tombstone(&self) -> bool {
        self.0
    }
}

fuzz_target!(|input: Vec<(u8, Vec<u8>, u8)>| {
    let mut tree = RevTree::<Deleted>::new();
    for (start, ids, what) in input.into_iter().take(64) {
        if ids.is_empty() {
            continue;
        }
        // Few ids, so that paths meet.
        let ids: Vec<_> = ids.iter().take(32).map(|id| RevId::from_md5([id % 5; 16])).collect();
        let path = RevPath { start: u64::from(start % 40), ids };
        match what % 8 {
            6 => tree.stem(usize::from(what / 8).max(1)),
            7 => {
                let tip = path.tip();
                let there = tip.as_ref().is_some_and(|tip| tree.leaf(tip).is_some());
                let removed = tree.remove_leaves(tip.as_slice());
                assert_eq!(removed.len(), usize::from(there));
            }
            _ => {
                let (foreseen, _) = tree.foresee(&path);
                assert_eq!(tree.merge(&path, Deleted(what & 1 == 1)), foreseen);
                if let Some(tip) = path.tip() {
                    assert!(tree.get(&tip).is_some(), "{tip} was merged and is not there");
                }
            }
        }
        check(&tree);
    }
});

fn check(tree: &RevTree<Deleted>) {
    let again = RevTree::from_nodes(tree.nodes().to_vec()).expect("a tree's own nodes");
    assert_eq!(&again, tree);
    let leaves = tree.leaves();
    assert_eq!(leaves.len(), tree.leaf_count());
    assert_eq!(leaves.is_empty(), tree.is_empty());
    let live = leaves.iter().any(|leaf| !leaf.value.is_tombstone());
    assert_eq!(tree.is_deleted(), !tree.is_empty() && !live);
    assert_eq!(tree.winner().map(|leaf| leaf.rev()), leaves.first().map(Leaf::rev));
    for leaf in leaves {
        let path = tree.path_of(&leaf.rev()).expect("the path of a leaf");
        assert!(path.ids.len() as u64 <= path.start + 1, "a generation below the first");
        assert!(tree.find_missing(&[leaf.rev()]).is_empty());
    }
}
