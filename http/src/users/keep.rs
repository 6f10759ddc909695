//! Documents of users before they are written: only one's own, and never with a password in clear.

use bytes::Bytes;
use settee_cluster::Db;
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::json::{Raw, escape_into};

use crate::auth::password::Verifier;
use crate::context::Ctx;
use crate::error::Error;
use crate::users::{Sight, is_users_db};

/// Members that say how a password is kept, or how it is to be.
const KEPT: [&str; 8] = [
    "derived_key",
    "iterations",
    "password",
    "password_scheme",
    "password_sha",
    "preserve_salt",
    "pbkdf2_prf",
    "salt",
];

/// Puts what was derived of passwords in their place.
///
/// # Errors
/// 404 for documents that are not theirs; 400 and 403 for passwords that cannot be set; 503 if too
/// many are being derived.
pub async fn prepare(ctx: &Ctx, db: &Db, edits: &mut [DocEdit]) -> Result<(), Error> {
    if !is_users_db(&ctx.settings, db) {
        return Ok(());
    }
    let sight = Sight::of(ctx, db);
    for edit in edits.iter_mut().filter(|edit| !edit.id.is_local()) {
        // Who has no name may sign up.
        if matches!(&sight, Sight::Own { own: Some(own), .. } if *own != edit.id) {
            return Err(Error::missing());
        }
        if let Some(body) = derived(ctx, &edit.body).await? {
            edit.body = body;
        }
    }
    Ok(())
}

/// The users that edits are about, for [`written`]; nobody in other databases.
pub fn whose(ctx: &Ctx, db: &Db, edits: &[DocEdit]) -> Vec<DocId> {
    let logins = *db.name().as_str() == *ctx.settings.auth.users_db;
    let edits = edits.iter().filter(|_| logins);
    edits.map(|edit| edit.id.clone()).collect()
}

/// Has logins look anew at users that were written; other nodes see it by the database's changes.
pub fn written(ctx: &Ctx, users: &[DocId]) {
    users.iter().for_each(|id| ctx.app.accounts.forget(id));
}

/// The body with what was derived of its password; `None` if it has none.
async fn derived(ctx: &Ctx, body: &Bytes) -> Result<Option<Bytes>, Error> {
    let [password, preserve, salt] = Raw(body).pick(["password", "preserve_salt", "salt"]);
    let Some(password) = password.filter(|password| password.bytes() != b"null") else {
        return Ok(None);
    };
    let Some(password) = password.as_str() else {
        let shown = String::from_utf8_lossy(password.bytes());
        return Err(Error::Forbidden(format!("Password value of '{shown}' is invalid.").into()));
    };
    let preserved = preserve.and_then(Raw::as_bool) == Some(true);
    let salt = salt.filter(|_| preserved).and_then(Raw::as_str).map(|salt| salt.into_owned());
    let salt = salt.unwrap_or_else(crate::random::hex_32);
    let kept = &ctx.settings.auth.new_passwords;
    kept.check(&password)?;
    let verifier = ctx.app.accounts.derive(kept, &password, salt).await?;
    Ok(Some(with_verifier(body, &verifier)))
}

/// A body that says how to check a password, in the place of whatever it said before.
#[must_use]
pub fn with_verifier(body: &[u8], verifier: &Verifier) -> Bytes {
    let mut out = Vec::with_capacity(body.len() + 256);
    out.push(b'{');
    for (name, value) in verifier.members() {
        push_member(&mut out, name, value.to_string().as_bytes());
    }
    let rest = Raw(body).members().into_iter().flatten();
    for (name, value) in rest.filter(|(name, _)| !KEPT.contains(&&**name)) {
        push_member(&mut out, &name, value.bytes());
    }
    out.push(b'}');
    out.into()
}

fn push_member(out: &mut Vec<u8>, name: &str, value: &[u8]) {
    if out.len() > 1 {
        out.push(b',');
    }
    escape_into(out, name);
    out.push(b':');
    out.extend_from_slice(value);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::password::Prf;

    #[test]
    fn what_was_derived_takes_the_place_of_what_was_said() {
        let verifier = Verifier::derive("secret", "salt", Prf::Sha1, 2);
        let body = br#"{"name":"ann","password":"secret","salt":"x","preserve_salt":true,"a":1}"#;
        let written = with_verifier(body, &verifier);
        let expected = format!(
            "{{\"password_scheme\":\"pbkdf2\",\"pbkdf2_prf\":\"sha\",\"salt\":\"salt\",\
             \"iterations\":2,\"derived_key\":\"{}\",\"name\":\"ann\",\"a\":1}}",
            verifier.key()
        );
        assert_eq!(String::from_utf8(written.to_vec()).unwrap(), expected);
        let read = settee_model::json::value(&written).unwrap();
        assert_eq!(Verifier::from_document(&read), Some(verifier));
    }
}
