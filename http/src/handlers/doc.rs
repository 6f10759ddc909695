//! Documents: `GET`, `PUT`, `DELETE`, `COPY`, `POST` of `/{db}/{docid}` and `POST /{db}`, `_design/` and `_local/` ones too.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;
use settee_cluster::Db;
use settee_model::docid::DocId;

/// `get`
pub async fn get(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    let _ = (ctx, db, id);
    Err(Error::NotImplemented)
}

/// `put`
pub async fn put(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    let _ = (ctx, db, id);
    Err(Error::NotImplemented)
}

/// `post_form`
pub async fn post_form(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    let _ = (ctx, db, id);
    Err(Error::NotImplemented)
}

/// `delete`
pub async fn delete(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    let _ = (ctx, db, id);
    Err(Error::NotImplemented)
}

/// `copy`
pub async fn copy(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    let _ = (ctx, db, id);
    Err(Error::NotImplemented)
}

/// `create`
pub async fn create(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    let _ = (ctx, db);
    Err(Error::NotImplemented)
}
