//! [`DesignDocs`]: the design documents of one database that concern others than who names them: those
//! that must agree to every write, and those that define indexes of Mango. Known here until one
//! changes. What is written through this node, or reaches a copy here, counts from then on; a
//! database with ranges that have no copy here is looked at anew from time to time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::json::Raw;

use settee_query::mango::Catalog;

use crate::coord::docs;
use crate::database::Database;
use crate::docs::OpenOptions;
use crate::functions::Marks;
use crate::rows::{AllDocsQuery, Namespace, Row, Rows};
use crate::{DesignDoc, Error};

/// How long what other nodes have is believed to be as it was.
const BELIEVED: Duration = Duration::from_secs(1);
/// Design documents that were written through this node and that copies here may lack for a moment.
const WRITTEN: usize = 16;

/// What was found, in the order of ids.
pub(crate) struct Designs {
    /// Those with a function or rule that validates.
    pub(crate) validating: Arc<[Arc<StoredDoc>]>,
    /// Those that define indexes of Mango.
    pub(crate) indexing: Vec<Arc<DesignDoc>>,
    /// These indexes.
    pub(crate) catalog: Arc<Catalog>,
}

/// See the module.
#[derive(Default)]
pub(crate) struct DesignDocs {
    known: RwLock<Option<Known>>,
    written: Mutex<VecDeque<DocId>>,
}

struct Known {
    mark: u64,
    since: Instant,
    found: Arc<Designs>,
}

impl DesignDocs {
    /// Those of a database.
    pub(crate) async fn of(database: &Arc<Database>, marks: &Marks) -> Result<Arc<Designs>, Error> {
        let own = database.designs();
        let mark = marks.now(&database.meta().name);
        if let Some(found) = own.known(mark, database.is_all_here()) {
            return Ok(found);
        }
        let since = Instant::now();
        let found = Arc::new(Designs::new(own.find(database).await?, database));
        *own.known.write() = Some(Known { mark, since, found: found.clone() });
        Ok(found)
    }

    /// A design document was written through this node.
    pub(crate) fn wrote(&self, id: &DocId) {
        let mut written = self.written.lock();
        written.retain(|known| known != id);
        written.push_back(id.clone());
        if written.len() > WRITTEN {
            written.pop_front();
        }
    }

    fn known(&self, mark: u64, told: bool) -> Option<Arc<Designs>> {
        let known = self.known.read();
        let holds =
            |known: &&Known| known.mark == mark && (told || known.since.elapsed() < BELIEVED);
        known.as_ref().filter(holds).map(|known| known.found.clone())
    }

    /// Looks through the design documents that some copy of each range has; what they say, copies
    /// have to agree about.
    async fn find(&self, database: &Arc<Database>) -> Result<Vec<StoredDoc>, Error> {
        let mut ids: Vec<DocId> = self.written.lock().iter().cloned().collect();
        let query = AllDocsQuery {
            namespace: Namespace::Design,
            include_docs: true,
            ..AllDocsQuery::default()
        };
        let mut rows = Rows::start(database.clone(), query).await?;
        while let Some(batch) = rows.next_batch().await? {
            let docs = batch.into_iter().filter_map(|row| match row {
                Row::Doc(row) => row.doc,
                Row::Missing(_) => None,
            });
            ids.extend(docs.filter(matters).map(|doc| doc.id));
        }
        ids.sort_unstable();
        ids.dedup();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match docs::open(database, &id, OpenOptions::default()).await {
                Ok(opened) if matters(&opened.doc) => found.push(opened.doc),
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found)
    }
}

impl Designs {
    fn new(found: Vec<StoredDoc>, database: &Database) -> Designs {
        let partitioned = database.meta().partitioned;
        let each = || found.iter().filter(|doc| indexes(doc));
        let index = |doc: &StoredDoc| {
            Arc::new(DesignDoc::new(doc.id.as_str(), doc.record.body.clone(), partitioned))
        };
        let bodies = each().map(|doc| (doc.id.as_str(), &*doc.record.body));
        let catalog = Arc::new(Catalog::new(bodies, partitioned));
        let indexing = each().map(index).collect();
        let validating = found.into_iter().filter(validates).map(Arc::new).collect();
        Designs { validating, indexing, catalog }
    }
}

fn matters(doc: &StoredDoc) -> bool {
    validates(doc) || indexes(doc)
}

fn validates(doc: &StoredDoc) -> bool {
    Raw(&doc.record.body).get("validate_doc_update").is_some()
}

fn indexes(doc: &StoredDoc) -> bool {
    let language = Raw(&doc.record.body).get("language");
    language.and_then(Raw::as_str).as_deref() == Some("query")
}
