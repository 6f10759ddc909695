//! Random conversations for two servers that should answer alike, and what to do about answers that
//! do not: [`conversation`] makes one from a seed, [`judge`] says where two servers part, [`shrink`]
//! finds the shortest conversation that shows it, [`known`] has the differences on purpose. Each file
//! that makes requests knows one family of routes. Never talks to a server.

mod attachments;
mod bulk;
mod databases;
mod documents;
mod fill;
pub mod judge;
pub mod known;
mod listings;
mod mango;
pub mod met;
mod pool;
pub mod shrink;
mod views;
mod world;

#[cfg(test)]
mod tests;

use crate::client::Request;
use crate::dice::Dice;
use crate::script::{Capture, Step};
use world::World;

/// Requests of one conversation, at least and at most.
const LENGTH: (usize, usize) = (25, 60);

/// A parameter of a query or member of a body: its name, in how many of a hundred requests it stands,
/// values that are right, and values that are wrong (or odd). `<…>` in values: see [`fill`].
type Param = (&'static str, usize, &'static [&'static str], &'static [&'static str]);

/// In how many of a hundred places something wrong stands instead of something right.
const WRONG: usize = 9;

/// Makes a conversation: what it asks next depends on what should exist by then.
struct Maker {
    dice: Dice,
    world: World,
    steps: Vec<Step>,
}

/// The conversation of a seed. Its first step makes the database at `path`; it does not delete it.
#[must_use]
pub fn conversation(seed: u64, path: &str) -> Vec<Step> {
    let mut maker = Maker { dice: Dice::of(seed), world: World::at(path), steps: Vec::new() };
    maker.create_database();
    maker.fill_database();
    let (least, most) = LENGTH;
    for _ in 0..least + maker.dice.below(most - least) {
        maker.turn();
    }
    maker.steps
}

/// A conversation as a script that stands by itself: the database is deleted before and after.
#[must_use]
pub fn framed(steps: &[Step], path: &str) -> Vec<Step> {
    let delete = Step { request: Request::new("DELETE", path), ..Step::default() };
    let mut framed = vec![delete.clone()];
    framed.extend_from_slice(steps);
    framed.push(delete);
    framed
}

impl Maker {
    fn turn(&mut self) {
        match self.dice.below(100) {
            0..16 => self.write_document(),
            16..28 => self.read_document(),
            28..33 => self.delete_or_copy(),
            33..42 => self.attachment(),
            42..49 => self.write_many(),
            49..56 => self.ask_many(),
            56..66 => self.list(),
            66..72 => self.changes(),
            72..82 => self.view(),
            82..94 => self.mango(),
            _ => self.database(),
        }
    }

    /// Adds a request.
    fn ask(&mut self, request: Request) {
        self.say(Step { request, ..Step::default() });
    }

    fn say(&mut self, step: Step) {
        self.steps.push(step);
    }

    /// Adds a request whose answer shows a value that later requests name.
    fn ask_and_keep(&mut self, request: Request, kind: char, source: &str) -> String {
        let name = self.world.name(kind);
        let mut step = Step { request, ..Step::default() };
        step.captures.push(Capture { name: name.clone(), source: source.to_owned() });
        self.say(step);
        format!("{{{{{name}}}}}")
    }

    /// What a path of a partitioned database may begin with: half of them ask one partition.
    fn partition(&mut self) -> String {
        match self.world.partitioned && self.dice.chance(50) {
            true => format!("/_partition/{}", self.dice.pick(&["p", "q", "none"])),
            false => String::new(),
        }
    }

    /// A path in the database, with a query.
    fn path(&self, rest: &str, query: &[String]) -> String {
        let mark = if query.is_empty() { "" } else { "?" };
        format!("{}{rest}{mark}{}", self.world.path, query.join("&"))
    }
}
