//! Room on the disk for the time when there is no other: a file that is given up so that what frees
//! room can still be logged and written (deletions, purges, drops, checkpoints, compaction), and made
//! again as soon as it fits. While it is gone, what needs more room is refused. Never says which
//! writes free room (see `shard/batch`).

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use super::Env;
use crate::Error;

/// Its place below the data directory.
const PATH: &str = "reserve";
/// Written at once, in bytes.
const PIECE: usize = 1 << 20;
/// Between two attempts to make it, in milliseconds.
const PAUSE_MS: u64 = 5000;

/// See the module's description.
#[derive(Default)]
pub(crate) struct Reserve {
    /// The disk is full, or was until now.
    full: AtomicBool,
    /// The file is there.
    there: AtomicBool,
    /// When making it failed last.
    failed_ms: AtomicU64,
}

impl Env {
    /// Refuses what needs room while there is none.
    pub(crate) fn check_room(&self) -> Result<(), Error> {
        if self.reserve.full.load(Ordering::Relaxed) {
            return Err(Error::DiskFull { file: PATH.into() });
        }
        Ok(())
    }

    /// The disk is full: gives up the reserve. Whether there is more room now.
    pub(crate) fn release_reserve(&self) -> bool {
        if self.options.reserve_bytes == 0 {
            return false;
        }
        self.reserve.full.store(true, Ordering::Relaxed);
        self.reserve.there.store(false, Ordering::Relaxed);
        match self.storage.remove(PATH).and_then(|()| self.storage.sync_dir("")) {
            Ok(()) => {
                tracing::warn!("the disk is full: only what frees room is written");
                true
            }
            Err(Error::Missing { .. }) => false,
            Err(error) => {
                tracing::warn!(%error, "the reserve of the disk cannot be given up");
                false
            }
        }
    }

    /// Makes the reserve if it is not there and there is room for twice as much.
    pub(super) fn keep_reserve(&self) {
        let (bytes, reserve) = (self.options.reserve_bytes, &self.reserve);
        let now = self.now_ms();
        let patient = now.saturating_sub(reserve.failed_ms.load(Ordering::Relaxed)) < PAUSE_MS;
        if bytes == 0 || reserve.there.load(Ordering::Relaxed) || patient {
            return;
        }
        match self.make_reserve(bytes) {
            Ok(true) => {
                reserve.there.store(true, Ordering::Relaxed);
                if reserve.full.swap(false, Ordering::Relaxed) {
                    tracing::info!("the disk has room again");
                }
            }
            Ok(false) => {}
            Err(error) => {
                tracing::warn!(%error, "no reserve could be made for a full disk");
                reserve.failed_ms.store(now, Ordering::Relaxed);
            }
        }
    }

    /// Whether it is there now.
    fn make_reserve(&self, bytes: u64) -> Result<bool, Error> {
        if self.storage.open(PATH).and_then(|file| file.len()).is_ok_and(|len| len >= bytes) {
            return Ok(true);
        }
        if self.storage.room()?.free < bytes.saturating_mul(2) {
            return Ok(false);
        }
        let draft = self.draft_path();
        let put = || {
            let file = self.storage.create(&draft)?;
            // Not only its length: the blocks must be there.
            let piece = vec![0; PIECE];
            let mut at = 0;
            while at < bytes {
                let len = PIECE.min(usize::try_from(bytes - at).unwrap_or(PIECE));
                file.write_at(piece.get(..len).unwrap_or_default(), at)?;
                at += len as u64;
            }
            file.sync()?;
            self.put_in_place(&draft, PATH)
        };
        put().inspect_err(|_| self.discard(&draft))?;
        Ok(true)
    }
}
