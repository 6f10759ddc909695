//! Administrators and secrets at the start: those of the environment are taken over, passwords in
//! clear become hashes, and a missing cookie secret is made. What is made is kept in the files, and
//! told to the cluster, whose word is never changed by it but for one: a password in clear in the file
//! that changes go to, which an operator has just written there.

use std::time::Duration;

use settee_cluster::{Cluster, CommonSettings, Error};
use settee_http::ConfigFiles;
use settee_http::auth::NewPasswords;
use settee_http::auth::password::Verifier;
use settee_http::random;
use settee_model::config::Config;

use crate::args::Serve;

/// What to tell who has no administrator.
pub const NO_ADMIN: &str = "no administrator is set up. Set the environment variables COUCHDB_USER \
and COUCHDB_PASSWORD, or write one into a configuration file:\n\n    [admins]\n    NAME = PASSWORD\n";

/// What a start has to tell the cluster.
#[derive(Clone)]
pub struct Told {
    /// The key of sessions.
    secret: String,
    /// The environment's administrator.
    admin: Option<Entry>,
    /// Administrators of this node's files.
    filed: Vec<String>,
    orders: Vec<Order>,
}

/// A name and what is kept of a password.
type Entry = (String, String);

/// A password that an operator wrote into a file.
#[derive(Clone)]
struct Order {
    name: String,
    password: String,
    /// What is kept of it.
    entry: String,
    /// What the cluster knew when it was found to be of another password.
    instead: Option<String>,
}

/// Completes a configuration that was read from `files`, of which the last says `last`.
pub fn complete(
    config: &mut Config,
    options: &Serve,
    files: &dyn ConfigFiles,
    last: &Config,
) -> Told {
    if config.get("chttpd_auth", "secret").is_none() {
        keep(config, files, "chttpd_auth", "secret", &random::hex_32());
    }
    let orders = hash_all(config, files, last);
    let filed = config.section("admins").map(|(name, _)| name.to_owned()).collect();
    let admin = given(options).map(|(user, password)| {
        if config.raw("admins", user).is_none() {
            keep(config, files, "admins", user, &hashed(config, password));
        }
        (user.to_owned(), config.raw("admins", user).unwrap_or_default().to_owned())
    });
    let secret = config.get("chttpd_auth", "secret").unwrap_or_default().to_owned();
    Told { secret, admin, filed, orders }
}

/// Makes the whole cluster know what the start has to tell. Goes on until a majority is there to agree.
pub async fn share(cluster: Cluster, mut told: Told) {
    loop {
        let known = cluster.common_settings().borrow().clone();
        told.orders = unknown(std::mem::take(&mut told.orders), &known).await;
        let plan = told.clone();
        match cluster.share_settings(move |known| plan.wanted(known)).await {
            Ok(()) if told.orders.is_empty() => return,
            Ok(()) => {}
            Err(Error::Closing) => return,
            Err(error) => tracing::debug!(%error, "the cluster does not know this node's word yet"),
        }
        tokio::time::sleep(REST).await;
    }
}

/// What the cluster knows an administrator by.
fn admin(name: &str) -> (String, String) {
    ("admins".to_owned(), name.to_owned())
}

impl Told {
    /// What is to be changed of what all nodes know: what nobody has decided on yet, or had removed; and
    /// what an operator orders.
    fn wanted(&self, known: &CommonSettings) -> CommonSettings {
        let secret = ("chttpd_auth".to_owned(), "secret".to_owned());
        let mut wanted = CommonSettings::new();
        if !known.contains_key(&secret) {
            wanted.insert(secret, self.secret.clone());
        }
        if let Some((name, entry)) = &self.admin
            && (!known.contains_key(&admin(name)) || self.is_nobodys(known))
        {
            wanted.insert(admin(name), entry.clone());
        }
        for order in &self.orders {
            if known.get(&admin(&order.name)) == order.instead.as_ref() {
                wanted.insert(admin(&order.name), order.entry.clone());
            }
        }
        wanted
    }

    /// Whether nobody could administer this node any more.
    fn is_nobodys(&self, known: &CommonSettings) -> bool {
        let mut entries = known.iter().filter(|((section, _), _)| section == "admins");
        let is_removed = |name: &String| known.contains_key(&admin(name));
        entries.all(|(_, entry)| entry.is_empty()) && self.filed.iter().all(is_removed)
    }
}

