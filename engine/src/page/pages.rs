//! Reading pages of one file through the cache. Never returns bytes that failed a check.

use std::sync::Arc;

use bytes::Bytes;

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
        Pages { source: Arc::new(Source { file, cache, id }), mode: Mode::Cached }
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
