//! [`AuthSettings`]: what the configuration says about users, read once. Pure.

use std::collections::HashMap;
use std::sync::Arc;

use settee_model::config::Config;

use crate::auth::accounts::Account;
use crate::auth::cookie::Dress;
use crate::auth::handler::Handler;
use crate::auth::jwt::Jwt;
use crate::auth::lockout;
use crate::auth::new_passwords::NewPasswords;
use crate::auth::password::Verifier;
use crate::auth::prf::Prf;
use crate::auth::proxy::Proxy;
use crate::auth::secrets::Secrets;

/// Settings of authentication.
#[derive(Clone, Debug)]
pub struct AuthSettings {
    /// `[admins]`, by name. A password in clear is not among them.
    pub admins: HashMap<String, Arc<Account>>,
    /// `[chttpd] authentication_handlers`: ways to prove who one is, in the order in which they are
    /// tried.
    pub handlers: Vec<Handler>,
    /// `[jwt_auth]` and `[jwt_keys]`
    pub jwt: Jwt,
    /// `[chttpd_auth] proxy_use_secret`, `x_auth_username` and its like.
    pub proxy: Proxy,
    /// `[chttpd_auth] secret`: keys session cookies and tokens of proxies.
    pub secrets: Secrets,
    /// `[chttpd_auth] timeout`: seconds that a session lasts.
    pub timeout: u64,
    /// `[chttpd_auth] hash_algorithms`: of cookies that are believed; the first makes new ones.
    pub hash_algorithms: Vec<Prf>,
    /// How cookies are dressed.
    pub cookie: Dress,
    /// `[chttpd_auth] authentication_db`
    pub users_db: String,
    /// `[chttpd] require_valid_user`
    pub require_valid_user: bool,
    /// `[chttpd] require_valid_user_except_for_up`
    pub require_valid_user_except_for_up: bool,
    /// `[chttpd_auth] allow_conflicted_user_docs`
    pub allow_conflicted_user_docs: bool,
    /// How new passwords are kept.
    pub new_passwords: NewPasswords,
    /// `[chttpd_auth] upgrade_hash_on_auth`: whether those that are kept otherwise are kept so, too,
    /// once they were used.
    pub upgrade: bool,
    /// `[chttpd_auth] public_fields`: what everybody sees of users' documents.
    pub public_fields: Vec<String>,
    /// `[chttpd_auth] min_iterations` and `max_iterations` of passwords that are checked.
    pub iterations_allowed: (u32, u32),
    /// `[chttpd_auth_lockout]`: what becomes of peers that fail often.
    pub lockout: lockout::Rule,
}

impl AuthSettings {
    /// Reads what is configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let text = |key| config.get("chttpd_auth", key).map(str::to_owned);
        let timeout = config.parsed("chttpd_auth", "timeout", 600);
        let new_passwords = NewPasswords::from_config(config);
        AuthSettings {
            admins: admins(config),
            handlers: Handler::configured(config),
            jwt: Jwt::from_config(config),
            proxy: Proxy::from_config(config),
            secrets: Secrets::from_config(config, timeout),
            timeout,
            hash_algorithms: hash_algorithms(config),
            cookie: Dress {
                max_age: config
                    .boolean("chttpd_auth", "allow_persistent_cookies", true)
                    .then_some(timeout),
                domain: text("cookie_domain"),
                same_site: text("same_site").and_then(|value| same_site(&value)),
            },
            users_db: text("authentication_db").unwrap_or_else(|| "_users".to_owned()),
            require_valid_user: config.boolean("chttpd", "require_valid_user", false),
            require_valid_user_except_for_up: config.boolean(
                "chttpd",
                "require_valid_user_except_for_up",
                false,
            ),
            allow_conflicted_user_docs: config.boolean(
                "chttpd_auth",
                "allow_conflicted_user_docs",
                false,
            ),
            upgrade: config.boolean("chttpd_auth", "upgrade_hash_on_auth", true),
            public_fields: config.list("chttpd_auth", "public_fields", ""),
            iterations_allowed: (
                config.parsed("chttpd_auth", "min_iterations", 1),
                config.parsed("chttpd_auth", "max_iterations", new_passwords.most_iterations()),
            ),
            new_passwords,
            lockout: lockout::Rule::from_config(config),
        }
    }

    /// The hash that new cookies are made with.
    #[must_use]
    pub fn new_hash(&self) -> Prf {
        self.hash_algorithms.first().copied().unwrap_or(Prf::Sha256)
    }
}

/// As it stands in cookies, however it is written in the configuration.
fn same_site(value: &str) -> Option<&'static str> {
    ["None", "Lax", "Strict"].into_iter().find(|known| value.eq_ignore_ascii_case(known))
}

/// Those that are known; if none is, the one that is made without a word.
fn hash_algorithms(config: &Config) -> Vec<Prf> {
    let named = config.list("chttpd_auth", "hash_algorithms", "sha256, sha");
    let known: Vec<_> = named.iter().filter_map(|name| Prf::parse(name)).collect();
    if known.is_empty() { vec![Prf::Sha256] } else { known }
}

fn admins(config: &Config) -> HashMap<String, Arc<Account>> {
    let hashed = config.section("admins").filter_map(|(name, value)| {
        let verifier = Verifier::from_admin(value)?;
        let account = Account::new(name, vec!["_admin".to_owned()], verifier);
        Some((name.to_owned(), Arc::new(account)))
    });
    hashed.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cookies_are_made_and_believed_by_the_same_hash() {
        for (named, known) in [
            ("", &[Prf::Sha256, Prf::Sha1][..]),
            ("sha512,blake2b , sha", &[Prf::Sha512, Prf::Sha1]),
            ("blake2b", &[Prf::Sha256]),
            (",", &[Prf::Sha256]),
        ] {
            let mut config = Config::default();
            config.set("chttpd_auth", "hash_algorithms", named);
            let auth = AuthSettings::from_config(&config);
            assert_eq!(auth.hash_algorithms, known, "{named}");
            assert_eq!(Some(&auth.new_hash()), known.first(), "{named}");
        }
    }
}
