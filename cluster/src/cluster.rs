//! [`Cluster`]: the databases there are, and this node among its peers. Makes and removes
//! databases; what is done with one is [`Db`]'s business.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use settee_engine::Engine;
use settee_model::docid::DbName;

use crate::info::{ActiveTask, Members};
use crate::meta::Stage;
use crate::node::{NewId, Node, now};
use crate::steps::uninterrupted;
use crate::updates::Event;
use crate::{Db, DbMeta, Error, Settings, coord};

/// The coordinator of one node. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {
    node: Arc<Node>,
}

/// How a new database shall be laid out.
#[derive(Clone, Debug, Default)]
pub struct CreateOptions {
    /// Shards; the setting otherwise. At least 1.
    pub q: Option<u32>,
    /// Copies of each shard; the setting otherwise. At least 1.
    pub n: Option<u32>,
    /// Place documents by partition.
    pub partitioned: bool,
    /// Zones and copies in each: `z1:2,z2:1`.
    pub placement: Option<String>,
    /// The security object that it begins with, JSON in stored form.
    pub security: Option<Bytes>,
}

/// How far a change of metadata has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// On a majority.
    Created,
    /// On some node; the rest will follow.
    Accepted,
}

impl Cluster {
    /// Starts the coordinator over an engine: reads what databases there are and clears away what a
    /// crash left half made or half removed. `new_id` makes 32 random hexadecimal digits: the
    /// server's identity, if the data directory has none yet, and names of purges.
    pub async fn open(engine: Engine, settings: Settings, new_id: NewId) -> Result<Cluster, Error> {
        let node = Node::open(engine, settings, new_id).await?;
        Ok(Cluster { node })
    }

    /// This node's name.
    #[must_use]
    pub fn node_name(&self) -> &str {
        &self.node.settings().node_name
    }

    /// The server's identity: 32 hexadecimal digits, kept in the data directory.
    #[must_use]
    pub fn uuid(&self) -> &str {
        self.node.uuid()
    }

    /// Who belongs to it.
    #[must_use]
    pub fn members(&self) -> Members {
        let this = vec![self.node_name().to_owned()];
        Members { all_nodes: this.clone(), cluster_nodes: this }
    }

    /// All databases, ordered by name.
    #[must_use]
    pub fn all_dbs(&self) -> Arc<BTreeMap<DbName, Arc<DbMeta>>> {
        self.node.all()
    }

    /// Makes a database; durable when it returns. [`Error::DatabaseExists`],
    /// [`Error::BadPlacement`].
    pub async fn create_db(&self, name: &DbName, options: CreateOptions) -> Result<Written, Error> {
        let (node, name) = (self.node.clone(), name.clone());
        uninterrupted(async move { create(&node, &name, &options).await }).await
    }

    /// Removes a database and all that is in it. [`Error::DatabaseMissing`].
    pub async fn delete_db(&self, name: &DbName) -> Result<Written, Error> {
        let (node, name) = (self.node.clone(), name.clone());
        uninterrupted(async move { delete(&node, &name).await }).await
    }

    /// A database. [`Error::DatabaseMissing`].
    pub fn db(&self, name: &DbName) -> Result<Db, Error> {
        Ok(Db::new(self.node.clone(), self.node.database(name)?))
    }

    /// Work in the background.
    #[must_use]
    pub fn active_tasks(&self) -> Vec<ActiveTask> {
        let node = self.node_name();
        let (tasks, now) = (self.node.engine().tasks().into_iter(), now());
        tasks.map(|task| ActiveTask::new(node, task, now)).collect()
    }

    /// Waits for what was accepted in the background, then puts everything in its place on disk.
    /// Afterwards every call answers [`Error::Closing`].
    pub async fn close(&self) -> Result<(), Error> {
        self.node.close().await
    }
}

async fn create(
    node: &Arc<Node>,
    name: &DbName,
    options: &CreateOptions,
) -> Result<Written, Error> {
    let _turn = node.turn(name).await;
    if node.get(name).is_some() {
        return Err(Error::DatabaseExists);
    }
    // No node is in a zone, as in a CouchDB where nobody put one there.
    if options.placement.is_some() {
        return Err(Error::BadPlacement("no_nodes_in_zone".into()));
    }
    let q = options.q.unwrap_or(node.settings().q).max(1);
    let created = node.new_created(name);
    let this = &node.settings().node_name;
    let mut meta = DbMeta::new(name.clone(), created, q, options.partitioned, this);
    meta.security = options.security.clone();
    let copies = node.copies(&meta)?;
    node.store().put_database(&meta, Stage::Creating).await?;
    let made = coord::shards::on_all(&copies, |copy| async move { copy.create().await }).await;
    let made = match made {
        Ok(()) => node.store().put_database(&meta, Stage::Ready).await,
        failed => failed,
    };
    if let Err(error) = made {
        if let Err(error) = node.clear(&meta).await {
            tracing::warn!(database = %name, %error, "half made; cleared at the next start");
        }
        return Err(error);
    }
    node.publish(meta);
    node.updates().add(Event::Created, name);
    Ok(Written::Created)
}

async fn delete(node: &Arc<Node>, name: &DbName) -> Result<Written, Error> {
    let _turn = node.turn(name).await;
    let meta = node.get(name).ok_or(Error::DatabaseMissing)?;
    node.store().put_database(&meta, Stage::Deleting).await?;
    node.withdraw(&meta);
    node.clear(&meta).await?;
    node.updates().add(Event::Deleted, name);
    Ok(Written::Created)
}
