//! Small attachments travel with the edit that names them, and each copy stores their bytes in the log
//! when it takes the edit on: no copy hears of them before. What one edit brings waits in memory
//! wherever it is, so there is a limit to it. Only counts and names: nothing is sent here.

use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use settee_engine::shard::name_chunk;
use settee_model::doc::{AttBytes, Chunk, Hold};

use crate::Error;

/// Stored bytes of an attachment that travel with its edit, at most: what is larger is better
/// written once, to the file.
const SMALL: u64 = 32 << 10;

/// Stored bytes of all attachments that travel with one edit, at most.
const LUGGAGE: u64 = 4 << 20;

/// What an edit may still bring.
pub(super) struct Luggage(AtomicU64);

impl Default for Luggage {
    fn default() -> Self {
        Luggage(AtomicU64::new(LUGGAGE))
    }
}

impl Luggage {
    /// Whether the edit brings a whole attachment of that length; then there is less room for others.
    pub(super) fn takes(&self, length: u64) -> bool {
        let take = |left: u64| left.checked_sub(length);
        length <= SMALL && self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).is_ok()
    }
}

/// How an edit names bytes that it brings.
pub(super) fn carry(bytes: Bytes) -> Result<(Vec<Chunk>, AttBytes), Error> {
    if bytes.is_empty() {
        return Ok((Vec::new(), AttBytes::Held(Hold::default())));
    }
    Ok((vec![name_chunk(&bytes)?], AttBytes::Carried(bytes)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_brings_what_is_small_until_that_is_too_much() {
        let luggage = Luggage::default();
        assert!(!luggage.takes(SMALL + 1));
        let mut taken = 0;
        while luggage.takes(30_000) {
            taken += 30_000;
        }
        assert!(taken <= LUGGAGE && taken + 30_000 > LUGGAGE, "{taken}");
        assert!(luggage.takes(LUGGAGE - taken));
        assert!(!luggage.takes(1));
        assert!(luggage.takes(0));
    }
}
