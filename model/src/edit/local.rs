//! Revisions of `_local/` documents: `0-N`, counted on from whatever the client names. They have
//! no history and no conflicts: the last edit wins. Never asks what is stored.

use crate::rev::RevPath;

use super::EditError;

/// N of the revision `0-N` that an edit names. A deletion may name anything.
///
/// # Errors
/// [`EditError::BadLocalRev`] if it is not of that form.
pub fn local_base(revs: &RevPath, deleted: bool) -> Result<Option<u64>, EditError> {
    let Some(id) = revs.ids.first().filter(|_| !deleted) else {
        return Ok(None);
    };
    let digits = std::str::from_utf8(id.as_bytes()).ok().filter(|_| revs.start == 0);
    let base = digits.and_then(|digits| digits.parse().ok()).ok_or(EditError::BadLocalRev)?;
    Ok(Some(base))
}

/// N of the revision that an edit makes, given N of the one that it names.
#[must_use]
pub fn next_local_rev(base: Option<u64>, deleted: bool) -> u64 {
    match base {
        _ if deleted => 0,
        Some(base) => base.saturating_add(1),
        None => 1,
    }
}
