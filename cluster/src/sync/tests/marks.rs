//! Readers of changes who go on at another copy: they miss nothing, and little comes twice.

use settee_engine::Snapshot;

use super::*;
use crate::shard::point::Point;

/// The sequence of each document in a copy; each was written once.
fn places(snapshot: &Snapshot) -> BTreeMap<String, u64> {
    let changes = snapshot.changes(0, Direction::Forward).map(Result::unwrap);
    changes.map(|change| (change.id.to_string(), change.seq)).collect()
}

#[tokio::test]
async fn whoever_goes_on_at_another_copy_misses_nothing() {
    let nodes = nodes(3);
    let mut number = 0;
    // Writes and pulls in some order that is different at each copy and never the same twice.
    for step in 0_usize..120 {
        let (here, there) = (&nodes[step % 3], &nodes[(step / 3 + step + 1) % 3]);
        for _ in 0..step * 7 % 5 {
            number += 1;
            here.put(&format!("doc{number:04}"), "{}");
        }
        if here.id != there.id && step % 4 != 1 {
            here.pull(there).await;
        }
    }
    let mut known = 0;
    for one in &nodes {
        for other in &nodes {
            let (one, other) = (one.shard().snapshot(), other.shard().snapshot());
            let (before, after) = (places(&one), places(&other));
            for seq in 0..=one.update_seq() {
                let on = Point { life: one.epoch(), seq }.on(&other).unwrap();
                known += usize::from(on > 0);
                let passed = after.iter().filter(|(_, at)| **at <= on);
                for (doc, _) in passed {
                    assert!(before.get(doc).is_some_and(|at| *at <= seq), "{doc} at {seq}");
                }
            }
        }
    }
    assert!(known > 500, "{known}");
}

#[tokio::test]
async fn copies_that_are_at_rest_know_all_of_each_other() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    for number in 0..40 {
        one.put(&format!("one{number}"), "{}");
        two.put(&format!("two{number}"), "{}");
    }
    one.pull(two).await;
    two.pull(one).await;
    one.pull(two).await;
    for (from, to) in [(one, two), (two, one)] {
        let (from, to) = (from.shard().snapshot(), to.shard().snapshot());
        let passed = Point::end_of(&from).on(&to).unwrap();
        // What was pulled last is not known to have been: two's 40 and one's 40.
        assert!(passed >= 40, "{passed}");
        let elsewhere = Point { life: from.epoch() ^ 1, seq: u64::MAX };
        assert_eq!(elsewhere.on(&to).unwrap(), 0);
    }
}

#[tokio::test]
async fn marks_of_a_life_that_has_ended_are_forgotten() {
    let nodes = nodes(2);
    let [one, two] = &nodes[..] else { panic!() };
    two.put("a", "{}");
    one.pull(two).await;
    two.pull(one).await;
    let before = Point::end_of(&one.shard().snapshot());
    assert_eq!(before.on(&two.shard().snapshot()).unwrap(), 1);
    one.engine().drop_shard(&shard_id()).unwrap();
    one.engine().create_shard(&shard_id()).unwrap();
    two.pull(one).await;
    assert_eq!(before.on(&two.shard().snapshot()).unwrap(), 0);
}
