//! How hard builds work: on threads of a low priority, so that reads and writes of documents come
//! first, and only as long as somebody waits and it is their turn. Whose turn it is, is decided in `lanes`.

use std::sync::Weak;
use std::sync::atomic::{AtomicBool, Ordering};

use settee_query::view::Pace;

use super::building::Outcome;
use super::lanes::Slice;
use crate::flight::Flight;

/// What is added to the niceness of threads that map.
const NICE: i32 = 15;

/// A build for who waits for a flight, for the time of a slice.
pub(super) struct Quiet {
    flight: Weak<Flight<Outcome>>,
    slice: Slice,
    /// It was told to stop as it was the turn of others.
    gave_way: AtomicBool,
}

impl Quiet {
    pub(super) fn new(flight: Weak<Flight<Outcome>>, slice: Slice) -> Quiet {
        Quiet { flight, slice, gave_way: AtomicBool::new(false) }
    }

    /// What it may use.
    pub(super) fn slice(&self) -> &Slice {
        &self.slice
    }

    /// Whether it ended as it was the turn of others.
    pub(super) fn gave_way(&self) -> bool {
        self.gave_way.load(Ordering::Relaxed)
    }
}

impl Pace for Quiet {
    fn begin(&self) {
        // Of this thread alone. If it may not be, it works as others do.
        let _ = rustix::process::setpriority_process(None, NICE);
    }

    fn go_on(&self) -> bool {
        let is_over = self.slice.is_over();
        self.gave_way.fetch_or(is_over, Ordering::Relaxed);
        !is_over && self.flight.strong_count() > 0
    }
}
