//! [`Sight`]: what somebody sees of a database's documents. Who does not administer a users' database
//! sees their own there, of others what is public, and no design document.

use settee_cluster::Db;
use settee_cluster::docs::{OpenOptions, OpenedDoc, RevResult};
use settee_model::doc::{DocRecord, StoredDoc};
use settee_model::docid::DocId;
use settee_model::json::{Raw, push_member};

use crate::auth::ID_PREFIX;
use crate::context::Ctx;
use crate::error::Error;
use crate::users::is_users_db;

/// What somebody sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sight {
    /// All of it: an administrator, or everybody in databases that hold no users.
    Everything,
    /// Their own document and what is public of others.
    Own {
        /// Their document, if they have a name.
        own: Option<DocId>,
        /// Members of other documents that are public.
        public: Vec<String>,
    },
}

impl Sight {
    /// What who asks sees.
    #[must_use]
    pub fn of(ctx: &Ctx, db: &Db) -> Self {
        if !is_users_db(&ctx.settings, db) || ctx.require_db_admin(db).is_ok() {
            return Sight::Everything;
        }
        let name = ctx.user.name.as_ref();
        let own = name.map(|name| DocId::trusted(&format!("{ID_PREFIX}{name}")));
        Sight::Own { own, public: ctx.settings.auth.public_fields.clone() }
    }

    /// A document as they see it.
    ///
    /// # Errors
    /// 403 for design documents, 404 for what is not theirs.
    pub fn seen(&self, doc: StoredDoc) -> Result<StoredDoc, Error> {
        let Sight::Own { own, public } = self else { return Ok(doc) };
        if doc.id.is_design() {
            let reason = "Only administrators can view design docs in the users database.";
            return Err(Error::Forbidden(reason.into()));
        }
        if doc.id.is_local() || own.as_ref() == Some(&doc.id) {
            return Ok(doc);
        }
        let body = only(&doc.record.body, public);
        if body == b"{}" {
            return Err(Error::missing());
        }
        let record = DocRecord { body: body.into(), ..doc.record };
        Ok(StoredDoc { record, ..doc })
    }

    /// Revisions as they see them.
    ///
    /// # Errors
    /// As [`Sight::seen`].
    pub fn revs(&self, results: Vec<RevResult>) -> Result<Vec<RevResult>, Error> {
        let one = |result| match result {
            RevResult::Found(doc) => self.seen(doc).map(RevResult::Found),
            missing @ RevResult::Missing(_) => Ok(missing),
        };
        if *self == Sight::Everything {
            Ok(results)
        } else {
            results.into_iter().map(one).collect()
        }
    }
}

/// Opens a document for who asks.
///
/// # Errors
/// 404 if it is not there, or not for them; shards that cannot be read.
pub async fn open_doc(
    ctx: &Ctx,
    db: &Db,
    id: &DocId,
    options: OpenOptions,
) -> Result<OpenedDoc, Error> {
    let OpenedDoc { doc, facts } = db.open_doc(id, options).await?;
    Ok(OpenedDoc { doc: Sight::of(ctx, db).seen(doc)?, facts })
}

fn only(body: &[u8], fields: &[String]) -> Vec<u8> {
    let mut out = b"{".to_vec();
    let members = Raw(body).members().into_iter().flatten();
    for (name, value) in members.filter(|(name, _)| fields.iter().any(|field| *field == **name)) {
        push_member(&mut out, &name, value.bytes());
    }
    out.push(b'}');
    out
}

#[cfg(test)]
mod tests {
    use settee_model::rev::RevPath;

    use super::*;

    fn doc(id: &str) -> StoredDoc {
        let body = r#"{"name":"ann","salt":"x","home":{"a":1}}"#.into();
        let record = DocRecord { atts: Vec::new(), body };
        StoredDoc { id: DocId::trusted(id), revs: RevPath::default(), deleted: false, record }
    }

    fn shown(sight: &Sight, id: &str) -> Result<String, Error> {
        let doc = sight.seen(doc(id))?;
        Ok(String::from_utf8(doc.record.body.to_vec()).unwrap())
    }

    #[test]
    fn others_show_what_is_public() {
        let own = Some(DocId::trusted("org.couchdb.user:ann"));
        let public = vec!["home".to_owned(), "name".to_owned()];
        let ann = Sight::Own { own: own.clone(), public };
        let private = Sight::Own { own, public: Vec::new() };
        let nobody = Sight::Own { own: None, public: Vec::new() };
        let whole = r#"{"name":"ann","salt":"x","home":{"a":1}}"#.to_owned();
        assert_eq!(shown(&ann, "org.couchdb.user:ann"), Ok(whole.clone()));
        assert_eq!(
            shown(&ann, "org.couchdb.user:bob"),
            Ok(r#"{"name":"ann","home":{"a":1}}"#.into())
        );
        assert_eq!(shown(&private, "org.couchdb.user:bob"), Err(Error::missing()));
        assert_eq!(shown(&nobody, "org.couchdb.user:ann"), Err(Error::missing()));
        assert!(matches!(shown(&ann, "_design/_auth"), Err(Error::Forbidden(_))));
        assert_eq!(shown(&Sight::Everything, "_design/_auth"), Ok(whole));
    }
}
