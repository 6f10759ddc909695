//! Standalone attachments: `/{db}/{docid}/{attname}`.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;
use settee_cluster::Db;
use settee_model::docid::DocId;

/// `get`
pub async fn get(ctx: &mut Ctx, db: Db, id: DocId, name: String) -> Result<Reply, Error> {
    let _ = (ctx, db, id, name);
    Err(Error::NotImplemented)
}

/// `put`
pub async fn put(ctx: &mut Ctx, db: Db, id: DocId, name: String) -> Result<Reply, Error> {
    let _ = (ctx, db, id, name);
    Err(Error::NotImplemented)
}

/// `delete`
pub async fn delete(ctx: &mut Ctx, db: Db, id: DocId, name: String) -> Result<Reply, Error> {
    let _ = (ctx, db, id, name);
    Err(Error::NotImplemented)
}
