//! Follows the users' database: it is given its rules, and logins forget whom it has changed. Never
//! looks at what has changed in a document.

use std::sync::Arc;
use std::time::{Duration, Instant};

use settee_cluster::Db;
use settee_cluster::changes::{ChangesQuery, Since};
use settee_model::docid::DbName;

use crate::context::App;
use crate::users::{is_of_logins, rules};

/// How long documents of users are believed to be as they were: no change tells of what was purged on
/// another node.
const AGE: Duration = Duration::from_secs(300);
/// How often it is looked whether users are somewhere else now.
const REST: Duration = Duration::from_secs(1);

/// Follows the users' database for as long as the server runs, and forgets who changed.
pub async fn watch(app: Arc<App>) {
    loop {
        let settings = app.settings();
        if let Ok(db) = app.cluster.db(&DbName::trusted(&settings.auth.users_db)) {
            let _ = follow(&app, &db).await;
        }
        // Without the database nobody is left in it.
        app.accounts.forget_all();
        tokio::time::sleep(REST).await;
    }
}

/// Until logins are looked up elsewhere.
async fn follow(app: &App, db: &Db) -> Result<(), settee_cluster::Error> {
    let accounts = &app.accounts;
    rules::ensure(db).await?;
    let query = ChangesQuery { since: Since::Now, ..ChangesQuery::default() };
    let mut changes = db.changes(query).await?;
    // Anything may have changed while nobody looked; from here on somebody does.
    accounts.forget_all();
    let mut since = Instant::now();
    while is_of_logins(&app.settings(), db) {
        let batch = changes.next_batch().await?;
        batch.changes.iter().for_each(|change| accounts.forget(&change.id));
        if batch.done {
            changes.wait_at_most(REST).await?;
        }
        if since.elapsed() > AGE {
            accounts.forget_all();
            since = Instant::now();
        }
    }
    Ok(())
}
