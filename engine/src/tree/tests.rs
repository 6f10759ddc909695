//! A tree against a `BTreeMap`, through batches, checkpoints, reopening and eviction.

use std::{
    collections::BTreeMap,
    ops::Bound,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use bytes::Bytes;
use proptest::{prelude::*, sample::Index};

use super::*;
use crate::{
    io::{SimStorage, Storage},
    page::{Cache, PageWriter, Pages},
};

type Model = BTreeMap<Vec<u8>, Vec<u8>>;

/// A hash that depends on the order of the entries but not on how they are grouped: a polynomial
/// over the entries with its degree.
struct Polynomial;

const BASE: u64 = 1_000_003;

fn hash<'a>(entries: impl Iterator<Item = (&'a [u8], &'a [u8])>) -> Bytes {
    let (mut sum, mut power) = (0_u64, 1_u64);
    for (key, value) in entries {
        let entry = key
            .iter()
            .chain(b"/")
            .chain(value)
            .fold(7_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte)));
        sum = sum.wrapping_mul(BASE).wrapping_add(entry);
        power = power.wrapping_mul(BASE);
    }
    [sum.to_le_bytes(), power.to_le_bytes()].concat().into()
}

impl Reducer for Polynomial {
    fn leaf(&self, entries: Entries<'_>) -> Result<Bytes, Error> {
        assert!(entries.len() > 0);
        Ok(hash(entries))
    }

    fn combine(&self, parts: &[Bytes]) -> Result<Bytes, Error> {
        let number = |part: &[u8]| u64::from_le_bytes(part.try_into().unwrap());
        let (mut sum, mut power) = (0_u64, 1_u64);
        for part in parts {
            let (of_part, degree) = (number(&part[..8]), number(&part[8..]));
            sum = sum.wrapping_mul(degree).wrapping_add(of_part);
            power = power.wrapping_mul(degree);
        }
        Ok([sum.to_le_bytes(), power.to_le_bytes()].concat().into())
    }
}

fn spec(page_size: usize) -> Arc<Spec> {
    Arc::new(Spec { reducer: Arc::new(Polynomial), page_size })
}

/// A file with a cache that is too small for everything.
struct Shard {
    disk: SimStorage,
    pages: Pages,
    tail: Arc<AtomicU64>,
}

impl Shard {
    fn new() -> Shard {
        let disk = SimStorage::new();
        let pages = Pages::new(disk.create("a.shard").unwrap(), Cache::new(4 << 10));
        Shard { disk, pages, tail: Arc::new(AtomicU64::new(8192)) }
    }

    fn writer(&self) -> PageWriter {
        PageWriter::new(&self.pages, self.tail.clone())
    }

    fn checkpoint(&self, tree: &Tree) -> Tree {
        let mut writer = self.writer();
        let checkpoint = tree.checkpoint(&mut writer).unwrap();
        let root = checkpoint.root().clone();
        let clean = checkpoint.publish(&writer.finish().unwrap());
        assert_eq!(clean.root(), Some(root));
        assert_eq!(clean.sizes().dirty, 0);
        clean
    }

    fn reopen(&mut self, tree: &Tree) -> Tree {
        let mut bytes = Vec::new();
        self.checkpoint(tree).root().unwrap().encode(&mut bytes);
        self.pages = Pages::new(self.disk.open("a.shard").unwrap(), Cache::new(4 << 10));
        let mut input = &bytes[..];
        let tree = Tree::open(tree.spec.clone(), Root::decode(&mut input).unwrap());
        assert!(input.is_empty());
        tree
    }
}

fn entries(cursor: Cursor) -> Vec<(Vec<u8>, Vec<u8>)> {
    cursor.map(|entry| entry.map(|e| (e.key().to_vec(), e.value().to_vec())).unwrap()).collect()
}

fn all() -> KeyRange {
    (Bound::Unbounded, Bound::Unbounded)
}

fn owned(model: &Model) -> Vec<(Vec<u8>, Vec<u8>)> {
    model.iter().map(|(key, value)| (key.clone(), value.clone())).collect()
}

