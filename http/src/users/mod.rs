//! What is different about databases of users: passwords are derived before a document is stored
//! (`keep`), people see their own documents and what is public of others (`sight`), and a design
//! document holds the rules of what users' documents look like (`rules`), which is seen to as long as
//! the server runs (`watch`), as is that users have databases of their own (`per_user`). Whose password
//! is right is `auth`'s business.

mod keep;
pub mod per_user;
mod rules;
mod sight;
mod watch;

pub use keep::{Written, prepare};
pub use sight::{Sight, open_doc};
pub use watch::watch;

use settee_cluster::Db;

use crate::auth::access;
use crate::context::Ctx;
use crate::error::Error;
use crate::route::{DbEndpoint, Method};
use crate::settings::Settings;

/// Whether a database holds users: the one that logins are looked up in, and all whose names end as
/// theirs do.
#[must_use]
pub fn is_users_db(settings: &Settings, db: &Db) -> bool {
    let name = db.name().as_str();
    let last = name.rsplit('/').next().unwrap_or(name);
    last == "_users" || last == settings.users_db_suffix || is_of_logins(settings, db)
}

/// Whether a database is the one that logins are looked up in.
#[must_use]
pub fn is_of_logins(settings: &Settings, db: &Db) -> bool {
    *settings.auth.users_db == *db.name().as_str()
}

/// Refuses those who do not administer a users' database what shows them more than documents that
/// they name, and attachments of others.
///
/// # Errors
/// 403, 404.
pub fn check(ctx: &Ctx, db: &Db, endpoint: &DbEndpoint) -> Result<(), Error> {
    use DbEndpoint as D;
    if !is_users_db(&ctx.settings, db) {
        return Ok(());
    }
    let Sight::Own { own, .. } = Sight::of(ctx, db) else { return Ok(()) };
    match (endpoint, ctx.method) {
        (D::Attachment(..), Method::Get) | (D::DesignAction { .. }, _) => Ok(()),
        (D::Attachment(id, _), _) | (D::Doc(id), Method::Post) if own.as_ref() != Some(id) => {
            Err(Error::missing())
        }
        (endpoint, _) if access::names_documents(endpoint) => Ok(()),
        _ => Err(Error::Forbidden("Only admins can access this of the users database.".into())),
    }
}
