//! Which nodes hold the copies of a new database. Pure.

use crate::Error;
use crate::raft::NodeId;

/// A node that may hold copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) id: NodeId,
    pub(crate) zone: Option<String>,
    /// Nodes that are away hold copies only if there are too few others.
    pub(crate) live: bool,
}

/// The owners of each range, in order. With a rule (`zone:copies,zone:copies`) so many in each zone,
/// otherwise `n`; never two copies of a range on one node. `turn` says which node is the first, so
/// that databases begin at different ones.
pub(crate) fn place(
    q: u32,
    n: u32,
    rule: Option<&str>,
    candidates: &[Candidate],
    turn: usize,
) -> Result<Vec<Vec<NodeId>>, Error> {
    let pools = match rule {
        None => vec![pool(candidates.iter().collect(), n)],
        Some(rule) => zones(rule)?
            .into_iter()
            .map(|(zone, n)| {
                let in_zone = |node: &&Candidate| node.zone.as_deref() == Some(zone);
                pool(candidates.iter().filter(in_zone).collect(), n)
            })
            .collect(),
    };
    if pools.iter().any(|pool| pool.nodes.is_empty()) {
        return Err(Error::BadPlacement("no_nodes_in_zone".into()));
    }
    let range = |range: usize| {
        let mut owners = Vec::new();
        for owner in pools.iter().flat_map(|pool| pool.owners(turn.wrapping_add(range))) {
            if !owners.contains(&owner) {
                owners.push(owner);
            }
        }
        owners
    };
    Ok((0..q as usize).map(range).collect())
}

/// More owners for ranges that have fewer than `n`, from the nodes that live; those that are there
/// stay. Whether there are any.
pub(crate) fn widen(ranges: &mut [Vec<NodeId>], n: u32, candidates: &[Candidate]) -> bool {
    let live: Vec<_> = candidates.iter().filter(|node| node.live).map(|node| node.id).collect();
    let mut wider = false;
    for (number, owners) in ranges.iter_mut().enumerate() {
        for node in live.iter().cycle().skip(number % live.len().max(1)).take(live.len()) {
            if owners.len() < n as usize && !owners.contains(node) {
                owners.push(*node);
                wider = true;
            }
        }
    }
    wider
}

/// Nodes that copies are dealt to.
struct Pool {
    nodes: Vec<NodeId>,
    copies: usize,
}

fn pool(mut nodes: Vec<&Candidate>, n: u32) -> Pool {
    let copies = (n.max(1) as usize).min(nodes.len());
    nodes.sort_by_key(|node| (!node.live, node.id));
    let enough = nodes.iter().filter(|node| node.live).count().max(copies);
    let mut nodes: Vec<_> = nodes.into_iter().take(enough).map(|node| node.id).collect();
    nodes.sort_unstable();
    Pool { nodes, copies }
}

impl Pool {
    fn owners(&self, turn: usize) -> impl Iterator<Item = NodeId> {
        let first = turn % self.nodes.len().max(1);
        self.nodes.iter().cycle().skip(first).take(self.copies).copied()
    }
}

fn zones(rule: &str) -> Result<Vec<(&str, u32)>, Error> {
    let one = |rule: &'_ str| -> Option<(usize, u32)> {
        let (zone, n) = rule.split_once(':')?;
        Some((zone.len(), n.parse().ok()?))
    };
    let zone = |rule| {
        let (zone, n) = one(rule).ok_or_else(|| {
            let reason = "The `placement` value should be in a format `zone:n`.";
            Error::BadPlacement(reason.into())
        })?;
        Ok((rule.get(..zone).unwrap_or(rule), n))
    };
    rule.split(',').filter(|rule| !rule.is_empty()).map(zone).collect()
}
