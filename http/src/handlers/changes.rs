//! `_changes` in every feed.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;
use settee_cluster::Db;

/// `get`
pub async fn get(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}

/// `post`
pub async fn post(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}
