//! Reduces in JavaScript behind the same interface as the others: engines are taken from a small pool,
//! as readers and the writer of an index may need one at the same time. A partial result is the value.
//! Never runs maps.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use settee_engine::Error;
use settee_engine::index::split_row_key;
use settee_model::json::escape_into;

use super::{Input, Partial, Setup};
use crate::js::{self, Reduced, Views, ViewsSource};

/// Engines that are kept when nobody needs them.
const KEPT: usize = 2;

/// A function, and engines that can run it.
pub(super) struct Scripts {
    source: ViewsSource,
    setup: Setup,
    idle: Mutex<Vec<Views>>,
}

impl Scripts {
    pub(super) fn new(source: &str, setup: &Setup) -> Scripts {
        let source = ViewsSource {
            reduces: vec![source.to_owned()],
            reduce_limit: setup.reduce_limit,
            ..ViewsSource::default()
        };
        Scripts { source, setup: setup.clone(), idle: Mutex::default() }
    }

    /// Reduces rows, which the function is shown last first, as in CouchDB.
    pub(super) fn rows(&self, rows: &[Input<'_>]) -> Result<Partial, Error> {
        let mut list = vec![b'['];
        for row in rows.iter().rev() {
            list.extend_from_slice(if list.len() > 1 { b",[[" } else { b"[[" });
            list.extend_from_slice(row.key);
            list.push(b',');
            let id = split_row_key(row.order, row.sort).map(|(id, _)| id).unwrap_or_default();
            escape_into(&mut list, &id);
            list.extend_from_slice(b"],");
            list.extend_from_slice(row.value);
            list.push(b']');
        }
        list.push(b']');
        self.run(|views| views.reduce(0, &list))
    }

    /// Reduces partial results.
    pub(super) fn values(&self, values: &[Bytes]) -> Result<Partial, Error> {
        let values: Vec<&[u8]> = values.iter().map(|value| &value[..]).collect();
        let list = [&b"["[..], &values.join(&b","[..]), b"]"].concat();
        self.run(|views| views.rereduce(0, &list))
    }

    fn run(
        &self,
        call: impl FnOnce(&mut Views) -> Result<Reduced, js::Error>,
    ) -> Result<Partial, Error> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let views = idle().pop();
        let mut views = views.unwrap_or_else(|| {
            Views::new(self.source.clone(), self.setup.limits.clone(), self.setup.log.clone())
        });
        let reduced = call(&mut views);
        let mut kept = idle();
        if kept.len() < KEPT {
            kept.push(views);
        }
        drop(kept);
        match reduced {
            Ok(Reduced::Value(value)) => Ok(Partial::Value(value.into())),
            Ok(Reduced::Overflow(reason)) => {
                Ok(Partial::RowError { error: "reduce_overflow_error".into(), reason })
            }
            // A function that is none, or that asks for the query to fail, always will.
            Err(error @ (js::Error::Compilation(_) | js::Error::Thrown { .. })) => {
                let reason = error.reason();
                let reason = serde_json::from_str(&reason).unwrap_or(reason);
                Ok(Partial::Failure { error: error.error().to_owned(), reason })
            }
            // What took too long once need not do so again: not for keeping.
            Err(error) => Err(Error::Reduce { what: error.to_string().into() }),
        }
    }
}
