//! What happens by itself: writer threads that decide what waits, and one thread that looks after
//! the shards: checkpoints (memory, log, idleness), compaction, closing. Each choice is a plain
//! comparison with the options.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::Env;
use super::registry::Registry;
use crate::Error;
use crate::shard::Shard;

/// How often the shards are looked at when nothing presses.
const ROUND: Duration = Duration::from_millis(500);

/// Starts the threads of an engine.
pub(super) fn spawn(
    env: &Arc<Env>,
    registry: &Arc<Registry>,
) -> Result<Vec<JoinHandle<()>>, Error> {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let writers = if env.options.writers == 0 { cores } else { env.options.writers };
    let mut threads = Vec::new();
    for _ in 0..writers {
        let env = env.clone();
        threads.push(start("settee-writer", move || {
            while let Some(shard) = env.ready.pop() {
                shard.write_waiting();
            }
        })?);
    }
    for _ in 0..env.options.workers {
        let env = env.clone();
        threads.push(start("settee-compactor", move || {
            while let Some(shard) = env.compactions.pop() {
                shard.compact_requested();
            }
        })?);
    }
    if env.options.workers > 0 {
        let (env, registry) = (env.clone(), registry.clone());
        threads.push(start("settee-upkeep", move || {
            while !env.closed.load(Ordering::Acquire) {
                look_after(&env, &registry);
                env.alarm.sleep(ROUND);
            }
        })?);
    }
    Ok(threads)
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let thread = thread::Builder::new().name(name.into()).spawn(run);
    thread.map_err(|error| Error::io("start a thread", name, error))
}

/// One round over all open shards.
pub(super) fn look_after(env: &Env, registry: &Registry) {
    if let Err(error) = registry.recover(env) {
        tracing::warn!(%error, "the log cannot be written");
        return;
    }
    let mut shards = registry.shards();
    shards.iter().for_each(|shard| shard.resume());
    save_memory(env, &shards);
    save_log(env, &mut shards);
    save_idle(env, &shards);
    if let Err(error) = registry.trim(env) {
        tracing::warn!(%error, "could not cut the log");
    }
    shards.iter().for_each(|shard| shard.compact_if_worth_it());
    close_idle(env, registry, shards);
}

/// Checkpoints shards that hold too much memory: large ones, and if all together hold too much the
/// largest until they don't.
fn save_memory(env: &Env, shards: &[Arc<Shard>]) {
    let options = &env.options;
    let mut by_size: Vec<_> = shards.iter().map(|shard| (shard.dirty_bytes(), shard)).collect();
    by_size.sort_by_key(|(dirty, _)| std::cmp::Reverse(*dirty));
    for (dirty, shard) in by_size {
        let total = env.dirty.load(Ordering::Relaxed);
        if dirty > 0 && (dirty > options.shard_dirty_bytes || total > options.dirty_bytes) {
            save(shard);
        }
    }
}

/// Checkpoints the shards that need the oldest part of the log while it is too large.
fn save_log(env: &Env, shards: &mut [Arc<Shard>]) {
    if env.log.size() <= env.options.log_bytes {
        return;
    }
    shards.sort_by_key(|shard| shard.oldest_lsn().unwrap_or(u64::MAX));
    let newest = env.log.next_lsn();
    let Some(oldest) = shards.first().and_then(|shard| shard.oldest_lsn()) else { return };
    let enough = oldest + (newest - oldest) / 2;
    let old = |shard: &&Arc<Shard>| shard.oldest_lsn().is_some_and(|lsn| lsn <= enough);
    shards.iter().filter(old).for_each(save);
}

fn save_idle(env: &Env, shards: &[Arc<Shard>]) {
    let now = env.now_ms();
    let limit = millis(env.options.checkpoint_idle);
    for shard in shards {
        if !shard.is_saved() && shard.unwritten_ms(now) >= limit {
            save(shard);
        }
    }
}

fn close_idle(env: &Env, registry: &Registry, mut shards: Vec<Arc<Shard>>) {
    let now = env.now_ms();
    let limit = millis(env.options.close_idle);
    shards.sort_by_key(|shard| shard.idle_ms(now));
    let mut open = shards.len();
    while let Some(shard) = shards.pop() {
        let crowded = open > env.options.open_shards;
        if !crowded && shard.idle_ms(now) < limit {
            break;
        }
        if crowded && !shard.is_saved() {
            save(&shard);
        }
        registry.close(shard);
        open -= 1;
    }
}

fn save(shard: &Arc<Shard>) {
    if let Err(error) = shard.checkpoint() {
        tracing::warn!(shard = %shard.id(), %error, "checkpoint failed");
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
