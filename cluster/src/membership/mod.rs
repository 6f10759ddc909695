//! This node among others: how it reaches them (`peers`), where it listens to them (`door`), what it
//! answers them (`port`), how it finds a cluster and how a cluster takes it in (`join`, `seeds`). Never decides where databases lie.

mod door;
mod join;
mod peers;
mod port;
mod seeds;
mod talk;

pub(crate) use door::{Door, Whereabouts};
pub(crate) use join::{ask, find_group, invite};
pub(crate) use peers::Peers;
pub(crate) use port::{Port, SHOW};
pub use seeds::BadSeed;
pub(crate) use seeds::{Seed, host_of};
pub(crate) use talk::{Answer, Ask};
