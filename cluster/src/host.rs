//! What all shard copies on this node share: the engine that has them, the views over them, and what
//! is seen of the disk below. Cheap to clone. Knows no database.

use std::sync::Arc;

use settee_engine::Engine;

use crate::disk::DiskMonitor;
use crate::views::Views;

/// See the module.
#[derive(Clone)]
pub struct Host {
    pub(crate) engine: Engine,
    pub(crate) views: Arc<Views>,
    pub(crate) disk: Arc<DiskMonitor>,
}

impl Host {
    /// Knows no view yet.
    #[must_use]
    pub fn new(engine: Engine) -> Host {
        let disk = Arc::new(DiskMonitor::new(engine.clone()));
        let views = Arc::new(Views::new(engine.clone(), disk.clone()));
        Host { engine, views, disk }
    }
}
