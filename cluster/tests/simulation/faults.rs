//! What goes wrong and when, as the seed has it.

use std::time::Duration;

use settee_engine::io::Fault;

use crate::chance::Chance;
use crate::node::host;
use crate::world::World;

/// See the module.
pub struct Faults {
    chance: Chance,
    next: Duration,
    /// What ends when.
    ends: Vec<(Duration, End)>,
}

enum End {
    Down(usize),
    /// A node whose disk has failed is restarted.
    Disk(usize),
    Link(usize, usize),
}

impl Faults {
    pub fn new(chance: Chance, now: Duration) -> Faults {
        Faults { chance, next: now, ends: Vec::new() }
    }

    /// Does what is due now.
    pub fn go_on(&mut self, world: &mut World) {
        let now = world.now();
        let (due, later) = self.ends.drain(..).partition(|(when, _)| *when <= now);
        self.ends = later;
        for (_, end) in Vec::from_iter::<Vec<_>>(due) {
            match end {
                End::Down(number) => world.restart(number),
                End::Disk(number) => {
                    world.crash(number, false, &mut self.chance);
                    let until = now + Duration::from_millis(self.chance.between(10, 1000));
                    self.ends.push((until, End::Down(number)));
                }
                End::Link(one, other) => {
                    world.note(format!("n{one} and n{other} are linked again"));
                    world.mend(one, other);
                }
            }
        }
        if now >= self.next {
            self.next = now + Duration::from_millis(self.chance.between(100, 4000));
            self.begin(world);
        }
    }

    fn begin(&mut self, world: &mut World) {
        let nodes = world.members().len() as u64;
        let one = self.chance.below(nodes) as usize;
        let other = (one + self.chance.between(1, nodes - 1) as usize) % nodes as usize;
        let until = world.now() + Duration::from_millis(self.chance.between(100, 8000));
        match self.chance.below(12) {
            0..=3 => {
                let silently = self.chance.one_in(2);
                world.crash(one, silently, &mut self.chance);
                self.ends.push((until, End::Down(one)));
            }
            4 => {
                world.note(format!("n{one} is cut off"));
                for other in (0..nodes as usize).filter(|other| *other != one) {
                    world.sim.partition(host(one), host(other));
                    self.ends.push((until, End::Link(one, other)));
                }
            }
            5 => {
                world.note(format!("n{one} and n{other} are cut from each other"));
                world.sim.partition(host(one), host(other));
                self.ends.push((until, End::Link(one, other)));
            }
            6..=7 => {
                world.note(format!("n{other} does not hear n{one}"));
                world.sim.partition_oneway(host(one), host(other));
                self.ends.push((until, End::Link(one, other)));
            }
            8..=9 => {
                let soon = self.chance.below(40);
                let fault = if self.chance.one_in(2) { Fault::Fail } else { Fault::PowerCut };
                if world.spoil(one, soon, fault) {
                    self.ends.push((until, End::Disk(one)));
                }
            }
            10 => {
                world.note(format!("nothing moves between n{one} and n{other}"));
                world.sim.hold(host(one), host(other));
                self.ends.push((until, End::Link(one, other)));
            }
            _ => {
                let slow = Duration::from_millis(self.chance.between(20, 500));
                world.note(format!("n{one} and n{other} are {slow:?} apart"));
                world.sim.set_link_max_message_latency(host(one), host(other), slow);
                self.ends.push((until, End::Link(one, other)));
            }
        }
    }
}