/// Everything that holds for a tree and the map it stands for.
fn assert_equal(shard: &Shard, tree: &Tree, model: &Model) {
    let pages = &shard.pages;
    tree.verify(pages, &mut |error| panic!("{error}"));
    assert_eq!(tree.count(), model.len() as u64);
    assert_eq!(entries(tree.range(pages, all(), Direction::Forward)), owned(model));
    let backward: Vec<_> = owned(model).into_iter().rev().collect();
    assert_eq!(entries(tree.range(pages, all(), Direction::Backward)), backward);
    let slices = model.iter().map(|(key, value)| (&key[..], &value[..]));
    assert_eq!(tree.reduction().unwrap(), hash(slices));
}

/// Everything about a range of keys.
fn assert_range(shard: &Shard, tree: &Tree, model: &Model, range: (Bound<u16>, Bound<u16>)) {
    let pages = &shard.pages;
    let (low, high) = (range.0.map(key), range.1.map(key));
    let expected: Vec<_> = owned(model)
        .into_iter()
        .filter(|(key, _)| match &low {
            Bound::Unbounded => true,
            Bound::Included(low) => key >= low,
            Bound::Excluded(low) => key > low,
        })
        .filter(|(key, _)| match &high {
            Bound::Unbounded => true,
            Bound::Included(high) => key <= high,
            Bound::Excluded(high) => key < high,
        })
        .collect();
    let range: KeyRange = (low.clone().map(Bytes::from), high.clone().map(Bytes::from));
    let slices = expected.iter().map(|(key, value)| (&key[..], &value[..]));
    assert_eq!(tree.reduce(pages, &range).unwrap(), hash(slices));
    assert_eq!(entries(tree.range(pages, range.clone(), Direction::Forward)), expected);
    let backward: Vec<_> = expected.into_iter().rev().collect();
    assert_eq!(entries(tree.range(pages, range, Direction::Backward)), backward);
}

/// Keys of various lengths that share prefixes.
fn key(n: u16) -> Vec<u8> {
    let mut key = format!("{:03}", n / 7).into_bytes();
    key.extend(std::iter::repeat_n(b'x', usize::from(n % 7)));
    key
}

#[derive(Debug, Clone)]
enum Step {
    /// Puts (with a value of this length) and deletes.
    Apply(BTreeMap<u16, Option<usize>>),
    /// Puts above every key there is.
    Append(usize),
    /// Deletes all keys of a range.
    Clear(u16, u16),
    Checkpoint,
    /// A checkpoint during which the tree goes on changing.
    Settle(BTreeMap<u16, Option<usize>>),
    Reopen,
    Evict,
    Range(Bound<u16>, Bound<u16>),
}

fn ops() -> impl Strategy<Value = BTreeMap<u16, Option<usize>>> {
    let length = prop_oneof![8 => 0..20_usize, 1 => 100..2000_usize];
    let change = prop_oneof![3 => length.prop_map(Some), 2 => Just(None)];
    prop::collection::btree_map(0..500_u16, change, 1..40)
}

fn bound() -> impl Strategy<Value = Bound<u16>> {
    prop_oneof![
        Just(Bound::Unbounded),
        (0..500_u16).prop_map(Bound::Included),
        (0..500_u16).prop_map(Bound::Excluded),
    ]
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => ops().prop_map(Step::Apply),
        1 => (1..200_usize).prop_map(Step::Append),
        2 => (0..500_u16, 0..300_u16).prop_map(|(from, len)| Step::Clear(from, from + len)),
        1 => Just(Step::Checkpoint),
        2 => ops().prop_map(Step::Settle),
        1 => Just(Step::Reopen),
        1 => Just(Step::Evict),
        3 => (bound(), bound()).prop_map(|(low, high)| Step::Range(low, high)),
    ];
    prop::collection::vec(step, 1..25)
}

struct Run {
    shard: Shard,
    tree: Tree,
    model: Model,
    version: u8,
}

impl Run {
    fn apply(&mut self, ops: &[(Vec<u8>, Option<Vec<u8>>)]) {
        self.tree = self.tree.apply(&self.shard.pages, ops).unwrap();
        for (key, value) in ops {
            match value {
                Some(value) => self.model.insert(key.clone(), value.clone()),
                None => self.model.remove(key),
            };
        }
    }

