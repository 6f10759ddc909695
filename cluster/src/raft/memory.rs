//! Records in memory that outlive their store, and forget in a crash what was not flushed: the disk of
//! simulations. Never touches the host.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::sync::Arc;

use parking_lot::Mutex;

use super::OpenError;
use super::records::{Edit, Pair, Pairs, Records, Span, Tree};

/// See the module. Clones share what is kept.
#[derive(Clone, Debug, Default)]
pub struct Memory(Arc<Mutex<Kept>>);

#[derive(Debug, Default)]
struct Kept {
    now: Trees,
    durable: Trees,
    /// Changes that no flush made durable yet, in order.
    pending: Vec<(Tree, Vec<Edit>)>,
    /// Nothing can be written.
    full: bool,
}

#[derive(Clone, Debug, Default)]
struct Trees([BTreeMap<Vec<u8>, Vec<u8>>; 3]);

impl Trees {
    fn tree(&self, tree: Tree) -> &BTreeMap<Vec<u8>, Vec<u8>> {
        let Trees([log, vote, applied]) = self;
        match tree {
            Tree::Log => log,
            Tree::Vote => vote,
            Tree::Applied => applied,
        }
    }

    fn apply(&mut self, tree: Tree, edits: &[Edit]) {
        let Trees([log, vote, applied]) = self;
        let map = match tree {
            Tree::Log => log,
            Tree::Vote => vote,
            Tree::Applied => applied,
        };
        for (key, value) in edits {
            match value {
                Some(value) => map.insert(key.clone(), value.clone()),
                None => map.remove(key),
            };
        }
    }
}

impl Memory {
    /// The power fails: of the changes that were not flushed the first `kept` survive.
    pub fn crash(&self, kept: usize) {
        let mut all = self.0.lock();
        let Kept { now, durable, pending, .. } = &mut *all;
        pending.drain(..).take(kept).for_each(|(tree, edits)| durable.apply(tree, &edits));
        now.clone_from(durable);
    }

    /// From now on there is no room for changes, or again.
    pub fn fill(&self, full: bool) {
        self.0.lock().full = full;
    }

    /// Changes that were not flushed.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.lock().pending.len()
    }
}

impl Kept {
    /// With the first change for which there is no room all is lost that was not flushed before.
    fn check(&mut self) -> Result<(), OpenError> {
        if !self.full {
            return Ok(());
        }
        self.pending.clear();
        self.now.clone_from(&self.durable);
        Err(sled::Error::Io(ErrorKind::StorageFull.into()).into())
    }
}

impl Records for Memory {
    fn get(&self, tree: Tree, key: &[u8]) -> Result<Option<Vec<u8>>, OpenError> {
        Ok(self.0.lock().now.tree(tree).get(key).cloned())
    }

    fn pairs(&self, tree: Tree, span: Span) -> Pairs<'_> {
        let all = self.0.lock();
        let pair = |(key, value): (&Vec<u8>, &Vec<u8>)| (key.clone(), value.clone());
        let pairs: Vec<Pair> = all.now.tree(tree).range(span).map(pair).collect();
        Box::new(pairs.into_iter().map(Ok))
    }

    fn apply(&self, tree: Tree, edits: Vec<Edit>) -> Result<(), OpenError> {
        let mut all = self.0.lock();
        all.check()?;
        all.now.apply(tree, &edits);
        all.pending.push((tree, edits));
        Ok(())
    }

    fn flush(&self) -> Result<(), OpenError> {
        let mut all = self.0.lock();
        all.check()?;
        let Kept { durable, pending, .. } = &mut *all;
        pending.drain(..).for_each(|(tree, edits)| durable.apply(tree, &edits));
        Ok(())
    }
}
