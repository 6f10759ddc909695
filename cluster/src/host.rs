//! What all shard copies on this node share: the engine that has them, and the views over them. Cheap
//! to clone. Knows no database.

use std::sync::Arc;

use settee_engine::Engine;

use crate::views::Views;

/// See the module.
#[derive(Clone)]
pub struct Host {
    pub(crate) engine: Engine,
    pub(crate) views: Arc<Views>,
}

impl Host {
    /// Knows no view yet.
    #[must_use]
    pub fn new(engine: Engine) -> Host {
        Host { views: Arc::new(Views::new(engine.clone())), engine }
    }
}
