//! What follows from the replies of shard copies. Pure: state and a reply go in, a decision comes
//! out; nobody waits here (see `coord`).

pub(crate) mod acks;
pub(crate) mod feed;
pub(crate) mod merge;
