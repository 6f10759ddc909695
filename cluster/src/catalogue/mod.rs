//! What the keys of the metadata store mean: databases, nodes, settings, the cluster's identity. Values
//! and their bytes are pure (`meta`, `member`, `common`, `placement`, `plan`); `book` changes them and `follow`
//! brings a node to what was agreed. Never sees documents, and never speaks Raft itself.

mod book;
mod common;
mod follow;
mod identity;
mod member;
mod meta;
mod placement;
mod plan;
#[cfg(test)]
mod tests;

pub(crate) use book::{Book, Layout};
pub use common::CommonSettings;
pub(crate) use common::{SETTINGS, settings_of};
pub(crate) use follow::{drop_all, drop_strays, follow, make_missing};
pub(crate) use identity::Identity;
pub(crate) use member::{Member, NODES, member_key, members_of};
pub use meta::{DbMeta, ShardPlace};
pub(crate) use meta::{database_of, instance_of};
pub(crate) use placement::Candidate;
pub(crate) use plan::databases_of;
