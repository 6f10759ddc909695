//! How a shard's life begins, goes on and ends: made and dropped by a frame of the log, opened from
//! its file. Each is done by whose turn it is. Never looks into trees.

use std::sync::Arc;
use std::sync::mpsc;

use super::backlog::Backlog;
use super::registry::{Claim, Registry, Slot};
use super::remove_file;
use super::replay::save;
use super::{Env, kept};
use crate::Error;
use crate::codec::log::{self, FrameHead, Record};
use crate::io::Storage;
use crate::page::Cache;
use crate::shard::state::{State, Trees};
use crate::shard::store::Store;
use crate::shard::{Shard, ShardId};

/// Epoch of a shard that is dropped unread.
pub(super) const UNKNOWN: u64 = 0;

impl Registry {
    pub(super) fn open(&self, env: &Arc<Env>, id: &ShardId) -> Result<Arc<Shard>, Error> {
        let shard = match self.find(id) {
            Some(shard) => shard,
            None => {
                self.make_room(env);
                match self.claim(env, id)? {
                    Claim::Open(shard) => shard,
                    Claim::Turn(mut turn) => {
                        let shard = open(env, id)?;
                        turn.after = Some(Slot::Open(shard.clone()));
                        shard
                    }
                }
            }
        };
        shard.touch();
        Ok(shard)
    }

    pub(super) fn create(&self, env: &Arc<Env>, id: &ShardId) -> Result<Arc<Shard>, Error> {
        env.check_room()?;
        self.make_room(env);
        let exists = Error::ShardExists { shard: id.shared().clone() };
        let Claim::Turn(mut turn) = self.claim(env, id)? else { return Err(exists) };
        match open(env, id) {
            Ok(shard) => {
                turn.after = Some(Slot::Open(shard));
                return Err(exists);
            }
            Err(Error::ShardMissing { .. }) => {}
            Err(error) => return Err(error),
        }
        let nowhere = Store::nowhere(id.file().into(), &env.cache);
        let state = State::new(env.storage.random(), nowhere.into());
        let lsn = append(env, id, state.epoch, 0, &Record::Create)?;
        let shard = Arc::new(Shard::new(id.clone(), env.clone(), state, Some((lsn, lsn))));
        turn.after = Some(Slot::Open(shard.clone()));
        Ok(shard)
    }

    pub(super) fn remove(&self, env: &Arc<Env>, id: &ShardId) -> Result<(), Error> {
        let mut turn = self.claim_end(env, id)?;
        let lsn = match &turn.after {
            Some(Slot::Open(shard)) => {
                let (epoch, number) = shard.end();
                self.append_end(env, id, epoch, number).inspect_err(|_| shard.go_on())?
            }
            other => {
                let (epoch, number) = match load(env, id) {
                    Ok((state, _)) => (state.epoch, state.counters.number + 1),
                    Err(Error::Missing { .. }) if other.is_none() && !has_kept(env, id) => {
                        return Err(missing(id));
                    }
                    // A damaged shard can be dropped, too.
                    Err(Error::Missing { .. } | Error::Corrupt { .. }) => (UNKNOWN, 0),
                    Err(error) => return Err(error),
                };
                self.append_end(env, id, epoch, number)?
            }
        };
        // Until its file is gone for ever the log must say that it was dropped.
        turn.after = Some(Slot::Lost { error: missing(id), lsn });
        self.indexes.drop_all(env, id)?;
        remove_files(env, id)?;
        turn.after = None;
        Ok(())
    }

    /// Logs that a shard ends. That frees room, so a full disk must not forbid it.
    fn append_end(&self, env: &Env, id: &ShardId, epoch: u64, number: u64) -> Result<u64, Error> {
        let end = || append(env, id, epoch, number, &Record::Drop);
        match end() {
            Err(Error::DiskFull { .. }) => self.recover(env).and_then(|()| end()),
            other => other,
        }
    }
}

/// Whether frames are kept for a shard, readable or not.
fn has_kept(env: &Env, id: &ShardId) -> bool {
    !matches!(env.storage.open(&id.kept_file()), Err(Error::Missing { .. }))
}

fn missing(id: &ShardId) -> Error {
    Error::ShardMissing { shard: id.shared().clone() }
}

/// Opens a shard from its file, and from the frames that were kept while that could not be read.
fn open(env: &Arc<Env>, id: &ShardId) -> Result<Arc<Shard>, Error> {
    let kept = kept::read(&*env.storage, id)?;
    let (state, torn) = match load(env, id) {
        Ok(loaded) => loaded,
        Err(Error::Missing { .. }) if kept.is_empty() => return Err(missing(id)),
        Err(error) => return Err(error),
    };
    let mut backlog = Backlog::after(id.file(), &state, torn);
    backlog.take_kept(Ok(kept));
    let state = backlog.apply(state)?;
    if !backlog.is_kept() {
        return Ok(Arc::new(Shard::new(id.clone(), env.clone(), state, None)));
    }
    // What is in no log yet is as good as there: it is in the file that is removed only afterwards.
    let lsn = env.log.next_lsn();
    let shard = Arc::new(Shard::new(id.clone(), env.clone(), state, Some((lsn, lsn))));
    save(env, &shard, true);
    Ok(shard)
}

fn load(env: &Env, id: &ShardId) -> Result<(State, bool), Error> {
    load_from(&*env.storage, &env.cache, id)
}

/// The state that a shard's file holds, and whether its newer header is torn.
pub(super) fn load_from(
    storage: &dyn Storage,
    cache: &Arc<Cache>,
    id: &ShardId,
) -> Result<(State, bool), Error> {
    let (store, opened) = Store::open(storage, &id.file(), cache)?;
    let header = opened.header;
    let state = State {
        epoch: header.epoch,
        counters: header.counters,
        trees: Trees::open(header.roots),
        store: Arc::new(store),
    };
    Ok((state, opened.torn))
}

/// Logs that a shard begins or ends, and waits until that is durable.
fn append(env: &Env, id: &ShardId, epoch: u64, number: u64, record: &Record) -> Result<u64, Error> {
    let mut frame = Vec::new();
    log::put_head(&mut frame, FrameHead { epoch, number });
    log::put_record(&mut frame, record);
    let (tell, told) = mpsc::sync_channel(1);
    let done = Box::new(move |result| drop(tell.send(result)));
    let lsn = env.log.append(id.shared(), frame.into(), done)?;
    env.log.wait(&told)??;
    Ok(lsn)
}

/// Removes a dropped shard's files, durably, so that the log may forget that it was dropped.
fn remove_files(env: &Env, id: &ShardId) -> Result<(), Error> {
    remove_file(&*env.storage, &id.file())?;
    kept::remove(&*env.storage, id)
}
