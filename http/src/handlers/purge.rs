//! `_purge` and `_purged_infos`.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;
use settee_cluster::Db;

/// `post`
pub async fn post(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `infos`
pub async fn infos(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}
