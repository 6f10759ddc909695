//! A database as a whole: `/{db}` itself, its security object, limits, shards and upkeep.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;
use settee_cluster::Db;
use settee_model::docid::DocId;

/// `create`
pub async fn create(ctx: &mut Ctx, name: String) -> Result<Reply, Error> {
    let _ = (ctx, name);
    Err(Error::NotImplemented)
}

/// `remove`
pub async fn remove(ctx: &mut Ctx, name: String) -> Result<Reply, Error> {
    let _ = (ctx, name);
    Err(Error::NotImplemented)
}

/// `info`
pub async fn info(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `partition`
pub async fn partition(ctx: &mut Ctx, db: Db, partition: String) -> Result<Reply, Error> {
    let _ = (ctx, db, partition);
    Err(Error::NotImplemented)
}

/// `security`
pub async fn security(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `set_security`
pub async fn set_security(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `revs_limit`
pub async fn revs_limit(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `set_revs_limit`
pub async fn set_revs_limit(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `purged_infos_limit`
pub async fn purged_infos_limit(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `set_purged_infos_limit`
pub async fn set_purged_infos_limit(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `compact`
pub async fn compact(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `compact_views`
pub async fn compact_views(ctx: &mut Ctx, db: Db, ddoc: String) -> Result<Reply, Error> {
    let _ = (ctx, db, ddoc);
    Err(Error::NotImplemented)
}

/// `view_cleanup`
pub async fn view_cleanup(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `ensure_full_commit`
pub async fn ensure_full_commit(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `shards`
pub async fn shards(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `shard_of`
pub async fn shard_of(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    let _ = (ctx, db, id);
    Err(Error::NotImplemented)
}

/// `sync_shards`
pub async fn sync_shards(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}
