//! Rounds of faults under load, and the checker: in each round a fault happens to a node and passes;
//! then all nodes show the same soon, with everything that was acknowledged. Fails by panicking when
//! that does not hold; how well requests were answered is reported, and for others to judge.

// A test says what it expects by failing.
#![allow(clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fmt;
use std::thread;
use std::time::{Duration, Instant};

use crate::ask::{CATCH_UP, contents_of, put};
use crate::cluster::Cluster;
use crate::fault::Fault;
use crate::load::{Answers, Load, Told, Written};

/// How long writers go on when all is well again.
const AFTER: Duration = Duration::from_millis(200);

/// What happened in the rounds of one fault.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// How often it happened.
    pub rounds: usize,
    /// What the nodes that were well answered.
    pub well: Answers,
    /// What the node answered that the others did not reach.
    pub aside: Answers,
    /// The longest time until all were equal again.
    pub equal_after: Duration,
}

impl Outcome {
    fn add(&mut self, other: &Outcome) {
        self.rounds += other.rounds;
        self.well.add(&other.well);
        self.aside.add(&other.aside);
        self.equal_after = self.equal_after.max(other.equal_after);
    }
}

/// See the module.
pub struct Rounds {
    db: String,
    done: usize,
    written: Written,
    outcomes: BTreeMap<Fault, Outcome>,
}

impl Rounds {
    /// Over a new database.
    #[must_use]
    pub fn begin(cluster: &Cluster) -> Rounds {
        let db = "/rounds".to_owned();
        let mut clients = cluster.clients();
        let first = clients.first_mut().expect("a node");
        assert_eq!(put(first, &format!("{db}?q=2&n=3"), "").status, 201);
        Rounds { db, done: 0, written: Written::new(), outcomes: BTreeMap::new() }
    }

    /// So many were done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.done
    }

    /// One round: the same fault for each of these nodes in turn.
    pub fn round(&mut self, cluster: &mut Cluster, fault: Fault, nodes: &[usize]) {
        let name = format!("{:05}", self.done);
        let clients = cluster.clients();
        let (told, healed) = Load::during(&clients, &self.db, &name, |load| {
            let mut healed = Instant::now();
            for &node in nodes {
                thread::sleep(Duration::from_millis(100 + (self.done as u64 * 67) % 300));
                healed = self.suffer(cluster, load, fault, node);
            }
            thread::sleep(AFTER);
            healed
        });
        let rows = format!("{}/_all_docs?startkey=\"{name}-\"&endkey=\"{name}-~\"", self.db);
        wait_until_equal(cluster, &rows, &told.written, &format!("round {name}, {fault:?}"));
        let equal_after = healed.elapsed();
        self.note(fault, told, equal_after);
    }

    /// A fault that comes and goes; when it began to go.
    fn suffer(&self, cluster: &mut Cluster, load: &Load, fault: Fault, node: usize) -> Instant {
        if fault == Fault::Restart {
            load.spare(node);
        } else if !fault.leaves_it_a_majority() {
            load.lose(node, fault.leaves_it_reachable());
        }
        cluster.inflict(fault, node).expect("a fault");
        if fault == Fault::Restart {
            load.lose(node, false);
        } else {
            thread::sleep(Duration::from_millis(1000 + (self.done as u64 * 131) % 2000));
        }
        let healed = Instant::now();
        cluster.heal(fault, node).expect("a node that comes back");
        // Until then it may answer for itself alone.
        cluster.wait_until_steady().expect("nodes that find each other");
        load.recover();
        healed
    }

    fn note(&mut self, fault: Fault, told: Told, equal_after: Duration) {
        for complaint in &told.complaints {
            eprintln!("round {}, {fault:?}: {complaint}", self.done);
        }
        let Told { written, well, aside, .. } = told;
        self.done += 1;
        self.written.extend(written);
        let outcome = Outcome { rounds: 1, well, aside, equal_after };
        self.outcomes.entry(fault).or_default().add(&outcome);
    }

    /// Everything that was ever acknowledged is on all nodes; what happened in all rounds.
    #[must_use]
    pub fn end(self, cluster: &mut Cluster) -> Report {
        let rows = format!("{}/_all_docs", self.db);
        wait_until_equal(cluster, &rows, &self.written, "in the end");
        let mut all = Outcome::default();
        self.outcomes.values().for_each(|outcome| all.add(outcome));
        Report { written: self.written.len(), all, outcomes: self.outcomes }
    }
}

