//! [`Validations`]: the design documents of one database that must agree to every write, known here
//! until one changes. What is written through this node, or reaches a copy here, counts from then on;
//! a database with ranges that have no copy here is looked at anew from time to time.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use settee_model::doc::StoredDoc;
use settee_model::docid::DocId;
use settee_model::json::Raw;

use super::Marks;
use crate::Error;
use crate::coord::docs;
use crate::database::Database;
use crate::docs::OpenOptions;
use crate::rows::{AllDocsQuery, Namespace, Row, Rows};

/// How long what other nodes have is believed to be as it was.
const BELIEVED: Duration = Duration::from_secs(1);
/// Design documents that were written through this node and that copies here may lack for a moment.
const WRITTEN: usize = 16;

/// What was found.
pub(crate) type Found = Arc<[Arc<StoredDoc>]>;

/// See the module.
#[derive(Default)]
pub(crate) struct Validations {
    known: RwLock<Option<Known>>,
    written: Mutex<VecDeque<DocId>>,
}

struct Known {
    mark: u64,
    since: Instant,
    found: Found,
}

impl Validations {
    /// The design documents with a function or rule that validates, in the order of their ids.
    pub(crate) async fn of(database: &Arc<Database>, marks: &Marks) -> Result<Found, Error> {
        let own = database.validations();
        let mark = marks.now(&database.meta().name);
        if let Some(found) = own.known(mark, database.is_all_here()) {
            return Ok(found);
        }
        let since = Instant::now();
        let found = own.find(database).await?;
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

    fn known(&self, mark: u64, told: bool) -> Option<Found> {
        let known = self.known.read();
        let holds =
            |known: &&Known| known.mark == mark && (told || known.since.elapsed() < BELIEVED);
        known.as_ref().filter(holds).map(|known| known.found.clone())
    }

    /// Looks through the design documents that some copy of each range has; what they say, copies
    /// have to agree about.
    async fn find(&self, database: &Arc<Database>) -> Result<Found, Error> {
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
            ids.extend(docs.filter(validates).map(|doc| doc.id));
        }
        ids.sort_unstable();
        ids.dedup();
        let mut found = Vec::with_capacity(ids.len());
        for id in ids {
            match docs::open(database, &id, OpenOptions::default()).await {
                Ok(opened) if validates(&opened.doc) => found.push(Arc::new(opened.doc)),
                Ok(_) | Err(Error::NotFound { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(found.into())
    }
}

fn validates(doc: &StoredDoc) -> bool {
    Raw(&doc.record.body).get("validate_doc_update").is_some()
}
