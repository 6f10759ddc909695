//! A node of the cluster as its key in the store describes it. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::raft::{NodeId, Stored};

/// What every node may know of another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Member {
    /// `couchdb@host`.
    pub(crate) name: String,
    /// `host:port` of its mesh; empty if it has none.
    pub(crate) address: String,
    /// Where it stands, for placement. Always written, for nodes also tell each other in a form
    /// that has no names for fields.
    #[serde(default)]
    pub(crate) zone: Option<String>,
    /// The uuid in its data directory.
    pub(crate) uuid: String,
}

/// Begins the keys of nodes.
pub(crate) const NODES: &str = "node/";

/// The key of a node.
pub(crate) fn member_key(id: NodeId) -> String {
    format!("{NODES}{id:016x}")
}

/// The node that a key speaks of.
pub(crate) fn member_of(key: &str) -> Option<NodeId> {
    NodeId::from_str_radix(key.strip_prefix(NODES)?, 16).ok()
}

impl Member {
    pub(crate) fn encode(&self) -> Bytes {
        serde_json::to_vec(self).unwrap_or_default().into()
    }

    pub(crate) fn decode(value: &[u8]) -> Option<Member> {
        serde_json::from_slice(value).ok()
    }
}

/// The nodes among keys and values of the store.
pub(crate) fn members_of(keys: &[(Arc<str>, Stored)]) -> BTreeMap<NodeId, Member> {
    let node = |(key, stored): &(Arc<str>, Stored)| {
        Some((member_of(key)?, Member::decode(&stored.value)?))
    };
    keys.iter().filter_map(node).collect()
}
