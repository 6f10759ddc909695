//! Compaction of one shard: copies what is live into a new file while everybody goes on, follows the
//! changes that come meanwhile, and at last, with the writer standing still, puts the new file in the
//! place of the old one. When it fails or is killed, nothing has happened.

use std::sync::Arc;

use super::copy::Copy;
use super::pacer::Pacer;
use crate::Error;
use crate::engine::Env;
use crate::shard::Shard;
use crate::shard::state::State;
use crate::shard::store::Store;

/// The writer is stopped for the rest when so little is left, in frames and bytes.
const FEW_FRAMES: u64 = 64;
const FEW_BYTES: u64 = 1 << 20;
/// After so many rounds the copy no longer rests: the old file grows while it follows the writer.
const RESTFUL: usize = 1;
/// After so many the writer is faster than copying is; it must wait for what it wrote in the last.
const ROUNDS: usize = 20;

/// Compacts a shard; writes only if nothing goes wrong.
pub(crate) fn compact(shard: &Arc<Shard>, env: &Env) -> Result<(), Error> {
    // What is clean is not looked at again when it comes to catching up.
    shard.save_in_place()?;
    let draft = env.draft_path();
    let result = copy_and_swap(shard, env, &draft);
    if result.is_err() {
        env.discard(&draft);
    }
    result
}

fn copy_and_swap(shard: &Arc<Shard>, env: &Env, draft: &str) -> Result<(), Error> {
    let file = env.storage.create(draft)?;
    let place = shard.id().file();
    let store = Store::over(file, place.as_str().into(), &env.cache);
    let mut seen = shard.durable_state();
    let pacer = Pacer::of(shard, env, entries(&seen))?;
    let keep = |step| pacer.keep(step);
    let mut copy = Copy::of(&seen, store.into(), shard.revs_limit(), &keep)?;
    for round in 0..ROUNDS {
        let now = shard.durable_state();
        if is_little(&seen, &now)? {
            break;
        }
        if round == RESTFUL {
            pacer.hurry();
        }
        pacer.expect_more(now.counters.update_seq - seen.counters.update_seq);
        copy.catch_up(&seen, &now)?;
        copy.save()?;
        seen = now;
    }
    shard.swap(copy, &seen, draft)
}

/// Whether the writer may wait until what changed since is copied.
fn is_little(since: &State, now: &State) -> Result<bool, Error> {
    let frames = now.counters.number - since.counters.number;
    let bytes = now.content_bytes()?.saturating_sub(since.content_bytes()?);
    Ok(frames <= FEW_FRAMES && bytes <= FEW_BYTES)
}

fn entries(state: &State) -> u64 {
    state.trees.each().into_iter().map(crate::tree::Tree::count).sum()
}
