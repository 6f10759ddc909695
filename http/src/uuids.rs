//! [`Uuids`]: new document ids from the clock and the system's randomness, one after the other
//! for all requests. What the algorithms are is the business of `model::uuid`.

use std::time::{SystemTime, UNIX_EPOCH};

use parking_lot::Mutex;
use settee_model::uuid::{Algorithm, Generator};

use crate::random;
use crate::settings::Settings;

/// What the last id leaves behind for the next.
#[derive(Debug, Default)]
pub struct Uuids(Mutex<Generator>);

impl Uuids {
    /// A new id by the algorithm that is set.
    #[must_use]
    pub fn next(&self, settings: &Settings) -> String {
        let algorithm = Algorithm::parse(&settings.uuid_algorithm, &settings.utc_id_suffix);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(now.as_micros()).unwrap_or(u64::MAX);
        self.0.lock().next(&algorithm, now, random::bytes())
    }
}
