//! Clean pages in memory, of all files of the node, under one budget. Never holds anything that is
//! not also on disk.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use quick_cache::{Weighter, sync};

use super::{Page, PagePtr};

/// A guess at the size of a page, to size the cache's own tables.
const USUAL_PAGE: u64 = 4 << 10;
/// What an entry costs beside the page's bytes.
const OVERHEAD: u64 = 128;

type Key = (u64, u64);

#[derive(Clone)]
struct ByBytes;

impl Weighter<Key, Page> for ByBytes {
    fn weight(&self, _: &Key, page: &Page) -> u64 {
        page.bytes().len() as u64 + OVERHEAD
    }
}

/// The node-wide cache of clean pages. Shared by all files behind an `Arc`.
pub struct Cache {
    pages: sync::Cache<Key, Page, ByBytes>,
    files: AtomicU64,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache").field("used", &self.used()).finish_non_exhaustive()
    }
}

impl Cache {
    /// A cache that holds about `budget` bytes.
    pub fn new(budget: u64) -> Arc<Cache> {
        let items = (budget / USUAL_PAGE).max(16) as usize;
        let pages = sync::Cache::with_weighter(items, budget, ByBytes);
        Arc::new(Cache { pages, files: AtomicU64::new(0) })
    }

    /// Bytes held now.
    pub fn used(&self) -> u64 {
        self.pages.weight()
    }

    /// Changes the budget; shrinking evicts.
    pub fn set_budget(&self, budget: u64) {
        self.pages.set_capacity(budget);
    }

    /// A number under which a file's pages are kept.
    pub(super) fn next_file(&self) -> u64 {
        self.files.fetch_add(1, Ordering::Relaxed)
    }

    pub(super) fn get(&self, file: u64, ptr: PagePtr) -> Option<Page> {
        self.pages.get(&(file, ptr.offset))
    }

    pub(super) fn insert(&self, file: u64, ptr: PagePtr, page: Page) {
        self.pages.insert((file, ptr.offset), page);
    }

    pub(super) fn evict(&self, file: u64) {
        self.pages.retain(|key, _| key.0 != file);
    }
}
