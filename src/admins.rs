//! Administrators and secrets at the start: those of the environment are taken over, passwords in
//! clear become hashes, and a missing cookie secret is made. What is made is kept in the files.

use std::time::Duration;

use settee_cluster::{Cluster, Error};
use settee_http::ConfigFiles;
use settee_http::auth::password::Verifier;
use settee_http::auth::secrets::{self, Secrets};
use settee_http::auth::{NewPasswords, unix_time};
use settee_http::random;
use settee_model::config::Config;

use crate::args::Serve;

/// What to tell who has no administrator.
pub const NO_ADMIN: &str = "no administrator is set up. Set the environment variables COUCHDB_USER \
and COUCHDB_PASSWORD, or write one into a configuration file:\n\n    [admins]\n    NAME = PASSWORD\n";

/// Completes a configuration that was read from `files`.
pub fn complete(config: &mut Config, options: &Serve, files: &dyn ConfigFiles) {
    if config.get("chttpd_auth", "secret").is_none() {
        keep(config, files, "chttpd_auth", "secret", &random::hex_32());
    }
    if let Some((user, password)) = given(options) {
        take_over(config, files, user, password);
    }
    hash_all(config, files);
}

/// The environment's administrator, unless the files have them with this password already.
fn take_over(config: &mut Config, files: &dyn ConfigFiles, user: &str, password: &str) {
    let kept = config.raw("admins", user).and_then(Verifier::from_admin);
    if !kept.is_some_and(|kept| kept.matches(password)) {
        keep(config, files, "admins", user, &hashed(config, password));
    }
}

/// Makes the whole cluster know what the environment says, and the key of sessions if the cluster has
/// none yet. Goes on until a majority is there to agree.
pub async fn share(cluster: Cluster, config: Config, options: Serve) {
    let common = cluster.common_settings().borrow().clone();
    let known = |section: &str, key: &str| common.get(&(section.to_owned(), key.to_owned()));
    let value = |section: &str, key: &str| config.get(section, key).unwrap_or_default().to_owned();
    let mut wanted = Vec::new();
    let told = options.secret.as_ref().is_some_and(|secret| !secret.is_empty());
    let (secret, old) = (value("chttpd_auth", "secret"), known("chttpd_auth", "secret"));
    if let Some(old) = old.filter(|old| told && **old != secret) {
        wanted.push(("chttpd_auth", secrets::BEFORE, Secrets::replaced(old, unix_time())));
    }
    if told || old.is_none() {
        wanted.push(("chttpd_auth", "secret", secret));
    }
    if let Some((user, password)) = given(&options) {
        // Unknown to the others it stays in this node's file. Known to them it is one and the same.
        if let Some(kept) = known("admins", user)
            && !is_password(kept.clone(), password.to_owned()).await
        {
            wanted.push(("admins", user, value("admins", user)));
        }
    }
    for (section, key, value) in wanted {
        while let Err(error) = cluster.share_setting(section, key, &value).await {
            if matches!(error, Error::Closing) {
                return;
            }
            tracing::debug!(%error, "{section}/{key} is not known to the cluster yet");
            tokio::time::sleep(REST).await;
        }
    }
}

/// Whether an administrator's entry was made of this password. That takes a while to find out.
async fn is_password(entry: String, password: String) -> bool {
    let compare = move || Verifier::from_admin(&entry).is_some_and(|kept| kept.matches(&password));
    tokio::task::spawn_blocking(compare).await.unwrap_or(true)
}

/// The environment's administrator and their password.
fn given(options: &Serve) -> Option<(&str, &str)> {
    let given = (options.user.as_deref()?, options.password.as_deref()?);
    (!given.0.is_empty() && !given.1.is_empty()).then_some(given)
}

/// Rest before the cluster is told again.
const REST: Duration = Duration::from_secs(1);

fn hash_all(config: &mut Config, files: &dyn ConfigFiles) {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let clear = config.section("admins").map(own);
    let clear = clear.filter(|(_, value)| Verifier::from_admin(value).is_none());
    for (name, password) in clear.collect::<Vec<_>>() {
        keep(config, files, "admins", &name, &hashed(config, &password));
    }
}

fn hashed(config: &Config, password: &str) -> String {
    NewPasswords::from_config(config).derive(password, &random::hex_32()).to_admin()
}

fn keep(config: &mut Config, files: &dyn ConfigFiles, section: &str, key: &str, value: &str) {
    config.set(section, key, value);
    if let Err(reason) = files.save(section, key, Some(value)) {
        tracing::warn!("{section}/{key} will not outlive this process: {reason}");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A file in memory.
    #[derive(Default)]
    struct Memory(Mutex<Config>);

    impl ConfigFiles for Memory {
        fn load(&self) -> Result<Config, String> {
            Ok(self.0.lock().unwrap().clone())
        }

        fn save(&self, section: &str, key: &str, value: Option<&str>) -> Result<(), String> {
            self.0.lock().unwrap().set(section, key, value.unwrap_or_default());
            Ok(())
        }
    }

    fn options(user: &str, password: &str) -> Serve {
        Serve {
            data: None,
            bind: None,
            port: None,
            config: Vec::new(),
            user: Some(user.to_owned()),
            password: Some(password.to_owned()),
            secret: None,
            node_name: None,
            mesh: None,
            seedlist: None,
            cookie: None,
            erl_flags: None,
            fauxton: None,
        }
    }

    fn started(files: &Memory, options: &Serve) -> Config {
        let mut config = files.load().unwrap();
        config.set("chttpd_auth", "iterations", "10");
        complete(&mut config, options, files);
        config
    }

    #[test]
    fn the_second_start_finds_what_the_first_made() {
        let files = Memory::default();
        files.save("admins", "bob", Some("clear")).unwrap();
        let first = started(&files, &options("ann", "secret"));
        let second = started(&files, &options("ann", "secret"));
        assert_eq!(first, second);
        let ann = Verifier::from_admin(first.get("admins", "ann").unwrap()).unwrap();
        assert!(ann.matches("secret"));
        let bob = Verifier::from_admin(first.get("admins", "bob").unwrap()).unwrap();
        assert!(bob.matches("clear"));
        assert_eq!(first.get("chttpd_auth", "secret").unwrap().len(), 32);
        let third = started(&files, &options("ann", "changed"));
        let ann = Verifier::from_admin(third.get("admins", "ann").unwrap()).unwrap();
        assert!(ann.matches("changed"));
    }
}
