//! How a tree summarises its entries. Never sees pages or nodes.

use std::ops::Range;

use bytes::Bytes;

use crate::{Error, page::Page};

/// Summarises entries. The result of a range must not depend on how it was cut into parts.
pub trait Reducer: Send + Sync + 'static {
    /// Reduces entries of one leaf, in key order, at least one.
    fn leaf(&self, entries: Entries<'_>) -> Result<Bytes, Error>;

    /// Reduces reductions, in key order; none at all is the empty tree.
    fn combine(&self, parts: &[Bytes]) -> Result<Bytes, Error>;
}

/// Reduces everything to nothing, for trees that only need the built-in count.
#[derive(Debug, Clone, Copy)]
pub struct NoReduction;

impl Reducer for NoReduction {
    fn leaf(&self, _: Entries<'_>) -> Result<Bytes, Error> {
        Ok(Bytes::new())
    }

    fn combine(&self, _: &[Bytes]) -> Result<Bytes, Error> {
        Ok(Bytes::new())
    }
}

/// Consecutive entries of one leaf: an iterator over (key, value).
pub struct Entries<'a> {
    page: &'a Page,
    range: Range<usize>,
}

impl<'a> Entries<'a> {
    pub(super) fn new(page: &'a Page, range: Range<usize>) -> Entries<'a> {
        Entries { page, range }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        self.range.next().map(|i| self.page.entry(i))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.range.size_hint()
    }
}

impl ExactSizeIterator for Entries<'_> {}
