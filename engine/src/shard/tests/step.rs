//! Writes in step with a compaction: they wait for their share, and none is forgotten.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use settee_model::rev::RevPath;

use super::kit::*;
use crate::compact::Policy;
use crate::io::SimStorage;
use crate::shard::{Batch, Outcome, Shard, Write};
use crate::{Engine, Error, Options};

const SOON: Duration = Duration::from_secs(10);

/// Writes without waiting for it.
fn begin(shard: &Arc<Shard>, id: &str) -> Receiver<Result<Vec<Outcome>, Error>> {
    let (tell, told) = channel();
    let write = Write::Interactive(edit(id, RevPath::default(), "{}"));
    shard.submit(Batch::of(vec![write]), Box::new(move |result| drop(tell.send(result))));
    told
}

#[test]
fn what_is_held_waits_for_its_step_or_for_the_end() {
    let engine = open(&SimStorage::new());
    let shard = engine.create_shard(&shard_id()).unwrap();
    assert_eq!(shard.write_in_step(), 0, "nobody holds them");
    shard.hold_writes();
    assert_eq!(shard.write_in_step(), 0, "nothing waits");
    let (one, two) = (begin(&shard, "one"), begin(&shard, "two"));
    assert!(one.recv_timeout(Duration::from_millis(100)).is_err());
    assert!(shard.write_in_step() > 0);
    assert!(one.recv_timeout(SOON).unwrap().is_ok());
    assert!(two.recv_timeout(SOON).unwrap().is_ok());
    let three = begin(&shard, "three");
    assert!(three.recv_timeout(Duration::from_millis(100)).is_err());
    shard.release_writes();
    assert!(three.recv_timeout(SOON).unwrap().is_ok());
    assert!(begin(&shard, "four").recv_timeout(SOON).unwrap().is_ok());
    assert_eq!(shard.snapshot().counts().unwrap().doc_count, 4);
}

#[test]
fn what_is_held_ends_with_its_shard() {
    let engine = open(&SimStorage::new());
    let shard = engine.create_shard(&shard_id()).unwrap();
    shard.hold_writes();
    let waits = begin(&shard, "doc");
    engine.drop_shard(&shard_id()).unwrap();
    shard.release_writes();
    let end = waits.recv_timeout(SOON).unwrap();
    assert!(matches!(end, Err(Error::ShardMissing { .. })), "{end:?}");
}

#[test]
fn a_file_does_not_outgrow_the_copy_that_replaces_it() {
    let compaction = Policy { bytes_per_second: 400_000, min_file: 0, ..options().compaction };
    let options = Options { compaction, ..options() };
    let engine = Engine::open(Arc::new(SimStorage::new()), options).unwrap();
    let shard = engine.create_shard(&shard_id()).unwrap();
    let mut revs = Vec::new();
    for n in 0..40 {
        revs.push(put(&shard, edit(&format!("doc-{n}"), RevPath::default(), &noise(n + 1, 5_000))));
    }
    shard.compact_now().unwrap();
    let live = shard.sizes().unwrap().active;
    // More garbage than there should be: from here on a writer may bring a quarter of what is copied.
    for (n, rev) in revs.iter_mut().enumerate().take(20) {
        *rev = put(&shard, edit(&format!("doc-{n}"), path(rev), &noise(100 + n as u64, 5_000)));
    }
    let mut most = 0;
    std::thread::scope(|scope| {
        let compaction = scope.spawn(|| shard.compact_now().unwrap());
        for n in (0..40).cycle() {
            if compaction.is_finished() {
                break;
            }
            let seed = 1000 + n as u64;
            let rev = &mut revs[n];
            *rev = put(&shard, edit(&format!("doc-{n}"), path(rev), &noise(seed, 5_000)));
            most = most.max(shard.sizes().unwrap().file);
        }
    });
    assert!(most < live * 5 / 2, "{most} bytes of file, of which {live} are live");
}
