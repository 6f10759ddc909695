//! The file beside a shard's own that keeps the frames of a shard that cannot be read, until it can
//! be read again or is dropped. Never says why it could not.

use bytes::Bytes;

use super::Env;
use super::lives::UNKNOWN;
use super::remove_file;
use crate::Error;
use crate::codec::Malformed;
use crate::codec::log::{FrameHead, read_head};
use crate::io::Storage;
use crate::log::apart;
use crate::shard::ShardId;

/// Frames and what stands at the start of each; empty if there is no such file.
pub(super) fn read(storage: &dyn Storage, id: &ShardId) -> Result<Vec<(FrameHead, Bytes)>, Error> {
    let path = id.kept_file();
    let file = match storage.open(&path) {
        Ok(file) => file,
        Err(Error::Missing { .. }) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let frames = apart::read(&*file)?;
    let unreadable = |Malformed(what): Malformed| Error::corrupt(&path, 0, what);
    let head = |payload: Bytes| Ok((read_head(&payload).map_err(unreadable)?.0, payload));
    frames.into_iter().map(|frame| head(frame.payload)).collect()
}

/// Keeps frames, durably, in the place of those that were kept before.
pub(super) fn write(env: &Env, id: &ShardId, frames: &[Bytes]) -> Result<(), Error> {
    let draft = env.draft_path();
    let put = || {
        let file = env.storage.create(&draft)?;
        let payloads = frames.iter().map(|frame| &frame[..]);
        apart::write(&file, env.storage.random(), id.as_str(), payloads)?;
        env.put_in_place(&draft, &id.kept_file())
    };
    put().inspect_err(|_| env.discard(&draft))
}

/// Removes it, durably, if it is there.
pub(super) fn remove(storage: &dyn Storage, id: &ShardId) -> Result<(), Error> {
    remove_file(storage, &id.kept_file())
}

/// Removes it if it is of a life that has ended.
pub(super) fn remove_of(storage: &dyn Storage, id: &ShardId, epoch: u64) -> Result<(), Error> {
    let ours = match read(storage, id) {
        Ok(frames) => frames.first().is_some_and(|(head, _)| head.epoch == epoch),
        Err(Error::Corrupt { .. }) => false,
        Err(error) => return Err(error),
    };
    if ours || epoch == UNKNOWN { remove(storage, id) } else { Ok(()) }
}
