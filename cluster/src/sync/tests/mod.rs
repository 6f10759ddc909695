//! Several nodes in one process, each with an engine over a simulated disk; they reach each other's
//! copies without a network.

mod converge;
mod jobs;
mod marks;
mod purges;
mod single;

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use settee_engine::io::{Crash, SimStorage, Storage};
use settee_engine::shard::{Batch, LocalEdit, Outcome, PurgeRequest, Shard, Which, Write};
use settee_engine::tree::Direction;
use settee_engine::{Engine, Options, ShardId};
use settee_model::doc::{AttBytes, AttContent, AttEdit, AttSource, DocEdit, Encoding, Uploaded};
use settee_model::docid::DocId;
use settee_model::rev::{Rev, RevId, RevPath};

use super::ask::{Family, Source, Span, Target};
use super::plan::Kind;
use super::session::Report;
use super::work::work;
use crate::copy::ShardCopy;
use crate::local::LocalCopy;
use crate::raft::NodeId;

const PATIENCE: Duration = Duration::from_secs(20);

/// A node with a copy of the one shard.
pub(super) struct Node {
    pub(super) id: NodeId,
    pub(super) disk: SimStorage,
    pub(super) engine: Option<Engine>,
    /// How many nodes have a copy.
    pub(super) nodes: NodeId,
}

/// What a copy holds: of each document the leaves, whether they are tombstones, bodies and the bytes
/// of attachments; and the `_local/` documents.
pub(super) type Contents = (BTreeMap<String, Vec<Leaf>>, BTreeMap<String, (u64, Bytes)>);
pub(super) type Leaf = (Rev, bool, Bytes, Vec<(String, Vec<u8>)>);

pub(super) fn shard_id() -> ShardId {
    ShardId::parse("00000000-ffffffff/db.1").unwrap()
}

pub(super) fn doc_id(text: &str) -> DocId {
    DocId::trusted(text)
}

fn open(disk: &SimStorage) -> Engine {
    let options = Options {
        cache_bytes: 4 << 20,
        writers: 1,
        workers: 0,
        checkpoint_idle: Duration::from_secs(3600),
        ..Options::default()
    };
    Engine::open(Arc::new(disk.clone()), options).unwrap()
}

/// So many nodes with an empty copy each.
pub(super) fn nodes(count: NodeId) -> Vec<Node> {
    let node = |id| {
        let disk = SimStorage::default();
        // Lives are told apart by random numbers, and all disks begin with the same ones.
        for _ in 0..id * 100 {
            disk.random();
        }
        let engine = open(&disk);
        engine.create_shard(&shard_id()).unwrap();
        Node { id, disk, engine: Some(engine), nodes: count }
    };
    (1..=count).map(node).collect()
}

impl Node {
    pub(super) fn engine(&self) -> &Engine {
        self.engine.as_ref().unwrap()
    }

    pub(super) fn shard(&self) -> Arc<Shard> {
        self.engine().shard(&shard_id()).unwrap()
    }

    pub(super) fn copy(&self) -> LocalCopy {
        LocalCopy::new(crate::Host::new(self.engine().clone()), shard_id(), PATIENCE)
    }

    pub(super) fn target(&self) -> Target {
        let peers = (1..=self.nodes).filter(|id| *id != self.id).collect();
        Target::new(self.id, self.copy(), peers, 1000, 1000)
    }

    pub(super) fn source(&self) -> Source {
        let copy = ShardCopy::Local(self.copy());
        Source { node: self.id, copy, full: true, patience: PATIENCE }
    }

    /// Loses what was not synced, and comes back.
    pub(super) fn crash(&mut self, crash: Crash) {
        self.engine = None;
        self.disk.crash(crash);
        self.engine = Some(open(&self.disk));
    }

    pub(super) fn write(&self, write: Write) -> Outcome {
        self.shard().write(Batch::of(vec![write])).unwrap().pop().unwrap()
    }

    /// An edit of the winner.
    pub(super) fn put(&self, id: &str, body: &str) -> Rev {
        self.edit(DocEdit { body: Bytes::from(body.to_owned()), ..self.edit_of(id) })
    }

    pub(super) fn delete(&self, id: &str) -> Rev {
        self.edit(DocEdit { deleted: true, ..self.edit_of(id) })
    }

    pub(super) fn attach(&self, id: &str, name: &str, bytes: &[u8]) -> Rev {
        let atts = vec![self.upload(name, bytes)];
        self.edit(DocEdit { atts, ..self.edit_of(id) })
    }

