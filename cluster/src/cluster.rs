//! [`Cluster`]: the databases there are, and this node among its peers.

use std::collections::BTreeMap;
use std::sync::Arc;

use settee_model::docid::DbName;

use crate::info::{ActiveTask, Members};
use crate::{Db, DbMeta, Error};

/// The coordinator of one node. Cheap to clone.
#[derive(Clone)]
pub struct Cluster {}

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
    /// This node's name.
    #[must_use]
    pub fn node_name(&self) -> &str {
        todo!()
    }

    /// The server's identity: 32 hexadecimal digits, kept in the data directory.
    #[must_use]
    pub fn uuid(&self) -> &str {
        todo!()
    }

    /// Who belongs to it.
    #[must_use]
    pub fn members(&self) -> Members {
        todo!()
    }

    /// All databases, ordered by name.
    #[must_use]
    pub fn all_dbs(&self) -> Arc<BTreeMap<DbName, Arc<DbMeta>>> {
        todo!()
    }

    /// Makes a database; durable when it returns. [`Error::DatabaseExists`],
    /// [`Error::BadPlacement`].
    pub async fn create_db(&self, name: &DbName, options: CreateOptions) -> Result<Written, Error> {
        let _ = (name, options);
        todo!()
    }

    /// Removes a database and all that is in it. [`Error::DatabaseMissing`].
    pub async fn delete_db(&self, name: &DbName) -> Result<Written, Error> {
        let _ = name;
        todo!()
    }

    /// A database. [`Error::DatabaseMissing`].
    pub fn db(&self, name: &DbName) -> Result<Db, Error> {
        let _ = name;
        todo!()
    }

    /// Work in the background.
    #[must_use]
    pub fn active_tasks(&self) -> Vec<ActiveTask> {
        todo!()
    }
}
