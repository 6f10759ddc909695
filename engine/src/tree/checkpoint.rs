//! Giving nodes their place in the file, and letting go of them afterwards. Never tells a node its
//! place before that place is durable.

use std::sync::Arc;

use super::{
    Root, Spec, Top, Tree,
    inner::Inner,
    node::{Body, Child, Clean, Node},
};
use crate::{
    Error,
    page::{INNER, LEAF, Page, PageBuilder, PageWriter, Synced},
};

/// A tree whose pages were put into a writer, but may not be on disk yet.
pub struct Checkpoint {
    spec: Arc<Spec>,
    root: Root,
    placed: Vec<Placed>,
}

/// A node with the place it will have.
struct Placed {
    node: Arc<Node>,
    clean: Clean,
    page: Page,
}

impl Checkpoint {
    pub(super) fn of_root(spec: Arc<Spec>, root: Root) -> Checkpoint {
        Checkpoint { spec, root, placed: Vec::new() }
    }

    /// The root to be stored in the shard's header.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// Now that it is durable: tells the nodes their place, so that [`Tree::settle`] of later
    /// versions lets go of them, caches their pages and returns the clean tree.
    pub fn publish(self, synced: &Synced) -> Tree {
        for Placed { node, clean, page } in self.placed {
            synced.remember(clean.ptr, &page);
            // A node that already has a place keeps it.
            let _ = node.place.set(clean);
        }
        Tree::open(self.spec, self.root)
    }
}

pub fn checkpoint(tree: &Tree, writer: &mut PageWriter) -> Result<Checkpoint, Error> {
    let mut checkpoint = Checkpoint::of_root(tree.spec.clone(), Root::empty());
    if let Some(top) = &tree.top {
        let clean = checkpoint.place(&top.child, writer)?;
        checkpoint.root = Root::of(clean, top.level);
    }
    Ok(checkpoint)
}

impl Checkpoint {
    /// Writes what below `child` has no place yet, then the child itself.
    fn place(&mut self, child: &Child, writer: &mut PageWriter) -> Result<Clean, Error> {
        let node = match child {
            Child::Clean(clean) => return Ok(clean.clone()),
            Child::Dirty(node) => match node.place.get() {
                Some(clean) => return Ok(clean.clone()),
                None => node,
            },
        };
        let (kind, page, below) = match &node.body {
            Body::Leaf(page) => (LEAF, page.clone(), 0),
            Body::Inner(inner) => {
                let (page, below) = self.place_children(inner, writer)?;
                (INNER, page, below)
            }
        };
        let ptr = writer.put(kind, page.bytes())?;
        let clean = Clean {
            ptr,
            count: child.count(),
            stored: below + u64::from(ptr.len),
            reduction: node.reduction(&*self.spec.reducer)?,
        };
        self.placed.push(Placed { node: node.clone(), clean: clean.clone(), page });
        Ok(clean)
    }

    /// The page of an inner node, and the bytes that everything below it takes in the file.
    fn place_children(
        &mut self,
        inner: &Inner,
        writer: &mut PageWriter,
    ) -> Result<(Page, u64), Error> {
        let mut builder = PageBuilder::new(inner.level(), inner.len(), inner.page_size());
        let mut record = Vec::new();
        let mut stored = 0;
        for i in 0..inner.len() {
            let clean = self.place(&inner.child(i, writer.pages())?, writer)?;
            record.clear();
            clean.encode(&mut record);
            builder.push(inner.low(i), &record);
            stored += clean.stored;
        }
        Ok((builder.finish(), stored))
    }
}

pub fn settle(tree: &Tree) -> Tree {
    let top = tree.top.as_ref().map(|top| {
        let child = match &top.child {
            Child::Dirty(node) => settled_node(node),
            Child::Clean(_) => None,
        };
        Top { child: child.unwrap_or_else(|| top.child.clone()), level: top.level }
    });
    Tree { spec: tree.spec.clone(), top }
}

/// The node with places instead of nodes wherever there are places; `None` if nothing changes.
fn settled_node(node: &Node) -> Option<Child> {
    if let Some(clean) = node.place.get() {
        return Some(Child::Clean(clean.clone()));
    }
    let Body::Inner(inner) = &node.body else { return None };
    let replaced: Vec<(usize, Child)> =
        inner.dirty().iter().filter_map(|(i, node)| Some((*i, settled_node(node)?))).collect();
    (!replaced.is_empty()).then(|| Child::Dirty(Arc::new(node.settled(inner, replaced))))
}
