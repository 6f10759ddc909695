//! What a store keeps: three maps, `log`, `vote` and `applied`, as `docs/format.md` says. All
//! functions block and belong on threads that may; [`off`] brings them there. Nothing here knows
//! what Raft does with it.

use std::collections::BTreeMap;
use std::ops::{Bound, RangeBounds};
use std::sync::Arc;

use md5::{Digest, Md5};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::applied::{Delta, Header, Image};
use super::records::{ALL, Edit, Place, Records, SledRecords, Span, Tree};
use super::state::{Change, State, Stored};
use super::{Entry, LogId, NodeId, OpenError};
use crate::steps;

/// The format that this code writes, and the only one that it reads.
const FORMAT: u32 = 1;
/// Bytes of log entries that are read at once, at least one entry.
const READ_MAX: usize = 1 << 20;

/// Where a store's records lie.
#[derive(Clone)]
pub(super) struct Disk(Arc<dyn Records>);

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
    pub(super) fn open(place: &Place, uuid: &str) -> Result<Disk, OpenError> {
        let disk = match place {
            Place::Directory(path) => Disk(Arc::new(SledRecords::open(path)?)),
            Place::Memory(memory) => Disk(Arc::new(memory.clone())),
        };
        match disk.get::<u32>(Slot::Format)? {
            None => {
                disk.0.apply(Tree::Vote, vec![record(Slot::Uuid, &uuid)?])?;
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
        for tree in [Tree::Log, Tree::Applied] {
            self.0.apply(tree, self.removals(tree, ALL)?)?;
        }
        self.flush()?;
        let slots = [Slot::Group, Slot::Vote, Slot::Purged, Slot::Leaving];
        self.0.apply(Tree::Vote, slots.map(|slot| (slot.key().into(), None)).into())?;
        self.flush()
    }

    fn removals(&self, tree: Tree, span: Span) -> Result<Vec<Edit>, OpenError> {
        self.0.pairs(tree, span).map(|pair| Ok((pair?.0, None))).collect()
    }

    pub(super) fn get<T: DeserializeOwned>(&self, slot: Slot) -> Result<Option<T>, OpenError> {
        let bytes = self.0.get(Tree::Vote, slot.key().as_bytes())?;
        bytes.map(|bytes| Ok(postcard::from_bytes(&bytes)?)).transpose()
    }

    /// Writes a record and makes it durable, with everything that was written before.
    pub(super) fn put<T: Serialize>(&self, slot: Slot, value: &T) -> Result<(), OpenError> {
        self.0.apply(Tree::Vote, vec![record(slot, value)?])?;
        self.flush()
    }

    /// Makes durable what was written.
    pub(super) fn flush(&self) -> Result<(), OpenError> {
        self.0.flush()
    }

    /// Appends entries and makes them durable with one flush.
    pub(super) fn append(&self, entries: &[Entry]) -> Result<(), OpenError> {
        let edit = |entry: &Entry| -> Result<Edit, OpenError> {
            Ok((index_key(entry.log_id.index), Some(postcard::to_stdvec(entry)?)))
        };
        self.0.apply(Tree::Log, entries.iter().map(edit).collect::<Result<_, _>>()?)?;
        self.flush()
    }

    /// Entries of a range, in order; a long range is cut after the first MiB if `cut` is set.
    pub(super) fn entries(
        &self,
        range: impl RangeBounds<u64>,
        cut: bool,
    ) -> Result<Vec<Entry>, OpenError> {
        let (mut entries, mut size) = (Vec::new(), 0);
        for pair in self.0.pairs(Tree::Log, span_of(&range)) {
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
        let Some((_, bytes)) = self.0.pairs(Tree::Log, ALL).next_back().transpose()? else {
            return Ok(None);
        };
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
        self.0.apply(Tree::Log, self.removals(Tree::Log, span_of(&range))?)
    }

    /// The applied state as it was left.
    pub(super) fn image(&self) -> Result<Image, OpenError> {
        let Some(header) = self.0.get(Tree::Applied, HEADER)? else { return Ok(Image::default()) };
        let header: Header = postcard::from_bytes(&header)?;
        let mut keys = BTreeMap::new();
        for pair in self.0.pairs(Tree::Applied, (Bound::Included(KEYS.into()), Bound::Unbounded)) {
            let (key, bytes) = pair?;
            let key = String::from_utf8_lossy(key.get(KEYS.len()..).unwrap_or_default());
            keys.insert(Arc::from(key), postcard::from_bytes::<Stored>(&bytes)?);
        }
        Ok(Image { state: State::stored(header.revision, keys), header })
    }

    /// Writes what entries did, as one. It need not be durable: the log has the entries until
    /// [`Disk::flush`] was called.
    pub(super) fn write(&self, delta: &Delta) -> Result<(), OpenError> {
        let edit = |Change { key, stored }: &Change| -> Result<Edit, OpenError> {
            Ok((state_key(key), stored.as_ref().map(postcard::to_stdvec).transpose()?))
        };
        let mut edits = delta.changes.iter().map(edit).collect::<Result<Vec<_>, _>>()?;
        edits.push((HEADER.into(), Some(postcard::to_stdvec(&delta.header)?)));
        self.0.apply(Tree::Applied, edits)
    }

    /// Replaces the applied state as one, durably.
    pub(super) fn replace(&self, image: &Image) -> Result<(), OpenError> {
        let mut edits = self.removals(Tree::Applied, ALL)?;
        for (key, stored) in image.state.keys() {
            edits.push((state_key(key), Some(postcard::to_stdvec(stored)?)));
        }
        edits.push((HEADER.into(), Some(postcard::to_stdvec(&image.header)?)));
        self.0.apply(Tree::Applied, edits)?;
        self.flush()
    }
}

fn record<T: Serialize>(slot: Slot, value: &T) -> Result<Edit, OpenError> {
    Ok((slot.key().into(), Some(postcard::to_stdvec(value)?)))
}

/// Key of the header in `applied`.
const HEADER: &[u8] = b"h";
/// What a key of the state has before it in `applied`.
const KEYS: &[u8] = b"k";

fn state_key(key: &str) -> Vec<u8> {
    [KEYS, key.as_bytes()].concat()
}

fn index_key(index: u64) -> Vec<u8> {
    index.to_be_bytes().into()
}

fn span_of(range: &impl RangeBounds<u64>) -> Span {
    let key = |bound: Bound<&u64>| bound.map(|index| index_key(*index));
    (key(range.start_bound()), key(range.end_bound()))
}

/// The id of a node, from its uuid.
pub(crate) fn node_id(uuid: &str) -> NodeId {
    let digest = Md5::digest(uuid);
    digest.iter().take(8).fold(0, |id, byte| id << 8 | u64::from(*byte)).max(1)
}

/// Does work on a thread that may block.
pub(super) async fn off<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, OpenError> + Send + 'static,
) -> Result<T, OpenError> {
    match steps::off(work).await {
        Ok(result) => result,
        Err(_) => Err(OpenError::Raft("a thread of the disk was lost".to_owned())),
    }
}
