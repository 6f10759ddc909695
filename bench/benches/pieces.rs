//! What single pieces take, without a server around them: `cargo bench -p settee-bench`. For judging a
//! change of one of them; what clients notice is measured side by side by the program beside this.
#![allow(clippy::expect_used, missing_docs)]

use std::hint::black_box;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use settee_engine::io::{RealStorage, SimStorage, Storage};
use settee_engine::log::{self, Log};
use settee_engine::page::{Cache, Pages};
use settee_engine::tree::{Direction, NoReduction, Spec, Tree};
use settee_model::collate::{compare, sort_key};
use settee_model::hash::new_rev_id;
use settee_model::json::{Limits, Raw, parse_doc};
use settee_model::rev::{RevId, RevPath};
use settee_model::revtree::{RevTree, Tombstone};
use settee_tests::orders::{id, named};

/// Entries of the tree, and edits of one batch.
const ENTRIES: usize = 10_000;
const BATCH: usize = 100;

fn json(c: &mut Criterion) {
    let text = named(&id(1), None, 1);
    let limits = Limits::default();
    let parsed = parse_doc(text.as_bytes(), &limits).expect("a document");
    let mut group = c.benchmark_group("json");
    group.throughput(Throughput::Bytes(text.len() as u64));
    group.bench_function("parse a document", |b| {
        b.iter(|| parse_doc(black_box(text.as_bytes()), &limits));
    });
    group.bench_function("pick two members", |b| {
        b.iter(|| Raw(black_box(&parsed.body)).pick(["customer", "total"]));
    });
    group.bench_function("hash a revision", |b| {
        b.iter(|| new_rev_id(false, None, black_box(&parsed.body), &[]));
    });
    group.finish();
}

fn collation(c: &mut Criterion) {
    let keys =
        [r#"["Town 7","Customer 12",3]"#, r#"["Town 7","Customer 13",1]"#].map(str::as_bytes);
    let [a, b_key] = keys;
    let mut group = c.benchmark_group("collation");
    group.bench_function("sort key", |b| b.iter(|| sort_key(black_box(a))));
    group.bench_function("compare", |b| b.iter(|| compare(black_box(a), black_box(b_key))));
    group.finish();
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Live;

impl Tombstone for Live {
    fn is_tombstone(&self) -> bool {
        false
    }
}

fn rev_id(number: u64) -> RevId {
    RevId::from_md5(u128::from(number).to_be_bytes())
}

/// A chain of a thousand revisions, as of a document that is edited often.
fn chain() -> RevTree<Live> {
    let mut tree = RevTree::new();
    tree.merge(&RevPath { start: 1000, ids: (1..=1000).rev().map(rev_id).collect() }, Live);
    tree
}

fn revisions(c: &mut Criterion) {
    let edit = RevPath { start: 1001, ids: [1001, 1000].map(rev_id).to_vec() };
    let mut group = c.benchmark_group("revision tree of 1000");
    group.bench_function("append and stem", |b| {
        let append = |mut tree: RevTree<Live>| {
            tree.merge(&edit, Live);
            tree.stem(1000);
            tree
        };
        b.iter_batched(chain, append, BatchSize::SmallInput);
    });
    let tree = chain();
    group.bench_function("winner", |b| b.iter(|| black_box(&tree).winner().map(|leaf| leaf.pos)));
    group.finish();
}

fn key(number: usize) -> Vec<u8> {
    format!("doc-{number:08}").into_bytes()
}

fn trees(c: &mut Criterion) {
    let disk = SimStorage::new();
    let file = disk.create("tree").expect("a file");
    let pages = Pages::new(file, Cache::new(64 << 20));
    let spec = Arc::new(Spec { reducer: Arc::new(NoReduction), page_size: 4 << 10 });
    let value = vec![7; 100];
    let all: Vec<_> = (0..ENTRIES).map(|number| (key(number), Some(&value))).collect();
    let tree = Tree::empty(spec).apply(&pages, &all).expect("a tree");
    let some: Vec<_> =
        (0..BATCH).map(|number| (key(number * ENTRIES / BATCH), Some(&value))).collect();
    let mut group = c.benchmark_group("tree of 10000");
    group.bench_function("get", |b| {
        let mut number = 0;
        b.iter(|| {
            number = (number + 7919) % ENTRIES;
            tree.get(&pages, &key(number))
        });
    });
    group.throughput(Throughput::Elements(BATCH as u64));
    group.bench_function("apply 100 edits", |b| b.iter(|| tree.apply(&pages, &some)));
    group.throughput(Throughput::Elements(ENTRIES as u64));
    group.bench_function("scan", |b| {
        let all = (std::ops::Bound::Unbounded, std::ops::Bound::Unbounded);
        b.iter(|| tree.range(&pages, all.clone(), Direction::Forward).count());
    });
    group.finish();
}

fn logs(c: &mut Criterion) {
    let dir = tempfile::tempdir().expect("a directory");
    let storage = RealStorage::open(dir.path()).expect("a directory");
    let log = Log::open(Arc::new(storage), log::Options::default(), &mut |_| Ok(()));
    let log = log.expect("a log");
    let (shard, payload) = (Arc::from("00000000-ffffffff/db.1"), Bytes::from(vec![7; 400]));
    let mut group = c.benchmark_group("log on this disk");
    for frames in [1, 64] {
        group.throughput(Throughput::Elements(frames));
        group.bench_function(format!("{frames} frames, durable"), |b| {
            b.iter(|| {
                let (tell, told) = mpsc::channel();
                for _ in 0..frames {
                    let tell = tell.clone();
                    let done = Box::new(move |result| drop(tell.send(result)));
                    log.append(&shard, payload.clone(), done).expect("a place in the queue");
                }
                (0..frames).for_each(|_| told.recv().expect("an answer").expect("a sync"));
            });
        });
    }
    group.finish();
    log.close().expect("an end");
}

criterion_group!(pieces, json, collation, revisions, trees, logs);
criterion_main!(pieces);
