//! Databases with three copies on three nodes of one process, over loopback; every node can be the
//! coordinator.

mod designs;
mod finds;
mod gate;
mod reads;
mod scans;
mod uploads;
mod views;
mod writes;

use std::sync::Arc;
use std::time::Duration;

use settee_model::doc::DocEdit;
use settee_model::docid::DbName;
use settee_model::rev::Rev;
use tokio::time::sleep;

use self::gate::{Gate, Gated};
use super::write::update;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::docs::{EditMode, EditResult, OpenOptions, Revs, UpdateOptions};
use crate::mesh::RemoteCopy;
use crate::mesh::tests::{Far, settings, shard};
use crate::tests::id;
use crate::{DbMeta, Error};

/// How long a coordinator waits for a node.
const CALL: Duration = Duration::from_secs(5);

/// The nodes; a database's copies are in their order.
struct Nodes {
    all: Vec<Far>,
    gates: Vec<Arc<Gate>>,
}

impl Nodes {
    /// Three nodes that have the shard.
    async fn three() -> Nodes {
        let gates: Vec<_> = (0..3).map(|_| Arc::new(Gate::default())).collect();
        let start = |(number, gate): (u8, &Arc<Gate>)| {
            let disk = |storage| Arc::new(Gated(storage, gate.clone())) as _;
            Far::over(settings(&format!("n{number}@host"), number, "mellon"), disk)
        };
        let nodes = Nodes { all: (1..).zip(&gates).map(start).collect(), gates };
        for node in &nodes.all {
            node.local().create().await.unwrap();
        }
        nodes
    }

    /// The database as the coordinator at a node sees it.
    fn database(&self, at: usize) -> Database {
        self.narrow(at, 1024)
    }

    /// The same where no more calls are under way at once.
    fn narrow(&self, at: usize, calls_max: usize) -> Database {
        self.with(at, calls_max, &[])
    }

    /// The same while the copies of some nodes, by their ids, are being filled.
    fn filling(&self, at: usize, filling: &[u64]) -> Database {
        self.with(at, 1024, filling)
    }

    fn with(&self, at: usize, calls_max: usize, filling: &[u64]) -> Database {
        let mut own = settings("coordinator@host", 10 + at as u8, "mellon");
        own.calls_max = calls_max;
        own.timing.call = CALL;
        let copy = |(number, node): (usize, &Far)| {
            if number == at {
                return node.local();
            }
            let peer = node.peer_of(own.clone());
            ShardCopy::Remote(RemoteCopy::new(peer, number as u64 + 1, shard()))
        };
        let copies = self.all.iter().enumerate().map(copy).collect();
        let mut meta = DbMeta::new(DbName::trusted("db"), 1, false, vec![vec![1, 2, 3]]);
        let range = meta.shards[0].range.clone();
        filling.iter().for_each(|node| meta.set_filling(&range, *node, true));
        Database::new(Arc::new(meta), vec![copies], at as u64 + 1)
    }

    fn copy(&self, at: usize) -> ShardCopy {
        self.all[at].local()
    }

    /// The leaves of a document at a node, ordered.
    async fn leaves(&self, at: usize, doc: &str) -> Vec<Rev> {
        let found = self.copy(at).revisions(id(doc), Revs::All, false).await.unwrap();
        let rev = |found| match found {
            crate::docs::RevResult::Found(doc) => doc.rev().unwrap(),
            crate::docs::RevResult::Missing(rev) => rev,
        };
        let mut leaves: Vec<Rev> = found.into_iter().map(rev).collect();
        leaves.sort();
        leaves
    }

    /// Checks that a document has this one leaf at a node.
    async fn has(&self, at: usize, doc: &str, rev: &Rev) {
        assert_eq!(self.leaves(at, doc).await, std::slice::from_ref(rev), "{doc} at {at}");
    }

    /// Waits until a document has one leaf at a node.
    async fn comes(&self, at: usize, doc: &str, rev: &Rev) {
        for _ in 0..1000 {
            if self.leaves(at, doc).await == std::slice::from_ref(rev) {
                return;
            }
            sleep(Duration::from_millis(10)).await;
        }
        panic!("{doc} at {at}: {:?}", self.leaves(at, doc).await);
    }

    async fn body(&self, at: usize, doc: &str) -> Result<String, Error> {
        let opened = self.copy(at).open(id(doc), OpenOptions::default()).await?;
        Ok(String::from_utf8(opened.doc.record.body.to_vec()).unwrap())
    }
}

async fn write(
    database: &Database,
    edits: Vec<DocEdit>,
    mode: EditMode,
    w: u32,
) -> Result<Vec<EditResult>, Error> {
    let options = UpdateOptions { w: Some(w), max_partition_size: None };
    update(database, edits, mode, options).await
}

/// One edit of a client: its revision, and whether it was only accepted.
async fn put(database: &Database, edit: DocEdit, w: u32) -> Result<(Rev, bool), Error> {
    let EditResult { result, accepted } =
        write(database, vec![edit], EditMode::Interactive, w).await?.remove(0);
    Ok((result?, accepted))
}
