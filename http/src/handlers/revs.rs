//! `_revs_diff` and `_missing_revs`.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;
use settee_cluster::Db;

/// `revs_diff`
pub async fn revs_diff(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `missing_revs`
pub async fn missing_revs(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}
