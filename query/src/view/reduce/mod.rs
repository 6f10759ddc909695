//! Reduces over the rows of a view: which there are ([`Reduce`]), one that is ready to run
//! ([`Reducing`]), and how an index's inner nodes carry the results of all that share its rows
//! (`tree`). A result that may still be combined with others is *partial*: bytes that can travel, of a
//! form of each reduce's own; [`Reducing::finish`] makes an answer of it. Never reads an index.

mod bias;
mod ends;
mod number;
mod rank;
mod script;
mod sketch;
mod stats;
mod sum;
mod tree;
mod value;
mod worn;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use bytes::Bytes;
use settee_engine::Error;
use settee_model::varint;

pub(super) use tree::{Carried, place_in};
pub use tree::{carry, forsake, lacks, open_index};

use crate::js::{Limits, Log};
use crate::view::spares::Spares;
use script::Scripts;

/// How rows are reduced, as a design document says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Reduce {
    /// `_sum`
    Sum,
    /// `_count`
    Count,
    /// `_stats`
    Stats,
    /// `_approx_count_distinct`
    Distinct,
    /// `_first`
    First,
    /// `_last`
    Last,
    /// `_top_N`
    Top(usize),
    /// `_bottom_N`
    Bottom(usize),
    /// A JavaScript function.
    Script(String),
}

/// What reduces need beside their source.
#[derive(Clone)]
pub struct Setup {
    /// For functions in JavaScript.
    pub limits: Limits,
    /// Where functions log.
    pub log: Log,
    /// Whether results must be smaller than what went in (`query_server_config/reduce_limit`).
    pub reduce_limit: bool,
    /// Where engines are kept that nobody needs now.
    pub spares: Arc<Spares>,
}

impl Default for Setup {
    fn default() -> Self {
        let spares = Arc::default();
        Setup { limits: Limits::default(), log: Arc::new(|_: &str| {}), reduce_limit: true, spares }
    }
}

/// What a query gets from a reduce.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The value of the row, as JSON.
    Value(Bytes),
    /// The row has no value but an error.
    RowError {
        /// Its member `error`.
        error: String,
        /// Its member `reason`.
        reason: String,
    },
    /// The whole query fails: status 500.
    Failure {
        /// The member `error` of the answer.
        error: String,
        /// The member `reason`.
        reason: String,
    },
}

/// A row on its way into a reduce.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    /// The row key: sort key, id, number.
    pub order: &'a [u8],
    /// Length of the sort key in it.
    pub sort: usize,
    /// The emitted key, as JSON.
    pub key: &'a [u8],
    /// The emitted value, as JSON.
    pub value: &'a [u8],
}

impl Reduce {
    /// Reads a view's member `reduce`; `None` if it only looks built in. As in CouchDB the names of
    /// some may be followed by anything.
    #[must_use]
    pub fn parse(source: &str) -> Option<Reduce> {
        if !source.starts_with('_') {
            return Some(Reduce::Script(source.to_owned()));
        }
        let rank = |prefix| source.strip_prefix(prefix)?.parse().ok().filter(|rank| *rank > 0);
        let starts = |prefix| source.starts_with(prefix);
        match () {
            () if starts("_sum") => Some(Reduce::Sum),
            () if starts("_count") => Some(Reduce::Count),
            () if starts("_stats") => Some(Reduce::Stats),
            () if starts("_approx_count_distinct") => Some(Reduce::Distinct),
            () if starts("_first") => Some(Reduce::First),
            () if starts("_last") => Some(Reduce::Last),
            () => rank("_top_").map(Reduce::Top).or_else(|| rank("_bottom_").map(Reduce::Bottom)),
        }
    }

    /// A source that is read as the same reduce.
    pub(in crate::view) fn source(&self) -> String {
        match self {
            Reduce::Sum => "_sum".into(),
            Reduce::Count => "_count".into(),
            Reduce::Stats => "_stats".into(),
            Reduce::Distinct => "_approx_count_distinct".into(),
            Reduce::First => "_first".into(),
            Reduce::Last => "_last".into(),
            Reduce::Top(rank) => format!("_top_{rank}"),
            Reduce::Bottom(rank) => format!("_bottom_{rank}"),
            Reduce::Script(source) => source.clone(),
        }
    }
}

/// A reduce that is ready to run. Cheap to clone; clones share their engines.
#[derive(Clone)]
pub struct Reducing {
    reduce: Reduce,
    reduce_limit: bool,
    scripts: Option<Arc<Scripts>>,
}

impl Reducing {
    /// Compiles nothing yet.
    #[must_use]
    pub fn new(reduce: Reduce, setup: &Setup) -> Reducing {
        let scripts = match &reduce {
            Reduce::Script(source) => Some(Arc::new(Scripts::new(source, setup))),
            _ => None,
        };
        Reducing { reduce, reduce_limit: setup.reduce_limit, scripts }
    }

    /// Which reduce it is.
    #[must_use]
    pub fn reduce(&self) -> &Reduce {
        &self.reduce
    }

