//! Who waits for something new in which database. Knows names only, so that it may be used from the
//! engine's own threads; costs nothing for databases that nobody follows.

use std::collections::HashMap;

use parking_lot::Mutex;
use settee_model::docid::DbName;
use tokio::sync::watch;

/// Followers of databases.
#[derive(Default)]
pub(crate) struct Commits(Mutex<HashMap<DbName, watch::Sender<u64>>>);

impl Commits {
    /// Follows a database: the receiver sees a change with every commit from now on, and is closed
    /// when the database is deleted.
    pub(crate) fn follow(&self, name: &DbName) -> watch::Receiver<u64> {
        let mut followed = self.0.lock();
        match followed.get(name) {
            Some(sender) => sender.subscribe(),
            None => {
                let (sender, receiver) = watch::channel(0);
                followed.insert(name.clone(), sender);
                receiver
            }
        }
    }

    /// Something is new in a database.
    pub(crate) fn committed(&self, name: &DbName) {
        let mut followed = self.0.lock();
        let Some(sender) = followed.get(name) else { return };
        if sender.receiver_count() == 0 {
            followed.remove(name);
        } else {
            sender.send_modify(|commits| *commits = commits.wrapping_add(1));
        }
    }

    /// A database is gone.
    pub(crate) fn deleted(&self, name: &DbName) {
        self.0.lock().remove(name);
    }
}
