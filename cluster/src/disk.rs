//! [`DiskMonitor`]: whether this node's disk has room for what is asked, as an operator decides it
//! (`[disk_monitor]`), long before the disk is full. What the engine does on a full disk is not its
//! business; nor does it ever stop what copies tell each other, or what frees room.

use std::time::{Duration, Instant};

use parking_lot::{Mutex, RwLock};
use settee_engine::Engine;

use crate::Error;

/// For so long what was seen of the disk counts.
const SEEN: Duration = Duration::from_secs(1);
/// In CouchDB's words.
const NO_INDEX: &str = "not enough room to update index";

/// `[disk_monitor]`: how much of the disk may be used, in percent; beyond it something is refused.
/// `None` refuses nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskSettings {
    /// `interactive_database_writes_threshold`: edits by clients.
    pub writes: Option<u8>,
    /// `interactive_view_indexing_threshold`: bringing an index up to date for who asks a view.
    pub views: Option<u8>,
    /// `background_view_indexing_threshold`: doing so ahead of who will ask.
    pub ahead: Option<u8>,
}

/// See the module.
pub(crate) struct DiskMonitor {
    engine: Engine,
    settings: RwLock<DiskSettings>,
    /// When the disk was looked at last, and how many percent of it were used.
    seen: Mutex<Option<(Instant, u8)>>,
}

impl DiskMonitor {
    pub(crate) fn new(engine: Engine) -> DiskMonitor {
        DiskMonitor { engine, settings: RwLock::default(), seen: Mutex::default() }
    }

    pub(crate) fn set(&self, settings: DiskSettings) {
        *self.settings.write() = settings;
    }

    /// [`Error::Full`] if no client may edit now.
    pub(crate) fn check_writes(&self) -> Result<(), Error> {
        self.check(|settings| settings.writes, "database_dir is too full")
    }

    /// [`Error::Full`] if no index is brought up to date for who asks.
    pub(crate) fn check_views(&self) -> Result<(), Error> {
        self.check(|settings| settings.views, NO_INDEX)
    }

    /// The same for nobody yet.
    pub(crate) fn check_ahead(&self) -> Result<(), Error> {
        self.check(|settings| settings.ahead, NO_INDEX)
    }

    fn check(
        &self,
        threshold: impl FnOnce(DiskSettings) -> Option<u8>,
        reason: &str,
    ) -> Result<(), Error> {
        match threshold(*self.settings.read()) {
            Some(threshold) if self.used()? > threshold => Err(Error::Full(reason.to_owned())),
            _ => Ok(()),
        }
    }

    /// Percent of the disk that are used.
    fn used(&self) -> Result<u8, Error> {
        let mut seen = self.seen.lock();
        match *seen {
            Some((at, used)) if at.elapsed() < SEEN => Ok(used),
            _ => {
                let used = self.engine.room()?.used_percent();
                *seen = Some((Instant::now(), used));
                Ok(used)
            }
        }
    }
}
