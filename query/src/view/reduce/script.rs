//! Reduces in JavaScript behind the same interface as the others: spare engines are kept,
//! as readers and the writer of an index may need one at the same time. A partial result is the value.
//! Never runs maps.

use bytes::Bytes;
use settee_engine::Error;
use settee_engine::index::split_row_key;
use settee_model::json::escape_into;

use super::{Input, Partial, Setup};
use crate::js::{self, Reduced, Views, ViewsSource};
use crate::view::spares::Owner;

/// A function, and engines that can run it.
pub(super) struct Scripts {
    source: ViewsSource,
    setup: Setup,
    owner: Owner,
}

impl Scripts {
    pub(super) fn new(source: &str, setup: &Setup) -> Scripts {
        let source = ViewsSource {
            reduces: vec![source.to_owned()],
            reduce_limit: setup.reduce_limit,
            ..ViewsSource::default()
        };
        Scripts { source, owner: Owner::new(&setup.spares), setup: setup.clone() }
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
        let mut views = self.owner.take().unwrap_or_else(|| {
            Views::new(self.source.clone(), self.setup.limits.clone(), self.setup.log.clone())
        });
        let reduced = call(&mut views);
        self.owner.give(views);
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
