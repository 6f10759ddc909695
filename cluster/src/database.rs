//! A database that is in use on this node: its shards' copies and its metadata as of now. Knows
//! nothing of other databases.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;
use settee_model::docid::DocId;

use crate::copy::ShardCopy;
use crate::ring::Ring;
use crate::{DbMeta, Error};

/// Who is told of copies that did not do what they were asked to.
pub(crate) type Lacking = Arc<dyn Fn(&ShardCopy) + Send + Sync>;

/// See the module.
pub(crate) struct Database {
    meta: RwLock<Arc<DbMeta>>,
    ring: Ring,
    /// By number of the range, then in owner order.
    shards: Vec<Vec<ShardCopy>>,
    /// Names these copies in sequences.
    copy_id: u64,
    deleted: AtomicBool,
    lacking: Lacking,
}

impl Database {
    /// The database that metadata describes, with the copies of its shards.
    pub(crate) fn new(meta: Arc<DbMeta>, shards: Vec<Vec<ShardCopy>>, copy_id: u64) -> Database {
        let ring = Ring::new(meta.q, meta.partitioned);
        let (meta, deleted) = (RwLock::new(meta), AtomicBool::new(false));
        Database { meta, ring, shards, copy_id, deleted, lacking: Arc::new(|_| {}) }
    }

    /// The same, and somebody sees to copies that did not do what they were asked to.
    pub(crate) fn healed_by(self, lacking: Lacking) -> Database {
        Database { lacking, ..self }
    }

    /// Who is told of copies that did not do what they were asked to.
    pub(crate) fn lacking(&self) -> &Lacking {
        &self.lacking
    }

    /// Names these copies in sequences: an earlier database of this name had other ones.
    pub(crate) fn copy_id(&self) -> u64 {
        self.copy_id
    }

    pub(crate) fn meta(&self) -> Arc<DbMeta> {
        self.meta.read().clone()
    }

    pub(crate) fn set_meta(&self, meta: Arc<DbMeta>) {
        *self.meta.write() = meta;
    }

    pub(crate) fn ring(&self) -> &Ring {
        &self.ring
    }

    /// The copies of all ranges, for work that goes to every one.
    pub(crate) fn all_copies(&self) -> Result<&[Vec<ShardCopy>], Error> {
        self.live()?;
        Ok(&self.shards)
    }

    /// The copies of one range, its owner first.
    pub(crate) fn copies(&self, shard: usize) -> Result<&[ShardCopy], Error> {
        self.live()?;
        self.shards.get(shard).map(Vec::as_slice).ok_or(Error::DatabaseMissing)
    }

    /// The copies of a document's range, its owner first.
    pub(crate) fn copies_of(&self, id: &DocId) -> Result<&[ShardCopy], Error> {
        self.copies(self.ring.shard_of(id))
    }

    /// The copy of a range that answers reads: one on this node, or else the first that is alive.
    pub(crate) fn nearest(&self, shard: usize) -> Result<&ShardCopy, Error> {
        let copies = self.copies(shard)?;
        let here = copies.iter().find(|copy| matches!(copy, ShardCopy::Local(_)));
        let live = || copies.iter().find(|copy| copy.is_live());
        here.or_else(live).or(copies.first()).ok_or(Error::Timeout)
    }

    /// The copy that answers reads of a document.
    pub(crate) fn nearest_to(&self, id: &DocId) -> Result<&ShardCopy, Error> {
        self.nearest(self.ring.shard_of(id))
    }

    /// The copy of each range that answers reads.
    pub(crate) fn nearest_of_all(&self) -> Result<Vec<&ShardCopy>, Error> {
        (0..self.shards.len()).map(|shard| self.nearest(shard)).collect()
    }

    /// Errs once the database is deleted.
    pub(crate) fn live(&self) -> Result<(), Error> {
        if self.deleted.load(Ordering::Acquire) { Err(Error::DatabaseMissing) } else { Ok(()) }
    }

    /// Tells everybody who uses it that it is gone.
    pub(crate) fn set_deleted(&self) {
        self.deleted.store(true, Ordering::Release);
    }
}
