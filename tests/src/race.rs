//! Clients that race: all change the same few documents at once, each through its node, and count in
//! them how often one was changed. What was acknowledged is in the count, and there is no conflict.

// A test says what it expects by failing.
#![allow(clippy::expect_used, clippy::panic)]

use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ask::{get, put, wait_for};
use crate::client::{Client, Request};
use crate::cluster::Cluster;

/// Clients at once.
const RACERS: usize = 16;
/// Documents that all of them change.
const DOCUMENTS: usize = 8;
/// Rest of who cannot reach its node.
const REST: Duration = Duration::from_millis(20);

/// How the race went.
#[derive(Clone, Debug, Default)]
pub struct Race {
    /// Changes that were acknowledged, by document.
    pub won: [usize; DOCUMENTS],
    /// Changes that came too late.
    pub lost: usize,
    /// Changes that fewer copies have than wanted; they are among those that were acknowledged.
    pub accepted: usize,
    /// Requests of which nobody knows what became of them, by document.
    pub unknown: [usize; DOCUMENTS],
    /// The longest time to an answer.
    pub slowest: Duration,
}

impl fmt::Display for Race {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (won, unknown): (usize, usize) = (self.won.iter().sum(), self.unknown.iter().sum());
        let Race { lost, accepted, slowest, .. } = self;
        write!(
            out,
            "{RACERS} clients, {DOCUMENTS} documents: {won} changes acknowledged ({accepted} with \
             202), {lost} too late, {unknown} not answered, slowest {:.2}s",
            slowest.as_secs_f64()
        )
    }
}

/// Races while `work` is at work, and judges: nothing acknowledged is missing, and on no node is
/// there a conflict.
///
/// # Panics
/// When that is not so.
pub fn race(cluster: &mut Cluster, db: &str, work: impl FnOnce(&mut Cluster)) -> Race {
    let mut clients = cluster.clients();
    for document in 0..DOCUMENTS {
        let made = put(clients.first_mut().expect("a node"), &format!("{db}/{document}"), "0");
        assert_eq!(made.status, 201, "{}", made.text());
    }
    let (race, done) = (Mutex::new(Race::default()), AtomicBool::new(false));
    thread::scope(|scope| {
        for (number, client) in (0..RACERS).zip(clients.iter().cycle()) {
            let (client, race, done) = (client.again(), &race, &done);
            scope.spawn(move || run(client, db, number, race, done));
        }
        let ended = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| work(cluster)));
        done.store(true, Ordering::SeqCst);
        ended.expect("work that ends");
    });
    let race = race.into_inner().expect("racers that end");
    judge(&mut clients, db, &race);
    race
}

/// One racer, from document to document.
fn run(mut client: Client, db: &str, number: usize, race: &Mutex<Race>, done: &AtomicBool) {
    for turn in number.. {
        if done.load(Ordering::SeqCst) {
            return;
        }
        let document = turn % DOCUMENTS;
        let path = format!("{db}/{document}");
        let Ok(read) = client.send(&Request::new("GET", &path)) else {
            thread::sleep(REST);
            continue;
        };
        let Ok(mut doc) = read.json() else { continue };
        let Some(count) = doc.get("n").and_then(Value::as_u64) else { continue };
        if let Some(members) = doc.as_object_mut() {
            members.insert("n".to_owned(), json!(count + 1));
            // Or two who write the same would make the same revision, and no conflict.
            members.insert("by".to_owned(), json!(number));
        }
        let began = Instant::now();
        let status = client.send(&Request::new("PUT", &path).json(&doc.to_string()));
        let status = status.map_or(0, |answer| answer.status);
        let mut race = race.lock().expect("racers that go on");
        race.slowest = race.slowest.max(began.elapsed());
        match status {
            201 | 202 => {
                race.accepted += usize::from(status == 202);
                race.won.get_mut(document).into_iter().for_each(|won| *won += 1);
            }
            409 => race.lost += 1,
            _ => race.unknown.get_mut(document).into_iter().for_each(|it| *it += 1),
        }
    }
}

fn judge(clients: &mut [Client], db: &str, race: &Race) {
    let rows = format!("{db}/_all_docs?conflicts=true&include_docs=true");
    let shown = |client: &mut Client| get(client, &rows).get("rows").cloned();
    let shown = wait_for(|| {
        let shown: Vec<_> = clients.iter_mut().map(shown).collect();
        let same = shown.windows(2).all(|two| two.first() == two.last());
        shown.into_iter().next().flatten().filter(|_| same)
    });
    let conflicts = |row: &&Value| row.pointer("/doc/_conflicts").is_some();
    let rows: Vec<Value> = shown.as_array().cloned().unwrap_or_default();
    let conflicts: Vec<_> = rows.iter().filter(conflicts).collect();
    assert!(conflicts.is_empty(), "{race}; there are conflicts: {conflicts:?}");
    assert_eq!(rows.len(), DOCUMENTS, "{rows:?}");
    for ((row, won), unknown) in rows.iter().zip(race.won).zip(race.unknown) {
        let count = row.pointer("/doc/n").and_then(Value::as_u64);
        let count = count.and_then(|count| usize::try_from(count).ok()).unwrap_or_default();
        assert!(won > 0, "{race}; a document was never changed");
        let right = won..=won + unknown;
        assert!(right.contains(&count), "{race}; {right:?} changes are counted as {count}");
    }
}
