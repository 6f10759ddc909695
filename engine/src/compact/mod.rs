//! Compaction: a policy that chooses (pure), and a worker that copies what is live.

mod policy;

pub use policy::Policy;
