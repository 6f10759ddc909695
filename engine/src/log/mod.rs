//! The node's write-ahead log: frames of all shards in one sequence, made durable in groups by one
//! thread. Never knows what a payload means, never retries after a failed write or sync.

pub(crate) mod apart;
pub mod format;
mod replay;
mod segments;

#[cfg(test)]
mod tests;

use std::{
    io,
    sync::{Arc, mpsc},
    thread,
    time::Duration,
};

use bytes::Bytes;
use parking_lot::{Condvar, Mutex, MutexGuard};

use self::segments::{Appender, Segments};
use crate::{Error, io::Storage};

/// Largest payload, in bytes.
const MAX_PAYLOAD: usize = 1 << 30;

/// What the log is told at the start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Directory of the segments, below the storage's root.
    pub dir: String,
    /// A new segment is begun when one is larger than this, in bytes.
    pub segment_bytes: u64,
    /// Appends wait when so many bytes are waiting for the disk.
    pub queue_bytes: usize,
    /// Whether a thread of its own writes what waits. Otherwise that is done by who calls
    /// [`Log::turn`], or waits for it.
    pub thread: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options { dir: "log".into(), segment_bytes: 64 << 20, queue_bytes: 64 << 20, thread: true }
    }
}

/// A frame as replay gives it. Its payload keeps the whole segment in memory while it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Its number: 1, 2, 3, … over all shards.
    pub lsn: u64,
    /// The shard's name.
    pub shard: Arc<str>,
    /// The record.
    pub payload: Bytes,
}

/// Called once on the log's thread, in lsn order, when the frame is durable or never will be.
/// Must be quick and must not append.
pub type Done = Box<dyn FnOnce(Result<(), Error>) + Send>;

/// The open log. Shared behind an `Arc`.
pub struct Log {
    shared: Arc<Shared>,
    segments: Segments,
    threaded: bool,
    thread: Mutex<Option<thread::JoinHandle<()>>>,
}

struct Shared {
    queue: Mutex<Queue>,
    queue_bytes: usize,
    /// Something is waiting, or the log is being closed.
    work: Condvar,
    /// The queue was emptied.
    room: Condvar,
    /// Locked while a batch is written and, after a failure, until everybody was told.
    appender: Mutex<Appender>,
}

struct Queue {
    waiting: Vec<Waiting>,
    bytes: usize,
    next_lsn: u64,
    failed: Option<Error>,
    closing: bool,
}

struct Waiting {
    shard: Arc<str>,
    payload: Bytes,
    done: Done,
}

impl Log {
    /// Replays what is there, in order, then opens the log for appending behind it. What was
    /// replayed is durable when this returns, not before.
    pub fn open(
        storage: Arc<dyn Storage>,
        options: Options,
        replay: &mut dyn FnMut(Frame) -> Result<(), Error>,
    ) -> Result<Log, Error> {
        let scanned = replay::scan(&*storage, &options.dir, replay)?;
        let appender = Appender::open(storage, &options, scanned)?;
        let segments = appender.segments().clone();
        let queue = Queue {
            waiting: Vec::new(),
            bytes: 0,
            next_lsn: appender.next_lsn(),
            failed: None,
            closing: false,
        };
        let shared = Arc::new(Shared {
            queue: Mutex::new(queue),
            queue_bytes: options.queue_bytes,
            work: Condvar::new(),
            room: Condvar::new(),
            appender: Mutex::new(appender),
        });
        let threaded = options.thread;
        let thread = threaded.then(|| start(shared.clone())).transpose();
        let thread = thread.map_err(|error| Error::io("start thread for", &options.dir, error))?;
        Ok(Log { shared, segments, threaded, thread: Mutex::new(thread) })
    }

    /// Queues a frame and returns its lsn. Waits while the queue is full. An error here means that
    /// the frame is not queued and `done` is never called.
    pub fn append(&self, shard: &Arc<str>, payload: Bytes, done: Done) -> Result<u64, Error> {
        if payload.len() > MAX_PAYLOAD || shard.len() > usize::from(u16::MAX) {
            return Err(Error::TooLarge { what: "a log record" });
        }
        let size = format::frame_size(shard, &payload);
        let mut queue = self.shared.queue.lock();
        loop {
            queue.check()?;
            if queue.waiting.is_empty() || queue.bytes + size <= self.shared.queue_bytes {
                break;
            }
            if self.threaded {
                self.shared.room.wait(&mut queue);
            } else {
                MutexGuard::unlocked(&mut queue, || self.turn());
            }
        }
        let lsn = queue.next_lsn;
        queue.next_lsn += 1;
        queue.bytes += size;
        queue.waiting.push(Waiting { shard: shard.clone(), payload, done });
        if queue.waiting.len() == 1 {
            self.shared.work.notify_one();
        }
        Ok(lsn)
    }

    /// Writes what waits and tells who waited, if anything waits; whether it did. For a log that has
    /// no thread.
    pub(crate) fn turn(&self) -> bool {
        let batch = self.shared.queue.lock().take();
        let some = !batch.is_empty();
        if some {
            self.shared.write(batch);
        }
        some
    }

    /// Waits for what a completion tells.
    pub(crate) fn wait<T>(&self, told: &mpsc::Receiver<T>) -> Result<T, Error> {
        if self.threaded {
            return told.recv().map_err(|_| Error::Closed);
        }
        // Nobody else completes anything, and once nothing waits nothing will come.
        loop {
            match told.try_recv() {
                Ok(told) => return Ok(told),
                Err(_) if self.turn() => {}
                Err(_) => return Err(Error::Closed),
            }
        }
    }

