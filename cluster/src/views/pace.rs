//! How hard builds work: on threads of a low priority, so that reads and writes of documents come
//! first, and only as long as somebody waits and it is their turn.

use std::sync::Weak;

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
}

impl Quiet {
    pub(super) fn new(flight: Weak<Flight<Outcome>>, slice: Slice) -> Quiet {
        Quiet { flight, slice }
    }

    /// What it may use.
    pub(super) fn slice(&self) -> &Slice {
        &self.slice
    }

    /// Whether somebody waits for it.
    pub(super) fn is_wanted(&self) -> bool {
        self.flight.strong_count() > 0
    }
}

impl Pace for Quiet {
    fn begin(&self) {
        // Of this thread alone. If it may not be, it works as others do.
        let _ = rustix::process::setpriority_process(None, NICE);
    }

    fn go_on(&self) -> bool {
        self.is_wanted() && !self.slice.is_over()
    }
}
