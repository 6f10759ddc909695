//! The shard as a whole, over the simulated disk.

mod basics;
mod kit;
mod model;
mod random;
