//! The children of an inner node: the records of a page, and in front of them those children that
//! were changed since the page was made. So changing a child copies a few pointers, not the node.
//! Never reads a child's page.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Reducer,
    node::{Child, Clean, Link, Node, Spot},
};
use crate::{
    Error,
    page::{Page, PageBuilder, PagePtr, Pages, entry_size},
};

/// Bytes of a child's record before its reduction.
const RECORD: usize = 28;
/// Assumed length of a reduction that is not known yet.
const USUAL_REDUCTION: usize = 16;

/// A child without a place, and which one it is.
pub type Indexed = (usize, Arc<Node>);

/// The children of an inner node. Cheap to clone.
#[derive(Clone)]
pub struct Inner {
    /// Low keys and records. The record of a dirty child is out of date.
    page: Page,
    /// Children without a place, ascending by index.
    dirty: Option<Arc<[Indexed]>>,
    /// Where the page came from, to report damage.
    ptr: Option<PagePtr>,
}

impl Inner {
    /// A node as it is on disk.
    pub fn clean(page: Page, ptr: PagePtr) -> Inner {
        Inner { page, dirty: None, ptr: Some(ptr) }
    }

    /// A node of these children, ascending by low key. The low key of the first one is the node's
    /// own and not kept here.
    pub fn new(level: u8, links: Vec<Link>) -> Inner {
        let size = links.iter().map(page_size).sum();
        let mut builder = PageBuilder::new(level, links.len(), size);
        let mut dirty = Vec::new();
        let mut record = Vec::new();
        for (i, Link { low, child }) in links.into_iter().enumerate() {
            record.clear();
            match child {
                Child::Clean(clean) => clean.encode(&mut record),
                Child::Dirty(node) => {
                    record.resize(RECORD + USUAL_REDUCTION, 0);
                    dirty.push((i, node));
                }
            }
            builder.push(if i == 0 { &[] } else { &low }, &record);
        }
        Inner { page: builder.finish(), dirty: Some(dirty.into()), ptr: None }
    }

    /// The same node with some children replaced, ascending by index.
    pub fn with(&self, replaced: Vec<Indexed>) -> Inner {
        let mut dirty = Vec::with_capacity(self.dirty().len() + replaced.len());
        let mut old = self.dirty().iter().peekable();
        for (i, node) in replaced {
            while let Some(before) = old.next_if(|(at, _)| *at <= i) {
                if before.0 < i {
                    dirty.push(before.clone());
                }
            }
            dirty.push((i, node));
        }
        dirty.extend(old.cloned());
        Inner { page: self.page.clone(), dirty: Some(dirty.into()), ptr: self.ptr }
    }

    /// The same node with some dirty children replaced, ascending by index.
    pub fn settled(&self, replaced: Vec<(usize, Child)>) -> Inner {
        let mut builder = PageBuilder::new(self.level(), self.len(), self.page_size());
        let mut replaced = replaced.into_iter().peekable();
        let mut dirty = Vec::new();
        let mut record = Vec::new();
        for i in 0..self.len() {
            let (low, old) = self.page.entry(i);
            match replaced.next_if(|(at, _)| *at == i).map(|(_, child)| child) {
                Some(Child::Clean(clean)) => {
                    record.clear();
                    clean.encode(&mut record);
                    builder.push(low, &record);
                    continue;
                }
                Some(Child::Dirty(node)) => dirty.push((i, node)),
                None => dirty.extend(self.node(i).map(|node| (i, node.clone()))),
            }
            builder.push(low, old);
        }
        Inner { page: builder.finish(), dirty: Some(dirty.into()), ptr: self.ptr }
    }

    /// The children that have no place, ascending by index.
    pub fn dirty(&self) -> &[Indexed] {
        self.dirty.as_deref().unwrap_or_default()
    }

    /// A child that has no place.
    pub fn node(&self, i: usize) -> Option<&Arc<Node>> {
        let dirty = self.dirty();
        let at = dirty.binary_search_by_key(&i, |(at, _)| *at).ok()?;
        dirty.get(at).map(|(_, node)| node)
    }

    /// One more than the level of the children.
    pub fn level(&self) -> u8 {
        self.page.level()
    }

    /// Number of children.
    pub fn len(&self) -> usize {
        self.page.len()
    }

