//! What lies in sled: three trees, `log`, `vote` and `applied`, as `docs/format.md` says. All
//! functions block and belong on threads that may; [`off`] brings them there. Nothing here knows
//! what Raft does with it.

use std::collections::BTreeMap;
use std::fs::File;
use std::ops::{Bound, RangeBounds};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use md5::{Digest, Md5};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sled::{Batch, Tree};

use super::applied::{Delta, Header, Image};
use super::state::{Change, State, Stored};
use super::{Entry, LogId, NodeId, OpenError};

/// The format that this code writes, and the only one that it reads.
const FORMAT: u32 = 1;
/// Bytes of pages that sled keeps in memory.
const CACHE: u64 = 16 << 20;
/// Bytes of log entries that are read at once, at least one entry.
const READ_MAX: usize = 1 << 20;

/// Sled's file in its directory.
const FILE: &str = "db";
/// How long a directory may be held by who had it before.
const HELD: Duration = Duration::from_secs(5);

/// Where a store's records lie.
#[derive(Clone)]
pub(super) struct Disk {
    db: sled::Db,
    /// The file that sled writes to.
    file: Arc<File>,
    log: Tree,
    vote: Tree,
    applied: Tree,
}

/// Single records in the tree `vote`.
#[derive(Clone, Copy)]
pub(super) enum Slot {
    Format,
    Uuid,
    Group,
    Vote,
    Purged,
    /// There as long as the store is being emptied.
    Leaving,
}

impl Slot {
    fn key(self) -> &'static str {
        match self {
            Slot::Format => "format",
            Slot::Uuid => "uuid",
            Slot::Group => "group",
            Slot::Vote => "vote",
            Slot::Purged => "purged",
            Slot::Leaving => "leaving",
        }
    }
}

impl Disk {
    /// Opens or makes the store of a node; a store of another node is refused.
    pub(super) fn open(path: &Path, uuid: &str) -> Result<Disk, OpenError> {
        let db = patiently(path)?;
        let file = Arc::new(File::open(path.join(FILE)).map_err(sled::Error::Io)?);
        let (log, vote) = (db.open_tree("log")?, db.open_tree("vote")?);
        let disk = Disk { applied: db.open_tree("applied")?, db, file, log, vote };
        match disk.get::<u32>(Slot::Format)? {
            None => {
                disk.vote.insert(Slot::Uuid.key(), postcard::to_stdvec(&uuid)?)?;
                disk.put(Slot::Format, &FORMAT)?;
            }
            Some(FORMAT) => {}
            Some(other) => return Err(OpenError::Version(other)),
        }
        match disk.get::<String>(Slot::Uuid)? {
            Some(known) if known != uuid => return Err(OpenError::OtherNode(known)),
            _ => {}
        }
        if disk.get::<()>(Slot::Leaving)?.is_some() {
            disk.wipe()?;
        }
        Ok(disk)
    }

    /// Forgets everything but whose store this is. Done anew if a crash comes between.
    pub(super) fn wipe(&self) -> Result<(), OpenError> {
        self.put(Slot::Leaving, &())?;
        self.log.clear()?;
        self.applied.clear()?;
        self.flush()?;
        let mut batch = Batch::default();
        for slot in [Slot::Group, Slot::Vote, Slot::Purged, Slot::Leaving] {
            batch.remove(slot.key());
        }
        self.vote.apply_batch(batch)?;
        self.flush()
    }

    pub(super) fn get<T: DeserializeOwned>(&self, slot: Slot) -> Result<Option<T>, OpenError> {
        self.vote.get(slot.key())?.map(|bytes| Ok(postcard::from_bytes(&bytes)?)).transpose()
    }

    /// Writes a record and makes it durable, with everything that was written before.
    pub(super) fn put<T: Serialize>(&self, slot: Slot, value: &T) -> Result<(), OpenError> {
        self.vote.insert(slot.key(), postcard::to_stdvec(value)?)?;
        self.flush()
    }

    /// Makes durable what was written. Sled itself only hands its pages to the disk, which may
    /// keep them in a cache that does not survive a power failure.
    pub(super) fn flush(&self) -> Result<(), OpenError> {
        self.db.flush()?;
        Ok(self.file.sync_data().map_err(sled::Error::Io)?)
    }

    /// Appends entries and makes them durable with one flush.
    pub(super) fn append(&self, entries: &[Entry]) -> Result<(), OpenError> {
        let mut batch = Batch::default();
        for entry in entries {
            batch.insert(&index_key(entry.log_id.index), postcard::to_stdvec(entry)?);
        }
        self.log.apply_batch(batch)?;
        self.flush()
    }

