//! The shard as a whole, over the simulated disk.

mod basics;
mod busy;
mod crash;
mod crowd;
mod decisions;
pub(crate) mod kit;
mod model;
mod random;
mod step;
mod trouble;
