//! Whatever happens to three copies, afterwards they become equal: random edits, conflicts,
//! tombstones, purges, attachments, `_local/` documents, crashes and half-done pulls; against a list
//! of what was acknowledged.

use super::*;
use std::collections::BTreeSet;

/// Random numbers that come again with the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) % sides
    }
}

/// What happened to the copies.
struct World {
    nodes: Vec<Node>,
    dice: Dice,
    count: u64,
    /// Revisions that were acknowledged.
    written: Vec<(String, Rev)>,
    purged: BTreeSet<(String, Rev)>,
}

/// Documents of which revisions are purged; the others lose nothing.
const PURGED: u64 = 3;
const DOCS: u64 = 8;

impl World {
    fn new(seed: u64) -> World {
        let dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        World { nodes: nodes(3), dice, count: 0, written: Vec::new(), purged: BTreeSet::new() }
    }

    fn some(&mut self) -> usize {
        self.dice.roll(3) as usize
    }

    async fn step(&mut self) {
        self.count += 1;
        let (at, doc) = (self.some(), format!("doc{}", self.dice.roll(DOCS)));
        match self.dice.roll(20) {
            0..=4 => self.edit(at, &doc, false),
            5 => self.edit(at, &doc, true),
            6..=8 => self.conflict(at, &doc),
            9..=10 => self.attach(at, &doc),
            11..=12 => self.purge(at),
            13 => {
                let id = format!("_local/{}", self.dice.roll(4));
                let body = format!(r#"{{"at":{}}}"#, self.count);
                let rev = self.dice.roll(6);
                self.nodes[at].local(&id, Some(rev), Some(&body));
            }
            14..=16 => self.sync(at, Kind::Pull, false).await,
            17 => self.sync(at, Kind::Compare, false).await,
            18 => self.sync(at, Kind::Pull, true).await,
            _ => {
                let seed = self.dice.roll(u64::MAX);
                let how = [Crash::LoseAll, Crash::KeepAll, Crash::Tear { sector: 512, seed }];
                let how = how[self.dice.roll(3) as usize];
                self.nodes[at].crash(how);
            }
        }
    }

    fn edit(&mut self, at: usize, doc: &str, deleted: bool) {
        let node = &self.nodes[at];
        let head = node.shard().snapshot().head(&doc_id(doc)).unwrap();
        // What is deleted cannot be deleted again.
        let deleted = deleted && head.is_some_and(|head| !head.deleted);
        let body = Bytes::from(format!(r#"{{"n":{}}}"#, self.count));
        let rev = node.edit(DocEdit { deleted, body, ..node.edit_of(doc) });
        self.written.push((doc.to_owned(), rev));
    }

    /// A revision from elsewhere, on top of any that is known or of none.
    fn conflict(&mut self, at: usize, doc: &str) {
        let leaves = self.nodes[at].leaves(doc);
        let own = RevId::from_bytes(format!("rev{}", self.count).as_bytes());
        let path = match leaves.get(self.dice.roll(3) as usize) {
            Some(leaf) => RevPath { start: leaf.pos + 1, ids: vec![own, leaf.id.clone()] },
            None => RevPath { start: 1 + self.dice.roll(3), ids: vec![own] },
        };
        let rev = path.tip().unwrap();
        self.nodes[at].replicate(doc, path, &format!(r#"{{"c":{}}}"#, self.count));
        self.written.push((doc.to_owned(), rev));
    }

    fn attach(&mut self, at: usize, doc: &str) {
        let length = [0, 10, 200, 300_000][self.dice.roll(4) as usize];
        let byte = self.dice.roll(3) as u8;
        let rev = self.nodes[at].attach(doc, "file", &vec![byte; length]);
        self.written.push((doc.to_owned(), rev));
    }

    fn purge(&mut self, at: usize) {
        let doc = format!("doc{}", self.dice.roll(PURGED));
        let leaves = self.nodes[at].leaves(&doc);
        let Some(rev) = leaves.get(self.dice.roll(2) as usize) else { return };
        self.nodes[at].purge(&format!("purge{}", self.count), &doc, std::slice::from_ref(rev));
        self.purged.insert((doc, rev.clone()));
    }

    /// Pulls, maybe not to its end.
    async fn sync(&mut self, at: usize, kind: Kind, cut: bool) {
        let from = (at + 1 + self.dice.roll(2) as usize) % 3;
        let (target, source) = (self.nodes[at].target(), self.nodes[from].source());
        if cut {
            let (disk, operations) = (&self.nodes[at].disk, self.nodes[at].disk.operations());
            disk.fail_at(operations + self.dice.roll(8), settee_engine::io::Fault::PowerCut);
            let _ = work(kind, &target, &source).await;
            drop((target, source));
            self.nodes[at].crash(Crash::LoseAll);
        } else {
            work(kind, &target, &source).await.unwrap();
        }
    }

    async fn check(&self) {
        // Twice: what the last one brings must reach the first one, too.
        pull_all(&self.nodes).await;
        pull_all(&self.nodes).await;
        assert_equal(&self.nodes).await;
        let purged_docs: BTreeSet<&String> = self.purged.iter().map(|(doc, _)| doc).collect();
        for (doc, rev) in &self.written {
            let kept = purged_docs.contains(doc) || self.nodes[0].knows(doc, rev);
            assert!(kept, "{doc} {rev} is lost");
        }
        for (doc, rev) in &self.purged {
            assert!(!self.nodes[0].leaves(doc).contains(rev), "{doc} {rev} has come back");
        }
        for node in &self.nodes {
            for other in self.nodes.iter().filter(|other| other.id != node.id) {
                assert_eq!(node.compare(other).await.written, 0);
            }
        }
    }
}

async fn run(seed: u64, steps: usize) {
    let mut world = World::new(seed);
    for _ in 0..steps {
        world.step().await;
    }
    world.check().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn copies_become_equal_after_anything() {
    let seeds = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(10);
    let first = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
    for seed in first..first + seeds {
        let done = tokio::spawn(run(seed, 80)).await;
        assert!(done.is_ok(), "SEED={seed} SEEDS=1 reproduces");
    }
}

#[tokio::test]
async fn a_longer_history_joins_branches_without_a_comparison() {
    let nodes = nodes(2);
    let path = |ids: &[&str]| RevPath {
        start: 3,
        ids: ids.iter().map(|id| RevId::from_bytes(id.as_bytes())).collect(),
    };
    let first = RevPath { start: 1, ids: vec![RevId::from_bytes(b"a")] };
    for node in &nodes {
        node.replicate("doc", first.clone(), "{}");
        node.replicate("doc", path(&["c"]), "{}");
    }
    assert_eq!(nodes[1].leaves("doc").len(), 2);
    nodes[0].replicate("doc", path(&["c", "b", "a"]), "{}");
    assert_eq!(nodes[0].leaves("doc").len(), 1);
    nodes[1].pull(&nodes[0]).await;
    assert_eq!(nodes[1].leaves("doc"), nodes[0].leaves("doc"));
}
