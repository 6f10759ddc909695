//! What a tree is made of: nodes made since the last checkpoint, and pointers to clean pages. Never
//! changes a node that exists.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::{
    Entries, Reducer,
    inner::{Indexed, Inner},
};
use crate::{
    Error,
    page::{Page, PagePtr, Pages},
};

/// What a node costs in memory beside its page.
const OVERHEAD: u64 = 200;

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
#[derive(Clone)]
pub enum Body {
    Leaf(Page),
    Inner(Inner),
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

impl std::ops::SubAssign for Sizes {
    fn sub_assign(&mut self, other: Sizes) {
        self.stored = self.stored.saturating_sub(other.stored);
        self.dirty = self.dirty.saturating_sub(other.dirty);
    }
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

    /// An inner node of children that begin with different low keys.
    pub fn inner(level: u8, links: Vec<Link>) -> Node {
        let mut sizes = Sizes::default();
        let mut count = 0;
        for link in &links {
            sizes += link.child.sizes();
            count += link.child.count();
        }
        Node::of_inner(Inner::new(level, links), count, sizes)
    }

    fn of_inner(inner: Inner, count: u64, mut sizes: Sizes) -> Node {
        sizes.dirty += inner.memory() + OVERHEAD;
        Node::new(Body::Inner(inner), count, sizes)
    }

    fn new(body: Body, count: u64, sizes: Sizes) -> Node {
        Node { body, place: OnceLock::new(), reduction: OnceLock::new(), count, sizes }
    }

    /// The same node with some children replaced that got their place, ascending by index.
    pub fn settled(&self, inner: &Inner, replaced: Vec<(usize, Child)>) -> Node {
        let mut sizes = self.sizes;
        sizes.dirty = sizes.dirty.saturating_sub(inner.memory() + OVERHEAD);
        for (i, child) in &replaced {
            if let Some(node) = inner.node(*i) {
                sizes -= node.sizes;
            }
            sizes += child.sizes();
        }
        let node = Node::of_inner(inner.settled(replaced), self.count, sizes);
        Node { reduction: self.reduction.clone(), ..node }
    }

    /// An inner node with some children replaced, ascending by index.
    pub fn replacing(
        old: &Child,
        inner: &Inner,
        replaced: Vec<Indexed>,
        pages: &Pages,
    ) -> Result<Node, Error> {
        let (mut count, mut sizes) = (old.count(), old.sizes());
        // What the old node itself took.
        sizes -= match old {
            Child::Dirty(_) => Sizes { stored: 0, dirty: inner.memory() + OVERHEAD },
            Child::Clean(clean) => Sizes { stored: u64::from(clean.ptr.len), dirty: 0 },
        };
        for (i, node) in &replaced {
            let before = inner.child(*i, pages)?;
            count = count.saturating_sub(before.count()) + node.count;
            sizes -= before.sizes();
            sizes += node.sizes;
        }
        Ok(Node::of_inner(inner.with(replaced), count, sizes))
    }

    /// The reduction, computed when first asked for.
    pub fn reduction(&self, reducer: &dyn Reducer) -> Result<Bytes, Error> {
        if let Some(known) = self.reduction.get() {
            return Ok(known.clone());
        }
        let reduction = match &self.body {
            Body::Leaf(page) => reducer.leaf(Entries::new(page, 0..page.len()))?,
            Body::Inner(inner) => reducer.combine(&inner.reductions(reducer)?)?,
        };
        Ok(self.reduction.get_or_init(|| reduction).clone())
    }

    /// Entries below.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// About how large its page is.
    pub fn page_size(&self) -> usize {
        match &self.body {
            Body::Leaf(page) => page.bytes().len(),
            Body::Inner(inner) => inner.page_size(),
        }
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

/// Where a node is found.
#[derive(Clone)]
pub enum Spot {
    Dirty(Arc<Node>),
    Clean(PagePtr),
}

impl Spot {
    /// The node's contents, read from the file if need be.
    pub fn load(&self, pages: &Pages, level: u8) -> Result<Body, Error> {
        Ok(match self {
            Spot::Dirty(node) => node.body.clone(),
            Spot::Clean(ptr) if level == 0 => Body::Leaf(pages.page(*ptr, 0)?),
            Spot::Clean(ptr) => Body::Inner(Inner::clean(pages.page(*ptr, level)?, *ptr)),
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
