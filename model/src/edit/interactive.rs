//! Edits by clients, who name the revision that they replace and get one made by the server. Never
//! makes a conflict: an edit that would make one is refused.

use crate::doc::{Attachment, DocEdit, DocRecord};
use crate::docinfo::{DocInfo, RevInfo};
use crate::hash::{self, AttDigest};
use crate::rev::{Rev, RevId, RevPath};
use crate::revtree::{MergeOutcome, RevTree};

use super::atts::{has_stubs, resolve};
use super::{Decided, Decision, EditError};

/// What an edit follows.
struct Base<'a> {
    /// The revision that it follows, and that one's ancestors as far as the edit names them.
    path: RevPath,
    /// What is kept for that revision, if the client named it.
    named: Option<&'a RevInfo>,
    /// Generation that newly uploaded attachments get; those of a copy keep theirs.
    revpos: u64,
}

/// Decides on an edit that must extend a leaf. `parent` reads the revision that is replaced; it is
/// called at most once, and only if the edit takes over attachments.
///
/// # Errors
/// Only those of `parent`; a refusal is a [`Decision`].
pub fn decide_interactive<E>(
    info: Option<&DocInfo>,
    edit: DocEdit,
    parent: impl FnOnce(&RevInfo) -> Result<DocRecord, E>,
) -> Result<Decision, E> {
    let tree = info.map(|info| &info.tree).filter(|tree| !tree.is_empty());
    let base = match find_base(tree, &edit) {
        Ok(base) => base,
        Err(error) => return Ok(Decision::Refuse(error)),
    };
    let known = match base.named {
        Some(named) if has_stubs(&edit.atts) => parent(named)?.atts,
        _ => Vec::new(),
    };
    let decision = decide(tree, base, edit, known);
    Ok(decision.map_or_else(Decision::Refuse, Decision::Write))
}

fn find_base<'a>(
    tree: Option<&'a RevTree<RevInfo>>,
    edit: &DocEdit,
) -> Result<Base<'a>, EditError> {
    let Some(tree) = tree else {
        // An empty base even if a revision is named: a stub is the graver mistake then.
        return match edit.revs.tip() {
            Some(_) if !has_stubs(&edit.atts) => Err(EditError::Conflict),
            _ => Ok(Base { path: RevPath::default(), named: None, revpos: 1 }),
        };
    };
    match edit.revs.tip() {
        Some(tip) => {
            let leaf = tree.leaf(&tip).ok_or(EditError::Conflict)?;
            let revpos = tip.pos.checked_add(1).ok_or(EditError::Conflict)?;
            Ok(Base { path: edit.revs.clone(), named: Some(leaf.value), revpos })
        }
        None => {
            let winner = tree.winner().filter(|winner| winner.value.deleted);
            let winner = winner.ok_or(EditError::Conflict)?;
            // CouchDB counts attachments of a document made anew from the first generation.
            Ok(Base { path: RevPath::single(winner.rev()), named: None, revpos: 1 })
        }
    }
}

fn decide(
    tree: Option<&RevTree<RevInfo>>,
    base: Base<'_>,
    mut edit: DocEdit,
    known: Vec<Attachment>,
) -> Result<Decided, EditError> {
    let anew = base.named.is_none();
    let revpos = |said: Option<u64>| said.unwrap_or(base.revpos);
    let atts = resolve(&edit.id, std::mem::take(&mut edit.atts), known, revpos)?;
    // Once all of a document is deleted, only a fresh start brings it back.
    if tree.is_some_and(|tree| tree.is_deleted() && (!anew || edit.deleted)) {
        return Err(EditError::Conflict);
    }
    let old = base.path.tip();
    let start = base.path.start.checked_add(1).ok_or(EditError::Conflict)?;
    let id = new_rev_id(&edit, old.as_ref(), anew, &atts);
    let mut ids = base.path.ids;
    ids.insert(0, id);
    let path = RevPath { start, ids };
    let outcome = tree.map(|tree| tree.foresee(&path).0);
    if outcome.is_some_and(|outcome| outcome != MergeOutcome::NewLeaf) {
        return Err(EditError::Conflict);
    }
    let record = DocRecord { atts, body: edit.body };
    Ok(Decided { id: edit.id, path, deleted: edit.deleted, record })
}

fn new_rev_id(edit: &DocEdit, old: Option<&Rev>, recreates: bool, atts: &[Attachment]) -> RevId {
    match old {
        Some(old) if recreates => hash::recreated_rev_id(old, &edit.body, atts.len()),
        _ => {
            let digests: Vec<AttDigest<'_>> = atts.iter().map(digest).collect();
            hash::new_rev_id(edit.deleted, old, &edit.body, &digests)
        }
    }
}

fn digest(att: &Attachment) -> AttDigest<'_> {
    (&att.name, &att.content_type, att.content.md5)
}
