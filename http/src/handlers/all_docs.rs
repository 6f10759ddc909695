//! `_all_docs`, `_design_docs`, `_local_docs`, their `queries`, and those of one partition.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;
use crate::route::Namespace;
use settee_cluster::Db;

/// `get`
pub async fn get(
    ctx: &mut Ctx,
    db: Db,
    of: Namespace,
    partition: Option<String>,
) -> Result<Reply, Error> {
    let _ = (ctx, db, of, partition);
    Err(Error::NotImplemented)
}

/// `post`
pub async fn post(
    ctx: &mut Ctx,
    db: Db,
    of: Namespace,
    partition: Option<String>,
) -> Result<Reply, Error> {
    let _ = (ctx, db, of, partition);
    Err(Error::NotImplemented)
}

/// `queries`
pub async fn queries(
    ctx: &mut Ctx,
    db: Db,
    of: Namespace,
    partition: Option<String>,
) -> Result<Reply, Error> {
    let _ = (ctx, db, of, partition);
    Err(Error::NotImplemented)
}
