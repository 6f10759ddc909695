//! [`Accounts`]: who there is, from `[admins]` and from documents of the users' database, and
//! whether a password is theirs. Reads no request, and writes no document (`upgrades` does).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quick_cache::sync::Cache;
use serde_json::Value;
use settee_cluster::docs::OpenOptions;
use settee_cluster::{Cluster, Db};
use settee_model::docid::{DbName, DocId};

use crate::auth::derivations::Derivations;
use crate::auth::lockout::Lockout;
use crate::auth::password::Verifier;
use crate::auth::totp::SecondFactor;
use crate::auth::upgrades::Upgrades;
use crate::auth::verified::{Verdict, Verified};
use crate::auth::{Handler, User, unix_time};
use crate::error::Error;
use crate::peer::Peer;
use crate::settings::Settings;
use crate::stats::{Counter, stats};

/// How many documents of users are remembered.
const CAPACITY: usize = 10_000;
/// Longer names are looked for each time: strangers choose them, and there is room for many.
const LONGEST_NAME: usize = 1024;
/// What the ids of users' documents begin with; the name follows.
pub const ID_PREFIX: &str = "org.couchdb.user:";

/// Somebody who can log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Checks the password.
    pub verifier: Verifier,
    /// What they have to show besides.
    second: SecondFactor,
    /// Who they are when they prove it by password.
    pub by_password: Arc<User>,
    /// Who they are when they prove it by cookie.
    pub by_cookie: Arc<User>,
}

impl Account {
    /// An account.
    #[must_use]
    pub fn new(name: &str, roles: Vec<String>, verifier: Verifier) -> Self {
        let user = |handler: Handler| {
            let (name, roles) = (Some(name.to_owned()), roles.clone());
            Arc::new(User { name, roles, handler: Some(handler.name()) })
        };
        let (by_password, by_cookie) = (user(Handler::Default), user(Handler::Cookie));
        Account { verifier, second: SecondFactor::None, by_password, by_cookie }
    }

    fn name(&self) -> &str {
        self.by_password.name.as_deref().unwrap_or_default()
    }

    fn roles(&self) -> &[String] {
        &self.by_password.roles
    }
}

/// What somebody shows who logs in.
#[derive(Clone, Copy, Debug)]
pub struct Proof<'a> {
    /// The password.
    pub password: &'a str,
    /// A number of a second factor, where there is a place for one.
    pub token: Option<&'a str>,
}

/// All accounts, as far as they were looked for.
pub struct Accounts {
    cluster: Cluster,
    /// Of users' documents; `None` for who has none.
    users: Cache<String, Option<Arc<Account>>>,
    /// How many changes of users were seen.
    changes: AtomicU64,
    /// Of new passwords: who sets them does not keep others from logging in.
    derivations: Derivations,
    verified: Verified,
    upgrades: Upgrades,
    lockout: Lockout,
    nobody: Arc<User>,
}

impl Accounts {
    /// Looks for users through `cluster`. `key` is secret and random; of so many peers it is
    /// remembered that they failed.
    #[must_use]
    pub fn new(cluster: Cluster, key: [u8; 32], failures: usize) -> Self {
        let derivations = Derivations::new(1);
        Accounts {
            users: Cache::new(CAPACITY),
            changes: AtomicU64::new(0),
            verified: Verified::new(key, Derivations::of_half_the_cores()),
            upgrades: Upgrades::new(cluster.clone(), derivations.clone()),
            cluster,
            derivations,
            lockout: Lockout::new(failures),
            nobody: Arc::new(User::default()),
        }
    }

    /// Who said no name.
    #[must_use]
    pub fn nobody(&self) -> Arc<User> {
        self.nobody.clone()
    }

    /// The account of a name. An administrator has the roles of their user's document too.
    ///
    /// # Errors
    /// 401 if the user's document has conflicts, 503 if it cannot be read; not for administrators.
    pub async fn find(
        &self,
        settings: &Settings,
        name: &str,
    ) -> Result<Option<Arc<Account>>, Error> {
        let user = self.user(settings, name).await;
        let Some(admin) = settings.auth.admins.get(name) else { return user };
        // Whatever is the matter with such a document, it does not keep administrators out.
        let user = user.ok().flatten().filter(|user| !user.roles().is_empty());
        let Some(user) = user else { return Ok(Some(admin.clone())) };
        let roles = [admin.roles(), user.roles()].concat();
        Ok(Some(Arc::new(Account::new(name, roles, admin.verifier.clone()))))
    }

    async fn user(&self, settings: &Settings, name: &str) -> Result<Option<Arc<Account>>, Error> {
        if let Some(known) = self.users.get(name) {
            stats().count(Counter::AuthCacheHits);
            return Ok(known);
        }
        stats().count(Counter::AuthCacheMisses);
        let Ok(db) = self.cluster.db(&DbName::trusted(&settings.auth.users_db)) else {
            return Ok(None);
        };
        let changes = self.changes.load(Ordering::Acquire);
        let user = load(&db, settings, name).await?;
        if name.len() > LONGEST_NAME {
            return Ok(user);
        }
        self.users.insert(name.to_owned(), user.clone());
        if self.changes.load(Ordering::Acquire) != changes {
            // It may be the one that changed while it was read.
            self.users.remove(name);
        }
        Ok(user)
    }