    /// About how large its page is or will be.
    pub fn page_size(&self) -> usize {
        self.page.bytes().len()
    }

    /// Bytes in memory, the children not included.
    pub fn memory(&self) -> u64 {
        (self.page_size() + size_of_val(self.dirty())) as u64
    }

    /// The lower bound of a child's keys; empty for the first child, whose bound is the node's.
    pub fn low(&self, i: usize) -> &[u8] {
        self.page.key(i)
    }

    /// The child that holds `key` if any does: the last whose low key is not above it.
    pub fn find(&self, key: &[u8]) -> usize {
        self.page.search(key).unwrap_or_else(|at| at.saturating_sub(1))
    }

    /// A child.
    pub fn child(&self, i: usize, pages: &Pages) -> Result<Child, Error> {
        if let Some(node) = self.node(i) {
            return Ok(Child::Dirty(node.clone()));
        }
        let record = Record::decode(self.page.value(i)).ok_or_else(|| self.damaged(pages))?;
        Ok(Child::Clean(record.clean(&self.page)))
    }

    /// A child with its low key, which is empty for the first child.
    pub fn link(&self, i: usize, pages: &Pages) -> Result<Link, Error> {
        Ok(Link { low: self.page.share(self.low(i)), child: self.child(i, pages)? })
    }

    /// Where a child is.
    pub fn spot(&self, i: usize, pages: &Pages) -> Result<Spot, Error> {
        if let Some(node) = self.node(i) {
            return Ok(Spot::Dirty(node.clone()));
        }
        let record = Record::decode(self.page.value(i)).ok_or_else(|| self.damaged(pages))?;
        Ok(Spot::Clean(record.ptr))
    }

    /// Entries below a child.
    pub fn count(&self, i: usize, pages: &Pages) -> Result<u64, Error> {
        if let Some(node) = self.node(i) {
            return Ok(node.count());
        }
        let record = Record::decode(self.page.value(i)).ok_or_else(|| self.damaged(pages))?;
        Ok(record.count)
    }

    /// Reduction of a child.
    pub fn reduction(&self, i: usize, reducer: &dyn Reducer) -> Result<Bytes, Error> {
        match self.node(i) {
            Some(node) => node.reduction(reducer),
            None => {
                let reduction = self.page.value(i).get(RECORD..).unwrap_or_default();
                Ok(self.page.share(reduction))
            }
        }
    }

    /// Reductions of all children.
    pub fn reductions(&self, reducer: &dyn Reducer) -> Result<Vec<Bytes>, Error> {
        (0..self.len()).map(|i| self.reduction(i, reducer)).collect()
    }

    fn damaged(&self, pages: &Pages) -> Error {
        let ptr = self.ptr.unwrap_or(PagePtr { offset: 0, len: 0 });
        pages.corrupt(ptr, "child record is cut short")
    }
}

/// About how many bytes a child takes in its parent's page.
pub fn page_size(link: &Link) -> usize {
    let reduction = match &link.child {
        Child::Clean(clean) => clean.reduction.len(),
        Child::Dirty(_) => USUAL_REDUCTION,
    };
    entry_size(&link.low, &[]) + RECORD + reduction
}

/// The value that stands for a clean child in its parent's page.
struct Record<'a> {
    ptr: PagePtr,
    count: u64,
    stored: u64,
    reduction: &'a [u8],
}

impl<'a> Record<'a> {
    fn decode(value: &'a [u8]) -> Option<Record<'a>> {
        let (offset, rest) = value.split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (stored, reduction) = rest.split_first_chunk()?;
        Some(Record {
            ptr: PagePtr { offset: u64::from_le_bytes(*offset), len: u32::from_le_bytes(*len) },
            count: u64::from_le_bytes(*count),
            stored: u64::from_le_bytes(*stored),
            reduction,
        })
    }

    fn clean(&self, page: &Page) -> Clean {
        let Record { ptr, count, stored, reduction } = *self;
        Clean { ptr, count, stored, reduction: page.share(reduction) }
    }
}

impl Clean {
    /// Appends the record that stands for this child in its parent's page.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ptr.offset.to_le_bytes());
        out.extend_from_slice(&self.ptr.len.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.stored.to_le_bytes());
        out.extend_from_slice(&self.reduction);
    }
}
