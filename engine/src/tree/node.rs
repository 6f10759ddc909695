//! What a tree is made of: nodes made since the last checkpoint, and pointers to clean pages. Never
//! changes a node that exists.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{Entries, Reducer};
use crate::{
    Error,
    page::{Page, PagePtr, Pages, entry_size},
};

/// Bytes of a child's record before its reduction.
const RECORD: usize = 28;
/// Assumed length of a reduction when a node's size on disk is guessed.
const USUAL_REDUCTION: usize = 16;
/// What a node and a child cost in memory beside their pages.
const OVERHEAD: u64 = 160;

/// A node that exists in memory because it was made since the last checkpoint.
pub struct Node {
    pub body: Body,
    /// Set when a checkpoint has made the node durable; only then may a pointer stand for it.
    pub place: OnceLock<Clean>,
    reduction: OnceLock<Bytes>,
    count: u64,
    sizes: Sizes,
}

/// What a node holds.
pub enum Body {
    Leaf(Page),
    Inner { level: u8, children: Vec<Link> },
}

/// A child with the lower bound of its keys.
#[derive(Clone)]
pub struct Link {
    pub low: Bytes,
    pub child: Child,
}

/// A node, wherever it is, with what its parent knows about it.
#[derive(Clone)]
pub enum Child {
    Dirty(Arc<Node>),
    Clean(Clean),
}

/// A node that has its place in the file.
#[derive(Debug, Clone)]
pub struct Clean {
    pub ptr: PagePtr,
    /// Entries below.
    pub count: u64,
    /// Bytes of the frames of all pages below, its own included.
    pub stored: u64,
    pub reduction: Bytes,
}

/// Bytes of a subtree: in clean pages of the file, and only in memory.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Bytes of the frames of clean pages.
    pub stored: u64,
    /// About how much memory the nodes take that have no place in the file.
    pub dirty: u64,
}

impl std::ops::AddAssign for Sizes {
    fn add_assign(&mut self, other: Sizes) {
        self.stored += other.stored;
        self.dirty += other.dirty;
    }
}

impl Node {
    pub fn leaf(page: Page) -> Node {
        let count = page.len() as u64;
        let dirty = page.bytes().len() as u64 + OVERHEAD;
        Node::new(Body::Leaf(page), count, Sizes { stored: 0, dirty })
    }

    /// The first child's low key is the node's own and therefore not kept here.
    pub fn inner(level: u8, mut children: Vec<Link>) -> Node {
        if let Some(first) = children.first_mut() {
            first.low = Bytes::new();
        }
        let mut sizes = Sizes { stored: 0, dirty: OVERHEAD * (1 + children.len() as u64) };
        let mut count = 0;
        for link in &children {
            sizes += link.child.sizes();
            count += link.child.count();
        }
        Node::new(Body::Inner { level, children }, count, sizes)
    }

    fn new(body: Body, count: u64, sizes: Sizes) -> Node {
        Node { body, place: OnceLock::new(), reduction: OnceLock::new(), count, sizes }
    }

    /// The same entries with other children, e.g. after some got their place.
    pub fn with_children(&self, level: u8, children: Vec<Link>) -> Node {
        let node = Node::inner(level, children);
        Node { reduction: self.reduction.clone(), ..node }
    }

    /// The reduction, computed when first asked for.
    pub fn reduction(&self, reducer: &dyn Reducer) -> Result<Bytes, Error> {
        if let Some(known) = self.reduction.get() {
            return Ok(known.clone());
        }
        let reduction = match &self.body {
            Body::Leaf(page) => reducer.leaf(Entries::new(page, 0..page.len()))?,
            Body::Inner { children, .. } => {
                let parts = children.iter().map(|link| link.child.reduction(reducer));
                reducer.combine(&parts.collect::<Result<Vec<_>, _>>()?)?
            }
        };
        Ok(self.reduction.get_or_init(|| reduction).clone())
    }

    /// About how large its page is.
    pub fn page_size(&self) -> usize {
        match &self.body {
            Body::Leaf(page) => page.bytes().len(),
            Body::Inner { children, .. } => children.iter().map(Link::page_size).sum(),
        }
    }
}

impl Link {
    /// About how many bytes it takes in its parent's page.
    pub fn page_size(&self) -> usize {
        entry_size(&self.low, &[]) + RECORD + USUAL_REDUCTION
    }
}

impl Child {
    pub fn count(&self) -> u64 {
        match self {
            Child::Dirty(node) => node.count,
            Child::Clean(clean) => clean.count,
        }
    }

    pub fn sizes(&self) -> Sizes {
        match self {
            Child::Dirty(node) => node.sizes,
            Child::Clean(clean) => Sizes { stored: clean.stored, dirty: 0 },
        }
    }

    pub fn reduction(&self, reducer: &dyn Reducer) -> Result<Bytes, Error> {
        match self {
            Child::Dirty(node) => node.reduction(reducer),
            Child::Clean(clean) => Ok(clean.reduction.clone()),
        }
    }

    pub fn spot(&self) -> Spot {
        match self {
            Child::Dirty(node) => Spot::Dirty(node.clone()),
            Child::Clean(clean) => Spot::Clean(clean.ptr),
        }
    }
}

