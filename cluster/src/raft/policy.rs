//! Who should vote: a pure function of who is a member and who lives. It never changes anything.

use std::collections::BTreeSet;

use super::NodeId;

/// Voters at most; further nodes learn.
pub const VOTERS_MAX: usize = 5;

/// The group as its leader sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seats {
    /// Nodes that vote.
    pub voters: BTreeSet<NodeId>,
    /// Nodes that learn, are alive and have (almost) the whole log.
    pub ready: BTreeSet<NodeId>,
    /// Voters that have been away for so long that another should vote for them.
    pub gone: BTreeSet<NodeId>,
}

impl Seats {
    /// Who should vote. Voters that live keep their seats; learners that are ready take free seats
    /// and those of voters that are gone, lowest id first; a voter that is gone keeps its seat as
    /// long as nobody needs it, so that the group never shrinks because of a fault.
    pub fn desired(&self) -> BTreeSet<NodeId> {
        let mut chosen: BTreeSet<_> = self.voters.difference(&self.gone).copied().collect();
        let rest = self.ready.iter().chain(self.voters.intersection(&self.gone));
        for node in rest {
            if chosen.len() >= VOTERS_MAX {
                break;
            }
            chosen.insert(*node);
        }
        chosen
    }

    /// The same group without a node.
    pub fn without(mut self, node: NodeId) -> Seats {
        self.voters.remove(&node);
        self.ready.remove(&node);
        self.gone.remove(&node);
        self
    }
}
