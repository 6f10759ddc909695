//! [`Gauge`]: whether a partition is full, as far as a batch's edits want to know. Looks at the state
//! that the batch met; what the batch itself adds counts from the next one on, as in CouchDB. Never
//! refuses an edit itself (see `decide`).

use std::ops::Bound;

use bytes::Bytes;
use settee_model::docinfo::DocInfo;
use settee_model::edit::Decided;
use settee_model::partition;

use super::state::State;
use crate::Error;
use crate::codec::reduce::Counts;

/// Remembers the partition that was asked for last: edits come in the order of ids.
#[derive(Default)]
pub(super) struct Gauge {
    /// Its name and the bytes of its content.
    last: Option<(String, u64)>,
}

impl Gauge {
    /// Whether an edit would make a partition larger that has reached the limit. `info` is what is
    /// known of the document before the edit.
    pub(super) fn overflows(
        &mut self,
        state: &State,
        limit: u64,
        info: Option<&DocInfo>,
        edit: &Decided,
    ) -> Result<bool, Error> {
        if edit.id.is_design() || content(edit) <= replaced(info, edit) {
            return Ok(false);
        }
        let Some((name, _)) = partition::split(edit.id.as_str()) else { return Ok(false) };
        Ok(self.size(state, name)? >= limit)
    }

    fn size(&mut self, state: &State, name: &str) -> Result<u64, Error> {
        if let Some((_, size)) = self.last.as_ref().filter(|(last, _)| last == name) {
            return Ok(*size);
        }
        let key = |text: String| Bytes::from(text.into_bytes());
        let range = (
            Bound::Included(key(partition::start_key(name))),
            Bound::Excluded(key(partition::end_key(name))),
        );
        let reduction = state.trees.by_id.reduce(&state.store.pages, &range)?;
        let counts = Counts::decode(&reduction).map_err(|damage| state.store.unreadable(damage))?;
        let size = counts.sizes.external;
        self.last = Some((name.to_owned(), size));
        Ok(size)
    }
}

/// Bytes of an edit as clients see them.
fn content(edit: &Decided) -> u64 {
    let atts = edit.record.atts.iter().map(|att| att.content.length).sum::<u64>();
    edit.record.body.len() as u64 + atts
}

/// Bytes of the leaf that an edit replaces.
fn replaced(info: Option<&DocInfo>, edit: &Decided) -> u64 {
    let (Some(info), Some(parent)) = (info, edit.path.parent()) else { return 0 };
    info.tree.get(&parent).and_then(|node| node.value).map_or(0, |leaf| leaf.external)
}
