//! [`Worn`]: a reduce as an index wears it beside others. One that cannot be run to its end spoils nothing
//! but its own result, and does not take its time again and again. Never decides what an index wears.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use settee_engine::Error;

use super::{Partial, Reducing};

/// How long one is not run again that failed: it may have taken all the time that it has.
const REST: Duration = Duration::from_secs(30);

/// See the module.
pub(super) struct Worn {
    reducing: Reducing,
    /// Whether its errors are everybody's: so as long as it is tried on.
    tried_on: AtomicBool,
    /// The last time that it failed.
    failed: Mutex<Option<Failed>>,
}

struct Failed {
    since: Instant,
    why: Arc<str>,
}

impl Worn {
    /// One that has shown its use, or is still to be tried on.
    pub(super) fn new(reducing: Reducing, tried_on: bool) -> Worn {
        Worn { reducing, tried_on: AtomicBool::new(tried_on), failed: Mutex::default() }
    }

    fn failed(&self) -> MutexGuard<'_, Option<Failed>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// It passed.
    pub(super) fn keep(&self) {
        self.tried_on.store(false, Ordering::Relaxed);
    }

    /// What it makes, or what stands in the place of that.
    ///
    /// # Errors
    /// As long as it is tried on.
    pub(super) fn run(
        &self,
        run: impl FnOnce(&Reducing) -> Result<Bytes, Error>,
    ) -> Result<Bytes, Error> {
        if self.tried_on.load(Ordering::Relaxed) {
            return run(&self.reducing);
        }
        if let Some(failed) = &*self.failed()
            && failed.since.elapsed() < REST
        {
            return Ok(unmade(&failed.why));
        }
        match run(&self.reducing) {
            Err(Error::Reduce { what }) => {
                let unmade = unmade(&what);
                *self.failed() = Some(Failed { since: Instant::now(), why: what });
                Ok(unmade)
            }
            done => done,
        }
    }
}

fn unmade(reason: &str) -> Bytes {
    Partial::Unmade(reason.to_owned()).encode()
}
