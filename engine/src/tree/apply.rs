//! Applying a sorted batch: the touched path is copied, the rest is shared. Never changes a node
//! that exists, never writes to a file.

use std::sync::Arc;

use bytes::Bytes;

use super::{
    Spec, Top,
    inner::{Inner, page_size},
    merge::Merge,
    node::{Body, Child, Link, Node},
    split::{cuts, separator},
};
use crate::{
    Error,
    page::{Page, PageBuilder, Pages},
};

/// Most of an inner node, however large its tree's leaves are: every write copies a path of them.
pub const INNER_SIZE: usize = 8 << 10;

/// A put (`Some`) or delete (`None`) of a key.
pub type Op<'a> = (&'a [u8], Option<&'a [u8]>);

/// What became of a node.
struct Applied {
    /// In its place: none, one or several.
    links: Vec<Link>,
    /// Something was deleted, so a small neighbour may be merged with it.
    shrunk: bool,
    /// No key was added before another that was there.
    packed: bool,
}

/// Applies strictly ascending operations to the tree below `top`.
pub fn apply(
    spec: &Spec,
    pages: &Pages,
    top: Option<&Top>,
    ops: &[Op<'_>],
) -> Result<Option<Top>, Error> {
    let batch = Batch { spec, pages };
    let low = Bytes::new();
    let (mut level, applied) = match top {
        None => (0, batch.leaf(None, &low, ops)),
        Some(top) => (top.level, batch.node(&top.child, &low, top.level, ops)?),
    };
    let Some(Applied { mut links, packed, .. }) = applied else { return Ok(top.cloned()) };
    while links.len() > 1 {
        level += 1;
        links = batch.group(links, level, packed);
    }
    let mut child = links.pop().map(|link| link.child);
    while let Some(only) = child.as_ref().map_or(Ok(None), |child| only_child(child, pages))? {
        child = Some(only);
        level -= 1;
    }
    Ok(child.map(|child| Top { child, level }))
}

/// The child of a new root that has only one.
fn only_child(child: &Child, pages: &Pages) -> Result<Option<Child>, Error> {
    match child {
        Child::Dirty(node) => match &node.body {
            Body::Inner(inner) if inner.len() == 1 => inner.child(0, pages).map(Some),
            _ => Ok(None),
        },
        Child::Clean(_) => Ok(None),
    }
}

struct Batch<'a> {
    spec: &'a Spec,
    pages: &'a Pages,
}

