//! Functions of design documents as requests meet them: which function is meant, what it sees of
//! documents, and what becomes of its errors. Runs nothing itself: the coordinator does.

mod base;
pub mod list;
pub mod request;
pub mod response;
pub mod rewrite;
pub mod rules;
pub mod show;
pub mod update;
pub mod validate;

use std::borrow::Cow;
use std::sync::Arc;

use settee_cluster::Db;
use settee_cluster::docs::{Facts, OpenOptions};
use settee_cluster::functions::Kind;
use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::json::Raw;
use settee_model::rev::{Rev, RevPath};
use settee_query::js::{self, Design};

use crate::context::Ctx;
use crate::error::Error;
use crate::render::Script;
use crate::render::doc::{self, Shown, View};
use crate::users::Sight;
use request::Request;

/// Ancestors that functions see of a document: `[query_server_config] revs_limit`.
const HISTORY: usize = 20;

/// A design document whose functions are called.
#[derive(Clone)]
pub struct Functions {
    db: Db,
    ddoc: Arc<StoredDoc>,
}

impl Functions {
    /// The functions of one that was opened.
    #[must_use]
    pub fn of(db: &Db, ddoc: Arc<StoredDoc>) -> Self {
        Functions { db: db.clone(), ddoc }
    }

    /// Its revision, in quotation marks.
    #[must_use]
    pub fn tag(&self) -> String {
        crate::render::etag::of_doc(&self.ddoc)
    }

    /// Its members, without those that begin with an underscore.
    #[must_use]
    pub fn body(&self) -> Raw<'_> {
        Raw(&self.ddoc.record.body)
    }

    /// How long a call may take.
    #[must_use]
    pub fn time(&self) -> std::time::Duration {
        self.db.function_time()
    }

    /// Makes sure that there is something at a path.
    ///
    /// # Errors
    /// 404 with the name of what is missing.
    pub fn require(&self, path: &[&str]) -> Result<(), Error> {
        let mut at = self.body();
        for name in path {
            if !at.is_object() {
                return Err(Error::NotFound("json_mismatch".into()));
            }
            let missing = || Error::NotFound(format!("missing json key: {name}").into());
            at = at.get(name).ok_or_else(missing)?;
        }
        Ok(())
    }

    /// Calls functions over a request.
    ///
    /// # Errors
    /// Those of the functions, and a request that cannot be written down.
    pub async fn run_over<R: Send + 'static>(
        &self,
        kind: Kind,
        req: Request,
        work: impl FnOnce(&mut Design, &[u8]) -> Result<R, js::Error> + Send + 'static,
    ) -> Result<R, Error> {
        let work = move |design: &mut Design| match req.json() {
            Ok(json) => {
                drop(req);
                work(design, &json).map(Ok)
            }
            Err(error) => Ok(Err(error)),
        };
        self.run(kind, work).await?
    }

    /// Calls functions.
    ///
    /// # Errors
    /// Those of the functions.
    pub async fn run<R: Send + 'static>(
        &self,
        kind: Kind,
        work: impl FnOnce(&mut Design) -> Result<R, js::Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.check_language()?;
        Ok(self.call(kind, work).await?)
    }

    /// Calls functions, in whatever language they say they are.
    ///
    /// # Errors
    /// Those of the functions, and of the database.
    pub async fn call<R: Send + 'static>(
        &self,
        kind: Kind,
        work: impl FnOnce(&mut Design) -> Result<R, js::Error> + Send + 'static,
    ) -> Result<R, settee_cluster::Error> {
        self.db.run(&self.ddoc, kind, design_document, work).await
    }

    /// # Errors
    /// 500 `unknown_query_language`.
    pub fn check_language(&self) -> Result<(), Error> {
        let language = self.body().get("language").and_then(Raw::as_str);
        match language.unwrap_or(Cow::Borrowed("javascript")).as_ref() {
            "javascript" => Ok(()),
            other => {
                let reason = serde_json::Value::from(other).to_string();
                let error = "unknown_query_language".to_owned();
                Err(Error::Script(js::Error::Thrown { error, reason }))
            }
        }
    }
}

