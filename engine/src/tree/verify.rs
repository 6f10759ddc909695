//! Checking a whole tree: every page, every order, every number a parent keeps about a child.
//! Never stops at the first damage, never repairs.

use bytes::Bytes;

use super::{
    Entries, Spec, Tree,
    inner::Inner,
    node::{Body, Child},
};
use crate::{Error, page::Pages};

pub fn verify(tree: &Tree, pages: &Pages, report: &mut dyn FnMut(Error)) {
    if let Some(top) = &tree.top {
        let mut walk = Walk { spec: &tree.spec, pages, report };
        walk.child(&top.child, top.level, &[], None);
    }
}

struct Walk<'a> {
    spec: &'a Spec,
    pages: &'a Pages,
    report: &'a mut dyn FnMut(Error),
}

/// What a node's contents say about it.
struct Found {
    count: u64,
    /// Bytes of the pages below it, its own not included.
    below: u64,
    reduction: Bytes,
}

impl Walk<'_> {
    /// Checks a child whose keys must be from `low` up to below `high`.
    fn child(&mut self, child: &Child, level: u8, low: &[u8], high: Option<&[u8]>) {
        let found = child.spot().load(self.pages, level).and_then(|body| match body {
            Body::Leaf(page) => {
                let last = page.key(page.len().saturating_sub(1));
                if page.key(0) < low || high.is_some_and(|high| last >= high) {
                    self.damage(child, "leaf has keys that belong elsewhere");
                }
                let reduction = self.spec.reducer.leaf(Entries::new(&page, 0..page.len()))?;
                Ok(Found { count: page.len() as u64, below: 0, reduction })
            }
            Body::Inner(inner) => self.inner(child, &inner, level, low, high),
        });
        match found {
            Ok(found) => self.compare(child, &found),
            Err(error) => (self.report)(error),
        }
    }

    fn inner(
        &mut self,
        child: &Child,
        inner: &Inner,
        level: u8,
        low: &[u8],
        high: Option<&[u8]>,
    ) -> Result<Found, Error> {
        if !inner.low(0).is_empty() {
            self.damage(child, "inner node has a low key for its first child");
        }
        let (mut count, mut below, mut reductions) = (0, 0, Vec::new());
        for i in 0..inner.len() {
            let link = inner.link(i, self.pages)?;
            let next = (i + 1 < inner.len()).then(|| inner.low(i + 1)).or(high);
            let low = if i == 0 { low } else { &link.low };
            self.child(&link.child, level.saturating_sub(1), low, next);
            count += link.child.count();
            below += link.child.sizes().stored;
            reductions.push(link.child.reduction(&*self.spec.reducer)?);
        }
        Ok(Found { count, below, reduction: self.spec.reducer.combine(&reductions)? })
    }

    fn compare(&mut self, child: &Child, found: &Found) {
        let own = match child {
            Child::Clean(clean) => u64::from(clean.ptr.len),
            Child::Dirty(_) => 0,
        };
        if child.count() != found.count {
            self.damage(child, "node has another count than its parent says");
        }
        if child.sizes().stored != found.below + own {
            self.damage(child, "node has another size than its parent says");
        }
        match child.reduction(&*self.spec.reducer) {
            Ok(known) if known == found.reduction => {}
            Ok(_) => self.damage(child, "node has another reduction than its parent says"),
            Err(error) => (self.report)(error),
        }
    }

    fn damage(&mut self, child: &Child, what: &'static str) {
        let error = match child {
            Child::Clean(clean) => self.pages.corrupt(clean.ptr, what),
            // A node in memory has no offset yet.
            Child::Dirty(_) => Error::corrupt(self.pages.file().path(), 0, what),
        };
        (self.report)(error);
    }
}
