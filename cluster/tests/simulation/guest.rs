//! A node that comes to the cluster while it works, of some seeds, and goes again, of some of these. One
//! that goes is in a zone of its own, so that no database has copies there.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use settee_cluster::Error;

use crate::chance::Chance;
use crate::clients::Client;
use crate::node::name;

/// The number of the node.
pub const GUEST: usize = 3;
/// Where all others are.
pub const HOME: &str = "home";

/// See the module.
#[derive(Default)]
pub struct Guest {
    /// When it comes after the beginning of the load, if it does.
    pub comes: Option<Duration>,
    /// When it is to go.
    pub goes: Option<Duration>,
    /// It may come.
    pub invited: AtomicBool,
    /// It is to go.
    pub unwanted: AtomicBool,
    /// It is no member any more, and must not come back.
    pub gone: AtomicBool,
}

impl Guest {
    /// What the seed has in mind.
    pub fn new(seed: u64) -> Guest {
        let mut chance = Chance::new(seed, 3);
        let mut after = |least, most| Duration::from_millis(chance.between(least, most));
        let comes = after(0, 10_000);
        let goes = comes + after(1000, 9000);
        let (comes, goes) = match chance.below(4) {
            0 => (Some(comes), None),
            1 => (Some(comes), Some(goes)),
            _ => (None, None),
        };
        Guest { comes, goes, ..Guest::default() }
    }

    /// How databases are to be placed.
    pub fn placement(&self) -> Option<String> {
        self.goes.map(|_| format!("{HOME}:3"))
    }

    /// Whether it takes part in the cluster in the end.
    pub fn stays(&self) -> bool {
        self.comes.is_some() && self.goes.is_none()
    }

    /// Lets it come and go.
    pub fn go_on(&self, since: Duration) {
        let due = |when: Option<Duration>| when.is_some_and(|when| when <= since);
        self.invited.fetch_or(due(self.comes), Ordering::Relaxed);
        self.unwanted.fetch_or(due(self.goes), Ordering::Relaxed);
    }
}

impl Client {
    /// Lets the guest go when it is to.
    pub async fn let_go(mut self) {
        let guest = name(GUEST);
        let mut asked = false;
        while !self.load.guest.gone.load(Ordering::Relaxed) {
            self.rest(50, 200).await;
            let member = self.cluster.members().cluster_nodes.contains(&guest);
            if !self.load.guest.unwanted.load(Ordering::Relaxed) || !(member || asked) {
                continue;
            }
            asked = true;
            let removed = self.ask(self.cluster.remove_node(&guest)).await;
            self.load.history.note(|| format!("{} removed {guest}: {removed:?}", self.name));
            let gone = matches!(removed, Ok(()) | Err(Error::NotFound { .. }));
            self.load.guest.gone.fetch_or(gone, Ordering::Relaxed);
        }
    }
}
