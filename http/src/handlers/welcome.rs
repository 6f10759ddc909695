//! What is there before any database: `/`, `/_up`, `/favicon.ico`, `/_utils`.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;

/// `welcome`
pub async fn welcome(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `up`
pub async fn up(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `favicon`
pub async fn favicon(ctx: &mut Ctx) -> Result<Reply, Error> {
    let _ = ctx;
    Err(Error::NotImplemented)
}

/// `utils`
pub async fn utils(ctx: &mut Ctx, path: Option<String>) -> Result<Reply, Error> {
    let _ = (ctx, path);
    Err(Error::NotImplemented)
}
