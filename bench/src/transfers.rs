//! What is measured of many documents in one answer, of attachments, up and down, and of a restart.
//! Never sends an attachment that compression makes smaller, nor the same one twice.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;
use settee_tests::client::{Request, Response};
use settee_tests::orders::id;

use crate::load::{Nodes, closed_loop, timed};
use crate::rows::Bench;

/// Documents asked for by one `_bulk_get`, as many as a replicator asks for at once.
const LINES: usize = 500;
/// Bytes of a document at least; one that is missing is an error of fewer.
const SMALLEST: usize = 350;
/// Bytes of a large attachment, and of a small one.
const LARGE: usize = 8 << 20;
const SMALL: usize = 16 << 10;
/// Small attachments that there are to read.
const COUNT: usize = 1000;
/// How long a server may take to come back.
const START_LIMIT: Duration = Duration::from_secs(120);
/// Between two attempts to reach it.
const PAUSE: Duration = Duration::from_millis(5);

impl Bench {
    /// Documents a second by `_bulk_get` with their histories, as replication reads them.
    pub fn bulk_get(&mut self, clients: usize) -> io::Result<Option<f64>> {
        let docs = self.docs;
        let next = |worker: usize, n: usize| {
            let first = (n * clients + worker) * LINES;
            let lines: Vec<_> =
                (first..first + LINES).map(|line| json!({"id": id(line % docs)})).collect();
            let body = json!({"docs": lines}).to_string();
            Request::new("POST", "/bench_read/_bulk_get?revs=true").json(&body)
        };
        let whole = |r: &Response| r.status == 200 && r.body.len() >= LINES * SMALLEST;
        let rate = closed_loop(&self.addresses, clients, self.seconds, next, whole)?;
        Ok(Some(rate * LINES as f64))
    }

    /// MiB a second of attachments that new documents get.
    pub fn uploads(&mut self, size: Size, clients: usize) -> io::Result<Option<f64>> {
        self.turn += 1;
        let (turn, body) = (self.turn, size.body());
        // No two are equal, for a server may keep equal bytes once.
        let body = |worker: usize, n: usize| stamped(&body, [turn, worker, n]);
        let next = |worker: usize, n: usize| {
            let path = format!("/bench_write/upload{turn}-{worker}-{n}/file");
            Request { body: Some(body(worker, n)), ..Request::new("PUT", &path) }
                .header("Content-Type", "application/octet-stream")
        };
        let rate = closed_loop(&self.addresses, clients, self.seconds, next, |r| r.status == 201)?;
        Ok(Some(rate * size.mebibytes()))
    }

    /// MiB a second of attachments that are there.
    pub fn downloads(&mut self, size: Size, clients: usize) -> io::Result<Option<f64>> {
        let (name, count) = match size {
            Size::Large => ("large", clients),
            Size::Small => ("small", COUNT),
        };
        let path = |number: usize| format!("/bench_write/{name}-{number}/file");
        if self.nodes.send(&Request::new("HEAD", &path(count - 1)))?.status != 200 {
            for number in 0..count {
                let upload = Request::new("PUT", &path(number));
                let body = stamped(&size.body(), [0, 0, number]);
                let upload = Request { body: Some(body), ..upload };
                self.expect(&upload.header("Content-Type", "application/octet-stream"), 201)?;
            }
        }
        let next = |worker: usize, n: usize| {
            Request::new("GET", &path((n * clients + worker).wrapping_mul(7919) % count))
        };
        let whole = |r: &Response| r.status == 200 && r.body.len() == size.bytes();
        let rate = closed_loop(&self.addresses, clients, self.seconds, next, whole)?;
        Ok(Some(rate * size.mebibytes()))
    }

    /// Milliseconds from the order to start anew until a document is read. Of a cluster the first node
    /// is asked to, and asked for the document.
    pub fn restart(&mut self) -> io::Result<Option<f64>> {
        let first = self.addresses.split(',').next().unwrap_or_default().to_owned();
        let mut node = Nodes::new(&first, 0);
        let order = Request::new("POST", "/_node/_local/_restart").json("{}");
        let read = Request::new("GET", &format!("/bench_read/{}", id(0)));
        let answer = node.send(&order)?;
        if answer.status != 200 {
            return Err(io::Error::other(answer.text()));
        }
        let mut gone = false;
        let seconds = timed(|| {
            let deadline = Instant::now() + START_LIMIT;
            while Instant::now() < deadline {
                match node.send(&read) {
                    Ok(answer) if answer.status == 200 && gone => return Ok(()),
                    // It has not begun to stop.
                    Ok(answer) if answer.status == 200 => {}
                    _ => gone = true,
                }
                thread::sleep(PAUSE);
            }
            Err(io::Error::other("the server does not come back"))
        })?;
        Ok(Some(seconds * 1000.0))
    }
}

/// Bytes that are different in every piece from those of any other stamp.
fn stamped(body: &[u8], stamp: [usize; 3]) -> Vec<u8> {
    let mut body = body.to_vec();
    let stamp = stamp.map(usize::to_le_bytes);
    for piece in body.chunks_mut(SMALL) {
        piece.iter_mut().zip(stamp.as_flattened()).for_each(|(byte, with)| *byte = *with);
    }
    body
}

/// How large an attachment is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// A video, a backup.
    Large,
    /// A picture of a person.
    Small,
}

impl Size {
    fn bytes(self) -> usize {
        match self {
            Size::Large => LARGE,
            Size::Small => SMALL,
        }
    }

    fn mebibytes(self) -> f64 {
        self.bytes() as f64 / f64::from(1 << 20)
    }

    /// Bytes that no compression makes smaller.
    fn body(self) -> Vec<u8> {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut body = Vec::with_capacity(self.bytes());
        while body.len() < self.bytes() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            body.extend_from_slice(&(state >> 16).to_le_bytes()[..4]);
        }
        body
    }
}
