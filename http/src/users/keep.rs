//! Documents of users before they are written: only one's own, and never with a password in clear.

use std::sync::Arc;

use settee_cluster::Db;
use settee_cluster::docs::EditMode;
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::json::Raw;

use crate::context::{App, Ctx};
use crate::error::Error;
use crate::users::per_user::CHECKPOINT;
use crate::users::{Sight, is_of_logins, is_users_db, rules};

/// Most passwords that somebody may set in one request who does not administer the database.
const PASSWORDS: usize = 8;

/// Puts what was derived of passwords in their place, once nothing speaks against any of the edits.
///
/// # Errors
/// 404 for documents that are not theirs, 403 for what only administrators do; 400 and 403 for
/// passwords that cannot be set; 503 if too many are being derived.
pub async fn prepare(
    ctx: &Ctx,
    db: &Db,
    edits: &mut [DocEdit],
    mode: EditMode,
) -> Result<(), Error> {
    if !is_users_db(&ctx.settings, db) {
        return Ok(());
    }
    let kept = &ctx.settings.auth.new_passwords;
    if let Sight::Own { own, .. } = Sight::of(ctx, db) {
        if edits.iter().any(|edit| edit.id.as_str() == CHECKPOINT) {
            return Err(Error::Forbidden("Only admins may write this document.".into()));
        }
        let open: Vec<&DocEdit> = edits.iter().filter(|edit| !edit.id.is_local()).collect();
        open.iter().try_for_each(|edit| check(edit, own.as_ref(), mode))?;
        open.iter().try_for_each(|edit| check_cost(edit, kept.most_own_iterations()))?;
        let passwords = edits.iter().filter(|edit| password_of(&edit.body).is_some());
        if passwords.count() > PASSWORDS {
            return Err(Error::Forbidden("Only admins may set so many passwords at once.".into()));
        }
        // Until they are there, nothing speaks against what strangers write.
        rules::require(db).await?;
    }
    let mut new = Vec::new();
    for edit in edits {
        if let Some(NewPassword { text, salt }) = NewPassword::of(&edit.body)? {
            kept.check(&text)?;
            new.push((edit, text, salt));
        }
    }
    for (edit, text, salt) in new {
        let verifier = ctx.app.accounts.derivations().derive(kept, &text, salt).await?;
        edit.body = verifier.put_into(&edit.body);
    }
    Ok(())
}

/// What somebody may write who does not administer the database: their own document. Who has no name
/// may sign up, and no more: what was there before is not theirs.
fn check(edit: &DocEdit, own: Option<&DocId>, mode: EditMode) -> Result<(), Error> {
    let refused = match own {
        Some(own) if *own != edit.id => return Err(Error::missing()),
        _ if mode == EditMode::Replicated => "Only admins may write revisions of their own naming.",
        None if !edit.id.is_design() && (edit.deleted || edit.revs.tip().is_some()) => {
            "You may only update your own user document."
        }
        _ => return Ok(()),
    };
    Err(Error::Forbidden(refused.into()))
}

/// Who says how much a login as them costs may not make it cost what they like.
fn check_cost(edit: &DocEdit, most: u32) -> Result<(), Error> {
    let iterations = Raw(&edit.body).get("iterations");
    let number = iterations.and_then(|iterations| std::str::from_utf8(iterations.bytes()).ok());
    let number = number.and_then(|number| number.parse::<f64>().ok());
    match number.is_some_and(|number| number > f64::from(most)) {
        true => Err(Error::Forbidden("Iteration count is too high for this server".into())),
        false => Ok(()),
    }
}

/// The password that a document sets, whatever it is.
fn password_of(body: &[u8]) -> Option<Raw<'_>> {
    Raw(body).get("password").filter(|password| password.bytes() != b"null")
}

/// A password that is to be derived.
struct NewPassword {
    text: String,
    salt: String,
}

