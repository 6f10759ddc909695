//! Rows of any kind on their way to a client, a batch at a time: what all listings have in common. Never
//! says what a row looks like.

use std::future::Future;

use settee_cluster::rows::{Row, Rows};
use settee_cluster::views::{ViewLine, ViewRows};
use settee_cluster::{Db, Error as ClusterError};

use crate::error::Error;
use crate::handlers::play::play;
use crate::render::Script;
use crate::reply::Sink;

/// An answer of the coordinator that comes in batches.
pub trait Batches: Send {
    /// What there are many of.
    type Row: Send + Sync;

    /// The next rows; `None` after the last.
    fn next(&mut self)
    -> impl Future<Output = Result<Option<Vec<Self::Row>>, ClusterError>> + Send;
}

impl Batches for Rows {
    type Row = Row;

    async fn next(&mut self) -> Result<Option<Vec<Row>>, ClusterError> {
        self.next_batch().await
    }
}

impl Batches for ViewRows {
    type Row = ViewLine;

    async fn next(&mut self) -> Result<Option<Vec<ViewLine>>, ClusterError> {
        self.next_batch().await
    }
}

/// Writes all rows and the end of their list, after what the script holds; what was not sent yet is
/// given back.
///
/// # Errors
/// Rows or attachments that cannot be read.
pub async fn write<R: Batches>(
    db: &Db,
    mut rows: R,
    write_row: impl Fn(&mut Script, &R::Row) + Send,
    mut script: Script,
    sink: &mut Sink,
) -> Result<Script, Error> {
    let mut separator = "\r\n";
    while let Some(batch) = rows.next().await? {
        for row in batch {
            script.push(std::mem::replace(&mut separator, ",\r\n"));
            write_row(&mut script, &row);
        }
        play(db, std::mem::take(&mut script), sink).await?;
    }
    if separator == "\r\n" {
        script.push(separator);
    }
    script.push("\r\n]}");
    Ok(script)
}
