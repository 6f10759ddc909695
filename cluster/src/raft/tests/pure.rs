//! The state machine, the history and the choice of voters against models that are obviously right.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::raft::history::History;
use crate::raft::{Outcome, Revision, Seats, State, Txn, VOTERS_MAX};

const KEYS: [&str; 4] = ["a", "a/1", "a/2", "b"];

#[derive(Clone, Debug)]
struct Step {
    /// Compares: key, and whether to expect what is there or something else.
    compares: Vec<(usize, bool)>,
    /// Writes: key, and a value or nothing to delete.
    writes: Vec<(usize, Option<u8>)>,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let compares = prop::collection::vec((0..KEYS.len(), prop::bool::weighted(0.8)), 0..3);
    let writes = prop::collection::vec((0..KEYS.len(), any::<Option<u8>>()), 0..4);
    let step = (compares, writes).prop_map(|(compares, writes)| Step { compares, writes });
    prop::collection::vec(step, 0..40)
}

/// value, created, modified
type Model = BTreeMap<&'static str, (u8, u64, u64)>;

fn txn(step: &Step, model: &Model) -> (Txn, bool) {
    let mut txn = Txn::new();
    let mut holds = true;
    for (key, right) in &step.compares {
        let modified = model.get(KEYS[*key]).map_or(0, |(_, _, modified)| *modified);
        txn = txn.expect(KEYS[*key], if *right { modified } else { modified + 1 });
        holds &= right;
    }
    for (key, value) in &step.writes {
        txn = match value {
            Some(value) => txn.put(KEYS[*key], vec![*value]),
            None => txn.delete(KEYS[*key]),
        };
    }
    (txn, holds)
}

proptest! {
    #[test]
    fn transactions_do_what_a_map_does(steps in steps()) {
        let (mut state, mut model, mut revision) = (State::default(), Model::new(), 0);
        for step in steps {
            let (txn, holds) = txn(&step, &model);
            let before = state.clone();
            let (outcome, changes) = state.apply(&txn);
            if !holds {
                let conflict = matches!(outcome, Outcome::Conflict { .. });
                prop_assert!(conflict && changes.is_empty() && state == before);
                continue;
            }
            let mut changed = 0;
            for (key, value) in &step.writes {
                let key = KEYS[*key];
                let created = model.get(key).map_or(revision + 1, |(_, created, _)| *created);
                changed += usize::from(match value {
                    Some(value) => {
                        model.insert(key, (*value, created, revision + 1));
                        true
                    }
                    None => model.remove(key).is_some(),
                });
            }
            revision += u64::from(changed > 0);
            prop_assert_eq!(outcome, Outcome::Done(revision));
            prop_assert_eq!(changes.len(), changed);
            prop_assert_eq!(state.revision(), revision);
            let keys: Model = state.keys().iter().map(|(key, stored)| {
                let key = KEYS.into_iter().find(|known| *known == &**key).unwrap();
                (key, (stored.value[0], stored.created, stored.modified))
            }).collect();
            prop_assert_eq!(&keys, &model);
            for prefix in ["", "a", "a/", "b", "c"] {
                let found: Vec<_> = state.range(prefix).map(|(key, _)| &**key).collect();
                let wanted = model.keys().copied().filter(|key| key.starts_with(prefix));
                prop_assert_eq!(found, wanted.collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn history_gives_all_or_says_so(
        sizes in prop::collection::vec(0..50usize, 0..40),
        floor in 0..5u64,
        after in 0..50u64,
        max in 1..10usize,
    ) {
        let mut history = History::bounded(floor, 10, 200);
        let mut state = State::stored(floor, BTreeMap::new());
        for size in &sizes {
            let (_, changes) = state.apply(&Txn::new().put("k", vec![0; *size]));
            history.push(Revision { revision: state.revision(), changes });
        }
        let last = state.revision();
        match history.after(after, max) {
            Some(found) => {
                let found: Vec<_> = found.iter().map(|revision| revision.revision).collect();
                let wanted: Vec<_> = (after + 1..=last).take(max).collect();
                prop_assert_eq!(found, wanted);
            }
            None => {
                let kept = usize::try_from(last - floor).unwrap();
                let bytes: usize = sizes.iter().skip((after.max(floor) - floor) as usize).map(|size| size + 1).sum();
                let skipped = usize::try_from(after.saturating_sub(floor)).unwrap();
                prop_assert!(after < floor || kept - skipped > 10 || bytes > 200);
            }
        }
    }

    #[test]
    fn voters_are_chosen_well(
        voters in prop::collection::btree_set(0..10u64, 1..=5),
        ready in prop::collection::btree_set(0..10u64, 0..10),
        gone in prop::collection::btree_set(0..10u64, 0..5),
    ) {
        let ready: BTreeSet<_> = ready.difference(&voters).copied().collect();
        let gone: BTreeSet<_> = gone.intersection(&voters).copied().collect();
        let seats = Seats { voters: voters.clone(), ready: ready.clone(), gone: gone.clone() };
        let desired = seats.desired();
        prop_assert!(desired.len() <= VOTERS_MAX && desired.len() >= voters.len());
        prop_assert!(desired.iter().all(|node| voters.contains(node) || ready.contains(node)));
        prop_assert!(voters.difference(&gone).all(|node| desired.contains(node)));
        let waiting = ready.iter().any(|node| !desired.contains(node));
        let free = desired.len() < VOTERS_MAX || desired.iter().any(|node| gone.contains(node));
        prop_assert!(!(waiting && free), "a learner that is ready goes before an empty seat");
        let learning = ready.difference(&desired).copied().collect();
        let after = Seats { gone: gone.intersection(&desired).copied().collect(), voters: desired.clone(), ready: learning };
        prop_assert_eq!(after.desired(), desired, "a choice stands");
    }
}

#[test]
fn a_voter_that_leaves_is_replaced() {
    let seats = Seats { voters: (1..=5).collect(), ready: [6, 7].into(), gone: [].into() };
    assert_eq!(seats.desired(), (1..=5).collect());
    assert_eq!(seats.without(2).desired(), [1, 3, 4, 5, 6].into());
}
