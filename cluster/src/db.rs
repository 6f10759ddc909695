//! [`Db`]: everything that can be asked of one database. Who may ask, and whether an edit passes
//! its validations, is HTTP's business.

use std::future::Future;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use settee_model::doc::{AttContent, DocEdit, StoredDoc};
use settee_model::docid::{DbName, DocId};
use settee_query::js::{self, Design};
use settee_query::mango::{Catalog, Find};

use tokio::time::sleep;

use crate::attachment::{AttStream, Uploads};
use crate::changes::{Changes, ChangesQuery};
use crate::coord;
use crate::copy::ShardCopy;
use crate::database::Database;
use crate::designs::{DesignDocs, Designs};
use crate::docs::{
    BulkGet, EditMode, EditResult, IdRevs, OpenOptions, OpenedDoc, PurgeResult, RevResult, Revs,
    RevsDiff, RevsKnown, UpdateOptions,
};
use crate::find::{FindError, Finding};
use crate::functions::{Key, Kind, Validation};
use crate::info::{DbInfo, PartitionInfo, ViewInfo};
use crate::node::Node;
use crate::rows::{AllDocsQuery, DocRow, Rows};
use crate::steps::uninterrupted;
use crate::views::{ViewQuery, ViewRows};
use crate::{DbMeta, DesignDoc, Error, ShardPlace};

/// Rests before edits that nobody waits for are tried again, in milliseconds: too much was being written.
const LATER: [u64; 4] = [100, 300, 1000, 3000];

/// A database that was there when it was opened. Cheap to clone. Every call may answer
/// [`Error::DatabaseMissing`] once the database is deleted; one that is created anew under the
/// same name is another database.
#[derive(Clone)]
pub struct Db {
    pub(crate) node: Arc<Node>,
    database: Arc<Database>,
    name: DbName,
}

impl Db {
    pub(crate) fn new(node: Arc<Node>, database: Arc<Database>) -> Db {
        let name = database.meta().name.clone();
        Db { node, database, name }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &DbName {
        &self.name
    }

    /// Its metadata as of now: layout, security object, limits.
    #[must_use]
    pub fn meta(&self) -> Arc<DbMeta> {
        self.database.meta()
    }

    /// Counts, sizes and sequences.
    pub async fn info(&self) -> Result<DbInfo, Error> {
        coord::info::info(&self.database).await
    }

    /// Counts and sizes of one partition.
    pub async fn partition_info(&self, partition: &str) -> Result<PartitionInfo, Error> {
        coord::info::partition(&self.database, partition).await
    }

    /// Replaces the security object (JSON in stored form).
    pub async fn set_security(&self, security: Bytes) -> Result<(), Error> {
        self.change_meta(move |meta| meta.security = Some(security.clone())).await
    }

    async fn change_meta(
        &self,
        change: impl Fn(&mut DbMeta) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let Db { node, database, name } = self.clone();
        uninterrupted(async move {
            let _turn = node.turn(&name).await;
            database.live()?;
            node.book().change(&name, database.meta().created, change).await?;
            node.shown_by_all().await;
            Ok(())
        })
        .await
    }

    /// Sets `_revs_limit`; at least 1.
    pub async fn set_revs_limit(&self, limit: u32) -> Result<(), Error> {
        self.change_meta(move |meta| meta.revs_limit = limit.max(1)).await
    }

    /// Sets `_purged_infos_limit`; at least 1.
    pub async fn set_purged_infos_limit(&self, limit: u32) -> Result<(), Error> {
        self.change_meta(move |meta| meta.purged_infos_limit = limit.max(1)).await
    }

    /// Opens a document, `_local/` ones too. [`Error::NotFound`].
    pub async fn open_doc(&self, id: &DocId, options: OpenOptions) -> Result<OpenedDoc, Error> {
        coord::docs::open(&self.database, id, options).await
    }

    /// Opens several revisions of a document: those found first, then the missing ones. An unknown
    /// document has none of [`Revs::All`].
    pub async fn open_revs(
        &self,
        id: &DocId,
        revs: Revs,
        latest: bool,
    ) -> Result<Vec<RevResult>, Error> {
        coord::docs::open_revs(&self.database, id, revs, latest).await
    }

    /// [`Db::open_revs`] for many documents at once; one answer for each line, in order. Give it
    /// some tens of lines at a time, so that answers can leave while the next are read.
    pub async fn open_many(
        &self,
        lines: Vec<BulkGet>,
        latest: bool,
    ) -> Result<Vec<Result<Vec<RevResult>, Error>>, Error> {
        coord::docs::open_many(&self.database, lines, latest).await
    }

    /// Writes; one result for each edit, in order. Durable when it returns.
    pub async fn update(
        &self,
        edits: Vec<DocEdit>,
        mode: EditMode,
        options: UpdateOptions,
    ) -> Result<Vec<EditResult>, Error> {
        if !edits.iter().any(|edit| edit.id.is_design()) {
            return coord::write::update(&self.database, edits, mode, options).await;
        }
        let database = self.database.clone();
        let write = async move { coord::write::update(&database, edits, mode, options).await };
        self.of_designs(write).await
    }

    /// Does work that changes design documents, and has all nodes hear of it before it is answered:
    /// though nobody may wait for the answer any more.
    async fn of_designs<R: Send + 'static>(
        &self,
        work: impl Future<Output = Result<R, Error>> + Send + 'static,
    ) -> Result<R, Error> {
        let (node, name) = (self.node.clone(), self.name.clone());
        uninterrupted(async move {
            let done = work.await;
            node.designs_changed(&name).await;
            done
        })
        .await
    }

