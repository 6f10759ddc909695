//! The run of one seed: a cluster forms, works through faults, heals, and is looked at.

use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::chance::Chance;
use crate::check;
use crate::clients::STAYS;
use crate::faults::Faults;
use crate::world::World;

/// How long clients work while things go wrong.
const LOAD: Duration = Duration::from_secs(20);
/// The longest that a cluster may take to form.
const FORMS: Duration = Duration::from_secs(30);
/// After so long it is noted what differs.
const SOON: Duration = Duration::from_secs(5);
/// The longest until all copies are equal once nothing goes wrong any more.
const HEALS: Duration = Duration::from_secs(60);
/// The longest until followers have been told everything then.
const TOLD: Duration = Duration::from_secs(10);

/// What became of a run.
pub struct Report {
    pub digest: u64,
    pub wrong: Vec<String>,
    pub words: Vec<String>,
    pub summary: String,
}

/// Runs a seed to its end.
pub fn run(seed: u64) -> Report {
    let mut world = World::new(seed, 3);
    let mut wrong = Vec::new();
    let shows = |world: &World| {
        let shows = |running: crate::node::Running| {
            running.cluster.all_dbs().keys().any(|name| name.as_str() == STAYS)
        };
        world.members().iter().all(|node| node.running().is_some_and(shows))
    };
    let formed = world.until(FORMS, shows);
    let mut healed = None;
    match formed {
        None => wrong.push("the cluster did not form".to_owned()),
        Some(_) => {
            trouble(&mut world, seed);
            healed = world.until(SOON, check::settled).or_else(|| {
                world.note(format!("not equal yet\n{}", check::differences(&world)));
                Some(SOON + world.until(HEALS, check::settled)?)
            });
            match healed {
                None => wrong.push(format!("not equal again\n{}", check::differences(&world))),
                Some(_) => {
                    world.until(TOLD, |_| false);
                    wrong.append(&mut check::faults(&world));
                }
            }
        }
    }
    let mut report = world.load.history.with(|kept| Report {
        digest: kept.digest(),
        wrong,
        words: std::mem::take(&mut kept.words),
        summary: format!(
            "formed after {formed:?}, healed after {healed:?}, {} requests, {} failed, {} writes",
            kept.answered + kept.failed,
            kept.failed,
            kept.writes.len(),
        ),
    });
    // Every node must be gone before the network is.
    drop(world);
    report.summary.insert_str(0, &format!("seed {seed}: "));
    report
}

fn trouble(world: &mut World, seed: u64) {
    let begun = world.now();
    let mut faults = Faults::new(Chance::new(seed, 2), begun);
    while world.now() < begun + LOAD {
        faults.go_on(world);
        world.load.guest.go_on(world.now() - begun);
        world.step();
    }
    world.load.over.store(true, Ordering::Relaxed);
    world.heal();
}
