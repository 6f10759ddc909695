//! Functions of one design document of one database: validation and filters here, what makes
//! responses in `render`. Functions are compiled when they are first called. Never fetches
//! anything: what a function sees is handed in as JSON.

use rquickjs::{Ctx, Value};

use super::engine::{self, Engine};
use super::{Error, Limits, Log};

/// A design document whose functions can be called.
pub struct Design {
    json: Vec<u8>,
    limits: Limits,
    log: Log,
    engine: Option<Engine>,
}

impl Design {
    /// A design document: a JSON object, whole, with `_id` and `_rev`, as functions see it in
    /// `this`.
    #[must_use]
    pub fn new(json: Vec<u8>, limits: Limits, log: Log) -> Self {
        Design { json, limits, log, engine: None }
    }

    /// Asks `validate_doc_update` whether a document may be stored. All are JSON objects: the new
    /// document with `_revisions`, the stored one if there is one, `{"db":…,"name":…,"roles":…}`
    /// of the user, and the database's security object.
    ///
    /// # Errors
    /// [`Error::Forbidden`] or [`Error::Unauthorized`] if the function says no, others if it fails.
    pub fn validate(
        &mut self,
        doc: &[u8],
        old: Option<&[u8]>,
        user: &[u8],
        security: &[u8],
    ) -> Result<(), Error> {
        let refusal: Option<String> = self.call(&["validate_doc_update"], |_, ctx| {
            let doc = engine::parse(ctx, doc)?;
            let old = engine::parse_or_null(ctx, old)?;
            let (user, security) = (engine::parse(ctx, user)?, engine::parse(ctx, security)?);
            engine::call(ctx, "validate", (doc, old, user, security))
        })?;
        match refusal {
            Some(verdict) => Err(engine::judged(&verdict)),
            None => Ok(()),
        }
    }

    /// Which documents pass `filters.{name}`, each a JSON object, up to the first for which it throws; `req`
    /// is the request's.
    ///
    /// # Errors
    /// When there is no such filter, or it throws for the first document.
    pub fn filter<'d>(
        &mut self,
        name: &str,
        req: &[u8],
        docs: impl IntoIterator<Item = &'d [u8]>,
    ) -> Result<Vec<bool>, Error> {
        self.call(&["filters", name], |engine, ctx| {
            let (filter, req) = (engine::ours(ctx, "filter")?, engine::parse(ctx, req)?);
            passing(engine, ctx, docs, |doc| filter.call((name, doc, req.clone())))
        })
    }

    /// For which documents the map of `views.{name}` emits anything, up to the first for which it throws.
    ///
    /// # Errors
    /// When there is no such view, or its map throws for the first document.
    pub fn filter_view<'d>(
        &mut self,
        name: &str,
        docs: impl IntoIterator<Item = &'d [u8]>,
    ) -> Result<Vec<bool>, Error> {
        self.call(&["views", name, "map"], |engine, ctx| {
            let filter = engine::ours(ctx, "filterView")?;
            passing(engine, ctx, docs, |doc| filter.call((name, doc)))
        })
    }

    /// Makes sure that the function at a path is compiled, then does something with it.
    pub(super) fn call<T>(
        &mut self,
        path: &[&str],
        work: impl for<'js> FnOnce(&Engine, &Ctx<'js>) -> rquickjs::Result<T>,
    ) -> Result<T, Error> {
        let engine = self.engine()?;
        let done = compiled(engine, path).and_then(|()| engine.enter(|ctx| work(engine, ctx)));
        if done.as_ref().is_err_and(Error::is_fatal) {
            self.engine = None;
        }
        done
    }

    fn engine(&mut self) -> Result<&Engine, Error> {
        if self.engine.is_none() {
            let engine = Engine::new(&self.limits, &self.log)?;
            engine.enter(|ctx| {
                let ddoc = engine::parse(ctx, &self.json)?;
                engine::call::<_, ()>(ctx, "open", (ddoc,))
            })?;
            self.engine = Some(engine);
        }
        self.engine.as_ref().ok_or(Error::Memory)
    }
}

/// The verdicts on documents, up to the first for which the function throws. It throws again for who asks
/// about the rest.
fn passing<'js, 'd>(
    engine: &Engine,
    ctx: &Ctx<'js>,
    docs: impl IntoIterator<Item = &'d [u8]>,
    passes: impl Fn(Value<'js>) -> rquickjs::Result<bool>,
) -> rquickjs::Result<Vec<bool>> {
    let mut verdicts = Vec::new();
    for doc in docs {
        engine.rearm();
        match engine::parse(ctx, doc).and_then(&passes) {
            Ok(verdict) => verdicts.push(verdict),
            Err(rquickjs::Error::Exception) if !verdicts.is_empty() && !engine.is_stopped() => {
                drop(ctx.catch());
                break;
            }
            Err(error) => return Err(error),
        }
    }
    Ok(verdicts)
}

fn compiled(engine: &Engine, path: &[&str]) -> Result<(), Error> {
    let found: String = engine.enter(|ctx| engine::call(ctx, "look", (path.to_vec(),)))?;
    match found.as_str() {
        "ready" => Ok(()),
        "source" => {
            let realm = engine.realm()?;
            engine.enter(|ctx| {
                let (run, global) = realm.restore(ctx)?;
                engine::call(ctx, "compile", (path.to_vec(), run, global))
            })
        }
        "empty" => {
            let id: String = engine.enter(|ctx| engine::call(ctx, "id", ()))?;
            let (kind, name) = (path.first().unwrap_or(&""), path.last().unwrap_or(&""));
            let reason = format!("missing {kind} function {name} on design doc {id}");
            let reason = serde_json::Value::from(reason).to_string();
            Err(Error::Thrown { error: "not_found".to_owned(), reason })
        }
        _ => {
            let [_, name, ..] = path else {
                return Err(Error::Missing(path.concat()));
            };
            Err(Error::Missing((*name).to_owned()))
        }
    }
}