    /// Writes without telling what became of it (`batch=ok`). [`Error::Overloaded`] if too much
    /// waits already.
    pub fn update_later(
        &self,
        edits: Vec<DocEdit>,
        mode: EditMode,
        options: UpdateOptions,
    ) -> Result<(), Error> {
        self.database.live()?;
        let permits = u32::try_from(edits.len()).map_err(|_| Error::Overloaded)?;
        let background = self.node.background().clone();
        let permit = background.try_acquire_many_owned(permits).map_err(|_| Error::Overloaded)?;
        let db = self.clone();
        tokio::spawn(async move {
            let mut rests = LATER.into_iter();
            let done = loop {
                match (db.update(edits.clone(), mode, options).await, rests.next()) {
                    (Err(Error::Overloaded), Some(rest)) => {
                        sleep(Duration::from_millis(rest)).await
                    }
                    (done, _) => break done,
                }
            };
            if let Err(error) = done {
                let database = &db.name;
                tracing::warn!(%database, %error, "edits that nobody waited for were not written");
            }
            drop(permit);
        });
        Ok(())
    }

    /// The design documents whose `validate_doc_update` every edit of a document must pass that is
    /// neither a design document nor `_local/`, in the order of their ids.
    pub async fn validations(&self) -> Result<Arc<[Validation]>, Error> {
        Ok(self.designs().await?.validating.clone())
    }

    /// How long one call of a function may take.
    #[must_use]
    pub fn function_time(&self) -> Duration {
        self.node.functions().settings().limits.time
    }

