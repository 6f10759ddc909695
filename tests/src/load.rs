//! Writers who are at work while something else happens to a cluster: they write new documents and
//! change them, read each through another node, and remember what was acknowledged, what was not
//! answered well and how long it took. Judges nothing.

use std::collections::BTreeMap;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::{Client, Request, Response};

/// Connections that write at once, through all nodes that are well.
const WRITERS: usize = 6;

/// What was acknowledged: revisions by id.
pub type Written = BTreeMap<String, String>;

/// How requests were answered.
#[derive(Clone, Debug, Default)]
pub struct Answers {
    /// All requests.
    pub asked: usize,
    /// Writes that fewer copies have than wanted.
    pub accepted: usize,
    /// Not answered, or not well.
    pub failed: usize,
    /// The longest time to an answer.
    pub slowest: Duration,
}

impl Answers {
    /// Counts others, too.
    pub fn add(&mut self, other: &Answers) {
        self.asked += other.asked;
        self.accepted += other.accepted;
        self.failed += other.failed;
        self.slowest = self.slowest.max(other.slowest);
    }
}

/// Which node is not well.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Lost {
    Nobody,
    /// It is asked nothing new, and is to answer what it was asked before.
    Leaving(usize),
    /// Clients do not reach it.
    Gone(usize),
    /// Clients reach it, and the other nodes do not.
    Aside(usize),
}

/// See the module.
pub struct Load {
    db: String,
    lost: Mutex<Lost>,
    done: AtomicBool,
    told: Mutex<Told>,
}

/// What is known in the end.
#[derive(Clone, Debug, Default)]
pub struct Told {
    /// What was acknowledged, by whatever node.
    pub written: Written,
    /// The answers of nodes that were well all the time.
    pub well: Answers,
    /// The answers of a node that the others did not reach.
    pub aside: Answers,
    /// The first answers of nodes that were well and that were not good.
    pub complaints: Vec<String>,
}

/// Complaints that are kept.
const COMPLAINTS: usize = 20;

/// Ends the load, however its work ended.
struct Ending<'a>(&'a Load);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.done.store(true, Ordering::SeqCst);
    }
}

impl Load {
    /// Has writers at work while `work` is. Ids begin with `name`.
    pub fn during<R>(
        clients: &[Client],
        db: &str,
        name: &str,
        work: impl FnOnce(&Load) -> R,
    ) -> (Told, R) {
        let load = Load {
            db: db.to_owned(),
            lost: Mutex::new(Lost::Nobody),
            done: AtomicBool::new(false),
            told: Mutex::default(),
        };
        let worked = thread::scope(|scope| {
            for number in 0..=WRITERS {
                let (clients, load) = (clients.iter().map(Client::again).collect(), &load);
                let name = format!("{name}-{number}");
                let writer = Writer { load, clients, name, aside: number == WRITERS };
                scope.spawn(move || writer.work());
            }
            let _ending = Ending(&load);
            work(&load)
        });
        (load.told.into_inner().unwrap_or_default(), worked)
    }

    /// From now on a node is asked nothing new.
    pub fn spare(&self, node: usize) {
        self.set(Lost::Leaving(node));
    }

    /// From now on a node is asked nothing but by who wants to know how it is alone, if it can be
    /// asked at all.
    pub fn lose(&self, node: usize, is_reachable: bool) {
        self.set(if is_reachable { Lost::Aside(node) } else { Lost::Gone(node) });
    }

    /// From now on all nodes are well.
    pub fn recover(&self) {
        self.set(Lost::Nobody);
    }

    fn set(&self, lost: Lost) {
        if let Ok(mut place) = self.lost.lock() {
            *place = lost;
        }
    }

    fn lost(&self) -> Lost {
        self.lost.lock().map_or(Lost::Nobody, |lost| *lost)
    }

    fn tell(&self, note: impl FnOnce(&mut Told)) {
        if let Ok(mut told) = self.told.lock() {
            note(&mut told);
        }
    }
}

