//! `/_session`.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;

/// `get`
pub async fn get(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `post`
pub async fn post(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `delete`
pub async fn delete(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}
