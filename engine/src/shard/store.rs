//! Where a shard's pages are: its file, or nowhere yet. Also the file's header slots. Never knows
//! what is in the trees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::state::{Counters, PerTree, State, Trees};
use crate::Error;
use crate::codec::Malformed;
use crate::codec::bytes::Reader;
use crate::io::{File, Storage};
use crate::page::{Cache, Pages};
use crate::tree::{Root, Tree};

/// A shard's file, one for each file that a shard has in its life (compaction makes a new one). A
/// shard that was never checkpointed has a store without a file.
pub(crate) struct Store {
    pub(crate) pages: Pages,
    /// Where the next extent begins.
    pub(crate) tail: Arc<AtomicU64>,
    /// Generation of the newest header slot; 0 if there is no file yet.
    generation: AtomicU64,
    /// Number of the last frame that the newest slot leads to.
    applied: AtomicU64,
    /// A write or sync of what must be durable failed: what the file holds from then on is unknown,
    /// and nothing more is written there.
    failed: AtomicBool,
    /// The file as reports name it.
    name: Arc<str>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.pages.evict();
    }
}

/// What a header slot says.
#[derive(Clone)]
pub(crate) struct Header {
    pub(crate) generation: u64,
    pub(crate) tail: u64,
    pub(crate) epoch: u64,
    pub(crate) counters: Counters,
    pub(crate) roots: PerTree<Root>,
}

/// What was found where a shard's file should begin.
pub(crate) struct Opened {
    pub(crate) header: Header,
    /// The other slot is not valid: the log must still hold the record that follows.
    pub(crate) torn: bool,
}

const MAGIC: &[u8; 8] = b"SETTEESH";
const VERSION: u32 = 1;
const SLOT: usize = 4096;
const CRC_AT: usize = SLOT - 4;

/// Where the first extent begins.
const FIRST_EXTENT: u64 = 2 * SLOT as u64;

impl Store {
    /// The store of a shard without a file.
    pub(crate) fn nowhere(name: Arc<str>, cache: &Arc<Cache>) -> Store {
        let file = Arc::new(NoFile { name: name.clone() });
        Store::over(file, name, cache)
    }

    /// The store over a new file.
    pub(crate) fn over(file: Arc<dyn File>, name: Arc<str>, cache: &Arc<Cache>) -> Store {
        Store {
            pages: Pages::new(file, cache.clone()),
            tail: Arc::new(AtomicU64::new(FIRST_EXTENT)),
            generation: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            failed: AtomicBool::new(false),
            name,
        }
    }

    /// Opens a shard's file and reads its header.
    pub(crate) fn open(
        storage: &dyn Storage,
        path: &str,
        cache: &Arc<Cache>,
    ) -> Result<(Store, Opened), Error> {
        let file = storage.open(path)?;
        let opened = read_slots(&*file)?;
        // What uploads had reserved behind the last page when the header was written may be missing;
        // pages may not.
        let end = file.len()?;
        if opened.header.last_page() > end {
            return Err(Error::corrupt(path, end, "the file ends before its last page"));
        }
        let store = Store::over(file, path.into(), cache);
        store.tail.store(end.max(opened.header.tail), Ordering::Release);
        store.remember(&opened.header);
        Ok((store, opened))
    }

    pub(crate) fn has_file(&self) -> bool {
        self.generation.load(Ordering::Acquire) > 0
    }

    /// Whether the newest header leads to all frames up to that number.
    pub(crate) fn holds(&self, number: u64) -> bool {
        self.has_file() && self.applied.load(Ordering::Acquire) >= number
    }

    /// Generation of the newest header.
    pub(crate) fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Whether it must be replaced, because nothing can be written there any more.
    pub(crate) fn has_failed(&self) -> bool {
        self.failed.load(Ordering::Acquire)
    }

    /// Writes nothing there any more.
    pub(crate) fn fail(&self) {
        self.failed.store(true, Ordering::Release);
    }

    fn remember(&self, header: &Header) {
        self.applied.store(header.counters.number, Ordering::Release);
        self.generation.store(header.generation, Ordering::Release);
    }

    /// Damage inside a page whose checksum holds.
    pub(crate) fn unreadable(&self, Malformed(what): Malformed) -> Error {
        Error::corrupt(&self.name, 0, what)
    }

    /// The header that leads to clean trees in this file.
    pub(crate) fn header(&self, state: &State, trees: &Trees) -> Result<Header, Error> {
        let root = |tree: &Tree| tree.root().ok_or(Error::Closed);
        Ok(self.header_of(state, trees.try_map(root)?))
    }

    /// The header that leads to trees with these roots.
    pub(crate) fn header_of(&self, state: &State, roots: PerTree<Root>) -> Header {
        Header {
            generation: self.generation.load(Ordering::Acquire) + 1,
            tail: self.tail.load(Ordering::Acquire),
            epoch: state.epoch,
            counters: state.counters,
            roots,
        }
    }

    /// Writes the slot that is not the newest, and syncs.
    pub(crate) fn write_header(&self, header: &Header) -> Result<(), Error> {
        let slot = header.encode().ok_or(Error::TooLarge { what: "shard header" })?;
        let file = self.pages.file();
        file.write_at(&slot, slot_offset(header.generation))?;
        file.sync()?;
        self.remember(header);
        Ok(())
    }
}

