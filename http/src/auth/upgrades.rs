//! [`Upgrades`]: documents of users whose passwords are kept in an older way are written anew once the
//! password was seen. Sessions go on, for the salt stays. Never makes a login wait or fail.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use settee_cluster::docs::{EditMode, OpenOptions, UpdateOptions};
use settee_cluster::{Cluster, Error as ClusterError};
use settee_model::doc::DocEdit;
use settee_model::docid::{DbName, DocId};
use settee_model::json;

use crate::auth::ID_PREFIX;
use crate::auth::derivations::Derivations;
use crate::auth::new_passwords::NewPasswords;
use crate::auth::password::Verifier;
use crate::auth::settings::AuthSettings;

/// Most upgrades at a time, with those that rest; who comes when there are as many is upgraded with a
/// later login.
const AT_ONCE: usize = 64;
/// Rest of a user whose password was kept anew, as long as in CouchDB: who changes settings and the
/// document in turn does not meet an upgrade each time.
const REST: Duration = Duration::from_secs(5);
/// Rest before one is tried again that failed.
const LONG_REST: Duration = Duration::from_secs(60);

/// What is under way.
pub(super) struct Upgrades {
    cluster: Cluster,
    derivations: Derivations,
    names: Arc<Mutex<HashSet<String>>>,
}

impl Upgrades {
    pub(super) fn new(cluster: Cluster, derivations: Derivations) -> Self {
        Upgrades { cluster, derivations, names: Arc::default() }
    }

    /// Begins to write a user's document anew, if its password, which is this one, is kept otherwise
    /// than new ones are.
    pub(super) fn consider(
        &self,
        auth: &AuthSettings,
        name: &str,
        password: &str,
        verifier: &Verifier,
    ) {
        if !auth.upgrade || auth.admins.contains_key(name) || auth.new_passwords.made(verifier) {
            return;
        }
        {
            let mut names = self.names.lock();
            if names.len() >= AT_ONCE || !names.insert(name.to_owned()) {
                return;
            }
        }
        let under_way = UnderWay { names: self.names.clone(), name: name.to_owned() };
        let job = Job {
            cluster: self.cluster.clone(),
            derivations: self.derivations.clone(),
            db: DbName::trusted(&auth.users_db),
            kept: auth.new_passwords.clone(),
            before: verifier.clone(),
            password: password.to_owned(),
        };
        tokio::spawn(async move {
            let rest = match job.run(&under_way.name).await {
                Ok(()) => REST,
                Err(error) => {
                    let name = &under_way.name;
                    tracing::warn!(name, %error, "a password is still kept in the old way");
                    LONG_REST
                }
            };
            tokio::time::sleep(rest).await;
        });
    }
}

/// Leaves the list when its rest is over, however it ends.
struct UnderWay {
    names: Arc<Mutex<HashSet<String>>>,
    name: String,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.names.lock().remove(&self.name);
    }
}

struct Job {
    cluster: Cluster,
    derivations: Derivations,
    db: DbName,
    kept: NewPasswords,
    before: Verifier,
    password: String,
}

impl Job {
    async fn run(self, name: &str) -> Result<(), ClusterError> {
        let db = self.cluster.db(&self.db)?;
        let id = DocId::trusted(&format!("{ID_PREFIX}{name}"));
        let doc = db.open_doc(&id, OpenOptions::default()).await?.doc;
        let said = json::value(&doc.record.body).ok().and_then(|doc| Verifier::from_document(&doc));
        // It may have been changed meanwhile.
        if said.as_ref() != Some(&self.before) {
            return Ok(());
        }
        let salt = self.before.salt().to_owned();
        let Ok(verifier) = self.derivations.derive(&self.kept, &self.password, salt).await else {
            return Ok(());
        };
        let edit = doc.into_edit();
        let edit = DocEdit { body: verifier.put_into(&edit.body), ..edit };
        let results =
            db.update(vec![edit], EditMode::Interactive, UpdateOptions::default()).await?;
        for result in results {
            match result.result {
                // Somebody was quicker.
                Ok(_) | Err(ClusterError::Conflict) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}
