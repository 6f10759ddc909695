//! Maps and reduces of views: documents in, rows out. Never keeps rows, knows no index.

use std::sync::Arc;

use rquickjs::{Ctx, Function, Object};
use settee_model::json::Raw;

use super::engine::{self, Engine};
use super::text::mend;
use super::{Error, Limits, Log};

/// A result of a JavaScript reduce may have this many characters whatever went in.
const REDUCE_FREE: usize = 4096;

/// The functions of views that share an index.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ViewsSource {
    /// Sources of the maps.
    pub maps: Vec<String>,
    /// Sources of the reduces that are JavaScript.
    pub reduces: Vec<String>,
    /// The member `views.lib` of the design document, as JSON: what maps may `require`.
    pub lib: Option<Vec<u8>>,
    /// Whether results of reduces must be smaller than what went in
    /// (`query_server_config/reduce_limit`).
    pub reduce_limit: bool,
}

/// Which function of a view a source is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewFunction {
    /// From a document to rows.
    Map,
    /// From rows to a value.
    Reduce,
}

/// What a reduce gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reduced {
    /// The value, as JSON; `null` if the function threw, which was logged.
    Value(String),
    /// The value shrinks too little to be kept in an index. In CouchDB the query goes on; the row
    /// has `error: "reduce_overflow_error"` and this as the `reason`, in place of a value.
    Overflow(String),
}

/// Views that can be run.
pub struct Views {
    source: ViewsSource,
    limits: Limits,
    log: Log,
    engine: Option<Engine>,
}

/// What all views emitted for one document.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    json: &'a str,
}

impl<'a> Rows<'a> {
    /// The rows of each view in the order of the maps, as keys and values, in the order in which
    /// they were emitted. All in stored form.
    pub fn views(self) -> impl Iterator<Item = impl Iterator<Item = (Raw<'a>, Raw<'a>)>> {
        Raw(self.json.as_bytes()).elements().into_iter().flatten().map(|view| {
            view.elements().into_iter().flatten().filter_map(|row| {
                let mut pair = row.elements()?;
                Some((pair.next()?, pair.next()?))
            })
        })
    }

    /// The same as one text: a list of rows `[key,value]` for each view.
    #[must_use]
    pub fn json(self) -> &'a str {
        self.json
    }
}

impl Views {
    /// Views that are compiled when they are first run.
    #[must_use]
    pub fn new(source: ViewsSource, limits: Limits, log: Log) -> Self {
        Views { source, limits, log, engine: None }
    }

    /// What was given.
    #[must_use]
    pub fn source(&self) -> &ViewsSource {
        &self.source
    }

    /// Compiles what isn't yet.
    ///
    /// # Errors
    /// [`Error::Compilation`] with the words of the first function that is none, or a limit.
    pub fn prepare(&mut self) -> Result<(), Error> {
        self.engine().map(drop)
    }

    /// Runs all maps over documents, each a JSON object with its `_id` and `_rev`, and hands the
    /// rows of each over in turn. A map that throws has no rows for that document and the reason is
    /// logged.
    ///
    /// # Errors
    /// When a document reached a limit or a map asked for the query to fail. The documents before
    /// it were handed over.
    pub fn map<'d>(
        &mut self,
        docs: impl IntoIterator<Item = &'d [u8]>,
        mut each: impl FnMut(Rows<'_>),
    ) -> Result<(), Error> {
        self.run(|engine, ctx| {
            let map = engine::ours(ctx, "map")?;
            for doc in docs {
                engine.rearm();
                let doc = engine::parse(ctx, doc)?;
                let json = map.call::<_, rquickjs::String<'_>>((doc,))?.to_cstring()?;
                each(Rows { json: &mend(json.as_str()) });
            }
            Ok(())
        })
    }

    /// Reduces rows: `[[[key,id],value],…]` with one of the reduces. The text may hold nothing
    /// else, as its length counts.
    ///
    /// # Errors
    /// When a limit was reached or the function asked for the query to fail.
    pub fn reduce(&mut self, index: usize, rows: &[u8]) -> Result<Reduced, Error> {
        let list = |part: usize| {
            let parts = Raw(rows).elements().into_iter().flatten();
            join(parts.filter_map(move |row| row.elements()?.nth(part)))
        };
        let (keys, values) = (list(0), list(1));
        let result = self.run_reduce(index, Some(&keys), &values, false)?;
        Ok(self.checked(index, result, rows, "reduce"))
    }

    /// Reduces results of the same reduce: `[result,…]`.
    ///
    /// # Errors
    /// When a limit was reached or the function asked for the query to fail.
    pub fn rereduce(&mut self, index: usize, results: &[u8]) -> Result<Reduced, Error> {
        let result = self.run_reduce(index, None, results, true)?;
        Ok(self.checked(index, result, results, "rereduce"))
    }

