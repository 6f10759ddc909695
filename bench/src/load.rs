//! Load from many connections at once for a fixed time: each worker thread has a connection of
//! its own and sends its next request as soon as the last was answered (a closed loop).

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use settee_tests::client::{Client, Request, Response};

/// Runs `next(worker, turn)` requests on `connections` connections and returns answers a second.
///
/// # Errors
/// The first connection error, or the first answer that `accept` refuses.
pub fn closed_loop(
    base: &str,
    connections: usize,
    seconds: u64,
    next: impl Fn(usize, usize) -> Request + Sync,
    accept: impl Fn(&Response) -> bool + Sync,
) -> io::Result<f64> {
    let stop = AtomicBool::new(false);
    let started = Instant::now();
    let answered = thread::scope(|scope| {
        let workers: Vec<_> = (0..connections)
            .map(|worker| {
                scope.spawn({
                    let (next, accept, stop) = (&next, &accept, &stop);
                    move || one_worker(base, worker, next, accept, stop)
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
    base: &str,
    worker: usize,
    next: impl Fn(usize, usize) -> Request,
    accept: impl Fn(&Response) -> bool,
    stop: &AtomicBool,
) -> io::Result<u64> {
    let mut client = Client::new(base);
    let mut turn = 0;
    while !stop.load(Ordering::Relaxed) {
        let request = next(worker, turn);
        let response = client.send(&request)?;
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
