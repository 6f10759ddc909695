//! The design documents of a database, for who chooses among their indexes.

use std::sync::Arc;

use bytes::Bytes;
use settee_model::docid::DocId;

use super::rows::Rows;
use crate::Error;
use crate::database::Database;
use crate::rows::{AllDocsQuery, Namespace, Row};

/// All design documents with their bodies.
pub(crate) async fn design_docs(database: &Arc<Database>) -> Result<Vec<(DocId, Bytes)>, Error> {
    let query = AllDocsQuery {
        namespace: Namespace::Design,
        include_docs: true,
        ..AllDocsQuery::default()
    };
    let mut rows = Rows::start(database.clone(), query).await?;
    let mut ddocs = Vec::new();
    while let Some(batch) = rows.next_batch().await? {
        ddocs.extend(batch.into_iter().filter_map(|row| match row {
            Row::Doc(row) => Some((row.id, row.doc?.record.body)),
            Row::Missing(_) => None,
        }));
    }
    Ok(ddocs)
}
