//! The pages of one file: read through the cache, and whether what was written there can be relied on.
//! Never returns bytes that failed a check.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;

use super::{Cache, INNER, LEAF, Page, PagePtr, frame};
use crate::{Error, io::File};

/// The pages of one file. Cheap to clone.
#[derive(Clone)]
pub struct Pages {
    source: Arc<Source>,
    mode: Mode,
}

struct Source {
    file: Arc<dyn File>,
    cache: Arc<Cache>,
    id: u64,
    failed: AtomicBool,
    syncing: Mutex<()>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Cached,
    ResidentOnly,
    Uncached,
}

impl Pages {
    /// Gives the file a cache identity of its own (each call a new one).
    pub fn new(file: Arc<dyn File>, cache: Arc<Cache>) -> Pages {
        let id = cache.next_file();
        let failed = AtomicBool::new(false);
        let source = Source { file, cache, id, failed, syncing: Mutex::new(()) };
        Pages { source: Arc::new(source), mode: Mode::Cached }
    }

    /// The same pages, but a page that is neither here nor in the operating system's
    /// memory gives [`Error::NotResident`].
    pub fn resident_only(&self) -> Pages {
        Pages { source: self.source.clone(), mode: Mode::ResidentOnly }
    }

    /// The same pages, read from the disk and not put into the cache: for scans that touch
    /// everything once and must not push out what others use (compaction), or that want to know
    /// what the disk says (check).
    pub fn uncached(&self) -> Pages {
        Pages { source: self.source.clone(), mode: Mode::Uncached }
    }

    /// The file.
    pub fn file(&self) -> &Arc<dyn File> {
        &self.source.file
    }

    /// Makes all that was written to the file durable. After a failure it never succeeds again.
    ///
    /// One at a time: of those who sync the same file the operating system tells only one that
    /// something could not be written, and the others must not take that for success.
    pub fn sync(&self) -> Result<(), Error> {
        let _turn = self.source.syncing.lock();
        if self.has_failed() {
            let cause = io::Error::other("what was written before may be lost");
            return Err(Error::io("sync", self.source.file.path(), cause));
        }
        self.source.file.sync().inspect_err(|_| self.fail())
    }

    /// Whether a write or sync of what must be durable failed: what the file holds from then on is
    /// unknown, and nothing more may be written there.
    pub(crate) fn has_failed(&self) -> bool {
        self.source.failed.load(Ordering::Acquire)
    }

    pub(crate) fn fail(&self) {
        self.source.failed.store(true, Ordering::Release);
    }

    /// Forgets everything cached of this file.
    pub fn evict(&self) {
        self.source.cache.evict(self.source.id);
    }

    /// The page at `ptr`, which must be of this level.
    pub fn page(&self, ptr: PagePtr, level: u8) -> Result<Page, Error> {
        if self.mode != Mode::Uncached
            && let Some(page) = self.source.cache.get(self.source.id, ptr)
        {
            return self.expect_level(page, ptr, level);
        }
        let payload = self.fetch(ptr, if level == 0 { LEAF } else { INNER })?;
        let page = Page::parse(payload).map_err(|what| self.corrupt(ptr, what))?;
        let page = self.expect_level(page, ptr, level)?;
        if self.mode != Mode::Uncached {
            self.remember(ptr, &page);
        }
        Ok(page)
    }

    /// Reads and checks one frame, past the cache. For kinds that the trees don't use.
    pub fn read(&self, ptr: PagePtr, kind: u8) -> Result<Bytes, Error> {
        if self.mode == Mode::ResidentOnly {
            return Err(Error::NotResident);
        }
        self.fetch(ptr, kind)
    }

    /// One frame from the file: for those who must not wait, if the operating system has it.
    fn fetch(&self, ptr: PagePtr, kind: u8) -> Result<Bytes, Error> {
        let file = &self.source.file;
        let mut bytes = vec![0; ptr.len as usize];
        if self.mode != Mode::ResidentOnly {
            let got = file.read_at(&mut bytes, ptr.offset)?;
            bytes.truncate(got);
        } else if !file.read_now(&mut bytes, ptr.offset) {
            return Err(Error::NotResident);
        }
        frame::decode(bytes.into(), kind, ptr.offset).map_err(|what| self.corrupt(ptr, what))
    }

    /// Damage found at `ptr`.
    pub fn corrupt(&self, ptr: PagePtr, what: &'static str) -> Error {
        Error::corrupt(self.source.file.path(), ptr.offset, what)
    }

    /// Puts a page that was just written into the cache.
    pub(super) fn remember(&self, ptr: PagePtr, page: &Page) {
        self.source.cache.insert(self.source.id, ptr, page.clone());
    }

    fn expect_level(&self, page: Page, ptr: PagePtr, level: u8) -> Result<Page, Error> {
        if page.level() == level {
            Ok(page)
        } else {
            Err(self.corrupt(ptr, "page is of another level"))
        }
    }
}
