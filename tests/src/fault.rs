//! What can happen to one node of a cluster, and how it passes: one way to inflict each fault and
//! one to heal it. Knows nothing of what the cluster is asked meanwhile.

use std::io;

use crate::cluster::Cluster;

/// Something that happens to one node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Its process is killed, and started again.
    Kill,
    /// Its process stands still, and goes on.
    Stop,
    /// Its process is asked to end, and started again when it has.
    Restart,
    /// It and the other nodes hear nothing of each other.
    Cut,
    /// It hears the others, and they hear nothing of it.
    Mute,
    /// The others hear it, and it hears nothing of them.
    Deaf,
    /// It and the next node hear nothing of each other; both hear the rest.
    Split,
}

impl Fault {
    /// What can happen to processes wherever they run.
    pub const OF_PROCESSES: [Fault; 3] = [Fault::Kill, Fault::Stop, Fault::Restart];

    /// All that can happen to nodes with hosts of their own.
    pub const ALL: [Fault; 7] = [
        Fault::Kill,
        Fault::Cut,
        Fault::Stop,
        Fault::Mute,
        Fault::Restart,
        Fault::Deaf,
        Fault::Split,
    ];

    /// Whether clients still reach the node.
    #[must_use]
    pub fn leaves_it_reachable(self) -> bool {
        !matches!(self, Fault::Kill | Fault::Stop | Fault::Restart)
    }

    /// Whether the node still belongs to a majority whose members all hear it.
    #[must_use]
    pub fn leaves_it_a_majority(self) -> bool {
        self == Fault::Split
    }

    /// From whom to whom nothing goes.
    fn cuts(self, node: usize, nodes: usize) -> Vec<(usize, usize)> {
        let others = (0..nodes).filter(|other| *other != node);
        let from = others.clone().map(|other| (node, other));
        let to = others.map(|other| (other, node));
        let next = (node + 1) % nodes.max(1);
        match self {
            Fault::Kill | Fault::Stop | Fault::Restart => Vec::new(),
            Fault::Cut => from.chain(to).collect(),
            Fault::Mute => from.collect(),
            Fault::Deaf => to.collect(),
            Fault::Split => vec![(node, next), (next, node)],
        }
    }
}

impl Cluster {
    /// Lets a fault happen to a node.
    ///
    /// # Errors
    /// When it cannot be done: links can be cut on a network of the cluster's own only.
    pub fn inflict(&mut self, fault: Fault, node: usize) -> io::Result<()> {
        let cuts = fault.cuts(node, self.nodes().len());
        if !cuts.is_empty() {
            let net = self.net().ok_or_else(|| io::Error::other("links of loopback last"))?;
            return cuts.into_iter().try_for_each(|(from, to)| net.cut(from, to));
        }
        let missing = || io::Error::other("there is no such node");
        let node = self.nodes().get_mut(node).ok_or_else(missing)?;
        match fault {
            Fault::Stop => node.signal("STOP")?,
            Fault::Restart => node.terminate()?,
            _ => node.kill(),
        }
        Ok(())
    }

    /// Lets it pass, and waits until the node answers.
    ///
    /// # Errors
    /// When the node does not come back.
    pub fn heal(&mut self, fault: Fault, node: usize) -> io::Result<()> {
        if let Some(net) = self.net() {
            net.heal()?;
        }
        let missing = || io::Error::other("there is no such node");
        let node = self.nodes().get_mut(node).ok_or_else(missing)?;
        match fault {
            Fault::Stop => node.signal("CONT")?,
            Fault::Kill | Fault::Restart => node.restart()?,
            Fault::Cut | Fault::Mute | Fault::Deaf | Fault::Split => {}
        }
        node.wait_until_up()
    }
}
