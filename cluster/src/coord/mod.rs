//! How a request travels: which copies are asked, in which order replies are waited for, and when
//! it is enough. Thin: what replies mean is decided in `quorum`, what a copy does is in `shard`.

mod agree;
pub(crate) mod changes;
mod combined;
pub(crate) mod designs;
pub(crate) mod docs;
mod doubt;
pub(crate) mod find;
pub(crate) mod info;
mod linked;
mod merged;
mod reads;
pub(crate) mod rows;
mod scan;
pub(crate) mod shards;
mod spread;
#[cfg(test)]
mod tests;
pub(crate) mod upkeep;
pub(crate) mod view;
pub(crate) mod write;