/// Those of the orders that the cluster does not know to be so already.
async fn unknown(orders: Vec<Order>, known: &CommonSettings) -> Vec<Order> {
    let mut rest = Vec::new();
    for order in orders {
        let instead = known.get(&admin(&order.name)).cloned();
        let same = match instead.clone() {
            Some(entry) if entry == order.entry => true,
            Some(entry) => is_password(entry, order.password.clone()).await,
            None => false,
        };
        if !same {
            rest.push(Order { instead, ..order });
        }
    }
    rest
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

/// Hashes passwords in clear; gives those that are in clear in the last file and stay so no longer, so
/// that each of them is an order once.
fn hash_all(config: &mut Config, files: &dyn ConfigFiles, last: &Config) -> Vec<Order> {
    let own = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
    let clear = config.section("admins").map(own);
    let clear: Vec<Entry> =
        clear.filter(|(_, value)| Verifier::from_admin(value).is_none()).collect();
    let mut orders = Vec::new();
    for (name, password) in clear {
        let entry = hashed(config, &password);
        let kept = keep(config, files, "admins", &name, &entry);
        if kept && last.raw("admins", &name) == Some(&password) {
            orders.push(Order { name, password, entry, instead: None });
        }
    }
    orders
}

fn hashed(config: &Config, password: &str) -> String {
    NewPasswords::from_config(config).derive(password, &random::hex_32()).to_admin()
}

/// Sets a value; whether it outlives this process.
fn keep(
    config: &mut Config,
    files: &dyn ConfigFiles,
    section: &str,
    key: &str,
    value: &str,
) -> bool {
    config.set(section, key, value);
    let kept = files.save(section, key, Some(value));
    if let Err(reason) = &kept {
        tracing::warn!("{section}/{key} will not outlive this process: {reason}");
    }
    kept.is_ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use settee_http::auth::prf::Prf;

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

    fn started(files: &Memory, options: &Serve) -> (Config, Told) {
        let mut config = files.load().unwrap();
        config.set("chttpd_auth", "iterations", "10");
        let last = config.clone();
        let told = complete(&mut config, options, files, &last);
        (config, told)
    }

    fn verifier(config: &Config, name: &str) -> Verifier {
        Verifier::from_admin(config.get("admins", name).unwrap()).unwrap()
    }

    #[test]
    fn the_second_start_finds_what_the_first_made() {
        let files = Memory::default();
        files.save("admins", "bob", Some("clear")).unwrap();
        let (first, _) = started(&files, &options("ann", "secret"));
        let (second, _) = started(&files, &options("ann", "secret"));
        assert_eq!(first, second);
        assert!(verifier(&first, "ann").matches("secret"));
        assert!(verifier(&first, "bob").matches("clear"));
        assert_eq!(first.get("chttpd_auth", "secret").unwrap().len(), 32);
        let (third, _) = started(&files, &options("ann", "changed"));
        assert_eq!(third, first, "the environment begins, and changes nothing");
    }

    /// What is known, of administrators and the secret.
    fn known(settings: &[(&str, &str)]) -> CommonSettings {
        let setting = |&(key, value): &(&str, &str)| {
            let section = if key == "secret" { "chttpd_auth" } else { "admins" };
            ((section.to_owned(), key.to_owned()), value.to_owned())
        };
        settings.iter().map(setting).collect()
    }

    #[test]
    fn a_start_creates_and_does_not_overwrite() {
        let files = Memory::default();
        files.save("chttpd_auth", "secret", Some("mine")).unwrap();
        let (config, told) = started(&files, &options("ann", "secret"));
        let ann = config.get("admins", "ann").unwrap();
        let all = known(&[("ann", ann), ("secret", "mine")]);
        assert_eq!(told.wanted(&known(&[])), all);
        assert_eq!(told.wanted(&known(&[("ann", "x"), ("secret", "y")])), known(&[]));
        let removed = [("ann", ""), ("eve", "x"), ("secret", "")];
        assert_eq!(told.wanted(&known(&removed)), known(&[]), "it is known to be removed");
        let nobody = [("ann", ""), ("eve", ""), ("secret", "y")];
        assert_eq!(told.wanted(&known(&nobody)), known(&[("ann", ann)]), "nobody is left");
        files.save("admins", "bob", Some(ann)).unwrap();
        let (_, told) = started(&files, &options("ann", "secret"));
        assert_eq!(told.wanted(&known(&[("ann", ""), ("secret", "y")])), known(&[]));
    }

    #[tokio::test]
    async fn a_password_in_clear_is_an_order_once() {
        let files = Memory::default();
        files.save("admins", "ann", Some("new")).unwrap();
        let (config, mut told) = started(&files, &options("ann", "old"));
        let entry = config.get("admins", "ann").unwrap().to_owned();
        assert!(verifier(&config, "ann").matches("new"), "a file is stronger than the environment");
        let other = Verifier::derive("other", "salt", Prf::Sha256, 10).to_admin();
        for before in [other.as_str(), ""] {
            let before = known(&[("ann", before), ("secret", "y")]);
            told.orders = unknown(told.orders, &before).await;
            assert_eq!(told.wanted(&before), known(&[("ann", &entry)]));
            let meanwhile = known(&[("ann", "somebody else's"), ("secret", "y")]);
            assert_eq!(told.wanted(&meanwhile), known(&[]), "it is to be looked at again");
        }
        let same = Verifier::derive("new", "another salt", Prf::Sha256, 10).to_admin();
        let same = known(&[("ann", &same), ("secret", "y")]);
        assert_eq!(unknown(told.orders, &same).await.len(), 0);
        let (_, told) = started(&files, &options("ann", "old"));
        assert_eq!(told.orders.len(), 0, "it is a hash now");
        // One in an earlier file is there after each start.
        files.save("admins", "ann", Some("new")).unwrap();
        let mut config = files.load().unwrap();
        config.set("chttpd_auth", "iterations", "10");
        let told = complete(&mut config, &options("ann", "old"), &files, &Config::default());
        assert_eq!(told.orders.len(), 0);
    }
}
