//! The coordinator in one process over a data directory of its own.

mod changes;
mod databases;
mod designs;
mod documents;
mod healing;
mod joining;
mod nodes;
mod rows;
pub(crate) mod views;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use settee_engine::io::RealStorage;
use settee_engine::{Engine, Options};
use settee_model::doc::DocEdit;
use settee_model::docid::{DbName, DocId};
use settee_model::rev::{Rev, RevPath};
use tempfile::TempDir;

use crate::docs::{EditMode, UpdateOptions};
use crate::{Cluster, CreateOptions, Db, Error, Home, Settings};

/// A node, and the directory it lives in.
pub(crate) struct Node {
    pub(crate) cluster: Cluster,
    pub(crate) dir: TempDir,
}

impl Node {
    pub(crate) async fn new() -> Node {
        let dir = tempfile::tempdir().unwrap();
        Node { cluster: open(dir.path()).await, dir }
    }

    /// Closes the node and opens its directory anew.
    pub(crate) async fn restart(self) -> Node {
        self.cluster.close().await.unwrap();
        let Node { cluster, dir } = self;
        drop(cluster);
        Node { cluster: open(dir.path()).await, dir }
    }

    pub(crate) async fn db(&self, name: &str, q: u32) -> Db {
        self.create(name, CreateOptions { q: Some(q), ..CreateOptions::default() }).await
    }

    pub(crate) async fn create(&self, name: &str, options: CreateOptions) -> Db {
        let name = DbName::trusted(name);
        self.cluster.create_db(&name, options).await.unwrap();
        self.cluster.db(&name).unwrap()
    }
}

async fn open(path: &Path) -> Cluster {
    open_with(path, Settings::default()).await
}

pub(crate) async fn open_with(path: &Path, settings: Settings) -> Cluster {
    open_at(path, settings, Home::new(path.to_owned())).await
}

pub(crate) async fn open_at(path: &Path, settings: Settings, home: Home) -> Cluster {
    let storage = Arc::new(RealStorage::open(path).unwrap());
    let engine = Engine::open(storage, Options::default()).unwrap();
    static IDS: AtomicU64 = AtomicU64::new(1);
    let new_id = || format!("{:032x}", IDS.fetch_add(1, Ordering::Relaxed));
    Cluster::open(engine, settings, home, Arc::new(new_id)).await.unwrap()
}

pub(crate) fn id(text: &str) -> DocId {
    DocId::trusted(text)
}

pub(crate) fn rev(text: &str) -> Rev {
    text.parse().unwrap()
}

pub(crate) fn edit(doc: &str, body: &str, parent: Option<&Rev>) -> DocEdit {
    DocEdit {
        id: id(doc),
        revs: parent.cloned().map(RevPath::single).unwrap_or_default(),
        deleted: false,
        body: Bytes::from(body.to_owned()),
        atts: Vec::new(),
    }
}

pub(crate) fn removal(doc: &str, parent: &Rev) -> DocEdit {
    DocEdit { deleted: true, ..edit(doc, "{}", Some(parent)) }
}

pub(crate) async fn put_all(db: &Db, edits: Vec<DocEdit>) -> Vec<Result<Rev, Error>> {
    let options = UpdateOptions::default();
    let results = db.update(edits, EditMode::Interactive, options).await.unwrap();
    results.into_iter().map(|result| result.result).collect()
}

pub(crate) async fn put(db: &Db, edit: DocEdit) -> Result<Rev, Error> {
    put_all(db, vec![edit]).await.remove(0)
}