/// Odd generations stand in slot A, even ones in slot B.
fn slot_offset(generation: u64) -> u64 {
    if generation % 2 == 1 { 0 } else { SLOT as u64 }
}

enum Slot {
    Valid(Box<Header>),
    /// Never written.
    Blank,
    Invalid,
}

fn read_slots(file: &dyn File) -> Result<Opened, Error> {
    let a = read_slot(file, 0)?;
    let b = read_slot(file, SLOT as u64)?;
    let (header, other) = match (a, b) {
        (Slot::Valid(a), Slot::Valid(b)) if a.generation >= b.generation => (a, Slot::Valid(b)),
        (a, Slot::Valid(b)) => (b, a),
        (Slot::Valid(a), b) => (a, b),
        _ => return Err(Error::corrupt(file.path(), 0, "no valid header")),
    };
    // The first generation is alone in its file; all others have one before them.
    let torn = match other {
        Slot::Valid(other) if other.generation + 1 == header.generation => false,
        Slot::Valid(_) => return Err(Error::corrupt(file.path(), 0, "headers do not match")),
        Slot::Blank => header.generation > 1,
        Slot::Invalid => true,
    };
    Ok(Opened { header: *header, torn })
}

fn read_slot(file: &dyn File, offset: u64) -> Result<Slot, Error> {
    let mut slot = vec![0; SLOT];
    let len = file.read_at(&mut slot, offset)?;
    if len == SLOT
        && let Some(header) = Header::decode(&slot)
        && slot_offset(header.generation) == offset
    {
        return Ok(Slot::Valid(Box::new(header)));
    }
    let blank = slot.iter().all(|byte| *byte == 0);
    Ok(if blank { Slot::Blank } else { Slot::Invalid })
}

impl Header {
    /// A slot's bytes; `None` if the roots do not fit (their reductions are a few bytes each).
    fn encode(&self) -> Option<Vec<u8>> {
        let mut fields = Vec::with_capacity(SLOT);
        let counters = &self.counters;
        let numbers = [
            self.generation,
            counters.number,
            self.tail,
            self.epoch,
            counters.update_seq,
            counters.purge_seq,
            counters.next_body,
            counters.purge_infos_limit,
        ];
        numbers.iter().for_each(|number| fields.extend_from_slice(&number.to_le_bytes()));
        self.roots.each().into_iter().for_each(|root| root.encode(&mut fields));
        let mut slot = Vec::with_capacity(SLOT);
        slot.extend_from_slice(MAGIC);
        slot.extend_from_slice(&VERSION.to_le_bytes());
        slot.extend_from_slice(&u32::try_from(fields.len()).ok()?.to_le_bytes());
        slot.extend_from_slice(&fields);
        if slot.len() > CRC_AT {
            return None;
        }
        slot.resize(CRC_AT, 0);
        slot.extend_from_slice(&crc32fast::hash(&slot).to_le_bytes());
        Some(slot)
    }

    /// Where the last of the roots' pages ends; it is written after all others.
    fn last_page(&self) -> u64 {
        let end = |root: &Root| root.page.map_or(0, |p| p.offset.saturating_add(u64::from(p.len)));
        self.roots.each().into_iter().map(end).max().unwrap_or(0)
    }

    fn decode(slot: &[u8]) -> Option<Header> {
        let (body, crc) = slot.split_at_checked(CRC_AT)?;
        if crc != crc32fast::hash(body).to_le_bytes() {
            return None;
        }
        let mut reader = Reader::new(body);
        let magic = reader.take(8).ok()? == MAGIC;
        let version = u32::from_le_bytes(reader.array().ok()?);
        if !magic || version != VERSION {
            return None;
        }
        let len = u32::from_le_bytes(reader.array().ok()?);
        let mut fields = Reader::new(reader.take(usize::try_from(len).ok()?).ok()?);
        let mut number = || fields.array().ok().map(u64::from_le_bytes);
        let (generation, applied, tail, epoch) = (number()?, number()?, number()?, number()?);
        let counters = Counters {
            number: applied,
            update_seq: number()?,
            purge_seq: number()?,
            next_body: number()?,
            purge_infos_limit: number()?,
        };
        let mut rest = fields.rest();
        let mut root = || Root::decode(&mut rest);
        let roots = PerTree {
            by_id: root()?,
            by_seq: root()?,
            local: root()?,
            purges: root()?,
            purge_ids: root()?,
            bodies: root()?,
            chunks: root()?,
        };
        rest.is_empty().then_some(Header { generation, tail, epoch, counters, roots })
    }
}

/// The file of a shard that has none: nothing can be read from it, and nothing is ever written.
struct NoFile {
    name: Arc<str>,
}

impl NoFile {
    fn missing<T>(&self) -> Result<T, Error> {
        Err(Error::Missing { file: self.name.clone() })
    }
}

impl File for NoFile {
    fn path(&self) -> &str {
        &self.name
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> Result<usize, Error> {
        self.missing()
    }

    fn write_at(&self, _: &[u8], _: u64) -> Result<(), Error> {
        self.missing()
    }

    fn sync(&self) -> Result<(), Error> {
        self.missing()
    }

    fn len(&self) -> Result<u64, Error> {
        Ok(0)
    }

    fn truncate(&self, _: u64) -> Result<(), Error> {
        self.missing()
    }
}
