//! [`Hosts`]: by which names this server may be asked, so that no page can reach it by a name of its
//! own that leads here. Pure.

use settee_model::config::Config;

use crate::error::Error;

/// `[chttpd] valid_hosts`, without ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts(Vec<String>);

impl Hosts {
    /// What is configured; `None` unless `[chttpd] validate_host`.
    #[must_use]
    pub fn from_config(config: &Config) -> Option<Self> {
        let wanted = config.boolean("chttpd", "validate_host", false);
        wanted.then(|| Hosts(config.list("chttpd", "valid_hosts", "")))
    }

    /// Refuses who asks for another host, or for none.
    ///
    /// # Errors
    /// 400.
    pub fn check(&self, host: Option<&str>) -> Result<(), Error> {
        let name = host.map(without_port).unwrap_or_default();
        match self.0.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            true => Ok(()),
            false => Err(Error::bad_request("Invalid host header")),
        }
    }
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_known_by_its_name() {
        let mut config = Config::default();
        config.merge_ini("[chttpd]\nvalid_hosts = a.example, 127.0.0.1, [::1]\n");
        assert_eq!(Hosts::from_config(&config), None, "unless it is wanted");
        config.set("httpd", "validate_host", "true");
        let hosts = Hosts::from_config(&config).unwrap();
        for known in ["a.example", "A.example:80", "127.0.0.1:5984", "[::1]:5984", "[::1]"] {
            assert_eq!(hosts.check(Some(known)), Ok(()), "{known}");
        }
        for other in ["", "b.example", "a.example.b", "a.example:x", "a.example:80:80", "::1"] {
            assert!(hosts.check(Some(other)).is_err(), "{other}");
        }
        assert!(hosts.check(None).is_err());
        config.set("chttpd", "valid_hosts", "");
        assert!(Hosts::from_config(&config).unwrap().check(None).is_err(), "nobody is nobody");
    }
}
