//! Functions of design documents on this node: whether these may have changed (`marks`), which of them
//! validate (`validation`), and the engines that run functions, off the async threads and within bounds
//! (`pool`, `places`). Whoever asks says what to run; nothing here knows what a request is, or how a
//! document is written down.

mod marks;
mod places;
mod pool;
#[cfg(test)]
mod tests;
mod validation;

use std::time::Duration;

use settee_query::js::Limits;

pub(crate) use marks::Marks;
pub(crate) use places::{Place, Places};
pub(crate) use pool::{Key, Pool, tidy};

pub use pool::Kind;
pub use validation::Validation;

/// What an operator decides about functions of design documents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSettings {
    /// What a call may take: time is `[couchdb] os_process_timeout`.
    pub limits: Limits,
    /// `[query_server_config] reduce_limit`
    pub reduce_limit: bool,
    /// Bytes that all engines together may hold that do not build views; spare ones that build as many
    /// again.
    pub memory: usize,
    /// `[query_server_config] os_process_limit`: engines that there may be.
    pub engines: usize,
    /// `[query_server_config] os_process_idle_limit`: how long an engine is kept that nobody uses.
    pub idle: Duration,
}

impl FunctionSettings {
    /// How many engines there may be.
    pub(crate) fn most(&self) -> usize {
        (self.memory / self.limits.memory.max(1)).clamp(1, self.engines.max(1))
    }
}

impl Default for FunctionSettings {
    fn default() -> Self {
        let limits = Limits::default();
        FunctionSettings {
            limits,
            reduce_limit: true,
            memory: 1 << 30,
            engines: 100,
            idle: Duration::from_secs(300),
        }
    }
}