    /// Reduces rows, at least one, in order. What is wrong with values becomes part of the result; an
    /// error means that a function could not be run to its end.
    pub(super) fn rows(&self, rows: &[Input<'_>]) -> Result<Partial, Error> {
        Ok(match &self.reduce {
            Reduce::Sum => sum::rows(rows, self.reduce_limit),
            Reduce::Count => Partial::Value(rows.len().to_string().into()),
            Reduce::Stats => stats::rows(rows),
            Reduce::Distinct => sketch::rows(rows),
            Reduce::First => ends::of_row(rows.first()),
            Reduce::Last => ends::of_row(rows.last()),
            Reduce::Top(rank) => rank::rows(rows, *rank, true),
            Reduce::Bottom(rank) => rank::rows(rows, *rank, false),
            Reduce::Script(_) => return self.script(|scripts| scripts.rows(rows)),
        })
    }

    /// Combines partial results, at least one; of one shard in the order of their rows.
    ///
    /// # Errors
    /// When a function could not be run to its end.
    pub fn combine(&self, parts: &[Bytes]) -> Result<Bytes, Error> {
        if let [only] = parts {
            return Ok(only.clone());
        }
        self.combine_all(parts)
    }

    /// The same for what leaves a database: as in CouchDB a function sees even a single one.
    ///
    /// # Errors
    /// When a function could not be run to its end.
    pub fn conclude(&self, parts: &[Bytes]) -> Result<Answer, Error> {
        let whole = match (&self.reduce, parts) {
            (Reduce::Script(_), _) => self.combine_all(parts)?,
            _ => self.combine(parts)?,
        };
        Ok(self.finish(&whole))
    }

    fn combine_all(&self, parts: &[Bytes]) -> Result<Bytes, Error> {
        let mut values = Vec::with_capacity(parts.len());
        for part in parts {
            match Partial::decode(part) {
                Some(Partial::Value(value)) => values.push(value),
                // The first error is everybody's.
                Some(_) => return Ok(part.clone()),
                None => return Err(Error::Reduce { what: "a reduction is malformed".into() }),
            }
        }
        let combined = match &self.reduce {
            Reduce::Sum => sum::values(values.iter().map(|value| &value[..]), self.reduce_limit),
            Reduce::Count => sum::values(values.iter().map(|value| &value[..]), false),
            Reduce::Stats => stats::of(values.iter().map(|value| &value[..])),
            Reduce::Distinct => sketch::union(&values),
            Reduce::First => ends::least(values, false),
            Reduce::Last => ends::least(values, true),
            Reduce::Top(rank) => rank::merge(&values, *rank, true),
            Reduce::Bottom(rank) => rank::merge(&values, *rank, false),
            Reduce::Script(_) => self.script(|scripts| scripts.values(&values))?,
        };
        Ok(combined.encode())
    }

    /// What a query is told.
    #[must_use]
    pub fn finish(&self, partial: &Bytes) -> Answer {
        match Partial::decode(partial) {
            Some(Partial::Value(value)) => Answer::Value(match &self.reduce {
                Reduce::Distinct => sketch::estimate(&value).to_string().into(),
                Reduce::First | Reduce::Last => ends::value(&value),
                _ => value,
            }),
            Some(Partial::RowError { error, reason }) => Answer::RowError { error, reason },
            Some(Partial::Failure { error, reason }) => Answer::Failure { error, reason },
            Some(Partial::Unmade(reason)) => {
                Answer::Failure { error: "os_process_error".into(), reason }
            }
            None => Answer::Failure {
                error: "unknown_error".into(),
                reason: "a reduction is malformed".into(),
            },
        }
    }

    fn script(
        &self,
        run: impl FnOnce(&Scripts) -> Result<Partial, Error>,
    ) -> Result<Partial, Error> {
        match &self.scripts {
            Some(scripts) => run(scripts),
            None => Err(Error::Reduce { what: "there is no function".into() }),
        }
    }
}

/// A result that may still be combined with others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Partial {
    Value(Bytes),
    RowError {
        error: String,
        reason: String,
    },
    Failure {
        error: String,
        reason: String,
    },
    /// The function was not run to its end, this time, and why. It stands in the place of a result where
    /// others are kept that have theirs; who asks for it gets an error.
    Unmade(String),
}

/// Numbers that became too large: CouchDB cannot add them up either.
fn too_large() -> Partial {
    let reason = "The sum of numbers is too large.";
    Partial::Failure { error: "badarith".into(), reason: reason.into() }
}

/// Error and reason, if a partial result is a failure of the whole query.
pub(super) fn failure_of(partial: &Bytes) -> Option<(String, String)> {
    match Partial::decode(partial)? {
        Partial::Failure { error, reason } => Some((error, reason)),
        _ => None,
    }
}

const VALUE: u8 = 0;
const ROW_ERROR: u8 = 1;
const FAILURE: u8 = 2;
const UNMADE: u8 = 3;

/// A partial result, if it is one.
pub(super) fn made(partial: Bytes) -> Result<Bytes, Error> {
    match Partial::decode(&partial) {
        Some(Partial::Unmade(reason)) => Err(Error::Reduce { what: reason.into() }),
        _ => Ok(partial),
    }
}

impl Partial {
    pub(super) fn encode(&self) -> Bytes {
        let error = |tag: u8, error: &str, reason: &str| {
            let mut out = vec![tag];
            varint::put_bytes(&mut out, error.as_bytes());
            out.extend_from_slice(reason.as_bytes());
            Bytes::from(out)
        };
        match self {
            Partial::Value(value) => {
                let mut out = Vec::with_capacity(value.len() + 1);
                out.push(VALUE);
                out.extend_from_slice(value);
                out.into()
            }
            Partial::RowError { error: name, reason } => error(ROW_ERROR, name, reason),
            Partial::Failure { error: name, reason } => error(FAILURE, name, reason),
            Partial::Unmade(reason) => error(UNMADE, "", reason),
        }
    }

    fn decode(bytes: &Bytes) -> Option<Partial> {
        let (tag, mut rest) = bytes.split_first()?;
        if *tag == VALUE {
            return Some(Partial::Value(bytes.slice(1..)));
        }
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let error = text(varint::take_bytes(&mut rest)?);
        let reason = text(rest);
        match *tag {
            ROW_ERROR => Some(Partial::RowError { error, reason }),
            FAILURE => Some(Partial::Failure { error, reason }),
            UNMADE => Some(Partial::Unmade(reason)),
            _ => None,
        }
    }
}
