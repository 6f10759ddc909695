//! Tests of the metadata store: the pure parts against models, storage against Raft's own suite,
//! groups of nodes over a network that breaks.

mod cluster;
mod disk;
mod faults;
mod linear;
mod net;
mod pure;
