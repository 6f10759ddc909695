//! `/_node/{node}/…`.

use crate::context::Ctx;
use crate::error::Error;
use crate::reply::Reply;

/// `any`
pub async fn any(ctx: &mut Ctx, path: Vec<String>) -> Result<Reply, Error> {
    let _ = (ctx, path);
    Err(Error::NotImplemented)
}