    fn batch(&mut self, ops: &BTreeMap<u16, Option<usize>>) {
        self.version = self.version.wrapping_add(1);
        let value = |len: &usize| vec![self.version; *len];
        let mut ops: Vec<_> =
            ops.iter().map(|(n, len)| (key(*n), len.as_ref().map(value))).collect();
        ops.sort();
        self.apply(&ops);
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Apply(ops) => self.batch(ops),
            Step::Append(count) => {
                let from = 60_000 - self.model.len() as u16;
                let last = self.model.keys().next_back().cloned().unwrap_or_default();
                let above = |n: usize| {
                    let mut key = last.clone();
                    key.extend_from_slice(&(from as u32 + n as u32).to_be_bytes());
                    (key, Some(vec![1; 10]))
                };
                let ops: Vec<_> = (0..*count).map(above).collect();
                self.apply(&ops);
            }
            Step::Clear(from, to) => {
                let keys = self.model.range(key(*from)..key((*to).max(*from)));
                let ops: Vec<_> = keys.map(|(key, _)| (key.clone(), None)).collect();
                self.apply(&ops);
            }
            Step::Checkpoint => self.tree = self.shard.checkpoint(&self.tree),
            Step::Settle(ops) => {
                let old = self.tree.clone();
                self.batch(ops);
                self.shard.checkpoint(&old);
                let before = self.tree.sizes();
                self.tree = self.tree.settle();
                assert!(self.tree.sizes().dirty <= before.dirty);
            }
            Step::Reopen => self.tree = self.shard.reopen(&self.tree),
            Step::Evict => self.shard.pages.evict(),
            Step::Range(low, high) => {
                assert_range(&self.shard, &self.tree, &self.model, (*low, *high));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_tree_is_a_sorted_map(
        page_size in prop_oneof![Just(100_usize), Just(400), Just(4000)],
        steps in steps(),
        probes in prop::collection::btree_set(0..500_u16, 0..50),
        position in any::<Index>(),
    ) {
        let tree = Tree::empty(spec(page_size));
        let mut run = Run { shard: Shard::new(), tree, model: Model::new(), version: 0 };
        for step in &steps {
            run.step(step);
        }
        let Run { shard, tree, model, .. } = &run;
        assert_equal(shard, tree, model);

        let mut keys: Vec<_> = probes.iter().map(|n| key(*n)).collect();
        keys.sort();
        let expected: Vec<_> = keys.iter().map(|key| model.get(key).cloned()).collect();
        let many = tree.get_many(&shard.pages, &keys).unwrap();
        prop_assert_eq!(
            many.iter().map(|value| value.as_ref().map(|v| v.to_vec())).collect::<Vec<_>>(),
            expected
        );
        for (key, value) in keys.iter().zip(many) {
            prop_assert_eq!(tree.get(&shard.pages, key).unwrap(), value);
            let rank = model.range::<Vec<u8>, _>(..key).count() as u64;
            prop_assert_eq!(tree.rank(&shard.pages, key).unwrap(), rank);
        }
        let at = position.index(model.len() + 1);
        let expected = model.keys().nth(at).map(|key| Bytes::copy_from_slice(key));
        prop_assert_eq!(tree.key_at(&shard.pages, at as u64).unwrap(), expected);
    }

    #[test]
    fn a_snapshot_stays_and_a_diff_tells_what_came_after(
        before in steps(),
        after in steps(),
    ) {
        let tree = Tree::empty(spec(200));
        let mut run = Run { shard: Shard::new(), tree, model: Model::new(), version: 0 };
        for step in &before {
            run.step(step);
        }
        let (snapshot, old) = (run.tree.clone(), run.model.clone());
        for step in &after {
            run.step(step);
        }
        assert_equal(&run.shard, &snapshot, &old);
        let mut expected = Vec::new();
        let keys: std::collections::BTreeSet<_> = old.keys().chain(run.model.keys()).collect();
        for key in keys {
            let (old, new) = (old.get(key), run.model.get(key));
            if old != new {
                expected.push(Change {
                    key: Bytes::copy_from_slice(key),
                    old: old.map(|value| Bytes::copy_from_slice(value)),
                    new: new.map(|value| Bytes::copy_from_slice(value)),
                });
            }
        }
        let found: Vec<_> =
            snapshot.diff(&run.shard.pages, &run.tree).map(Result::unwrap).collect();
        prop_assert_eq!(found, expected);
    }

    #[test]
    fn a_built_tree_is_the_applied_one(
        numbers in prop::collection::btree_map(0..2000_u16, 0..60_usize, 0..400),
        page_size in prop_oneof![Just(100_usize), Just(1000)],
    ) {
        let shard = Shard::new();
        let model: Model =
            numbers.iter().map(|(n, len)| (key(*n), vec![*n as u8; *len])).collect();
        let mut builder = Builder::new(spec(page_size));
        let mut writer = shard.writer();
        for (key, value) in &model {
            builder.push(&mut writer, key, value).unwrap();
        }
        let checkpoint = builder.finish(&mut writer).unwrap();
        let tree = checkpoint.publish(&writer.finish().unwrap());
        assert_equal(&shard, &tree, &model);
    }

    #[test]
    fn a_cursor_that_had_to_wait_goes_on_where_it_was(
        direction in prop_oneof![Just(Direction::Forward), Just(Direction::Backward)],
        seek in 0..500_u16,
    ) {
        let mut run = Run {
            shard: Shard::new(), tree: Tree::empty(spec(200)), model: Model::new(), version: 0,
        };
        run.batch(&(0..500).map(|n| (n, Some(10))).collect());
        let tree = run.shard.reopen(&run.tree);
        let resident = run.shard.pages.resident_only();
        let mut cursor = tree.range(&resident, all(), direction);
        let mut found = Vec::new();
        loop {
            match cursor.try_next() {
                Ok(Some(entry)) => found.push(entry.key().to_vec()),
                Ok(None) => break,
                Err(Error::NotResident) => {
                    // As after a trip to a thread that may wait.
                    cursor.set_pages(run.shard.pages.clone());
                    found.push(cursor.try_next().unwrap().unwrap().key().to_vec());
                    cursor.set_pages(resident.clone());
                }
                Err(other) => panic!("{other}"),
            }
        }
        let mut expected: Vec<_> = run.model.keys().cloned().collect();
        if direction == Direction::Backward {
            expected.reverse();
        }
        prop_assert_eq!(found, expected.clone());

        let mut cursor = tree.range(&run.shard.pages, all(), direction);
        cursor.try_next().unwrap();
        cursor.seek(key(seek).into());
        let at = expected.iter().position(|k| *k == key(seek)).unwrap();
        let rest: Vec<_> = entries(cursor).into_iter().map(|(key, _)| key).collect();
        prop_assert_eq!(rest, &expected[at..]);
    }
}

fn filled(count: u32, page_size: usize) -> (Shard, Tree) {
    let shard = Shard::new();
    let mut tree = Tree::empty(spec(page_size));
    for n in 0..count {
        let op = [(n.to_be_bytes(), Some([7; 20]))];
        tree = tree.apply(&shard.pages, &op).unwrap();
    }
    (shard, tree)
}

#[test]
fn appends_fill_their_leaves() {
    let (shard, tree) = filled(10_000, 1000);
    let tree = shard.checkpoint(&tree);
    let leaves = raw_bytes(&shard, &tree);
    let needed = 10_000 * (4 + 1 + 4 + 20);
    assert!(leaves < needed * 105 / 100, "{leaves} for {needed}");
}

/// Bytes of all leaves before compression.
fn raw_bytes(shard: &Shard, tree: &Tree) -> usize {
    let mut cursor = tree.range(&shard.pages, all(), Direction::Forward);
    let (mut sum, mut last) = (0, None);
    while let Some(entry) = cursor.try_next().unwrap() {
        if last != Some(entry.page_id()) {
            sum += entry.page_id().1;
        }
        last = Some(entry.page_id());
    }
    sum
}

#[test]
fn deleting_most_does_not_leave_a_forest_of_small_leaves() {
    let (shard, mut tree) = filled(10_000, 1000);
    for n in 0..10_000_u32 {
        if n % 50 != 0 {
            tree = tree.apply(&shard.pages, &[(n.to_be_bytes(), None::<[u8; 0]>)]).unwrap();
        }
    }
    assert_eq!(tree.count(), 200);
    let leaves = raw_bytes(&shard, &tree);
    assert!(leaves < 200 * 29 * 5, "{leaves}");
    for n in (0..10_000_u32).step_by(50) {
        tree = tree.apply(&shard.pages, &[(n.to_be_bytes(), None::<[u8; 0]>)]).unwrap();
    }
    assert_eq!(tree.root(), Some(Root::empty()));
}

#[test]
fn one_write_after_a_checkpoint_writes_one_path() {
    let (shard, tree) = filled(10_000, 1000);
    let tree = shard.checkpoint(&tree);
    let changed = tree.apply(&shard.pages, &[(5_u32.to_be_bytes(), Some(b"new"))]).unwrap();
    let mut writer = shard.writer();
    changed.checkpoint(&mut writer).unwrap();
    assert!(writer.written() < 20_000, "{}", writer.written());
}

#[test]
fn a_diff_reads_only_what_differs() {
    let (shard, tree) = filled(10_000, 1000);
    let old = shard.checkpoint(&tree);
    let new = old.apply(&shard.pages, &[(5_000_u32.to_be_bytes(), Some(b"new"))]).unwrap();
    let new = shard.checkpoint(&new);
    shard.pages.evict();
    // The first leaf is shared: its damage is not seen.
    shard.disk.flip_bit("a.shard", 8200 * 8);
    assert!(old.get(&shard.pages, &0_u32.to_be_bytes()).is_err());
    let all: Vec<_> = old.diff(&shard.pages, &new).map(Result::unwrap).collect();
    assert_eq!(all.len(), 1);
    assert_eq!(all[0].new.as_deref(), Some(&b"new"[..]));
}

#[test]
fn a_value_of_megabytes_gets_a_leaf_of_its_own() {
    let (shard, tree) = filled(1000, 1000);
    let big = vec![1; 3 << 20];
    let tree = tree.apply(&shard.pages, &[(500_u32.to_be_bytes(), Some(&big))]).unwrap();
    let tree = shard.checkpoint(&tree);
    tree.verify(&shard.pages, &mut |error| panic!("{error}"));
    assert_eq!(tree.get(&shard.pages, &500_u32.to_be_bytes()).unwrap().unwrap(), big);
    let small = tree.get(&shard.pages, &501_u32.to_be_bytes()).unwrap().unwrap();
    assert_eq!(small.len(), 20);
    let raw = raw_bytes(&shard, &tree);
    assert!(raw < (3 << 20) + 60_000, "{raw}");
}

#[test]
fn a_batch_out_of_order_is_refused() {
    let (shard, tree) = filled(10, 1000);
    let twice = [(b"a", Some(b"1")), (b"a", Some(b"2"))];
    assert!(matches!(tree.apply(&shard.pages, &twice), Err(Error::Unordered)));
    assert!(matches!(tree.get_many(&shard.pages, &[b"b", b"a"]), Err(Error::Unordered)));
}

#[test]
fn every_damaged_page_is_reported_and_never_served() {
    let (shard, tree) = filled(2_000, 1000);
    let tree = shard.checkpoint(&tree);
    let tail = shard.tail.load(Ordering::Relaxed);
    for offset in (8192..tail).step_by(97) {
        shard.disk.flip_bit("a.shard", offset * 8);
        let mut damages = Vec::new();
        tree.verify(&shard.pages, &mut |error| damages.push(error));
        assert_eq!(damages.len(), 1, "at {offset}: {damages:?}");
        assert!(matches!(&damages[0], Error::Corrupt { .. }));
        shard.pages.evict();
        let read: Result<Vec<_>, _> = tree.range(&shard.pages, all(), Direction::Forward).collect();
        assert!(matches!(read, Err(Error::Corrupt { .. })));
        shard.disk.flip_bit("a.shard", offset * 8);
    }
}

#[test]
fn nodes_get_no_place_when_the_sync_fails() {
    let (mut shard, tree) = filled(1000, 1000);
    let mut writer = shard.writer();
    let checkpoint = tree.checkpoint(&mut writer).unwrap();
    shard.disk.fail_at(shard.disk.operations() + 1, crate::io::Fault::Fail);
    assert!(writer.finish().is_err());
    drop(checkpoint);
    assert_eq!(tree.settle().sizes(), tree.sizes());
    // Only another file is tried again.
    shard.pages = Pages::new(shard.disk.create("b.shard").unwrap(), Cache::new(4 << 10));
    let clean = shard.checkpoint(&tree);
    assert_eq!(tree.settle().root(), clean.root());
}