    /// Runs functions of a design document, within the limits that are set. `json` writes it down as
    /// functions see it, whole.
    pub async fn run<R: Send + 'static>(
        &self,
        ddoc: &Arc<StoredDoc>,
        kind: Kind,
        json: fn(&StoredDoc) -> Vec<u8>,
        work: impl FnOnce(&mut Design) -> Result<R, js::Error> + Send + 'static,
    ) -> Result<R, Error> {
        self.database.live()?;
        let key = Key {
            database: self.name.clone(),
            created: self.database.meta().created,
            ddoc: ddoc.id.clone(),
            rev: ddoc.rev().ok_or(Error::NotFound { deleted: false })?,
        };
        let ddoc = ddoc.clone();
        self.node.functions().call(key, kind, move || json(&ddoc), work).await
    }

    /// Documents by id.
    pub async fn all_docs(&self, query: AllDocsQuery) -> Result<Rows, Error> {
        Rows::start(self.database.clone(), query).await
    }

    /// Rows of a view. [`Error::NotFound`] if the design document has no view of that name that can be
    /// asked so, [`Error::Script`] if a function cannot be run.
    pub async fn view(&self, query: ViewQuery) -> Result<ViewRows, Error> {
        self.database.live()?;
        let instance = self.database.instance();
        let known = self.node.host().views.known(&instance, &query.ddoc)?;
        ViewRows::start(self.database.clone(), known, query).await
    }

    /// Asks Mango. Documents that are looked at for each one that is found make a warning if there
    /// are more than `warn_from` (0: never).
    pub async fn find(&self, find: Find, warn_from: u64) -> Result<Finding, FindError> {
        let designs = self.designs().await?;
        Finding::start(self.database.clone(), &designs, find, warn_from).await
    }

    /// The indexes of Mango that there are.
    pub async fn indexes(&self) -> Result<Arc<Catalog>, Error> {
        Ok(self.designs().await?.catalog.clone())
    }

    async fn designs(&self) -> Result<Arc<Designs>, Error> {
        DesignDocs::of(&self.database, self.node.marks()).await
    }

    /// How the indexes of a design document's views stand.
    pub async fn view_info(&self, ddoc: &Arc<DesignDoc>) -> Result<ViewInfo, Error> {
        coord::upkeep::info(&self.database, ddoc).await
    }

    /// Begins to compact the indexes of a design document's views.
    pub async fn compact_views(&self, ddoc: &Arc<DesignDoc>) -> Result<(), Error> {
        coord::upkeep::compact(&self.database, ddoc).await
    }

    /// Drops the indexes that no design document names any more.
    pub async fn clean_up_views(&self) -> Result<(), Error> {
        coord::upkeep::clean_up(&self.database).await
    }

    /// Changes. [`Error::BadSequence`].
    pub async fn changes(&self, query: ChangesQuery) -> Result<Changes, Error> {
        let commits = self.node.follow(&self.name);
        Changes::start(self.database.clone(), commits, query).await
    }

    /// What is missing here of the given revisions; one answer for each document, in order.
    pub async fn revs_diff(&self, asked: Vec<IdRevs>) -> Result<Vec<RevsDiff>, Error> {
        coord::docs::revs_diff(&self.database, asked).await
    }

    /// How widely the given revisions are known; one answer for each document, in order.
    pub async fn revs_known(&self, asked: Vec<IdRevs>) -> Result<Vec<RevsKnown>, Error> {
        coord::docs::revs_known(&self.database, asked).await
    }

    /// The rows of documents, in order and without the documents, as one copy of each has them.
    pub async fn rows_of(&self, ids: Vec<DocId>) -> Result<Vec<Option<DocRow>>, Error> {
        coord::rows::rows_of(&self.database, ids).await
    }

    /// Removes leaves as if they had never been; one result for each request, in order.
    pub async fn purge(
        &self,
        requests: Vec<IdRevs>,
        options: UpdateOptions,
    ) -> Result<Vec<PurgeResult>, Error> {
        let (database, new_id) = (self.database.clone(), self.node.new_id().clone());
        let design = requests.iter().any(|request| request.id.is_design());
        let work = async move { coord::write::purge(&database, requests, options, &*new_id).await };
        if design { self.of_designs(work).await } else { work.await }
    }

    /// The purges that are remembered.
    pub async fn purged_infos(&self) -> Result<Vec<IdRevs>, Error> {
        coord::docs::purged(&self.database).await
    }

    /// Where the attachments of a request's edits are uploaded, before they name them.
    #[must_use]
    pub fn uploads(&self) -> Uploads {
        Uploads::new(self.database.clone())
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
        let readers = self.database.readers(self.database.ring().shard_of(id));
        let readers = readers.map(|copies| copies.into_iter().cloned().collect());
        AttStream::of_any(readers, content, range, decode)
    }

    /// Begins to compact all shards, on the nodes that are there; returns at once.
    pub async fn compact(&self) -> Result<(), Error> {
        let copies = self.database.all_copies()?;
        let limit = self.meta().revs_limit;
        let compact = |copy: ShardCopy| async move { copy.compact(limit).await };
        coord::shards::on_majority(copies, compact).await.map(drop)
    }

    /// Nothing to do where every acknowledged write is synced; checks that the database is there.
    pub async fn ensure_full_commit(&self) -> Result<(), Error> {
        self.database.live()
    }

    /// Has all copies of its shards look at the others soon; returns at once.
    pub async fn sync_shards(&self) -> Result<(), Error> {
        let copies = self.database.all_copies()?;
        copies.iter().flatten().for_each(|copy| self.node.lacks(copy));
        Ok(())
    }

    /// The range that a document lies in, and who holds it.
    #[must_use]
    pub fn shard_of(&self, id: &DocId) -> ShardPlace {
        let shard = self.database.ring().shard_of(id);
        let place = self.database.meta().shards.get(shard).cloned();
        place.unwrap_or_default()
    }
}
