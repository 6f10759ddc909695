//! A database that is in use on this node: its shards' copies and its metadata as of now. Knows
//! nothing of other databases.

use std::iter::repeat;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::copy::ShardCopy;
use crate::designs::DesignDocs;
use crate::raft::NodeId;
use crate::ring::Ring;
use crate::{DbMeta, Error};

/// Who is told of copies that did not do what they were asked to.
pub(crate) type Lacking = Arc<dyn Fn(&ShardCopy) + Send + Sync>;

/// See the module.
pub(crate) struct Database {
    meta: RwLock<Arc<DbMeta>>,
    ring: Ring,
    /// By number of the range, then in owner order, but those that are being filled come last.
    shards: Vec<Vec<ShardCopy>>,
    /// How many copies of each range have all that they should.
    full: Vec<usize>,
    /// The node that this is.
    node: NodeId,
    deleted: AtomicBool,
    designs: DesignDocs,
    lacking: Lacking,
}

impl Database {
    /// The database that metadata describes, with the copies of its shards.
    pub(crate) fn new(meta: Arc<DbMeta>, shards: Vec<Vec<ShardCopy>>, node: NodeId) -> Database {
        let ring = Ring::new(meta.q, meta.partitioned);
        let places =
            meta.shards.iter().map(|place| place.filling.as_slice()).chain(repeat(&[][..]));
        let sorted = shards.into_iter().zip(places).map(|(mut copies, filling)| {
            let is_filling = |copy: &ShardCopy| filling.contains(&node_of(node, copy));
            copies.sort_by_key(is_filling);
            let full = copies.iter().filter(|copy| !is_filling(copy)).count();
            // Where all that had it are gone for good, what is left is all there is.
            let full = if full == 0 { copies.len() } else { full };
            (copies, full)
        });
        let (shards, full) = sorted.unzip();
        let (meta, deleted) = (RwLock::new(meta), AtomicBool::new(false));
        let designs = DesignDocs::default();
        Database { meta, ring, shards, full, node, deleted, designs, lacking: Arc::new(|_| {}) }
    }

    /// The same, and somebody sees to copies that did not do what they were asked to.
    pub(crate) fn healed_by(self, lacking: Lacking) -> Database {
        Database { lacking, ..self }
    }

    /// The design documents that concern others than who names them.
    pub(crate) fn designs(&self) -> &DesignDocs {
        &self.designs
    }

    /// Whether all of its copies are on this node.
    pub(crate) fn is_here_alone(&self) -> bool {
        self.shards.iter().flatten().all(|copy| matches!(copy, ShardCopy::Local(_)))
    }

    /// Who is told of copies that did not do what they were asked to.
    pub(crate) fn lacking(&self) -> &Lacking {
        &self.lacking
    }

    /// The node that has a copy.
    pub(crate) fn node_of(&self, copy: &ShardCopy) -> NodeId {
        node_of(self.node, copy)
    }

    pub(crate) fn meta(&self) -> Arc<DbMeta> {
        self.meta.read().clone()
    }

    /// What the names of its shards end with.
    pub(crate) fn instance(&self) -> String {
        let meta = self.meta();
        format!("{}.{}", meta.name, meta.created)
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

    /// The copies of one range, its owner first. Writes go to all; see [`Database::full`].
    pub(crate) fn copies(&self, shard: usize) -> Result<&[ShardCopy], Error> {
        self.live()?;
        self.shards.get(shard).map(Vec::as_slice).ok_or(Error::DatabaseMissing)
    }

    /// So many of the copies of one range, from the first on, have all that they should. The others
    /// are being filled: they decide no edit and answer no reader.
    pub(crate) fn full(&self, shard: usize) -> usize {
        self.full.get(shard).copied().unwrap_or(0)
    }

    /// The copies of a range in the order in which they are asked to read: the one on this node,
    /// those that are alive, the others. At least one.
    pub(crate) fn readers(&self, shard: usize) -> Result<Vec<&ShardCopy>, Error> {
        let full = self.full(shard);
        let mut readers: Vec<&ShardCopy> = self.copies(shard)?.iter().take(full).collect();
        // What is believed of nodes changes meanwhile: each is looked at once.
        readers.sort_by_cached_key(|copy| match copy {
            ShardCopy::Local(_) => 0,
            copy if copy.is_live() => 1,
            _ => 2,
        });
        if readers.is_empty() { Err(Error::Timeout) } else { Ok(readers) }
    }

    /// How many ranges it has.
    pub(crate) fn ranges(&self) -> usize {
        self.shards.len()
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

/// The node that has a copy, as this one sees it.
fn node_of(me: NodeId, copy: &ShardCopy) -> NodeId {
    match copy {
        ShardCopy::Local(_) => me,
        ShardCopy::Remote(copy) => copy.node(),
    }
}
