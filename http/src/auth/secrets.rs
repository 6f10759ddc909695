//! [`Secrets`]: what session cookies and tokens of proxies are proven with. When it changes, the one
//! before stays believed for as long as a session lasts, so that nobody is logged out. Pure.

use settee_model::config::Config;

/// The key under which the secret before is kept, beside `secret`.
pub const BEFORE: &str = "secret_before";

/// The secret, and the one before. Without any, nothing is believed.
#[derive(Clone, Default)]
pub struct Secrets {
    current: Option<String>,
    before: Option<Before>,
}

#[derive(Clone)]
struct Before {
    secret: String,
    /// Seconds since 1970.
    until: u64,
}

impl std::fmt::Debug for Secrets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secrets")
    }
}

impl Secrets {
    /// Reads what is configured; the one before ends `timeout` seconds after it was replaced.
    #[must_use]
    pub fn from_config(config: &Config, timeout: u64) -> Self {
        let text = |key| config.get("chttpd_auth", key);
        let before = text(BEFORE).and_then(|before| {
            let (changed, secret) = before.split_once(' ')?;
            let until = changed.parse::<u64>().ok()?.saturating_add(timeout);
            (!secret.is_empty()).then(|| Before { secret: secret.to_owned(), until })
        });
        Secrets { current: text("secret").map(str::to_owned), before }
    }

    /// How a secret is kept that is replaced now.
    #[must_use]
    pub fn replaced(secret: &str, now: u64) -> String {
        format!("{now} {secret}")
    }

    /// The one that proves what is made now.
    #[must_use]
    pub fn current(&self) -> Option<&str> {
        self.current.as_deref()
    }

    /// Those that are believed now.
    pub fn believed(&self, now: u64) -> impl Iterator<Item = &str> {
        let before = self.before.as_ref().filter(|before| now < before.until);
        self.current().into_iter().chain(before.map(|before| before.secret.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn believed(config: &Config, now: u64) -> Vec<String> {
        Secrets::from_config(config, 600).believed(now).map(str::to_owned).collect()
    }

    #[test]
    fn the_secret_before_is_believed_for_a_while() {
        let mut config = Config::default();
        assert!(believed(&config, 1).is_empty());
        config.set("chttpd_auth", "secret", "new");
        assert_eq!(believed(&config, 1), ["new"]);
        config.set("chttpd_auth", BEFORE, &Secrets::replaced("old secret", 1000));
        assert_eq!(believed(&config, 1599), ["new", "old secret"]);
        assert_eq!(believed(&config, 1600), ["new"]);
        for odd in ["x y", "1000", "1000 ", "99999999999999999999 x"] {
            config.set("chttpd_auth", BEFORE, odd);
            assert_eq!(believed(&config, 1001), ["new"], "{odd}");
        }
    }
}