impl Clean {
    /// The value that stands for this child in its parent's page.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.ptr.offset.to_le_bytes());
        out.extend_from_slice(&self.ptr.len.to_le_bytes());
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&self.stored.to_le_bytes());
        out.extend_from_slice(&self.reduction);
    }

    /// Reads entry `i` of an inner page.
    fn decode(page: &Page, i: usize) -> Option<Clean> {
        let (offset, rest) = page.value(i).split_first_chunk()?;
        let (len, rest) = rest.split_first_chunk()?;
        let (count, rest) = rest.split_first_chunk()?;
        let (stored, reduction) = rest.split_first_chunk()?;
        let ptr = PagePtr { offset: u64::from_le_bytes(*offset), len: u32::from_le_bytes(*len) };
        Some(Clean {
            ptr,
            count: u64::from_le_bytes(*count),
            stored: u64::from_le_bytes(*stored),
            reduction: page.share(reduction),
        })
    }
}

/// Where a node is found.
#[derive(Clone)]
pub enum Spot {
    Dirty(Arc<Node>),
    Clean(PagePtr),
}

impl Spot {
    /// The node's contents, read from the file if need be.
    pub fn load(self, pages: &Pages, level: u8) -> Result<View, Error> {
        Ok(match self {
            Spot::Dirty(node) => match &node.body {
                Body::Leaf(page) => View::Leaf(page.clone()),
                Body::Inner { .. } => View::Inner(Inner::Dirty(node)),
            },
            Spot::Clean(ptr) if level == 0 => View::Leaf(pages.page(ptr, 0)?),
            Spot::Clean(ptr) => View::Inner(Inner::Clean(pages.page(ptr, level)?, ptr)),
        })
    }

    /// Whether both are the same node of the same file.
    pub fn same(&self, other: &Spot) -> bool {
        match (self, other) {
            (Spot::Dirty(a), Spot::Dirty(b)) if Arc::ptr_eq(a, b) => true,
            _ => self.ptr().is_some_and(|ptr| other.ptr() == Some(ptr)),
        }
    }

    fn ptr(&self) -> Option<PagePtr> {
        match self {
            Spot::Dirty(node) => node.place.get().map(|clean| clean.ptr),
            Spot::Clean(ptr) => Some(*ptr),
        }
    }
}

/// A loaded node.
pub enum View {
    Leaf(Page),
    Inner(Inner),
}

/// A loaded inner node.
#[derive(Clone)]
pub enum Inner {
    Dirty(Arc<Node>),
    Clean(Page, PagePtr),
}

impl Inner {
    fn children(node: &Node) -> &[Link] {
        match &node.body {
            Body::Leaf(_) => &[],
            Body::Inner { children, .. } => children,
        }
    }

    pub fn len(&self) -> usize {
        match self {
            Inner::Dirty(node) => Inner::children(node).len(),
            Inner::Clean(page, _) => page.len(),
        }
    }

    /// The lower bound of a child's keys; empty for the first child, whose bound is the node's.
    pub fn low(&self, i: usize) -> &[u8] {
        match self {
            Inner::Dirty(node) => Inner::children(node).get(i).map_or(&[], |link| &link.low),
            Inner::Clean(page, _) => page.key(i),
        }
    }

    /// The child that holds `key` if any does: the last whose low key is not above it.
    pub fn find(&self, key: &[u8]) -> usize {
        let above = match self {
            Inner::Dirty(node) => {
                Inner::children(node).partition_point(|link| link.low.as_ref() <= key)
            }
            Inner::Clean(page, _) => match page.search(key) {
                Ok(at) => at + 1,
                Err(at) => at,
            },
        };
        above.saturating_sub(1)
    }

    /// A child with its low key, which is empty for the first child.
    pub fn link(&self, i: usize, pages: &Pages) -> Result<Link, Error> {
        let link = match self {
            Inner::Dirty(node) => Inner::children(node).get(i).cloned(),
            Inner::Clean(page, _) => Clean::decode(page, i)
                .map(|clean| Link { low: page.share(page.key(i)), child: Child::Clean(clean) }),
        };
        link.ok_or_else(|| self.damaged(pages))
    }

    /// Where a child is.
    pub fn spot(&self, i: usize, pages: &Pages) -> Result<Spot, Error> {
        let spot = match self {
            Inner::Dirty(node) => Inner::children(node).get(i).map(|link| link.child.spot()),
            Inner::Clean(page, _) => Clean::decode(page, i).map(|clean| Spot::Clean(clean.ptr)),
        };
        spot.ok_or_else(|| self.damaged(pages))
    }

    /// Entries below the children in front of child `i`.
    pub fn count_before(&self, i: usize, pages: &Pages) -> Result<u64, Error> {
        (0..i).try_fold(0, |sum, i| Ok(sum + self.link(i, pages)?.child.count()))
    }

    fn damaged(&self, pages: &Pages) -> Error {
        match self {
            // Cannot happen: callers stay below `len`.
            Inner::Dirty(_) => Error::Closed,
            Inner::Clean(_, ptr) => pages.corrupt(*ptr, "child record is cut short"),
        }
    }
}