    /// Checks what somebody shows who says that this is their name.
    ///
    /// # Errors
    /// 401 if it is not theirs, 403 if the peer failed too often.
    pub async fn check(
        &self,
        settings: &Settings,
        name: &str,
        proof: Proof<'_>,
        peer: Peer,
    ) -> Result<Arc<Account>, Error> {
        let remembered = self.find(settings, name).await?;
        if let Some(account) = &remembered
            && self.is_proven(settings, account, proof, peer).await?
        {
            return Ok(account.clone());
        }
        if let Some(account) = self.find_anew(settings, name).await?
            && remembered.as_ref() != Some(&account)
            && self.is_proven(settings, &account, proof, peer).await?
        {
            return Ok(account);
        }
        tracing::warn!(name, %peer, "authentication failed");
        Err(Error::Unauthorized("Name or password is incorrect.".into()))
    }

    /// Whether what somebody shows proves that this is their account.
    async fn is_proven(
        &self,
        settings: &Settings,
        account: &Account,
        Proof { password, token }: Proof<'_>,
        peer: Peer,
    ) -> Result<bool, Error> {
        let (least, most) = settings.auth.iterations_allowed;
        let iterations = account.verifier.iterations();
        if iterations != 1 && iterations < least {
            return Err(Error::Forbidden("Iteration count is too low for this server".into()));
        }
        if iterations > most {
            return Err(Error::Forbidden("Iteration count is too high for this server".into()));
        }
        if token.is_none() && account.second != SecondFactor::None {
            return Ok(false);
        }
        if !account.verifier.is_known() {
            return Err(Error::Forbidden("PRF is invalid".into()));
        }
        let (name, salt) = (account.name(), account.verifier.salt());
        let attempt = self.lockout.attempt(peer.ip(), name, salt, settings.auth.lockout);
        match self.verified.check(password, &account.verifier, attempt).await? {
            Verdict::Right if !account.second.is_shown(token, unix_time()) => {
                attempt.failed();
                Ok(false)
            }
            Verdict::Right => {
                self.upgrades.consider(&settings.auth, name, password, &account.verifier);
                Ok(true)
            }
            Verdict::Wrong => Ok(false),
            Verdict::Refused => {
                tracing::warn!(name, %peer, "login refused after many failures");
                Err(Error::Forbidden(LOCKED_OUT.into()))
            }
        }
    }

    /// The same, whatever is remembered: the user's document may have changed meanwhile.
    ///
    /// # Errors
    /// As [`Accounts::find`].
    pub async fn find_anew(
        &self,
        settings: &Settings,
        name: &str,
    ) -> Result<Option<Arc<Account>>, Error> {
        self.users.remove(name);
        self.find(settings, name).await
    }

    /// Where new passwords are derived.
    #[must_use]
    pub fn derivations(&self) -> &Derivations {
        &self.derivations
    }

    /// Forgets what is known of everybody.
    pub fn forget_all(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.users.clear();
    }

    /// Forgets what is known of a user.
    pub fn forget(&self, id: &DocId) {
        if let Some(name) = id.as_str().strip_prefix(ID_PREFIX) {
            self.changes.fetch_add(1, Ordering::AcqRel);
            self.users.remove(name);
        }
    }
}

const LOCKED_OUT: &str = "Account is temporarily locked due to multiple authentication failures";

async fn load(db: &Db, settings: &Settings, name: &str) -> Result<Option<Arc<Account>>, Error> {
    let id = DocId::trusted(&format!("{ID_PREFIX}{name}"));
    let options = OpenOptions { facts: true, ..OpenOptions::default() };
    let opened = match db.open_doc(&id, options).await {
        Ok(opened) => opened,
        Err(settee_cluster::Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let conflicts = opened.facts.is_some_and(|facts| !facts.conflicts.is_empty());
    if conflicts && !settings.auth.allow_conflicted_user_docs {
        return Err(Error::Unauthorized(CONFLICTED.into()));
    }
    let Ok(doc) = settee_model::json::value(&opened.doc.record.body) else {
        return Ok(None);
    };
    let verifier = Verifier::from_document(&doc);
    let roles = doc.get("roles").and_then(Value::as_array).into_iter().flatten();
    let roles = roles
        .filter_map(Value::as_str)
        .filter(|role| !role.starts_with('_') || *role == "_metrics");
    let roles = roles.map(str::to_owned).collect();
    let second = SecondFactor::from_document(&doc);
    Ok(verifier.map(|verifier| Arc::new(Account { second, ..Account::new(name, roles, verifier) })))
}

const CONFLICTED: &str = "User document conflicts must be resolved before the document is used for authentication \
     purposes.";