impl NewPassword {
    /// That of a document; `None` if it has none.
    fn of(body: &[u8]) -> Result<Option<NewPassword>, Error> {
        let Some(password) = password_of(body) else { return Ok(None) };
        let Some(text) = password.as_str() else {
            let shown =
                String::from_utf8_lossy(password.bytes().get(..32).unwrap_or(password.bytes()));
            let reason = format!("Password value of '{shown}' is invalid.");
            return Err(Error::Forbidden(reason.into()));
        };
        let [preserve, salt] = Raw(body).pick(["preserve_salt", "salt"]);
        let preserved = preserve.and_then(Raw::as_bool) == Some(true);
        let salt = salt.filter(|_| preserved).and_then(Raw::as_str).map(|salt| salt.into_owned());
        let salt = salt.unwrap_or_else(crate::random::hex_32);
        Ok(Some(NewPassword { text: text.into_owned(), salt }))
    }
}

/// Users that are being written: when that is over, however it ends, logins look at them anew. Other
/// nodes see it by the database's changes.
pub struct Written {
    app: Arc<App>,
    ids: Vec<DocId>,
}

impl Written {
    /// Of documents that are about to be written; of nobody's in other databases.
    #[must_use]
    pub fn of<'a>(ctx: &Ctx, db: &Db, ids: impl Iterator<Item = &'a DocId>) -> Self {
        let logins = is_of_logins(&ctx.settings, db);
        Written { app: ctx.app.clone(), ids: ids.filter(|_| logins).cloned().collect() }
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        self.ids.iter().for_each(|id| self.app.accounts.forget(id));
    }
}

#[cfg(test)]
mod tests {
    use settee_model::rev::RevPath;

    use super::*;

    fn edit(id: &str, revs: RevPath, deleted: bool) -> DocEdit {
        let (id, body) = (DocId::trusted(id), "{}".into());
        DocEdit { id, revs, deleted, body, atts: Vec::new() }
    }

    #[test]
    fn a_login_costs_no_more_than_its_user_may_say() {
        let of = |iterations: &str| {
            let body = format!("{{\"iterations\":{iterations}}}").into();
            check_cost(
                &DocEdit { body, ..edit("org.couchdb.user:ann", RevPath::default(), false) },
                100,
            )
        };
        for taken in ["100", "1", "\"9999\"", "null", "-1"] {
            assert_eq!(of(taken), Ok(()), "{taken}");
        }
        for refused in ["101", "100.5", "1e9", "99999999999999999999999"] {
            assert!(of(refused).is_err(), "{refused}");
        }
    }

    #[test]
    fn strangers_sign_up_and_do_nothing_else() {
        use EditMode::{Interactive, Replicated};
        let (ann, bob) = ("org.couchdb.user:ann", "org.couchdb.user:bob");
        let own = DocId::trusted(ann);
        let first = || RevPath::single("1-a".parse().unwrap());
        let new = RevPath::default;
        let forbidden =
            |edit: &DocEdit, own, mode| matches!(check(edit, own, mode), Err(Error::Forbidden(_)));
        assert_eq!(check(&edit(bob, new(), false), None, Interactive), Ok(()));
        assert!(forbidden(&edit(bob, first(), false), None, Interactive));
        assert!(forbidden(&edit(bob, new(), true), None, Interactive));
        assert!(forbidden(&edit(bob, first(), false), None, Replicated));
        assert_eq!(check(&edit(ann, first(), false), Some(&own), Interactive), Ok(()));
        assert_eq!(check(&edit(ann, first(), true), Some(&own), Interactive), Ok(()));
        assert!(forbidden(&edit(ann, first(), false), Some(&own), Replicated));
        let missing = Err(Error::missing());
        assert_eq!(check(&edit(bob, new(), false), Some(&own), Interactive), missing);
        assert_eq!(check(&edit("_design/x", new(), false), Some(&own), Interactive), missing);
    }
}