    /// Entries of a range, in order; a long range is cut after the first MiB if `cut` is set.
    pub(super) fn entries(
        &self,
        range: impl RangeBounds<u64>,
        cut: bool,
    ) -> Result<Vec<Entry>, OpenError> {
        let bounds = (key_of(range.start_bound()), key_of(range.end_bound()));
        let (mut entries, mut size) = (Vec::new(), 0);
        for pair in self.log.range::<[u8; 8], _>(bounds) {
            let (_, bytes) = pair?;
            size += bytes.len();
            if cut && size > READ_MAX && !entries.is_empty() {
                break;
            }
            entries.push(postcard::from_bytes(&bytes)?);
        }
        Ok(entries)
    }

    pub(super) fn last_entry(&self) -> Result<Option<LogId>, OpenError> {
        let Some((_, bytes)) = self.log.last()? else { return Ok(None) };
        Ok(Some(postcard::from_bytes::<Entry>(&bytes)?.log_id))
    }

    /// Removes the entries from `first` on.
    pub(super) fn truncate(&self, first: u64) -> Result<(), OpenError> {
        self.remove(first..)?;
        self.flush()
    }

    /// Removes the entries up to and with `last`. The pointer goes first, so that a crash between
    /// leaves too many entries and never a hole.
    pub(super) fn purge(&self, last: LogId) -> Result<(), OpenError> {
        self.put(Slot::Purged, &last)?;
        self.remove(..=last.index)
    }

    fn remove(&self, range: impl RangeBounds<u64>) -> Result<(), OpenError> {
        let bounds = (key_of(range.start_bound()), key_of(range.end_bound()));
        let mut batch = Batch::default();
        for key in self.log.range::<[u8; 8], _>(bounds).keys() {
            batch.remove(key?);
        }
        self.log.apply_batch(batch)?;
        Ok(())
    }

    /// The applied state as it was left.
    pub(super) fn image(&self) -> Result<Image, OpenError> {
        let Some(header) = self.applied.get(HEADER)? else { return Ok(Image::default()) };
        let header: Header = postcard::from_bytes(&header)?;
        let mut keys = BTreeMap::new();
        for pair in self.applied.scan_prefix(KEYS) {
            let (key, bytes) = pair?;
            let key = String::from_utf8_lossy(key.get(KEYS.len()..).unwrap_or_default());
            keys.insert(Arc::from(key), postcard::from_bytes::<Stored>(&bytes)?);
        }
        Ok(Image { state: State::stored(header.revision, keys), header })
    }

    /// Writes what entries did, as one. It need not be durable: the log has the entries until
    /// [`Disk::flush`] was called.
    pub(super) fn write(&self, delta: &Delta) -> Result<(), OpenError> {
        let mut batch = Batch::default();
        for Change { key, stored } in &delta.changes {
            match stored {
                Some(stored) => batch.insert(state_key(key), postcard::to_stdvec(stored)?),
                None => batch.remove(state_key(key)),
            }
        }
        batch.insert(HEADER, postcard::to_stdvec(&delta.header)?);
        self.applied.apply_batch(batch)?;
        Ok(())
    }

    /// Replaces the applied state as one, durably.
    pub(super) fn replace(&self, image: &Image) -> Result<(), OpenError> {
        let mut batch = Batch::default();
        for key in self.applied.iter().keys() {
            batch.remove(key?);
        }
        for (key, stored) in image.state.keys() {
            batch.insert(state_key(key), postcard::to_stdvec(stored)?);
        }
        batch.insert(HEADER, postcard::to_stdvec(&image.header)?);
        self.applied.apply_batch(batch)?;
        self.flush()
    }
}

/// Key of the header in `applied`.
const HEADER: &[u8] = b"h";
/// What a key of the state has before it in `applied`.
const KEYS: &[u8] = b"k";

fn state_key(key: &str) -> Vec<u8> {
    [KEYS, key.as_bytes()].concat()
}

fn index_key(index: u64) -> [u8; 8] {
    index.to_be_bytes()
}

fn key_of(bound: Bound<&u64>) -> Bound<[u8; 8]> {
    bound.map(|index| index_key(*index))
}

/// The id of a node, from its uuid.
pub(super) fn node_id(uuid: &str) -> NodeId {
    let digest = Md5::digest(uuid);
    digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte)).max(1)
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
fn is_held(error: &std::io::Error) -> bool {
    error.to_string().contains("could not acquire lock")
}

/// Does work on a thread that may block.
pub(super) async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(_) => Err(OpenError::Raft("a thread of the disk was lost".to_owned())),
    }
}
