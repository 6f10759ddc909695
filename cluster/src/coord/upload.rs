//! Beginning an upload at all copies of a range.

use crate::Error;
use crate::attachment::{Upload, UploadOptions};
use crate::copy::ShardCopy;
use crate::join::join_all;

/// An upload to those copies that take it on; errs if there is none.
pub(crate) async fn begin(copies: &[ShardCopy], options: UploadOptions) -> Result<Upload, Error> {
    if let [only] = copies {
        return Ok(Upload::to_one(only.home(), only.upload(options).await?));
    }
    let live = copies.iter().filter(|copy| copy.is_live());
    let begin = |copy: &ShardCopy| {
        let copy = copy.clone();
        async move { (copy.home(), copy.upload(options).await) }
    };
    let mut failed = Error::Timeout;
    let mut lanes = Vec::new();
    for (home, lane) in join_all(live.map(begin)).await {
        match lane {
            Ok(lane) => lanes.push((home, lane)),
            Err(error) => failed = error,
        }
    }
    if lanes.is_empty() { Err(failed) } else { Ok(Upload::to_some(lanes)) }
}
