//! Revisions that were made elsewhere (`new_edits=false`): they come with their name and ancestors
//! and are let in wherever they belong, conflicts included. Never gives a revision its name.

use crate::doc::{DocEdit, DocRecord};
use crate::docinfo::{DocInfo, RevInfo};
use crate::rev::Rev;
use crate::revtree::{MergeOutcome, RevTree};

use super::atts::{has_stubs, resolve};
use super::{Decided, Decision, EditError};

/// Decides on a revision that was made elsewhere. `parent` reads its nearest ancestor that is
/// stored here; it is called at most once, and only if the revision takes over attachments.
///
/// # Errors
/// Only those of `parent`; a refusal is a [`Decision`].
pub fn decide_replicated<E>(
    info: Option<&DocInfo>,
    edit: DocEdit,
    parent: impl FnOnce(&RevInfo) -> Result<DocRecord, E>,
) -> Result<Decision, E> {
    let Some(tip) = edit.revs.tip() else {
        return Ok(Decision::Refuse(EditError::RevRequired));
    };
    let mut nearest = None;
    if let Some(info) = info {
        let (outcome, ancestor) = info.tree.foresee(&edit.revs);
        if brings_nothing(&info.tree, &tip, &edit, outcome) {
            return Ok(Decision::Known(tip));
        }
        nearest = ancestor.and_then(|node| node.value.as_ref());
    }
    let known = match nearest {
        Some(ancestor) if has_stubs(&edit.atts) => parent(ancestor)?.atts,
        _ => Vec::new(),
    };
    let atts = match resolve(&edit.id, edit.atts, known, Option::unwrap_or_default) {
        Ok(atts) => atts,
        Err(error) => return Ok(Decision::Refuse(error)),
    };
    let record = DocRecord { atts, body: edit.body };
    Ok(Decision::Write(Decided { id: edit.id, path: edit.revs, deleted: edit.deleted, record }))
}

/// Whether the revision is known. A known name can still bring ancestors, which may join branches, or
/// the content of a revision that was known by name only; but no attachments, and no second leaf of
/// that name. So the same revisions make the same tree, in whatever order they come.
fn brings_nothing(
    tree: &RevTree<RevInfo>,
    tip: &Rev,
    edit: &DocEdit,
    outcome: MergeOutcome,
) -> bool {
    if tree.reaches_beyond(&edit.revs) {
        return has_stubs(&edit.atts);
    }
    match outcome {
        MergeOutcome::Unchanged => true,
        MergeOutcome::Internal => !edit.atts.is_empty(),
        MergeOutcome::NewBranch | MergeOutcome::NewLeaf => tree.leaf(tip).is_some(),
    }
}
