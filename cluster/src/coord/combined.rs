//! Groups of several shards become one row each: those of the same key stand next to each other in the
//! merged stream, and are combined when the next key comes. Functions run on threads that may block. What a
//! group comes to is `query::view`'s business.

use bytes::Bytes;
use settee_query::js;
use settee_query::view::{Answer, Reduce, Reducing};

use super::merged::Merged;
use crate::quorum::merge::Keyed;
use crate::shard::view::{ViewEntry, ViewScan};
use crate::views::{LineValue, ViewLine};
use crate::{Error, steps};

/// See the module.
pub(super) struct Combined {
    merged: Merged<ViewScan>,
    reducing: Reducing,
    /// The group that may still grow.
    open: Option<Group>,
    skip: u64,
    left: u64,
    ended: bool,
}

/// Partial results of one key.
struct Group {
    place: Bytes,
    key: Bytes,
    parts: Vec<Bytes>,
}

impl Combined {
    pub(super) fn new(
        merged: Merged<ViewScan>,
        reducing: Reducing,
        skip: u64,
        left: u64,
    ) -> Combined {
        Combined { merged, reducing, open: None, skip, left, ended: false }
    }

    /// The next rows in order, never an empty batch; `None` after the last. Cancel safe as long as
    /// whoever cancels does not go on.
    pub(super) async fn next_batch(&mut self) -> Result<Option<Vec<ViewLine>>, Error> {
        while self.left > 0 && !self.ended {
            let groups = match self.merged.next_batch().await? {
                Some(entries) => self.close(entries),
                None => {
                    self.ended = true;
                    self.open.take().into_iter().collect()
                }
            };
            let groups = self.cut(groups);
            if !groups.is_empty() {
                return reduce(self.reducing.clone(), groups).await.map(Some);
            }
        }
        Ok(None)
    }

    /// Takes entries in, and gives the groups that are complete.
    fn close(&mut self, entries: Vec<ViewEntry>) -> Vec<Group> {
        let mut closed = Vec::with_capacity(entries.len());
        for entry in entries {
            match &mut self.open {
                Some(group) if group.place == entry.key() => group.parts.push(entry.row.value),
                open => {
                    let place = Bytes::copy_from_slice(entry.key());
                    let (key, parts) = (entry.row.key, vec![entry.row.value]);
                    closed.extend(open.replace(Group { place, key, parts }));
                }
            }
        }
        closed
    }

    fn cut(&mut self, mut groups: Vec<Group>) -> Vec<Group> {
        let skipped = usize::try_from(self.skip).unwrap_or(usize::MAX).min(groups.len());
        groups.drain(..skipped);
        self.skip -= skipped as u64;
        groups.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= groups.len() as u64;
        groups
    }
}

async fn reduce(reducing: Reducing, groups: Vec<Group>) -> Result<Vec<ViewLine>, Error> {
    let script = matches!(reducing.reduce(), Reduce::Script(_));
    let lines = move || groups.into_iter().map(|group| line(&reducing, group)).collect();
    if script { steps::blocking(lines).await } else { lines() }
}

fn line(reducing: &Reducing, group: Group) -> Result<ViewLine, Error> {
    let value = match reducing.conclude(&group.parts)? {
        Answer::Value(value) => LineValue::Value(value),
        Answer::RowError { error, reason } => LineValue::Error { error, reason },
        Answer::Failure { error, reason } => {
            let reason = serde_json::Value::from(reason).to_string();
            return Err(Error::Script(js::Error::Thrown { error, reason }));
        }
    };
    Ok(ViewLine { id: None, key: group.key, value, doc: None })
}