/// What happened in all rounds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Documents that were acknowledged.
    pub written: usize,
    /// In all rounds.
    pub all: Outcome,
    outcomes: BTreeMap<Fault, Outcome>,
}

impl Report {
    /// Holds what happened against what is promised: of 1000 requests 999 are answered well by
    /// nodes that are well, and none takes longer than `patience`.
    ///
    /// # Panics
    /// When it is not so.
    pub fn judge(&self, patience: Duration) {
        let Answers { asked, failed, slowest, .. } = self.all.well;
        assert!(asked > 0, "nothing was asked");
        assert!(failed * 1000 <= asked, "{failed} of {asked} requests were not answered well");
        assert!(slowest < patience, "a request took {slowest:?}");
    }
}

impl fmt::Display for Report {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            out,
            "{:8}{:>7}{:>10}{:>9}{:>7}{:>9}  {:>9}{:>7}{:>9}  {:>9}",
            "fault",
            "rounds",
            "requests",
            "accepted",
            "bad",
            "slowest",
            "cut off",
            "bad",
            "slowest",
            "equal in"
        )?;
        let outcomes = self.outcomes.iter().map(|(fault, outcome)| (format!("{fault:?}"), outcome));
        for (name, outcome) in outcomes.chain([("all".to_owned(), &self.all)]) {
            let Outcome { rounds, well, aside, equal_after } = outcome;
            writeln!(
                out,
                "{name:8}{rounds:7}{:10}{:9}{:7}{:8.2}s  {:9}{:7}{:8.2}s  {:8.2}s",
                well.asked,
                well.accepted,
                well.failed,
                well.slowest.as_secs_f64(),
                aside.asked,
                aside.failed,
                aside.slowest.as_secs_f64(),
                equal_after.as_secs_f64(),
            )?;
        }
        write!(out, "{} documents acknowledged, none lost", self.written)
    }
}

/// Waits until all nodes show the same rows, with everything that was acknowledged.
///
/// # Panics
/// When that takes too long, with what is amiss.
pub fn wait_until_equal(cluster: &Cluster, rows: &str, written: &Written, when: &str) {
    let began = Instant::now();
    let mut clients = cluster.clients();
    loop {
        let shown: Vec<_> = clients.iter_mut().map(|client| contents_of(client, rows)).collect();
        let amiss: Vec<_> = shown.iter().map(|shown| lost(written, shown)).collect();
        let same = shown.windows(2).all(|two| two.first() == two.last());
        if same && amiss.iter().all(Option::is_none) {
            return;
        }
        if began.elapsed() > CATCH_UP {
            let counts: Vec<_> = shown.iter().map(BTreeMap::len).collect();
            let differs = shown.windows(2).find_map(|two| difference(two.first()?, two.last()?));
            panic!("{when}: the nodes show {counts:?} documents; lost: {amiss:?}; {differs:?}");
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// A document that is not as it was acknowledged, nor newer.
fn lost(written: &Written, shown: &Written) -> Option<String> {
    let generation = |rev: &str| rev.split('-').next()?.parse::<u64>().ok();
    let is_lost = |id: &str, rev: &str| match shown.get(id) {
        Some(there) => there != rev && generation(there) <= generation(rev),
        None => true,
    };
    let (id, rev) = written.iter().find(|(id, rev)| is_lost(id, rev))?;
    Some(format!("{id} {rev}, shown {:?}", shown.get(id)))
}

fn difference(one: &Written, other: &Written) -> Option<String> {
    let differs = |id: &&String| one.get(*id) != other.get(*id);
    let id = one.keys().chain(other.keys()).find(differs)?;
    Some(format!("{id}: {:?} and {:?}", one.get(id), other.get(id)))
}
