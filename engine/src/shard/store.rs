//! Where a shard's pages are: its file, or nowhere yet. Also the file's header slots. Never knows
//! what is in the trees.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;

use super::state::{Counters, PerTree, State, Trees};
use super::unwritten::Unwritten;
use crate::Error;
use crate::codec::reader::Reader;
use crate::codec::{Malformed, chunk};
use crate::io::{File, NoFile, Storage};
use crate::page::header::{FIRST_EXTENT, Format, Slot};
use crate::page::{Cache, Extent, Pages};
use crate::tree::{Root, Tree};

/// A shard's file, one for each file that a shard has in its life (compaction makes a new one). A
/// shard that was never checkpointed has a store without a file.
pub(crate) struct Store {
    pub(crate) pages: Pages,
    /// Where the next extent begins.
    pub(crate) tail: Arc<AtomicU64>,
    unwritten: Unwritten,
    /// Generation of the newest header slot; 0 if there is no file yet.
    generation: AtomicU64,
    /// Number of the last frame that the newest slot leads to.
    applied: AtomicU64,
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

/// Extents that hold chunks of attachments.
pub(crate) const CHUNK_KIND: u8 = 3;

const FORMAT: Format = Format { magic: b"SETTEESH", version: 2 };

impl Store {
    /// The store of a shard without a file.
    pub(crate) fn nowhere(name: Arc<str>, cache: &Arc<Cache>) -> Store {
        let file = Arc::new(NoFile(name.clone()));
        Store::over(file, name, cache)
    }

    /// The store over a new file.
    pub(crate) fn over(file: Arc<dyn File>, name: Arc<str>, cache: &Arc<Cache>) -> Store {
        Store {
            pages: Pages::new(file, cache.clone()),
            tail: Arc::new(AtomicU64::new(FIRST_EXTENT)),
            unwritten: Unwritten::default(),
            generation: AtomicU64::new(0),
            applied: AtomicU64::new(0),
            name,
        }
    }

    /// The store over the first file of a shard: what waits for one has its place already, and more
    /// may come meanwhile.
    pub(crate) fn first(file: Arc<dyn File>, nowhere: &Store, cache: &Arc<Cache>) -> Store {
        let mut store = Store::over(file, nowhere.name.clone(), cache);
        store.tail = nowhere.tail.clone();
        store
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
        self.pages.has_failed()
    }

    /// Writes nothing there any more.
    pub(crate) fn fail(&self) {
        self.pages.fail();
    }

    fn remember(&self, header: &Header) {
        self.applied.store(header.counters.number, Ordering::Release);
        self.generation.store(header.generation, Ordering::Release);
    }

    /// Gives a chunk its place. It takes none in the file before it was [brought](Store::bring).
    pub(crate) fn reserve(&self, chunk: &[u8]) -> Result<Extent, Error> {
        Extent::reserve(CHUNK_KIND, chunk, &self.tail)
    }

    /// Takes chunks whose places are known: they are read from memory until the file has them.
    pub(crate) fn bring(&self, extents: Vec<Extent>) {
        let end = extents.iter().map(Extent::end).max();
        end.map(|end| self.tail.fetch_max(end, Ordering::Relaxed));
        self.unwritten.add(extents);
    }

    /// Chunks that are not in the file yet.
    pub(crate) fn unwritten(&self) -> &Unwritten {
        &self.unwritten
    }

    /// What the tree says of a chunk.
    pub(crate) fn stored_chunk(&self, value: &Bytes) -> Result<chunk::Stored, Error> {
        chunk::Stored::decode(value).map_err(|damage| self.unreadable(damage))
    }

    /// The bytes of a chunk. `pages` are those of this store, read as the caller wants them to be.
    pub(crate) fn chunk(&self, pages: &Pages, place: &chunk::Place) -> Result<Bytes, Error> {
        match *place {
            chunk::Place::Inline(ref bytes) => Ok(bytes.clone()),
            chunk::Place::Extent(ptr) => match self.unwritten.get(ptr) {
                Some(extent) => extent.payload(CHUNK_KIND).map_err(|what| pages.corrupt(ptr, what)),
                None => pages.read(ptr, CHUNK_KIND),
            },
        }
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
        FORMAT.write(&self.pages, header.generation, &header.encode())?;
        self.remember(header);
        Ok(())
    }
}

fn read_slots(file: &dyn File) -> Result<Opened, Error> {
    let [a, b] = FORMAT.read(file, Header::decode, |header| header.generation)?;
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
    Ok(Opened { header, torn })
}

impl Header {
    /// The fields of a slot. They fit, as the reductions of the roots are a few bytes each.
    fn encode(&self) -> Vec<u8> {
        let mut fields = Vec::with_capacity(1 << 10);
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
        fields
    }

    /// Where the last of the roots' pages ends; it is written after all others.
    fn last_page(&self) -> u64 {
        let end = |root: &Root| root.page.map_or(0, |p| p.offset.saturating_add(u64::from(p.len)));
        self.roots.each().into_iter().map(end).max().unwrap_or(0)
    }

    fn decode(fields: &[u8]) -> Option<Header> {
        let mut fields = Reader::new(fields);
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
