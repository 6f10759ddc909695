//! Comparing revisions with what a replicator or a client names. Also the purges that are
//! remembered. Never reads a body.

use settee_engine::Snapshot;

use super::Fault;
use crate::docs::{IdRevs, RevsDiff};

/// What a shard lacks of the given revisions.
pub(crate) fn diff(snapshot: &Snapshot, asked: &[IdRevs]) -> Result<Vec<RevsDiff>, Fault> {
    let compare = |IdRevs { id, revs }: &IdRevs| {
        let id = id.clone();
        let info = if id.is_local() { None } else { snapshot.doc(&id)? };
        Ok(match info {
            None => RevsDiff { id, missing: revs.clone(), possible_ancestors: Vec::new() },
            Some(info) => {
                let missing = info.tree.find_missing(revs);
                let possible_ancestors = info.tree.possible_ancestors(&missing);
                RevsDiff { id, missing, possible_ancestors }
            }
        })
    };
    asked.iter().map(compare).collect()
}

/// The purges that a shard remembers, oldest first.
pub(crate) fn purged(snapshot: &Snapshot) -> Result<Vec<IdRevs>, Fault> {
    let purges = snapshot.purges(0).map(|purge| Ok(purge?.request));
    purges.map(|purge| purge.map(|purge| IdRevs { id: purge.id, revs: purge.revs })).collect()
}
