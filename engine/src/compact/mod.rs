//! Compaction: a policy that chooses (pure), a copy of what is live, and a worker that makes it and
//! puts it in place, at the pace of a pacer. Copies shards alone: an index rewrites itself (see
//! `index/rewrite`).

mod copy;
mod live;
pub(crate) mod pacer;
mod policy;
mod worker;

pub(crate) use copy::Copy;
pub use policy::Policy;
pub(crate) use worker::compact;