/// One of those who write.
struct Writer<'a> {
    load: &'a Load,
    clients: Vec<Client>,
    name: String,
    /// Asks the node that the others do not reach, and no other.
    aside: bool,
}

impl Writer<'_> {
    fn work(mut self) {
        for turn in 0.. {
            if self.load.done.load(Ordering::SeqCst) {
                return;
            }
            if self.turn(turn).is_none() {
                thread::sleep(Duration::from_millis(5));
            }
        }
    }

    /// A new document, read; every other one changed, and read again. None if nothing was written.
    fn turn(&mut self, turn: usize) -> Option<()> {
        let path = format!("{}/{}-{turn}", self.load.db, self.name);
        let rev = self.write(turn, &path)?;
        self.read(turn + 1, &path, &rev);
        if turn.is_multiple_of(2) {
            let rev = self.write(turn + 2, &format!("{path}?rev={rev}"))?;
            self.read(turn, &path, &rev);
        }
        Some(())
    }

    /// Writes through a node; the revision.
    fn write(&mut self, turn: usize, path: &str) -> Option<String> {
        let request = Request::new("PUT", path).json("{}");
        let answer = self.ask(turn, &request, |answer| [201, 202].contains(&answer.status))?;
        let body = answer.json().ok()?;
        let text = |key: &str| body.get(key).and_then(|value| value.as_str()).map(str::to_owned);
        let (id, rev) = (text("id")?, text("rev")?);
        self.load.tell(|told| {
            told.written.insert(id, rev.clone());
        });
        // Who reads next might ask copies that do not have it yet.
        (answer.status == 201 || self.aside).then_some(rev)
    }

    fn read(&mut self, turn: usize, path: &str, rev: &str) {
        let shows = format!("\"_rev\":\"{rev}\"");
        let request = Request::new("GET", path);
        self.ask(turn, &request, |answer| answer.status == 200 && answer.text().contains(&shows));
    }

    /// Which node is asked in a turn.
    fn node(&self, turn: usize) -> Option<usize> {
        let lost = match self.load.lost() {
            Lost::Aside(node) if self.aside => return Some(node),
            _ if self.aside => return None,
            Lost::Nobody => None,
            Lost::Leaving(node) | Lost::Gone(node) | Lost::Aside(node) => Some(node),
        };
        let well = (0..self.clients.len()).filter(|node| Some(*node) != lost);
        let well: Vec<_> = well.collect();
        well.get(turn % well.len().max(1)).copied()
    }

    /// Asks a node; the answer if it is good. It counts if the node was well, or aside, all the time.
    fn ask(
        &mut self,
        turn: usize,
        request: &Request,
        is_good: impl Fn(&Response) -> bool,
    ) -> Option<Response> {
        let node = self.node(turn)?;
        let began = Instant::now();
        let answer = self.clients.get_mut(node)?.send(request);
        let took = began.elapsed();
        let good = answer.as_ref().is_ok_and(&is_good);
        let lost = self.load.lost();
        let counts = match self.aside {
            true => lost == Lost::Aside(node),
            false => ![Lost::Gone(node), Lost::Aside(node)].contains(&lost),
        };
        if counts {
            self.count(node, request, &answer, good, took);
        }
        answer.ok().filter(|_| good)
    }

    fn count(
        &self,
        node: usize,
        request: &Request,
        answer: &io::Result<Response>,
        good: bool,
        took: Duration,
    ) {
        let accepted = answer.as_ref().is_ok_and(|answer| answer.status == 202);
        let count = Answers {
            asked: 1,
            accepted: usize::from(accepted),
            failed: usize::from(!good),
            slowest: took,
        };
        let said = || match answer {
            Ok(answer) => format!("{} {}", answer.status, answer.text().trim()),
            Err(error) => error.to_string(),
        };
        self.load.tell(|told| {
            if self.aside {
                told.aside.add(&count);
                return;
            }
            told.well.add(&count);
            if !good && told.complaints.len() < COMPLAINTS {
                let asked = format!("{} {} of node {}", request.method, request.path, node + 1);
                told.complaints.push(format!("{asked} after {took:?}: {}", said()));
            }
        });
    }
}