    /// Waits until a completion moves `moved`, or a while.
    pub(crate) fn wait_for<T>(&self, moved: &Condvar, held: &mut MutexGuard<'_, T>) {
        if self.threaded {
            moved.wait_for(held, Duration::from_millis(100));
        } else {
            MutexGuard::unlocked(held, || self.turn());
        }
    }

    /// Whether nothing waits for the disk or is being written, as of now.
    pub fn is_idle(&self) -> bool {
        !self.shared.appender.is_locked() && self.shared.queue.lock().waiting.is_empty()
    }

    /// The lsn the next frame will get.
    pub fn next_lsn(&self) -> u64 {
        self.shared.queue.lock().next_lsn
    }

    /// Removes segments whose frames are all below `lsn`.
    pub fn trim(&self, lsn: u64) -> Result<(), Error> {
        self.segments.trim(lsn)
    }

    /// Bytes of all segments.
    pub fn size(&self) -> u64 {
        self.segments.size()
    }

    /// The failure that stopped the log, if one did.
    pub fn poisoned(&self) -> Option<Error> {
        self.shared.queue.lock().failed.clone()
    }

    /// Takes appends again after a failure: cuts off what may be there of the failed batch and goes
    /// on in a new segment, through new handles. Lsns go on behind the last durable frame, so every
    /// shard must have gone back to its last durable state first. Does nothing to a healthy log.
    pub fn recover(&self) -> Result<(), Error> {
        let mut appender = self.shared.appender.lock();
        match self.poisoned() {
            None => return Ok(()),
            // Its thread has ended, and some were never told what became of their frames.
            Some(Error::Closed) => return Err(Error::Closed),
            Some(_) => appender.recover()?,
        }
        let mut queue = self.shared.queue.lock();
        queue.next_lsn = appender.next_lsn();
        queue.failed = None;
        Ok(())
    }

    /// Writes what is queued and stops the thread. Dropping the log does the same.
    pub fn close(&self) -> Result<(), Error> {
        self.shared.queue.lock().closing = true;
        self.shared.work.notify_all();
        self.shared.room.notify_all();
        let thread = self.thread.lock().take();
        // A completion may be the last that holds the log: its thread cannot wait for itself.
        let other =
            |thread: &thread::JoinHandle<()>| thread.thread().id() != thread::current().id();
        if let Some(thread) = thread.filter(other) {
            // A panic of a completion is its owner's; the queue was left consistent.
            let _ = thread.join();
        }
        while !self.threaded && self.turn() {}
        self.poisoned().map_or(Ok(()), Err)
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        let _ = self.close();
    }
}

impl Queue {
    fn check(&self) -> Result<(), Error> {
        match &self.failed {
            // What stopped it stops all that follow: they are told the same.
            Some(cause) => Err(cause.clone()),
            None if self.closing => Err(Error::Closed),
            None => Ok(()),
        }
    }

    fn take(&mut self) -> Vec<Waiting> {
        self.bytes = 0;
        std::mem::take(&mut self.waiting)
    }
}

fn start(shared: Arc<Shared>) -> io::Result<thread::JoinHandle<()>> {
    thread::Builder::new().name("settee-log".into()).spawn(move || shared.run())
}

impl Shared {
    /// The log's thread: takes whatever is waiting, makes it durable, tells who waited.
    fn run(&self) {
        let _watch = Watch(self);
        while let Some(batch) = self.next_batch() {
            self.write(batch);
        }
    }

    fn write(&self, batch: Vec<Waiting>) {
        let mut appender = self.appender.lock();
        let frames = batch.iter().map(|waiting| (&*waiting.shard, &*waiting.payload));
        match appender.append(batch.len(), frames) {
            Ok(()) => {
                drop(appender);
                batch.into_iter().for_each(|waiting| (waiting.done)(Ok(())));
            }
            Err(error) => self.fail(batch, &error),
        }
    }

    /// Waits for something to do; `None` when the log is closed and nothing is left.
    fn next_batch(&self) -> Option<Vec<Waiting>> {
        let mut queue = self.queue.lock();
        while queue.waiting.is_empty() {
            if queue.closing {
                return None;
            }
            self.work.wait(&mut queue);
        }
        let batch = queue.take();
        self.room.notify_all();
        Some(batch)
    }

    /// Stops taking frames, then tells everybody who waits.
    fn fail(&self, batch: Vec<Waiting>, error: &Error) {
        tracing::error!(%error, "the log stopped");
        let later = {
            let mut queue = self.queue.lock();
            queue.failed = Some(error.clone());
            queue.take()
        };
        self.room.notify_all();
        for waiting in batch.into_iter().chain(later) {
            (waiting.done)(Err(error.clone()));
        }
    }
}

/// Stops the log when its thread ends by a panic of a completion, so that nobody waits in vain.
struct Watch<'a>(&'a Shared);

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let mut queue = self.0.queue.lock();
            queue.failed = Some(Error::Closed);
            drop(queue.take());
            self.0.room.notify_all();
        }
    }
}

/// Reads all segments without changing anything: for checking a data directory. A torn end is not
/// an error.
pub fn verify(
    storage: &dyn Storage,
    dir: &str,
    frames: &mut dyn FnMut(Frame) -> Result<(), Error>,
) -> Result<(), Error> {
    replay::scan(storage, dir, frames).map(|_| ())
}
