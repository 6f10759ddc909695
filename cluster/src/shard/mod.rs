//! What one shard copy does for the coordinator: reads over a snapshot, in the order of the shard.
//! Everything here may block and knows one shard only; who calls it, and where, is the business of
//! `copy`.

pub(crate) mod changes;
pub(crate) mod find;
pub(crate) mod open;
pub(crate) mod point;
mod ranges;
pub(crate) mod revs;
pub(crate) mod rows;
pub(crate) mod state;
pub(crate) mod view;

use std::time::{Duration, Instant};

use crate::Error;

/// How long a step of a scan may take that has something to give.
const STEP: Duration = Duration::from_secs(1);

/// Looks at the clock while a step lasts.
struct Watch(Instant);

impl Watch {
    fn start() -> Watch {
        Watch(Instant::now())
    }

    /// Whether what was found is to be given, though it is not much.
    fn is_time(&self) -> bool {
        self.0.elapsed() > STEP
    }
}

/// Why a shard has no answer, or a bad one.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The engine could not read.
    Engine(settee_engine::Error),
    /// The answer to the client.
    Answer(Error),
}

impl Fault {
    /// Whether the answer is on disk only, and the snapshot was told not to wait for that.
    pub(crate) fn is_absence(&self) -> bool {
        matches!(self, Fault::Engine(settee_engine::Error::NotResident))
    }
}

impl From<settee_engine::Error> for Fault {
    fn from(error: settee_engine::Error) -> Fault {
        Fault::Engine(error)
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Fault {
        Fault::Answer(error)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        match fault {
            Fault::Engine(error) => error.into(),
            Fault::Answer(error) => error,
        }
    }
}
