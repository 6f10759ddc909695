//! What the server has: `_all_dbs`, `_dbs_info`, `_active_tasks`, `_uuids`, `_db_updates`, `_membership`.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;

/// `all_dbs`
pub async fn all_dbs(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `dbs_info`
pub async fn dbs_info(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `dbs_info_of`
pub async fn dbs_info_of(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `active_tasks`
pub async fn active_tasks(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `uuids`
pub async fn uuids(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `db_updates`
pub async fn db_updates(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `membership`
pub async fn membership(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}