/// A function that a path names, and perhaps a document.
pub struct Called {
    name: String,
    id: Option<DocId>,
    /// The document as functions see it, and as it is, if it is there.
    found: Option<(Vec<u8>, StoredDoc)>,
}

/// A kind of functions: of a request over a document, or none.
pub type Function<R> = fn(&mut Design, &str, Option<&[u8]>, &[u8]) -> Result<R, js::Error>;

impl Called {
    /// What follows `_show` or `_update` in a path. Functions are in `member`; `wrong` is the error
    /// where nothing follows.
    ///
    /// # Errors
    /// 404 if there is no such function, and shards that cannot be read.
    pub async fn find(
        ctx: &Ctx,
        functions: &Functions,
        member: &str,
        wrong: &'static str,
        rest: &[String],
    ) -> Result<Self, Error> {
        let [name, id @ ..] = rest else {
            return Err(Error::NotFoundNamed(wrong, "Invalid path."));
        };
        let id = (!id.is_empty()).then(|| DocId::trusted(&id.join("/")));
        let found = match &id {
            Some(id) => subject(ctx, &functions.db, id).await?,
            None => None,
        };
        functions.require(&[member, name])?;
        Ok(Called { name: name.clone(), id, found })
    }

    /// The document, if it is there.
    #[must_use]
    pub fn doc(&self) -> Option<&StoredDoc> {
        self.found.as_ref().map(|(_, doc)| doc)
    }

    /// Calls the function.
    ///
    /// # Errors
    /// Bodies that are too long, and those of the function.
    pub async fn run<R: Send + 'static>(
        self,
        ctx: &mut Ctx,
        functions: &Functions,
        function: Function<R>,
    ) -> Result<R, Error> {
        let Called { name, id, found } = self;
        let content = request::content(ctx).await?;
        let id = id.as_ref().map(DocId::as_str);
        let req = Request::new(ctx, &functions.db, id, content).await?;
        let doc = found.map(|(json, _)| json);
        let work =
            move |design: &mut Design, req: &[u8]| function(design, &name, doc.as_deref(), req);
        functions.run_over(Kind::Call, req, work).await
    }
}

/// A document as it is now, if it is there.
async fn subject(ctx: &Ctx, db: &Db, id: &DocId) -> Result<Option<(Vec<u8>, StoredDoc)>, Error> {
    let options = OpenOptions { history: true, facts: true, ..OpenOptions::default() };
    match db.open_doc(id, options).await {
        Ok(opened) => {
            let facts = opened.facts.unwrap_or_default();
            let seen = Sight::of(ctx, db).seen(opened.doc).ok();
            Ok(seen.map(|doc| (document(&doc, &facts.conflicts), doc)))
        }
        Err(settee_cluster::Error::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// A document as functions see it.
#[must_use]
pub fn document(stored: &StoredDoc, conflicts: &[Rev]) -> Vec<u8> {
    let ids = stored.revs.ids.iter().take(HISTORY).cloned().collect();
    let revs = RevPath { start: stored.revs.start, ids };
    let stored = StoredDoc { revs, ..stored.clone() };
    let facts = Facts { conflicts: conflicts.to_vec(), ..Facts::default() };
    let shown = Shown { conflicts: true, ..Shown::default() };
    text(&stored, true, Some((&facts, shown)))
}

/// A design document as its functions see it in `this`.
#[must_use]
pub fn design_document(stored: &StoredDoc) -> Vec<u8> {
    text(stored, false, None)
}

fn text(stored: &StoredDoc, revs: bool, facts: Option<(&Facts, Shown)>) -> Vec<u8> {
    let mut script = Script::default();
    doc::write(&mut script, stored, &View { revs, ..View::default() }, facts);
    script.into_text().unwrap_or_default()
}

/// Who asks, as functions see it.
#[must_use]
pub fn user(ctx: &Ctx, db: &Db) -> serde_json::Value {
    serde_json::json!({
        "db": db.name().as_str(),
        "name": ctx.user.name,
        "roles": ctx.user.roles,
    })
}

/// The database's security object, as stored.
#[must_use]
pub fn security(ctx: &Ctx, db: &Db) -> bytes::Bytes {
    db.meta().security.clone().unwrap_or_else(|| ctx.settings.default_security.clone())
}
