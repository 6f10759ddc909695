//! [`OfRequest`]: what is counted of one request, by what it is about and how it ended. Looks at no
//! body and no database.

use std::time::Instant;

use http::StatusCode;
use settee_query::mango;

use super::{Counter, Distribution, Stats};
use crate::route::{DbEndpoint, Endpoint, Method};

/// What a request is counted as besides being one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OfRequest {
    /// When it is known what it asks for.
    asks: Option<Counter>,
    /// When it was done.
    done: Option<Counter>,
    /// Beside that, when it was done.
    writes: Option<Counter>,
}

impl OfRequest {
    /// Of what is asked for.
    #[must_use]
    pub fn new(endpoint: &Endpoint, method: Method) -> Self {
        let Endpoint::Db { of, .. } = endpoint else { return OfRequest::default() };
        let asks = match of {
            DbEndpoint::BulkDocs | DbEndpoint::BulkGet => Some(Counter::BulkRequests),
            DbEndpoint::Purge => Some(Counter::PurgeRequests),
            DbEndpoint::DesignAction { action, .. } if action == "_view" => {
                Some(Counter::ViewReads)
            }
            DbEndpoint::PartitionDesign { action, .. } if action == "_view" => {
                Some(Counter::PartitionView)
            }
            DbEndpoint::PartitionAllDocs(_) | DbEndpoint::PartitionAllDocsQueries(_) => {
                Some(Counter::PartitionAllDocs)
            }
            DbEndpoint::Find(Some(_)) => Some(Counter::PartitionFind),
            DbEndpoint::Explain(Some(_)) => Some(Counter::PartitionExplain),
            _ => None,
        };
        let done = match (of, method) {
            (DbEndpoint::Doc(_) | DbEndpoint::Attachment(..), Method::Get) => {
                Some(Counter::DatabaseReads)
            }
            (DbEndpoint::Doc(_) | DbEndpoint::Attachment(..), _)
            | (DbEndpoint::Root | DbEndpoint::BulkDocs, Method::Post) => {
                Some(Counter::DatabaseWrites)
            }
            (DbEndpoint::Purge, Method::Post) => Some(Counter::DatabasePurges),
            _ => None,
        };
        let one = !matches!(of, DbEndpoint::BulkDocs);
        let writes = done.filter(|done| *done == Counter::DatabaseWrites && one);
        let writes = writes.map(|_| match of {
            DbEndpoint::Doc(id) if id.as_str().starts_with("_local/") => Counter::LocalWrites,
            _ => Counter::DocumentWrites,
        });
        OfRequest { asks, done, writes }
    }
}

impl Stats {
    /// Counts a request that has been answered; it came at `began`.
    pub fn count_request(&self, method: &str, of: OfRequest, status: StatusCode, began: Instant) {
        let done = status.is_success();
        let by_method = Counter::of_method(method);
        let by_status = Counter::of_status(status.as_u16());
        let all = [Some(Counter::Requests), by_method, by_status, of.asks];
        let when_done = [of.done, of.writes].map(|counter| counter.filter(|_| done));
        all.into_iter().chain(when_done).flatten().for_each(|counter| self.count(counter));
        let now = Instant::now();
        self.took(Distribution::RequestTime, began, now);
    }

    /// How long something took that began then.
    pub fn took(&self, what: Distribution, began: Instant, now: Instant) {
        let took = now.saturating_duration_since(began).as_secs_f64() * 1000.0;
        self.observe(what, took, now);
    }

    /// Counts what an answer to `_find` cost that began then.
    pub fn count_find(&self, cost: mango::Stats, began: Instant) {
        self.add(Counter::KeysExamined, cost.keys);
        self.add(Counter::DocsExamined, cost.docs);
        self.add(Counter::QuorumDocsExamined, cost.quorum_docs);
        self.add(Counter::ResultsReturned, cost.results);
        self.took(Distribution::QueryTime, began, Instant::now());
    }

    /// Counts the documents of a `_bulk_docs`.
    pub fn count_bulk(&self, docs: usize) {
        self.add(Counter::DocumentWrites, docs as u64);
        self.observe(Distribution::BulkDocs, docs as f64, Instant::now());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::percent::Plus;
    use crate::route::route;

    #[test]
    fn what_a_request_is_counted_as() {
        use Counter as C;
        use Method as M;
        for (method, path, asks, done, writes) in [
            (M::Get, "/", None, None, None),
            (M::Get, "/db", None, None, None),
            (M::Put, "/db", None, None, None),
            (M::Get, "/db/doc", None, Some(C::DatabaseReads), None),
            (M::Put, "/db/doc", None, Some(C::DatabaseWrites), Some(C::DocumentWrites)),
            (M::Post, "/db", None, Some(C::DatabaseWrites), Some(C::DocumentWrites)),
            (M::Put, "/db/_local/x", None, Some(C::DatabaseWrites), Some(C::LocalWrites)),
            (M::Put, "/db/doc/a", None, Some(C::DatabaseWrites), Some(C::DocumentWrites)),
            (M::Post, "/db/_bulk_docs", Some(C::BulkRequests), Some(C::DatabaseWrites), None),
            (M::Post, "/db/_bulk_get", Some(C::BulkRequests), None, None),
            (M::Post, "/db/_purge", Some(C::PurgeRequests), Some(C::DatabasePurges), None),
            (M::Get, "/db/_design/d/_view/v", Some(C::ViewReads), None, None),
            (M::Get, "/db/_partition/p/_all_docs", Some(C::PartitionAllDocs), None, None),
            (M::Post, "/db/_partition/p/_find", Some(C::PartitionFind), None, None),
        ] {
            let endpoint = route(method, path, Plus::Space);
            let wanted = OfRequest { asks, done, writes };
            assert_eq!(OfRequest::new(&endpoint, method), wanted, "{method:?} {path}");
        }
    }

    #[test]
    fn what_was_refused_did_nothing() {
        let stats = Stats::new();
        let of = OfRequest { done: Some(Counter::DatabaseWrites), ..OfRequest::default() };
        for status in [StatusCode::CONFLICT, StatusCode::CREATED] {
            stats.count_request("PUT", of, status, Instant::now());
        }
        let all = stats.metrics(|_| None);
        for (name, wanted) in [("requests", 2), ("database_writes", 1), ("409", 1), ("PUT", 2)] {
            let found = all.iter().find(|metric| metric.path.last() == Some(&name)).unwrap();
            assert_eq!(found.value, super::super::Value::Count(wanted), "{name}");
        }
    }
}
