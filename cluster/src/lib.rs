//! The coordinator: what HTTP handlers speak to. A request comes in for a database, goes to the
//! shards that hold the documents in question, and leaves as one answer.
//!
//! Decisions over replies are pure (`quorum`), the code that asks and waits is thin (`coord`), and
//! a shard copy is reached through one small interface (`copy`). Nothing here knows HTTP.

pub mod attachment;
mod catalogue;
pub mod changes;
mod cluster;
mod commits;
mod coord;
mod copy;
mod database;
mod db;
mod designs;
mod desk;
mod disk;
pub mod docs;
mod durable;
mod error;
pub mod find;
mod flight;
pub mod functions;
mod heal;
mod host;
pub mod info;
mod join;
mod local;
mod membership;
pub mod mesh;
mod node;
mod portion;
mod quorum;
pub mod raft;
mod ring;
pub mod rows;
mod settings;
mod shard;
mod sift;
mod station;
mod steps;
mod streams;
mod sync;
#[cfg(test)]
mod tests;
mod updates;
pub mod views;

pub use catalogue::{CommonSettings, DbMeta, ShardPlace};
pub use cluster::{Cluster, CreateOptions, Written};
pub use db::Db;
pub use desk::{Answering, Desk, LONGEST};
pub use disk::DiskSettings;
pub use error::Error;
pub use functions::FunctionSettings;
pub use host::Host;
pub use membership::BadSeed;
pub use node::{NewId, SYSTEM};
pub use settings::{Home, LayoutDefaults, MeshHome, Settings};
pub use views::DesignDoc;
