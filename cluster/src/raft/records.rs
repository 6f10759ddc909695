//! Where a store's records lie: ordered maps of bytes in sled, or in memory for simulations. What was
//! written is durable after [`Records::flush`], not before. Never knows what a record means.

use std::fs::File;
use std::io;
use std::ops::Bound;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::OpenError;
use super::memory::Memory;

/// Bytes of pages that sled keeps in memory.
const CACHE: u64 = 16 << 20;
/// Sled's file in its directory.
const FILE: &str = "db";
/// How long a directory may be held by who had it before.
const HELD: Duration = Duration::from_secs(5);

/// Where a store lies.
#[derive(Clone, Debug)]
pub enum Place {
    /// In a directory, used by nobody else.
    Directory(PathBuf),
    /// In memory, which outlives the store.
    Memory(Memory),
}

/// One of the maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tree {
    Log,
    Vote,
    Applied,
}

/// A key, and its new value or none.
pub(super) type Edit = (Vec<u8>, Option<Vec<u8>>);

/// Keys from one to another.
pub(super) type Span = (Bound<Vec<u8>>, Bound<Vec<u8>>);

/// All keys.
pub(super) const ALL: Span = (Bound::Unbounded, Bound::Unbounded);

/// A key and its value.
pub(super) type Pair = (Vec<u8>, Vec<u8>);

/// Pairs in the order of their keys.
pub(super) type Pairs<'a> = Box<dyn DoubleEndedIterator<Item = Result<Pair, OpenError>> + 'a>;

/// See the module. All of it may block.
pub(super) trait Records: Send + Sync {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, OpenError>;

    /// What is there now, or a little later.
    fn pairs(&self, tree: Tree, span: Span) -> Pairs<'_>;

    /// Changes one map, all or nothing.
    fn apply(&self, tree: Tree, edits: Vec<Edit>) -> Result<(), OpenError>;

    /// Makes durable what was written before.
    fn flush(&self) -> Result<(), OpenError>;
}

/// Records in a directory.
pub(super) struct SledRecords {
    db: sled::Db,
    /// The file that sled writes to.
    file: File,
    log: sled::Tree,
    vote: sled::Tree,
    applied: sled::Tree,
}

impl SledRecords {
    pub(super) fn open(path: &Path) -> Result<SledRecords, OpenError> {
        let db = patiently(path)?;
        let file = File::open(path.join(FILE)).map_err(sled::Error::Io)?;
        let (log, vote) = (db.open_tree("log")?, db.open_tree("vote")?);
        Ok(SledRecords { applied: db.open_tree("applied")?, db, file, log, vote })
    }

    fn tree(&self, tree: Tree) -> &sled::Tree {
        match tree {
            Tree::Log => &self.log,
            Tree::Vote => &self.vote,
            Tree::Applied => &self.applied,
        }
    }
}

impl Records for SledRecords {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, OpenError> {
        Ok(self.tree(tree).get(key)?.map(|value| value.to_vec()))
    }

    fn pairs(&self, tree: Tree, span: Span) -> Pairs<'_> {
        let pairs = self.tree(tree).range::<Vec<u8>, _>(span);
        Box::new(pairs.map(|pair| Ok(pair.map(|(key, value)| (key.to_vec(), value.to_vec()))?)))
    }

    fn apply(&self, tree: Tree, edits: Vec<Edit>) -> Result<(), OpenError> {
        let mut batch = sled::Batch::default();
        for (key, value) in edits {
            match value {
                Some(value) => batch.insert(key, value),
                None => batch.remove(key),
            }
        }
        Ok(self.tree(tree).apply_batch(batch)?)
    }

    /// Sled itself only hands its pages to the disk, which may keep them in a cache that does not
    /// survive a power failure.
    fn flush(&self) -> Result<(), OpenError> {
        self.db.flush()?;
        Ok(self.file.sync_data().map_err(sled::Error::Io)?)
    }
}

/// Opens sled; waits a little for one before to let go of its files, which it does in its own time.
fn patiently(path: &Path) -> Result<sled::Db, OpenError> {
    // Nothing is flushed by the clock: what must be durable is flushed when it is written.
    let config = sled::Config::new().path(path).cache_capacity(CACHE).flush_every_ms(None);
    let given_up = Instant::now() + HELD;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if Instant::now() < given_up && is_held(&error) => {
                std::thread::sleep(Duration::from_millis(5));
            }
            opened => return Ok(opened?),
        }
    }
}

/// Sled says so in words only.
fn is_held(error: &io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}