    pub(super) fn edit(&self, edit: DocEdit) -> Rev {
        match self.write(Write::Interactive(edit)) {
            Outcome::Written(rev) => rev,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn edit_of(&self, id: &str) -> DocEdit {
        let head = self.shard().snapshot().head(&doc_id(id)).unwrap();
        // What is deleted altogether is made anew.
        let head = head.filter(|head| !head.deleted);
        let revs = head.map(|head| RevPath::single(head.winner)).unwrap_or_default();
        let body = Bytes::from_static(b"{}");
        DocEdit { id: doc_id(id), revs, deleted: false, body, atts: Vec::new() }
    }

    pub(super) fn upload(&self, name: &str, bytes: &[u8]) -> AttEdit {
        let mut writer = self.shard().chunk_writer();
        writer.write(bytes).unwrap();
        let (chunks, hold) = writer.finish().unwrap();
        let md5 = <md5::Md5 as md5::Digest>::digest(bytes).into();
        let length = bytes.len() as u64;
        let encoding = Encoding::Identity;
        let content = AttContent { encoding, length, stored_length: length, md5, chunks };
        let source = AttSource::Uploaded(Uploaded { content, bytes: AttBytes::Held(hold) });
        let content_type = "application/octet-stream".to_owned();
        AttEdit { name: name.into(), content_type, revpos: None, source }
    }

    /// A revision that came from elsewhere.
    pub(super) fn replicate(&self, id: &str, path: RevPath, body: &str) -> Outcome {
        let body = Bytes::from(body.to_owned());
        let edit = DocEdit { id: doc_id(id), revs: path, deleted: false, body, atts: Vec::new() };
        self.write(Write::Replicated(edit))
    }

    pub(super) fn purge(&self, uuid: &str, id: &str, revs: &[Rev]) {
        let uuid = uuid.as_bytes().into();
        self.write(Write::Purge(PurgeRequest { uuid, id: doc_id(id), revs: revs.to_vec() }));
    }

    pub(super) fn local(&self, id: &str, rev: Option<u64>, body: Option<&str>) {
        let body = body.map(|body| Bytes::from(body.to_owned()));
        self.write(Write::Local(LocalEdit { id: doc_id(id), rev, body }));
    }

    pub(super) fn leaves(&self, id: &str) -> Vec<Rev> {
        let info = self.shard().snapshot().doc(&doc_id(id)).unwrap();
        info.map_or(Vec::new(), |info| info.tree.leaves().iter().map(|leaf| leaf.rev()).collect())
    }

    pub(super) fn knows(&self, id: &str, rev: &Rev) -> bool {
        let info = self.shard().snapshot().doc(&doc_id(id)).unwrap();
        info.is_some_and(|info| info.tree.get(rev).is_some())
    }

    pub(super) fn contents(&self) -> Contents {
        let snapshot = self.shard().snapshot();
        let all = (Bound::Unbounded, Bound::Unbounded);
        let (mut docs, mut locals) = (BTreeMap::new(), BTreeMap::new());
        for row in snapshot.docs(&all, Direction::Forward, Which::All) {
            let info = row.unwrap().info().unwrap();
            let mut leaves: Vec<Leaf> = Vec::new();
            for leaf in info.tree.leaves() {
                let record = snapshot.record(leaf.value.body.unwrap()).unwrap();
                let atts = record.atts.iter().map(|att| {
                    let chunks = att.content.chunks.iter();
                    let bytes = chunks.flat_map(|chunk| snapshot.chunk(chunk).unwrap()).collect();
                    (att.name.clone(), bytes)
                });
                leaves.push((leaf.rev(), leaf.value.deleted, record.body.clone(), atts.collect()));
            }
            docs.insert(info.id.to_string(), leaves);
        }
        for local in snapshot.locals(&all, Direction::Forward) {
            let (id, doc) = local.unwrap();
            locals.insert(id.to_string(), (doc.rev, doc.body));
        }
        (docs, locals)
    }

    pub(super) async fn digest(&self) -> [u8; 32] {
        let parts = self.source().digest(Family::Docs, Span::default(), 1).await.unwrap();
        parts[0].digest
    }

    pub(super) async fn pull(&self, from: &Node) -> Report {
        work(Kind::Pull, &self.target(), &from.source()).await.unwrap()
    }

    pub(super) async fn compare(&self, from: &Node) -> Report {
        work(Kind::Compare, &self.target(), &from.source()).await.unwrap()
    }
}

/// Every copy pulls from every other one.
pub(super) async fn pull_all(nodes: &[Node]) {
    for target in nodes {
        for source in nodes.iter().filter(|source| source.id != target.id) {
            target.pull(source).await;
        }
    }
}

pub(super) async fn assert_equal(nodes: &[Node]) {
    let first = nodes[0].contents();
    let digest = nodes[0].digest().await;
    for node in &nodes[1..] {
        assert_eq!(node.contents(), first, "node {}", node.id);
        assert_eq!(node.digest().await, digest);
    }
}

pub(super) fn made_up(start: u64, ids: &str) -> RevPath {
    RevPath { start, ids: ids.bytes().map(|byte| RevId::from_md5([byte; 16])).collect() }
}
