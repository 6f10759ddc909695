//! What happens by itself: writer threads that decide what waits, compactors, and one thread that looks
//! after the shards: checkpoints (memory, log, idleness), what is worth compacting, closing. Each
//! choice is a plain comparison with the options. How it is done is the business of shards, indexes and
//! `registry`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use super::Env;
use super::registry::Registry;
use crate::Error;
use crate::shard::{Shard, ShardId};

/// How often the shards are looked at when nothing presses.
const ROUND: Duration = Duration::from_millis(500);

/// The most that passes between two attempts to write a log that cannot be written.
const LONGEST_REST: Duration = Duration::from_secs(4);

/// Starts the threads of an engine, if it is to have any.
pub(super) fn spawn(
    env: &Arc<Env>,
    registry: &Arc<Registry>,
) -> Result<Vec<JoinHandle<()>>, Error> {
    if !env.options.threads {
        return Ok(Vec::new());
    }
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let writers = if env.options.writers == 0 { cores } else { env.options.writers };
    let mut threads = Vec::new();
    for _ in 0..writers {
        let env = env.clone();
        threads.push(start("settee-writer", move || {
            while let Some(shard) = env.ready.pop() {
                // What a writer left half done nobody goes on with: the shard takes no more writes.
                go_on("a writer", || shard.write_waiting());
            }
        })?);
    }
    for _ in 0..env.options.workers {
        let env = env.clone();
        threads.push(start("settee-compactor", move || {
            while let Some(job) = env.compactions.pop() {
                go_on("a compaction", || job.run());
            }
        })?);
    }
    if env.options.workers > 0 {
        let (env, registry) = (env.clone(), registry.clone());
        threads.push(start("settee-upkeep", move || {
            let mut pause = ROUND;
            while !env.closed.load(Ordering::Acquire) {
                if go_on("upkeep", || look_after(&env, &registry)).unwrap_or(false) {
                    pause = ROUND;
                    env.alarm.sleep(ROUND);
                } else {
                    // Who rings wants memory or log given back, for which there is no way now.
                    rest(&env, pause);
                    pause = LONGEST_REST.min(pause * 2);
                }
            }
        })?);
    }
    Ok(threads)
}

fn start(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    let thread = thread::Builder::new().name(name.into()).spawn(run);
    thread.map_err(|error| Error::io("start a thread", name, error))
}

/// Does a piece of a thread's work. A mistake in it shall not end the thread, for the others that it
/// serves are not to blame.
fn go_on<R>(what: &str, work: impl FnOnce() -> R) -> Option<R> {
    let done = catch_unwind(AssertUnwindSafe(work)).ok();
    if done.is_none() {
        tracing::error!("{what} failed by a mistake in the program; what it was at stays undone");
    }
    done
}

/// Sleeps so long, whoever rings, unless the engine is closed.
fn rest(env: &Env, pause: Duration) {
    let end = Instant::now() + pause;
    while !env.closed.load(Ordering::Acquire) {
        match end.checked_duration_since(Instant::now()) {
            Some(left) => env.alarm.sleep(left),
            None => return,
        }
    }
}

/// One round over all open shards. Whether the log can be written.
pub(super) fn look_after(env: &Env, registry: &Registry) -> bool {
    if let Err(error) = registry.recover(env) {
        tracing::warn!(%error, "the log cannot be written");
        return false;
    }
    env.keep_reserve();
    save_memory(env, registry);
    save_log(env, registry);
    save_idle(env, registry);
    if let Err(error) = registry.trim(env) {
        tracing::warn!(%error, "could not cut the log");
    }
    registry.shards().iter().for_each(|shard| shard.compact_if_worth_it());
    close_idle(env, registry);
    registry.indexes.look_after(env);
    true
}

/// The shards of which `of` knows a number, by that number. By name: who is held is not closed.
fn ranked(registry: &Registry, of: impl Fn(&Shard) -> Option<u64>) -> Vec<(u64, ShardId)> {
    let shards = registry.shards();
    let rank = |shard: &Arc<Shard>| Some((of(shard)?, shard.id().clone()));
    let mut ranked: Vec<_> = shards.iter().filter_map(rank).collect();
    ranked.sort_unstable();
    ranked
}

/// Checkpoints shards that hold too much memory: large ones, and if all together hold too much the
/// largest until they don't.
fn save_memory(env: &Env, registry: &Registry) {
    let options = &env.options;
    let by_size = ranked(registry, |shard| Some(shard.dirty_bytes()).filter(|dirty| *dirty > 0));
    for (dirty, id) in by_size.into_iter().rev() {
        let total = env.dirty.load(Ordering::Relaxed);
        if dirty > options.shard_dirty_bytes || total > options.dirty_bytes {
            save(registry, &id);
        }
    }
}

/// Checkpoints the shards that need the oldest part of the log while it is too large.
fn save_log(env: &Env, registry: &Registry) {
    if env.log.size() <= env.options.log_bytes {
        return;
    }
    let by_age = ranked(registry, Shard::oldest_lsn);
    let newest = env.log.next_lsn();
    let Some(oldest) = by_age.first().map(|(lsn, _)| *lsn) else { return };
    let enough = oldest + newest.saturating_sub(oldest) / 2;
    let old = by_age.iter().take_while(|(lsn, _)| *lsn <= enough);
    old.for_each(|(_, id)| save(registry, id));
}

fn save_idle(env: &Env, registry: &Registry) {
    let now = env.now_ms();
    let limit = millis(env.options.checkpoint_idle);
    let quiet = |shard: &Shard| {
        Some(shard.quiet_ms(now)).filter(|idle| !shard.is_saved() && *idle >= limit)
    };
    ranked(registry, quiet).iter().for_each(|(_, id)| save(registry, id));
}

fn close_idle(env: &Env, registry: &Registry) {
    let now = env.now_ms();
    let limit = millis(env.options.close_idle);
    let unused = |shard: &Shard| Some(shard.idle_ms(now)).filter(|idle| *idle >= limit);
    for (_, id) in ranked(registry, unused) {
        registry.find(&id).map(|shard| registry.close(shard));
    }
    registry.make_room(env);
}

fn save(registry: &Registry, id: &ShardId) {
    if let Some(shard) = registry.find(id)
        && let Err(error) = shard.checkpoint()
    {
        tracing::warn!(shard = %id, %error, "checkpoint failed");
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_does_not_end_a_thread() {
        assert_eq!(go_on("work", || 1), Some(1));
        assert_eq!(go_on("work", || -> u8 { panic!("a mistake") }), None);
    }
}
