//! How hard builds work: on threads of a low priority, so that reads and writes of documents come
//! first, and only as long as somebody waits.

use std::sync::Weak;

use settee_query::view::Pace;

use super::flight::Flight;

/// What is added to the niceness of threads that map.
const NICE: i32 = 15;

/// A build for who waits for a flight.
pub(super) struct Quiet(Weak<Flight>);

impl Quiet {
    pub(super) fn new(flight: Weak<Flight>) -> Quiet {
        Quiet(flight)
    }
}

impl Pace for Quiet {
    fn begin(&self) {
        // Of this thread alone. If it may not be, it works as others do.
        let _ = rustix::process::setpriority_process(None, NICE);
    }

    fn go_on(&self) -> bool {
        self.0.strong_count() > 0
    }
}
