//! Building a whole tree from sorted entries, straight into a file. Never holds more than one page
//! of each level.

use std::sync::Arc;

use bytes::Bytes;

use super::{Checkpoint, Entries, Root, Spec, check_entry, node::Clean, split::separator};
use crate::{
    Error,
    page::{INNER, LEAF, PageBuilder, PageWriter, entry_size},
};

/// Builds a clean tree from ascending keys.
pub struct Builder {
    spec: Arc<Spec>,
    leaf: PageBuilder,
    /// Low key of the leaf being filled.
    low: Bytes,
    last: Vec<u8>,
    /// The inner nodes being filled, lowest first.
    levels: Vec<Level>,
}

/// An inner node being filled.
struct Level {
    page: PageBuilder,
    low: Bytes,
    count: u64,
    stored: u64,
    reductions: Vec<Bytes>,
    /// The child added last.
    newest: Option<Clean>,
}

impl Builder {
    /// Nothing yet.
    pub fn new(spec: Arc<Spec>) -> Builder {
        let leaf = PageBuilder::new(0, 0, spec.page_size);
        Builder { spec, leaf, low: Bytes::new(), last: Vec::new(), levels: Vec::new() }
    }

    /// Adds an entry above all before it.
    pub fn push(&mut self, writer: &mut PageWriter, key: &[u8], value: &[u8]) -> Result<(), Error> {
        check_entry(key, value)?;
        if !self.leaf.is_empty() || !self.levels.is_empty() {
            if self.last.as_slice() >= key {
                return Err(Error::Unordered);
            }
            if self.leaf.size() + entry_size(key, value) > self.spec.page_size {
                self.finish_leaf(writer)?;
                self.low = Bytes::copy_from_slice(separator(&self.last, key));
            }
        }
        self.leaf.push(key, value);
        self.last.clear();
        self.last.extend_from_slice(key);
        Ok(())
    }

    /// Writes what is left.
    pub fn finish(mut self, writer: &mut PageWriter) -> Result<Checkpoint, Error> {
        if self.leaf.is_empty() {
            return Ok(Checkpoint::of_root(self.spec, Root::empty()));
        }
        self.finish_leaf(writer)?;
        let mut depth = 0;
        loop {
            // A node with one child at the very top is not needed.
            let is_top = depth + 1 == self.levels.len();
            let only = self.levels.get(depth).filter(|level| is_top && level.page.len() == 1);
            if let Some(clean) = only.and_then(|level| level.newest.clone()) {
                return Ok(Checkpoint::of_root(self.spec, Root::of(clean, depth as u8)));
            }
            self.finish_level(writer, depth)?;
            depth += 1;
        }
    }

    fn finish_leaf(&mut self, writer: &mut PageWriter) -> Result<(), Error> {
        let next = PageBuilder::new(0, self.leaf.len(), self.spec.page_size);
        let page = std::mem::replace(&mut self.leaf, next).finish();
        let reduction = self.spec.reducer.leaf(Entries::new(&page, 0..page.len()))?;
        let ptr = writer.put(LEAF, page.bytes())?;
        let (count, stored) = (page.len() as u64, u64::from(ptr.len));
        let low = std::mem::take(&mut self.low);
        self.add(writer, 0, low, Clean { ptr, count, stored, reduction })
    }

    /// Adds a finished node to the inner node above it.
    fn add(
        &mut self,
        writer: &mut PageWriter,
        depth: usize,
        low: Bytes,
        clean: Clean,
    ) -> Result<(), Error> {
        let mut record = Vec::new();
        clean.encode(&mut record);
        let size = entry_size(&low, &record);
        let room = self.spec.page_size.min(super::apply::INNER_SIZE);
        let full = self
            .levels
            .get(depth)
            .is_some_and(|level| level.page.len() >= 2 && level.page.size() + size > room);
        if full {
            self.finish_level(writer, depth)?;
        }
        if depth == self.levels.len() {
            self.levels.push(Level::new(depth));
        }
        if let Some(level) = self.levels.get_mut(depth) {
            let first = level.page.is_empty();
            if first {
                level.low = low.clone();
            }
            level.page.push(if first { &[] } else { &low }, &record);
            level.count += clean.count;
            level.stored += clean.stored;
            level.reductions.push(clean.reduction.clone());
            level.newest = Some(clean);
        }
        Ok(())
    }

    fn finish_level(&mut self, writer: &mut PageWriter, depth: usize) -> Result<(), Error> {
        let Some(level) = self.levels.get_mut(depth) else { return Ok(()) };
        let level = std::mem::replace(level, Level::new(depth));
        let ptr = writer.put(INNER, level.page.finish().bytes())?;
        let clean = Clean {
            ptr,
            count: level.count,
            stored: level.stored + u64::from(ptr.len),
            reduction: self.spec.reducer.combine(&level.reductions)?,
        };
        self.add(writer, depth + 1, level.low, clean)
    }
}

impl Level {
    fn new(depth: usize) -> Level {
        Level {
            page: PageBuilder::new(depth as u8 + 1, 0, 0),
            low: Bytes::new(),
            count: 0,
            stored: 0,
            reductions: Vec::new(),
            newest: None,
        }
    }
}
