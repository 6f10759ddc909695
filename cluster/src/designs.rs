//! [`DesignDocs`]: the design documents of one database that concern others than who names them: those
//! that must agree to every write, and those that define indexes of Mango. Known here until one
//! changes. Every node that lives is told of that before the write is answered
//! ([`Node::designs_changed`](crate::node::Node)); for those that do not hear of it, nothing is
//! believed longer than one waits for them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::RwLock;
use settee_model::doc::StoredDoc;
use settee_model::json::Raw;
use settee_query::mango::Catalog;
use tokio::sync::Mutex;

use crate::coord::designs::design_docs;
use crate::database::Database;
use crate::functions::{Marks, Validation};
use crate::steps::blocking;
use crate::{DesignDoc, Error};

/// How long what other nodes have is believed to be as it was, and how long they may take to hear
/// that it is not.
pub(crate) const BELIEVED: Duration = Duration::from_secs(2);

/// What was found, in the order of ids.
pub(crate) struct Designs {
    /// Those with a function or rule that validates.
    pub(crate) validating: Arc<[Validation]>,
    /// Those that define indexes of Mango.
    pub(crate) indexing: Vec<Arc<DesignDoc>>,
    /// These indexes.
    pub(crate) catalog: Arc<Catalog>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct DesignDocs {
    known: RwLock<Option<Known>>,
    /// Held by the one who looks for all who wait meanwhile; when that failed last, and why.
    looking: Mutex<Option<(Instant, Error)>>,
}

struct Known {
    mark: u64,
    since: Instant,
    found: Arc<Designs>,
}

impl DesignDocs {
    /// Those of a database.
    pub(crate) async fn of(database: &Database, marks: &Marks) -> Result<Arc<Designs>, Error> {
        let (own, meta) = (database.designs(), database.meta());
        let known = || own.known(marks.now(&meta.name), database.is_here_alone());
        if let Some(found) = known() {
            return Ok(found);
        }
        let asked = Instant::now();
        let mut failed = own.looking.lock().await;
        if let Some(found) = known() {
            return Ok(found);
        }
        if let Some((at, error)) = &*failed
            && *at >= asked
        {
            return Err(error.clone());
        }
        // What changes from here on is looked for once more.
        let (mark, since) = (marks.now(&meta.name), Instant::now());
        let found = Designs::find(database).await;
        *failed = found.as_ref().err().map(|error| (Instant::now(), error.clone()));
        let found = Arc::new(found?);
        *own.known.write() = Some(Known { mark, since, found: found.clone() });
        Ok(found)
    }

    fn known(&self, mark: u64, told: bool) -> Option<Arc<Designs>> {
        let known = self.known.read();
        let holds =
            |known: &&Known| known.mark == mark && (told || known.since.elapsed() < BELIEVED);
        known.as_ref().filter(holds).map(|known| known.found.clone())
    }
}

impl Designs {
    async fn find(database: &Database) -> Result<Designs, Error> {
        let partitioned = database.meta().partitioned;
        let found = design_docs(database, |doc| matters(&doc).then(|| Arc::new(doc))).await?;
        if found.is_empty() {
            return Ok(Designs::new(&found, partitioned));
        }
        blocking(move || Ok(Designs::new(&found, partitioned))).await
    }

    fn new(found: &[Arc<StoredDoc>], partitioned: bool) -> Designs {
        let each = || found.iter().filter(|doc| indexes(doc));
        let index = |doc: &Arc<StoredDoc>| {
            Arc::new(DesignDoc::new(doc.id.as_str(), doc.record.body.clone(), partitioned))
        };
        let bodies = each().map(|doc| (doc.id.as_str(), &*doc.record.body));
        let catalog = Arc::new(Catalog::new(bodies, partitioned));
        let indexing = each().map(index).collect();
        let validating = found.iter().filter_map(Validation::of).collect();
        Designs { validating, indexing, catalog }
    }
}

fn matters(doc: &StoredDoc) -> bool {
    Raw(&doc.record.body).get("validate_doc_update").is_some() || indexes(doc)
}

fn indexes(doc: &StoredDoc) -> bool {
    let language = Raw(&doc.record.body).get("language");
    language.and_then(Raw::as_str).as_deref() == Some("query")
}