    /// Whether any map looks as if it might write to documents.
    #[cfg(test)]
    pub(super) fn writes(&mut self) -> Result<bool, Error> {
        self.run(|_, ctx| engine::call(ctx, "writes", ()))
    }

    fn run_reduce(
        &mut self,
        index: usize,
        keys: Option<&[u8]>,
        values: &[u8],
        rereduce: bool,
    ) -> Result<String, Error> {
        self.run(|_, ctx| {
            let keys = engine::parse_or_null(ctx, keys)?;
            let values = engine::parse(ctx, values)?;
            let json: String = engine::call(ctx, "reduce", (index, keys, values, rereduce))?;
            Ok(mend(&json).into_owned())
        })
    }

    /// CouchDB compares the lengths of what it writes to its query server, without the function's
    /// source, and of what it reads.
    fn checked(&self, index: usize, result: String, input: &[u8], command: &str) -> Reduced {
        let output = characters(&result) + "[]".len();
        if !self.source.reduce_limit || output <= REDUCE_FREE {
            return Reduced::Value(result);
        }
        let source = self.source.reduces.get(index).map_or("", String::as_str);
        let escapes = serde_json::Value::from(source).to_string();
        let input = r#"["",["#.len()
            + command.len()
            + "],]".len()
            + characters(&escapes).saturating_sub(characters(source))
            + std::str::from_utf8(input).map_or(input.len(), characters);
        if output * 2 <= input {
            return Reduced::Value(result);
        }
        Reduced::Overflow(format!(
            "Reduce output must shrink more rapidly: input size: {input} output size: {output}"
        ))
    }

    /// Does something with an engine that has all functions, and drops it if it came to harm.
    fn run<T>(
        &mut self,
        work: impl for<'js> FnOnce(&Engine, &Ctx<'js>) -> rquickjs::Result<T>,
    ) -> Result<T, Error> {
        let engine = self.engine()?;
        let done = engine.enter(|ctx| work(engine, ctx));
        if done.as_ref().is_err_and(Error::is_fatal) {
            self.engine = None;
        }
        done
    }

    fn engine(&mut self) -> Result<&Engine, Error> {
        if self.engine.is_none() {
            self.engine = Some(self.compiled()?);
        }
        self.engine.as_ref().ok_or(Error::Memory)
    }

    fn compiled(&self) -> Result<Engine, Error> {
        let engine = Engine::new(&self.limits, &self.log)?;
        for source in &self.source.maps {
            compile(&engine, |ctx, run, global| {
                let lib = self.source.lib.as_deref();
                let lib = engine::parse_or_null(ctx, lib)?;
                engine::call(ctx, "addMap", (source.as_str(), run, global, lib))
            })?;
        }
        for source in &self.source.reduces {
            compile(&engine, |ctx, run, global| {
                engine::call(ctx, "addReduce", (source.as_str(), run, global))
            })?;
        }
        Ok(engine)
    }
}

fn compile(
    engine: &Engine,
    add: impl for<'js> FnOnce(&Ctx<'js>, Function<'js>, Object<'js>) -> rquickjs::Result<()>,
) -> Result<(), Error> {
    let realm = engine.realm()?;
    engine.enter(|ctx| {
        let (run, global) = realm.restore(ctx)?;
        add(ctx, run, global)
    })
}

/// Whether functions of views, given with the view's name and the source, may be stored: each
/// compiles, without any library. Built-in reduces are not for here.
///
/// # Errors
/// Of the first that may not what CouchDB answers with status 400 (`compilation_error`) when the
/// design document is put, or 404 (`not_found`) for an empty source.
pub fn check_views<'a>(
    functions: impl IntoIterator<Item = (ViewFunction, &'a str, &'a str)>,
    limits: &Limits,
) -> Result<(), Error> {
    let engine = Engine::new(limits, &(Arc::new(|_: &str| {}) as Log))?;
    for (function, view, source) in functions {
        let (kind, add) = match function {
            ViewFunction::Map => ("map", "addMap"),
            ViewFunction::Reduce => ("reduce", "addReduce"),
        };
        let added =
            compile(&engine, |ctx, run, global| engine::call(ctx, add, (source, run, global)));
        if let Err(Error::Compilation(words)) = added {
            return Err(Error::Compilation(format!(
                "Compilation of the {kind} function in the '{view}' view failed: {words}"
            )));
        }
        added?;
    }
    Ok(())
}

fn join<'a>(parts: impl Iterator<Item = Raw<'a>>) -> Vec<u8> {
    let mut list = vec![b'['];
    for part in parts {
        if list.len() > 1 {
            list.push(b',');
        }
        list.extend_from_slice(part.bytes());
    }
    list.push(b']');
    list
}

/// Length as JavaScript counts it.
fn characters(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}
