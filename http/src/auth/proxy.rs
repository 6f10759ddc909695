//! [`Proxy`]: who says so in headers, because a proxy has asked who they are. What proves it is a
//! keyed hash of the name under the server's secret, if `proxy_use_secret` is set. Pure.

use http::header::{HeaderMap, HeaderName};
use settee_model::config::Config;
use subtle::{Choice, ConstantTimeEq};

use crate::auth::jwt::list;
use crate::auth::prf::{Prf, hex};
use crate::auth::secrets::Secrets;
use crate::auth::{Handler, User};
use crate::headers;

/// Which headers a proxy sends, and whether they must be proven.
#[derive(Clone, Debug)]
pub struct Proxy {
    name: HeaderName,
    roles: HeaderName,
    token: HeaderName,
    use_secret: bool,
}

impl Proxy {
    /// Reads what is configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let header = |key, usual: &'static str| {
            let said = config.get("chttpd_auth", key);
            let said = said.and_then(|name| HeaderName::try_from(name.trim()).ok());
            said.unwrap_or(HeaderName::from_static(usual))
        };
        Proxy {
            name: header("x_auth_username", "x-auth-couchdb-username"),
            roles: header("x_auth_roles", "x-auth-couchdb-roles"),
            token: header("x_auth_token", "x-auth-couchdb-token"),
            use_secret: config.boolean("chttpd_auth", "proxy_use_secret", false),
        }
    }

    /// Whether a proxy proves itself with this header.
    #[must_use]
    pub fn proves_by(&self, header: &HeaderName) -> bool {
        *header == self.token
    }

    /// Whether a proxy says in this header who asks, or what they are.
    #[must_use]
    pub fn reads(&self, header: &HeaderName) -> bool {
        [&self.name, &self.roles, &self.token].contains(&header)
    }

    /// Whom a request speaks for; nobody if it does not say so, or does not prove it. `now` in
    /// seconds since 1970.
    #[must_use]
    pub fn user(
        &self,
        headers: &HeaderMap,
        secrets: &Secrets,
        hashes: &[Prf],
        now: u64,
    ) -> Option<User> {
        let name = only(headers, &self.name)??;
        if name.is_empty() || name.contains(char::is_control) {
            return None;
        }
        if self.use_secret && is_of_a_cookie(name) {
            return None;
        }
        let roles = only(headers, &self.roles)?.map(list).unwrap_or_default();
        if self.use_secret {
            let token = only(headers, &self.token)??;
            let mut proven = Choice::from(0);
            for secret in secrets.believed(now) {
                for hash in hashes {
                    let expected = hex(&hash.mac(secret.as_bytes(), name.as_bytes()));
                    proven |= expected.as_bytes().ct_eq(token.as_bytes());
                }
            }
            bool::from(proven).then_some(())?;
        }
        Some(User { name: Some(name.to_owned()), roles, handler: Some(Handler::Proxy.name()) })
    }
}

/// Whether a cookie may hold the hash of this name: there it is one of a name, a colon and a time.
fn is_of_a_cookie(name: &str) -> bool {
    let time = name.rsplit_once(':').map(|(_, time)| time.as_bytes());
    time.is_some_and(|time| time.len() >= 8 && time.iter().all(u8::is_ascii_hexdigit))
}

/// The one header of this name, if there is any. `None` if there are several: one of them may be
/// somebody else's.
fn only<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<Option<&'a str>> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Some(None),
        (Some(value), None) => headers::text(value).map(Some),
        (Some(_), Some(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use http::header::HeaderValue;

    use super::*;

    const NAME: &str = "x-auth-couchdb-username";
    const ROLES: &str = "x-auth-couchdb-roles";
    const TOKEN: &str = "x-auth-couchdb-token";

    fn asked(config: &Config, sent: &[(&'static str, &str)]) -> Option<User> {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(*name, HeaderValue::from_str(value).unwrap());
        }
        let secrets = Secrets::from_config(config, 600);
        let hashes = [Prf::Sha256, Prf::Sha1];
        Proxy::from_config(config).user(&headers, &secrets, &hashes, 1000)
    }

    fn config(pairs: &[(&str, &str)]) -> Config {
        let mut config = Config::default();
        pairs.iter().for_each(|(key, value)| config.set("chttpd_auth", key, value));
        config
    }

    #[test]
    fn who_proves_it_is_believed() {
        let config = config(&[("proxy_use_secret", "true"), ("secret", "key")]);
        for hash in [Prf::Sha256, Prf::Sha1] {
            let token = hex(&hash.mac(b"key", b"ann"));
            let sent = [(NAME, "ann"), (ROLES, "a , b"), (TOKEN, token.as_str())];
            let user = asked(&config, &sent).unwrap();
            assert_eq!(user.name.as_deref(), Some("ann"));
            assert_eq!((user.roles, user.handler), (vec!["a".into(), "b".into()], Some("proxy")));
        }
        let token = hex(&Prf::Sha256.mac(b"key", b"ann"));
        let upper = token.to_uppercase();
        let other = hex(&Prf::Sha512.mac(b"key", b"ann"));
        for sent in [
            &[(NAME, "ann")][..],
            &[(NAME, "ann"), (TOKEN, "")],
            &[(NAME, "bob"), (TOKEN, &token)],
            &[(NAME, "ann"), (TOKEN, &upper)],
            &[(NAME, "ann"), (TOKEN, &other)],
            &[(NAME, "ann"), (NAME, "ann"), (TOKEN, &token)],
            &[(NAME, "ann"), (TOKEN, &token), (TOKEN, &token)],
            &[(NAME, "ann"), (ROLES, "_admin"), (ROLES, "a"), (TOKEN, &token)],
            &[(ROLES, "_admin"), (TOKEN, &token)],
        ] {
            assert_eq!(asked(&config, sent), None, "{sent:?}");
        }
    }

    #[test]
    fn what_a_cookie_says_proves_nothing() {
        let config = config(&[("proxy_use_secret", "true"), ("secret", "key")]);
        // As of a user whose salt is empty.
        let token = hex(&Prf::Sha256.mac(b"key", b"ann:6B000000"));
        let sent = [(NAME, "ann:6B000000"), (ROLES, "_admin"), (TOKEN, token.as_str())];
        assert_eq!(asked(&config, &sent), None);
    }

    #[test]
    fn without_a_secret_nobody_proves_anything() {
        let config = config(&[("proxy_use_secret", "true")]);
        let token = hex(&Prf::Sha256.mac(b"", b"ann"));
        assert_eq!(asked(&config, &[(NAME, "ann"), (TOKEN, &token)]), None);
    }

    #[test]
    fn headers_have_the_names_that_are_configured() {
        let config = config(&[("x_auth_username", "X-User"), ("x_auth_roles", "X-Roles")]);
        let user = asked(&config, &[("x-user", "ann"), ("x-roles", "a,b,")]).unwrap();
        assert_eq!((user.name.as_deref(), user.roles.len()), (Some("ann"), 2));
        assert_eq!(asked(&config, &[(NAME, "ann")]), None);
        assert_eq!(asked(&config, &[("x-user", "")]), None);
    }
}
