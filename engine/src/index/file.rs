//! [`IndexFile`]: an index's file as it is on disk, for who checks it. Never writes one (see `save`
//! and `rewrite`).

use std::sync::Arc;

use super::rows::keys_of;
use super::state::{plain, spec};
use super::store::Store;
use crate::Error;
use crate::io::Storage;
use crate::page::{Cache, Pages};
use crate::tree::{Reducer, Tree};

/// See the module.
pub(crate) struct IndexFile {
    pub(crate) pages: Pages,
    pub(crate) docs: Tree,
    pub(crate) rows: Tree,
    pub(crate) notes: Tree,
    store: Arc<Store>,
}

impl IndexFile {
    /// Opens a file; rows are looked at with that reducer.
    pub(crate) fn open(
        storage: &dyn Storage,
        path: &str,
        cache: &Arc<Cache>,
        reducer: Arc<dyn Reducer>,
    ) -> Result<IndexFile, Error> {
        let (store, header) = Store::open(storage, path, cache)?;
        let [docs, rows, notes] = header.roots;
        Ok(IndexFile {
            pages: store.pages.clone(),
            docs: Tree::open(plain(), docs),
            rows: Tree::open(spec(&reducer), rows),
            notes: Tree::open(plain(), notes),
            store,
        })
    }

    /// The row keys that a value of `docs` stands for.
    pub(crate) fn keys_of(&self, id: &[u8], value: &[u8]) -> Result<Vec<Vec<u8>>, Error> {
        let path = self.pages.file().path();
        let id = std::str::from_utf8(id)
            .map_err(|_| Error::corrupt(path, 0, "a document's id is not UTF-8"))?;
        keys_of(id, value).map_err(|damage| self.store.unreadable(damage))
    }
}
