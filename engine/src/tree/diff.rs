//! What changed between two versions of a tree, found without reading what they share. Never
//! compares values of shared nodes.

use std::cmp::Ordering;

use bytes::Bytes;

use super::{
    Top,
    node::{Body, Spot},
};
use crate::{
    Error,
    page::{Page, Pages},
};

/// One difference between two versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The key.
    pub key: Bytes,
    /// Its value in the old version.
    pub old: Option<Bytes>,
    /// Its value in the new version.
    pub new: Option<Bytes>,
}

/// Walks the differences between two versions of one tree in key order, skipping what they share.
///
/// After an error the next call tries the same again.
pub struct Diff {
    pages: Pages,
    old: Side,
    new: Side,
}

/// What is still to come of one version: the last item comes first.
struct Side(Vec<Item>);

enum Item {
    /// A node whose keys are not below `low`.
    Node { low: Bytes, spot: Spot, level: u8 },
    /// The entries of a leaf from `at` on.
    Leaf { page: Page, at: usize },
}

/// What to do next.
enum Step {
    Skip,
    ExpandOld,
    ExpandNew,
    ExpandBoth,
    TakeOld,
    TakeNew,
    TakeBoth,
    Stop,
}

impl Side {
    fn new(top: Option<&Top>) -> Side {
        let node =
            |top: &Top| Item::Node { low: Bytes::new(), spot: top.child.spot(), level: top.level };
        Side(top.map(node).into_iter().collect())
    }

    /// Replaces the node that comes next by its contents.
    fn expand(&mut self, pages: &Pages) -> Result<(), Error> {
        let Some(Item::Node { low, spot, level }) = self.0.last() else { return Ok(()) };
        let (body, below) = (spot.load(pages, *level)?, level.saturating_sub(1));
        let items = match body {
            Body::Leaf(page) => vec![Item::Leaf { page, at: 0 }],
            Body::Inner(inner) => {
                let child = |i| {
                    let link = inner.link(i, pages)?;
                    let low = if i == 0 { low.clone() } else { link.low };
                    Ok(Item::Node { low, spot: link.child.spot(), level: below })
                };
                (0..inner.len()).rev().map(child).collect::<Result<Vec<_>, Error>>()?
            }
        };
        self.0.pop();
        self.0.extend(items);
        Ok(())
    }

    /// Takes the entry that comes next.
    fn take(&mut self) -> Option<(Bytes, Bytes)> {
        let Some(Item::Leaf { page, at }) = self.0.last_mut() else { return None };
        let (key, value) = page.entry(*at);
        let entry = (page.share(key), page.share(value));
        *at += 1;
        if *at == page.len() {
            self.0.pop();
        }
        Some(entry)
    }
}

fn step(old: Option<&Item>, new: Option<&Item>) -> Step {
    match (old, new) {
        (None, None) => Step::Stop,
        (Some(Item::Node { .. }), None) => Step::ExpandOld,
        (None, Some(Item::Node { .. })) => Step::ExpandNew,
        (Some(Item::Leaf { .. }), None) => Step::TakeOld,
        (None, Some(Item::Leaf { .. })) => Step::TakeNew,
        (Some(Item::Node { spot, .. }), Some(Item::Node { spot: other, .. }))
            if spot.same(other) =>
        {
            Step::Skip
        }
        (
            Some(Item::Node { low, level, .. }),
            Some(Item::Node { low: other_low, level: other_level, .. }),
        ) => match low.cmp(other_low).then(other_level.cmp(level)) {
            Ordering::Less => Step::ExpandOld,
            Ordering::Equal => Step::ExpandBoth,
            Ordering::Greater => Step::ExpandNew,
        },
        (Some(Item::Node { low, .. }), Some(Item::Leaf { page, at })) => {
            if page.key(*at) < low {
                Step::TakeNew
            } else {
                Step::ExpandOld
            }
        }
        (Some(Item::Leaf { page, at }), Some(Item::Node { low, .. })) => {
            if page.key(*at) < low {
                Step::TakeOld
            } else {
                Step::ExpandNew
            }
        }
        (Some(Item::Leaf { page, at }), Some(Item::Leaf { page: other, at: other_at })) => {
            match page.key(*at).cmp(other.key(*other_at)) {
                Ordering::Less => Step::TakeOld,
                Ordering::Equal => Step::TakeBoth,
                Ordering::Greater => Step::TakeNew,
            }
        }
    }
}

impl Diff {
    pub(super) fn new(pages: Pages, old: Option<&Top>, new: Option<&Top>) -> Diff {
        Diff { pages, old: Side::new(old), new: Side::new(new) }
    }

    fn try_next(&mut self) -> Result<Option<Change>, Error> {
        loop {
            let (old, new) = match step(self.old.0.last(), self.new.0.last()) {
                Step::Stop => return Ok(None),
                Step::Skip => {
                    self.old.0.pop();
                    self.new.0.pop();
                    continue;
                }
                Step::ExpandOld => {
                    self.old.expand(&self.pages)?;
                    continue;
                }
                Step::ExpandNew => {
                    self.new.expand(&self.pages)?;
                    continue;
                }
                Step::ExpandBoth => {
                    self.old.expand(&self.pages)?;
                    self.new.expand(&self.pages)?;
                    continue;
                }
                Step::TakeOld => (self.old.take(), None),
                Step::TakeNew => (None, self.new.take()),
                Step::TakeBoth => (self.old.take(), self.new.take()),
            };
            let Some(key) = old.as_ref().or(new.as_ref()).map(|(key, _)| key.clone()) else {
                continue;
            };
            let (old, new) = (old.map(|(_, value)| value), new.map(|(_, value)| value));
            if old != new {
                return Ok(Some(Change { key, old, new }));
            }
        }
    }
}

impl Iterator for Diff {
    type Item = Result<Change, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.try_next().transpose()
    }
}
