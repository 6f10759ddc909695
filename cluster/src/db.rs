//! [`Db`]: everything that can be asked of one database.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use settee_model::doc::{AttContent, DocEdit};
use settee_model::docid::{DbName, DocId};

use crate::attachment::{AttStream, Upload, UploadOptions};
use crate::changes::{Changes, ChangesQuery};
use crate::docs::{
    BulkGet, EditMode, EditResult, IdRevs, OpenOptions, OpenedDoc, PurgeResult, RevResult, Revs,
    RevsDiff, UpdateOptions,
};
use crate::info::{DbInfo, PartitionInfo};
use crate::rows::{AllDocsQuery, Rows};
use crate::{DbMeta, Error, ShardPlace};

/// A database that was there when it was opened. Cheap to clone. Every call may answer
/// [`Error::DatabaseMissing`] once the database is deleted; one that is created anew under the
/// same name is another database.
#[derive(Clone)]
pub struct Db {}

impl Db {
    /// Its name.
    #[must_use]
    pub fn name(&self) -> &DbName {
        todo!()
    }

    /// Its metadata as of now: layout, security object, limits.
    #[must_use]
    pub fn meta(&self) -> Arc<DbMeta> {
        todo!()
    }

    /// Counts, sizes and sequences.
    pub async fn info(&self) -> Result<DbInfo, Error> {
        todo!()
    }

    /// Counts and sizes of one partition.
    pub async fn partition_info(&self, partition: &str) -> Result<PartitionInfo, Error> {
        let _ = partition;
        todo!()
    }

    /// Replaces the security object (JSON in stored form).
    pub async fn set_security(&self, security: Bytes) -> Result<(), Error> {
        let _ = security;
        todo!()
    }

    /// Sets `_revs_limit`; at least 1.
    pub async fn set_revs_limit(&self, limit: u32) -> Result<(), Error> {
        let _ = limit;
        todo!()
    }

    /// Sets `_purged_infos_limit`; at least 1.
    pub async fn set_purged_infos_limit(&self, limit: u32) -> Result<(), Error> {
        let _ = limit;
        todo!()
    }

    /// Opens a document, `_local/` ones too. [`Error::NotFound`].
    pub async fn open_doc(&self, id: &DocId, options: OpenOptions) -> Result<OpenedDoc, Error> {
        let _ = (id, options);
        todo!()
    }

    /// Opens several revisions of a document: those found first, then the missing ones. An unknown
    /// document has none of [`Revs::All`].
    pub async fn open_revs(
        &self,
        id: &DocId,
        revs: Revs,
        latest: bool,
    ) -> Result<Vec<RevResult>, Error> {
        let _ = (id, revs, latest);
        todo!()
    }

    /// [`Db::open_revs`] for many documents at once; one answer for each line, in order. Give it
    /// some tens of lines at a time, so that answers can leave while the next are read.
    pub async fn open_many(
        &self,
        lines: Vec<BulkGet>,
        latest: bool,
    ) -> Result<Vec<Result<Vec<RevResult>, Error>>, Error> {
        let _ = (lines, latest);
        todo!()
    }

    /// Writes; one result for each edit, in order. Durable when it returns.
    pub async fn update(
        &self,
        edits: Vec<DocEdit>,
        mode: EditMode,
        options: UpdateOptions,
    ) -> Result<Vec<EditResult>, Error> {
        let _ = (edits, mode, options);
        todo!()
    }

    /// Writes without telling what became of it (`batch=ok`). [`Error::Overloaded`] if too much
    /// waits already.
    pub fn update_later(&self, edits: Vec<DocEdit>, mode: EditMode) -> Result<(), Error> {
        let _ = (edits, mode);
        todo!()
    }

    /// Documents by id.
    pub async fn all_docs(&self, query: AllDocsQuery) -> Result<Rows, Error> {
        let _ = query;
        todo!()
    }

    /// Changes. [`Error::BadSequence`].
    pub async fn changes(&self, query: ChangesQuery) -> Result<Changes, Error> {
        let _ = query;
        todo!()
    }

    /// What is missing here of the given revisions; one answer for each document, in order.
    pub async fn revs_diff(&self, asked: Vec<IdRevs>) -> Result<Vec<RevsDiff>, Error> {
        let _ = asked;
        todo!()
    }

    /// Removes leaves as if they had never been; one result for each request, in order.
    pub async fn purge(
        &self,
        requests: Vec<IdRevs>,
        options: UpdateOptions,
    ) -> Result<Vec<PurgeResult>, Error> {
        let _ = (requests, options);
        todo!()
    }

    /// The purges that are remembered.
    pub async fn purged_infos(&self) -> Result<Vec<IdRevs>, Error> {
        todo!()
    }

    /// Begins to upload an attachment of a document, ahead of the edit that names it.
    pub async fn upload(&self, id: &DocId, options: UploadOptions) -> Result<Upload, Error> {
        let _ = (id, options);
        todo!()
    }

    /// Reads an attachment of a document. `range` counts stored bytes, or decoded ones if `decode`
    /// (which matters for gzip only) and is cut to what there is.
    #[must_use]
    pub fn read_attachment(
        &self,
        id: &DocId,
        content: &AttContent,
        range: Option<Range<u64>>,
        decode: bool,
    ) -> AttStream {
        let _ = (id, content, range, decode);
        todo!()
    }

    /// Begins to compact all shards; returns at once.
    pub async fn compact(&self) -> Result<(), Error> {
        todo!()
    }

    /// Nothing to do where every acknowledged write is synced; checks that the database is there.
    pub async fn ensure_full_commit(&self) -> Result<(), Error> {
        todo!()
    }

    /// Lets copies of its shards compare notes now.
    pub async fn sync_shards(&self) -> Result<(), Error> {
        todo!()
    }

    /// The range that a document lies in, and who holds it.
    #[must_use]
    pub fn shard_of(&self, id: &DocId) -> ShardPlace {
        let _ = id;
        todo!()
    }
}
