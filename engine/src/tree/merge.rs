//! A leaf's page and a sorted batch, merged into new pages by copying runs of entries. Pure.

use super::{apply::Op, split::cuts};
use crate::page::{Page, PageBuilder, entry_size};

/// Consecutive entries of a merged leaf.
#[derive(Clone, Copy)]
enum Piece<'a> {
    /// These of the old page.
    Old(usize, usize),
    /// A new one.
    New(&'a [u8], &'a [u8]),
}

/// An old page and operations on it, merged into one sequence.
pub struct Merge<'a> {
    page: Option<&'a Page>,
    pieces: Vec<Piece<'a>>,
    entries: usize,
    size: usize,
    packed: bool,
}

impl<'a> Merge<'a> {
    /// `None` if the operations change nothing.
    pub fn plan(page: Option<&'a Page>, ops: &[Op<'a>]) -> Option<Merge<'a>> {
        let len = page.map_or(0, Page::len);
        let mut merge = Merge { page, pieces: Vec::new(), entries: 0, size: 0, packed: true };
        let (mut next, mut changed) = (0, false);
        for (key, value) in ops {
            let place = page.map_or(Err(0), |page| page.search_from(next, key));
            let at = place.unwrap_or_else(|at| at);
            merge.push(Piece::Old(next, at));
            next = if place.is_ok() { at + 1 } else { at };
            if let Some(value) = value {
                merge.packed &= place.is_ok() || at == len;
                merge.push(Piece::New(key, value));
            }
            changed |= value.is_some() || place.is_ok();
        }
        merge.push(Piece::Old(next, len));
        changed.then_some(merge)
    }

    fn push(&mut self, piece: Piece<'a>) {
        match piece {
            Piece::Old(from, to) if from == to => return,
            Piece::Old(from, to) => {
                self.entries += to - from;
                self.size += self.page.map_or(0, |page| page.size_of(from, to));
            }
            Piece::New(key, value) => {
                self.entries += 1;
                self.size += entry_size(key, value);
            }
        }
        self.pieces.push(piece);
    }

    /// Whether less is left than was there.
    pub fn is_smaller(&self) -> bool {
        self.page.is_some_and(|page| self.size < page.size_of(0, page.len()))
    }

    /// Whether no key was added before another that was there.
    pub fn is_packed(&self) -> bool {
        self.packed
    }

    /// The new pages, with at most `room` bytes of entries each.
    pub fn build(&self, room: usize) -> Vec<Page> {
        match self.entries {
            0 => Vec::new(),
            1 => vec![self.build_one(&self.pieces, 1, self.size)],
            entries if self.size <= room => vec![self.build_one(&self.pieces, entries, self.size)],
            _ => self.build_many(room),
        }
    }

    fn build_one(&self, pieces: &[Piece<'a>], entries: usize, size: usize) -> Page {
        let mut builder = PageBuilder::new(0, entries, size);
        for piece in pieces {
            match (*piece, self.page) {
                (Piece::New(key, value), _) => builder.push(key, value),
                (Piece::Old(from, to), Some(page)) => builder.push_run(page, from, to),
                (Piece::Old(..), None) => {}
            }
        }
        builder.finish()
    }

    /// Splits what does not fit into one page.
    fn build_many(&self, room: usize) -> Vec<Page> {
        let single = self.pieces.iter().flat_map(|piece| {
            let (old, new) = match *piece {
                Piece::Old(from, to) => (from..to, None),
                Piece::New(..) => (0..0, Some(*piece)),
            };
            old.map(|i| Piece::Old(i, i + 1)).chain(new)
        });
        let single: Vec<Piece<'a>> = single.collect();
        let sizes: Vec<usize> = single
            .iter()
            .map(|piece| match (*piece, self.page) {
                (Piece::New(key, value), _) => entry_size(key, value),
                (Piece::Old(from, to), Some(page)) => page.size_of(from, to),
                (Piece::Old(..), None) => 0,
            })
            .collect();
        let mut from = 0;
        let mut pages = Vec::new();
        for count in cuts(&sizes, room, self.packed, 1) {
            let to = from + count;
            let size = sizes.get(from..to).unwrap_or_default().iter().sum();
            pages.push(self.build_one(single.get(from..to).unwrap_or_default(), count, size));
            from = to;
        }
        pages
    }
}