impl Batch<'_> {
    /// The size a page may have, and what of it is for entries.
    fn room(&self, level: u8) -> usize {
        let size = self.spec.page_size;
        if level == 0 { size } else { size.min(INNER_SIZE) }.saturating_sub(8)
    }

    /// `None` if nothing changed.
    fn node(
        &self,
        child: &Child,
        low: &Bytes,
        level: u8,
        ops: &[Op<'_>],
    ) -> Result<Option<Applied>, Error> {
        match child.spot().load(self.pages, level)? {
            Body::Leaf(page) => Ok(self.leaf(Some(&page), low, ops)),
            Body::Inner(inner) => {
                let (changes, packed) = self.children(&inner, low, level, ops)?;
                if changes.is_empty() {
                    Ok(None)
                } else if changes.iter().all(|(_, applied)| self.is_plain(applied, level)) {
                    self.replace(child, &inner, low, changes).map(Some)
                } else {
                    self.rebuild(&inner, low, level, changes, packed).map(Some)
                }
            }
        }
    }

    /// Applies operations to the children of an inner node: what became of each child that changed,
    /// and whether all growth is at the right end.
    fn children(
        &self,
        inner: &Inner,
        low: &Bytes,
        level: u8,
        ops: &[Op<'_>],
    ) -> Result<(Vec<(usize, Applied)>, bool), Error> {
        let (mut changes, mut packed) = (Vec::new(), false);
        let mut rest = ops;
        while let Some((key, _)) = rest.first() {
            let at = inner.find(key);
            let until = match at + 1 < inner.len() {
                true => rest.partition_point(|(key, _)| *key < inner.low(at + 1)),
                false => rest.len(),
            };
            let (mine, later) = rest.split_at_checked(until.max(1)).unwrap_or((rest, &[]));
            let old = inner.link(at, self.pages)?;
            let low = if at == 0 { low } else { &old.low };
            if let Some(applied) = self.node(&old.child, low, level.saturating_sub(1), mine)? {
                packed = applied.packed && at + 1 == inner.len();
                changes.push((at, applied));
            }
            rest = later;
        }
        Ok((changes, packed))
    }

    /// Whether one child just takes the place of another.
    fn is_plain(&self, applied: &Applied, level: u8) -> bool {
        match applied.links.as_slice() {
            [only] => !(applied.shrunk && self.is_small(&only.child, level.saturating_sub(1))),
            _ => false,
        }
    }

    /// The same inner node with other children in the same places.
    fn replace(
        &self,
        old: &Child,
        inner: &Inner,
        low: &Bytes,
        changes: Vec<(usize, Applied)>,
    ) -> Result<Applied, Error> {
        let nodes = changes.into_iter().filter_map(|(at, applied)| {
            match applied.links.into_iter().next()?.child {
                Child::Dirty(node) => Some((at, node)),
                Child::Clean(_) => None,
            }
        });
        let node = Node::replacing(old, inner, nodes.collect(), self.pages)?;
        let link = Link { low: low.clone(), child: Child::Dirty(Arc::new(node)) };
        Ok(Applied { links: vec![link], shrunk: false, packed: false })
    }

    /// Makes new inner nodes of what became of the children of one.
    fn rebuild(
        &self,
        inner: &Inner,
        low: &Bytes,
        level: u8,
        changes: Vec<(usize, Applied)>,
        packed: bool,
    ) -> Result<Applied, Error> {
        let mut children = Vec::with_capacity(inner.len() + 2);
        let mut shrunk = Vec::new();
        let mut next = 0;
        for (at, applied) in changes {
            self.copy(inner, next..at, &mut children)?;
            if applied.shrunk && applied.links.len() == 1 {
                shrunk.push(children.len());
            }
            children.extend(applied.links);
            next = at + 1;
        }
        self.copy(inner, next..inner.len(), &mut children)?;
        for at in shrunk.into_iter().rev() {
            self.merge_small(&mut children, at, level.saturating_sub(1))?;
        }
        if let Some(first) = children.first_mut() {
            first.low = low.clone();
        }
        let shrunk = children.len() < inner.len();
        Ok(Applied { links: self.group(children, level, packed), shrunk, packed })
    }

    fn copy(
        &self,
        inner: &Inner,
        range: std::ops::Range<usize>,
        to: &mut Vec<Link>,
    ) -> Result<(), Error> {
        for i in range {
            to.push(inner.link(i, self.pages)?);
        }
        Ok(())
    }

    /// Makes as few inner nodes as hold these children.
    fn group(&self, children: Vec<Link>, level: u8, packed: bool) -> Vec<Link> {
        let sizes: Vec<usize> = children.iter().map(page_size).collect();
        let cuts = cuts(&sizes, self.room(level), packed, 2);
        let mut rest = children.into_iter();
        let mut links = Vec::with_capacity(cuts.len());
        for count in cuts {
            let children: Vec<Link> = rest.by_ref().take(count).collect();
            let low = children.first().map(|link| link.low.clone()).unwrap_or_default();
            let child = Child::Dirty(Arc::new(Node::inner(level, children)));
            links.push(Link { low, child });
        }
        links
    }

    fn is_small(&self, child: &Child, level: u8) -> bool {
        match child {
            Child::Dirty(node) => node.page_size() < self.room(level) / 4,
            Child::Clean(_) => false,
        }
    }

    /// Merges a child that became small with a neighbour, if the two fit well into one page.
    fn merge_small(&self, children: &mut Vec<Link>, at: usize, level: u8) -> Result<(), Error> {
        if !children.get(at).is_some_and(|link| self.is_small(&link.child, level)) {
            return Ok(());
        }
        for left in [Some(at), at.checked_sub(1)].into_iter().flatten() {
            let (Some(a), Some(b)) = (children.get(left), children.get(left + 1)) else { continue };
            let bodies = (self.load(a, level)?, self.load(b, level)?);
            let Some(node) = self.merged(&bodies.0, &bodies.1, &b.low, level)? else { continue };
            let link = Link { low: a.low.clone(), child: Child::Dirty(Arc::new(node)) };
            children.splice(left..left + 2, [link]);
            break;
        }
        Ok(())
    }

    fn load(&self, link: &Link, level: u8) -> Result<Body, Error> {
        link.child.spot().load(self.pages, level)
    }

    /// One node with the entries of two, the right one with this low key, unless it would be more
    /// than three quarters full.
    fn merged(
        &self,
        left: &Body,
        right: &Body,
        low: &Bytes,
        level: u8,
    ) -> Result<Option<Node>, Error> {
        let most = self.room(level) / 4 * 3;
        Ok(match (left, right) {
            (Body::Leaf(a), Body::Leaf(b)) => {
                let size = a.size_of(0, a.len()) + b.size_of(0, b.len());
                (size <= most).then(|| {
                    let mut builder = PageBuilder::new(0, a.len() + b.len(), size);
                    builder.push_run(a, 0, a.len());
                    builder.push_run(b, 0, b.len());
                    Node::leaf(builder.finish())
                })
            }
            (Body::Inner(a), Body::Inner(b)) => {
                let mut children = Vec::with_capacity(a.len() + b.len());
                self.copy(a, 0..a.len(), &mut children)?;
                self.copy(b, 0..b.len(), &mut children)?;
                if let Some(first) = children.get_mut(a.len()) {
                    first.low = low.clone();
                }
                let size: usize = children.iter().map(page_size).sum();
                (size <= most).then(|| Node::inner(level, children))
            }
            _ => None,
        })
    }

    /// Applies operations to a leaf, or makes leaves where there was none.
    fn leaf(&self, page: Option<&Page>, low: &Bytes, ops: &[Op<'_>]) -> Option<Applied> {
        let merge = Merge::plan(page, ops)?;
        let (shrunk, packed) = (merge.is_smaller(), merge.is_packed());
        let pages = merge.build(self.room(0));
        let mut links: Vec<Link> = Vec::with_capacity(pages.len());
        let mut last: Option<Page> = None;
        for page in pages {
            let low = match &last {
                None => low.clone(),
                Some(last) => {
                    Bytes::copy_from_slice(separator(last.key(last.len() - 1), page.key(0)))
                }
            };
            last = Some(page.clone());
            links.push(Link { low, child: Child::Dirty(Arc::new(Node::leaf(page))) });
        }
        Some(Applied { links, shrunk, packed })
    }
}
