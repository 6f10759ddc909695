//! One simulated cluster: its hosts, its network, its time. Steps them all, lets nodes fall and rise.

use std::collections::BTreeSet;
use std::env::VarError;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, UNIX_EPOCH};

use settee_engine::io::Fault;
use settee_model::docid::DocId;
use settee_model::rev::Rev;
use tokio::time::sleep;
use turmoil::Sim;

use crate::chance::{Chance, set_clocks};
use crate::check;
use crate::clients::{self, Load};
use crate::guest::{GUEST, Guest};
use crate::node::{Node, address, host};

/// How far time goes with each step.
const TICK: Duration = Duration::from_millis(1);

/// See the module.
pub struct World {
    pub sim: Sim<'static>,
    pub nodes: Vec<Arc<Node>>,
    /// Nodes that do not run.
    pub down: BTreeSet<usize>,
    /// Nodes whose disks fail, soon or by now.
    pub spoiled: BTreeSet<usize>,
    pub load: Arc<Load>,
    /// `WATCH=id` shows what becomes of a document.
    watch: Result<String, VarError>,
    watched: Vec<(usize, u64, Vec<Rev>)>,
}

impl World {
    /// Nodes that find each other by their seeds; none of them has run yet.
    pub fn new(seed: u64, members: usize) -> World {
        set_clocks(Duration::ZERO);
        let mut chance = Chance::new(seed, 1);
        let mut sim = turmoil::Builder::new()
            .rng_seed(chance.next())
            .epoch(UNIX_EPOCH)
            .tick_duration(TICK)
            .simulation_duration(Duration::from_secs(3600))
            .min_message_latency(Duration::ZERO)
            .max_message_latency(Duration::from_millis(5))
            .tcp_capacity(256)
            .enable_random_order()
            .build();
        let load = Arc::new(Load { guest: Guest::new(seed), ..Load::default() });
        let seeds: Vec<_> = (0..members).map(address).collect();
        let all = 0..members + usize::from(load.guest.comes.is_some());
        let nodes: Vec<_> = all.map(|number| Node::new(seed, number, &seeds)).collect();
        for node in &nodes {
            let (node, load) = (node.clone(), load.clone());
            sim.host(host(node.number), move || {
                let (node, load) = (node.clone(), load.clone());
                async move {
                    while node.number == GUEST && !load.guest.invited.load(Ordering::Relaxed) {
                        sleep(Duration::from_millis(10)).await;
                    }
                    let start = |node: &_, running: &_| clients::start(&load, node, running);
                    if let Err(error) = node.clone().live(start).await {
                        // Its disk fails; it is started again.
                        let words = || format!("n{} does not start: {error}", node.number);
                        load.history.note(words);
                        std::future::pending::<()>().await;
                    }
                    Ok(())
                }
            });
        }
        let watch = std::env::var("WATCH");
        World {
            sim,
            nodes,
            down: BTreeSet::new(),
            spoiled: BTreeSet::new(),
            load,
            watch,
            watched: Vec::new(),
        }
    }

    /// The nodes that belong to the cluster, or may.
    pub fn members(&self) -> Vec<Arc<Node>> {
        let guest = &self.load.guest;
        let here = guest.invited.load(Ordering::Relaxed) && !guest.gone.load(Ordering::Relaxed);
        let is_member = |node: &&Arc<Node>| node.number != GUEST || here;
        self.nodes.iter().filter(is_member).cloned().collect()
    }

    pub fn now(&self) -> Duration {
        self.sim.elapsed()
    }

    /// Keeps an entry of what was done to the cluster.
    pub fn note(&self, words: String) {
        let now = self.now();
        self.load.history.with(|kept| kept.note(now, words));
    }

    pub fn step(&mut self) {
        set_clocks(self.now());
        self.sim.step().unwrap();
        self.nodes.iter().for_each(|node| node.advance(TICK));
        if self.load.guest.gone.load(Ordering::Relaxed) && !self.down.contains(&GUEST) {
            self.crash(GUEST, false, &mut Chance::new(0, 0));
        }
        if let Ok(watch) = &self.watch {
            let now = check::watched(self, &DocId::trusted(watch));
            if now != self.watched {
                self.note(format!("{watch} is now {now:?}"));
                self.watched = now;
            }
        }
    }

    /// Goes on until something holds; how long that took, or `None` if it took too long.
    pub fn until(
        &mut self,
        at_most: Duration,
        mut holds: impl FnMut(&World) -> bool,
    ) -> Option<Duration> {
        let begun = self.now();
        while self.now() - begun < at_most {
            // Looking costs more than a step.
            for _ in 0..50 {
                self.step();
            }
            if holds(self) {
                return Some(self.now() - begun);
            }
        }
        None
    }

    /// A node loses power. Its peers see its connections close, unless it falls `silently`.
    pub fn crash(&mut self, number: usize, silently: bool, chance: &mut Chance) {
        if !self.down.insert(number) {
            return;
        }
        self.note(format!("n{number} falls, silently: {silently}"));
        self.spoiled.remove(&number);
        let others = || (0..self.nodes.len()).filter(|other| *other != number).map(host);
        // What is sent on the way down is lost.
        others().filter(|_| silently).for_each(|other| self.sim.partition(host(number), other));
        self.nodes[number].lose_power(chance);
        self.sim.crash(host(number));
        self.nodes[number].stopped();
        let others = || (0..self.nodes.len()).filter(|other| *other != number).map(host);
        others().filter(|_| silently).for_each(|other| self.sim.repair(host(number), other));
    }

    /// The disk of a node that runs fails once, or until it is restarted, after so many operations
    /// more.
    pub fn spoil(&mut self, number: usize, operations: u64, fault: Fault) -> bool {
        if self.down.contains(&number) {
            return false;
        }
        self.note(format!("n{number}'s disk fails after {operations} operations: {fault:?}"));
        self.spoiled.insert(number);
        self.nodes[number].spoil(operations, fault);
        true
    }

    pub fn restart(&mut self, number: usize) {
        let gone = number == GUEST && self.load.guest.gone.load(Ordering::Relaxed);
        if !gone && self.down.remove(&number) {
            self.note(format!("n{number} rises"));
            self.sim.bounce(host(number));
        }
    }

    /// All links are as at the beginning, all nodes run.
    pub fn heal(&mut self) {
        self.note("all heals".into());
        for one in 0..self.nodes.len() {
            for other in 0..one {
                self.mend(one, other);
            }
        }
        for number in self.spoiled.clone() {
            self.crash(number, false, &mut Chance::new(0, number as u64));
        }
        for number in self.down.clone() {
            self.restart(number);
        }
    }

    /// A link is as at the beginning.
    pub fn mend(&mut self, one: usize, other: usize) {
        let (one, other) = (host(one), host(other));
        self.sim.release(&*one, &*other);
        self.sim.repair(&*one, &*other);
        self.sim.set_link_max_message_latency(&*one, &*other, Duration::from_millis(5));
    }
}
