//! Where an index's pages are: its file, or nowhere yet. Also the file's header (docs/format.md
//! section 5). Never knows what is in the trees.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::Position;
use crate::Error;
use crate::codec::Malformed;
use crate::codec::reader::Reader;
use crate::io::{File, NoFile, Storage};
use crate::page::header::{FIRST_EXTENT, Format, Slot};
use crate::page::{Cache, Pages};
use crate::tree::Root;

const FORMAT: Format = Format { magic: b"SETTEEIX", version: 1 };

/// An index's file, one for each that it has in its life.
pub(crate) struct Store {
    pub(crate) pages: Pages,
    pub(crate) tail: Arc<AtomicU64>,
    /// Generation of the newest header slot; 0 if there is no file yet.
    generation: AtomicU64,
    /// What the newest header slot says.
    saved: Mutex<Option<Position>>,
}

impl Drop for Store {
    fn drop(&mut self) {
        self.pages.evict();
    }
}

/// What a header slot says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    generation: u64,
    tail: u64,
    pub(crate) position: Position,
    pub(crate) roots: [Root; 3],
}

impl Store {
    /// The store of an index without a file.
    pub(crate) fn nowhere(name: &str, cache: &Arc<Cache>) -> Arc<Store> {
        Arc::new(Store::over(Arc::new(NoFile(name.into())), cache))
    }

    /// The store over a new file.
    pub(crate) fn over(file: Arc<dyn File>, cache: &Arc<Cache>) -> Store {
        Store {
            pages: Pages::new(file, cache.clone()),
            tail: Arc::new(AtomicU64::new(FIRST_EXTENT)),
            generation: AtomicU64::new(0),
            saved: Mutex::new(None),
        }
    }

    /// Opens an index's file.
    pub(crate) fn open(
        storage: &dyn Storage,
        path: &str,
        cache: &Arc<Cache>,
    ) -> Result<(Arc<Store>, Header), Error> {
        let file = storage.open(path)?;
        let slots = FORMAT.read(&*file, Header::decode, |header| header.generation)?;
        let newest = slots.into_iter().filter_map(|slot| match slot {
            Slot::Valid(header) => Some(header),
            Slot::Blank | Slot::Invalid => None,
        });
        let header = newest.max_by_key(|header| header.generation);
        let header = header.ok_or_else(|| Error::corrupt(path, 0, "no valid header"))?;
        let end = file.len()?;
        if header.last_page() > end {
            return Err(Error::corrupt(path, end, "the file ends before its last page"));
        }
        let store = Store::over(file, cache);
        store.tail.store(end.max(header.tail), Ordering::Release);
        store.generation.store(header.generation, Ordering::Release);
        *store.saved.lock() = Some(header.position);
        Ok((Arc::new(store), header))
    }

    pub(crate) fn has_file(&self) -> bool {
        self.generation.load(Ordering::Acquire) > 0
    }

    /// Up to where the file has everything.
    pub(crate) fn saved(&self) -> Option<Position> {
        *self.saved.lock()
    }

    /// Damage inside a page whose checksum holds.
    pub(crate) fn unreadable(&self, Malformed(what): Malformed) -> Error {
        Error::corrupt(self.pages.file().path(), 0, what)
    }

    /// Writes the slot that is not the newest, and syncs.
    pub(crate) fn write_header(&self, position: Position, roots: [Root; 3]) -> Result<(), Error> {
        let generation = self.generation.load(Ordering::Acquire) + 1;
        let tail = self.tail.load(Ordering::Acquire);
        let header = Header { generation, tail, position, roots };
        FORMAT.write(&self.pages, generation, &header.encode())?;
        self.generation.store(generation, Ordering::Release);
        *self.saved.lock() = Some(position);
        Ok(())
    }
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        let Position { epoch, update_seq, purge_seq } = self.position;
        let numbers = [self.generation, self.tail, epoch, update_seq, purge_seq];
        let mut fields = Vec::with_capacity(256);
        numbers.iter().for_each(|number| fields.extend_from_slice(&number.to_le_bytes()));
        for root in &self.roots {
            Root { reduction: bytes::Bytes::new(), ..root.clone() }.encode(&mut fields);
        }
        fields
    }

    fn decode(fields: &[u8]) -> Option<Header> {
        let mut fields = Reader::new(fields);
        let mut number = || fields.array().ok().map(u64::from_le_bytes);
        let (generation, tail) = (number()?, number()?);
        let position = Position { epoch: number()?, update_seq: number()?, purge_seq: number()? };
        let mut rest = fields.rest();
        let mut root = || Root::decode(&mut rest);
        let roots = [root()?, root()?, root()?];
        rest.is_empty().then_some(Header { generation, tail, position, roots })
    }

    fn last_page(&self) -> u64 {
        let end = |root: &Root| root.page.map_or(0, |p| p.offset.saturating_add(u64::from(p.len)));
        self.roots.iter().map(end).max().unwrap_or(0)
    }
}
