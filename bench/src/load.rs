//! Load from many clients at once for a fixed time: each worker thread is a client of its own and
//! sends its next request as soon as the last was answered (a closed loop). Knows nothing of what is
//! asked, nor which answer is a good one.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use settee_tests::client::{Client, Request, Response};

/// A client of all nodes of a server: each request goes to the next one, on a kept connection.
pub struct Nodes {
    clients: Vec<Client>,
    turn: usize,
}

impl Nodes {
    /// `addresses` are separated by commas, each `http://[user:password@]host:port`. The first
    /// request goes to the node of that number. Nothing is opened yet.
    pub fn new(addresses: &str, first: usize) -> Nodes {
        Nodes { clients: addresses.split(',').map(Client::new).collect(), turn: first }
    }

    /// Asks the node whose turn it is.
    ///
    /// # Errors
    /// Connection and framing errors.
    pub fn send(&mut self, request: &Request) -> io::Result<Response> {
        let nodes = self.clients.len().max(1);
        let client = self.clients.get_mut(self.turn % nodes);
        self.turn += 1;
        client.ok_or(io::ErrorKind::NotFound)?.send(request)
    }
}

/// Runs `next(worker, turn)` requests of so many clients and returns answers a second.
///
/// # Errors
/// The first connection error, or the first answer that `accept` refuses.
pub fn closed_loop(
    addresses: &str,
    clients: usize,
    seconds: u64,
    next: impl Fn(usize, usize) -> Request + Sync,
    accept: impl Fn(&Response) -> bool + Sync,
) -> io::Result<f64> {
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let answered = thread::scope(|scope| {
        let workers: Vec<_> = (0..clients)
            .map(|worker| {
                scope.spawn({
                    let (next, accept, stop) = (&next, &accept, &stop);
                    move || one_worker(addresses, worker, next, accept, stop)
                })
            })
            .collect();
        thread::sleep(Duration::from_secs(seconds));
        stop.store(true, Ordering::Relaxed);
        let mut total = 0;
        for worker in workers {
            total += worker.join().map_err(|_| io::Error::other("a worker failed"))??;
        }
        io::Result::Ok(total)
    })?;
    Ok(answered as f64 / started.elapsed().as_secs_f64())
}

fn one_worker(
    addresses: &str,
    worker: usize,
    next: impl Fn(usize, usize) -> Request,
    accept: impl Fn(&Response) -> bool,
    stop: &AtomicBool,
) -> io::Result<u64> {
    let mut nodes = Nodes::new(addresses, worker);
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let request = next(worker, turn);
        let response = nodes.send(&request)?;
        if !accept(&response) {
            let what = format!("{} {}: {}", request.method, request.path, response.text());
            return Err(io::Error::other(what));
        }
        turn += 1;
    }
    Ok(turn as u64)
}

/// Seconds that one call takes.
///
/// # Errors
/// What the call returns.
pub fn timed(call: impl FnOnce() -> io::Result<()>) -> io::Result<f64> {
    let started = Instant::now();
    call()?;
    Ok(started.elapsed().as_secs_f64())
}
