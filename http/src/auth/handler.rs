//! [`Handler`]: the ways to prove who one is, and which of them a server believes, in which order:
//! `[chttpd] authentication_handlers`, as CouchDB writes it. Pure.

use settee_model::config::Config;

/// A way to prove who one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Handler {
    /// A session's cookie.
    Cookie,
    /// Name and password with each request.
    Default,
    /// Headers of a proxy that has asked already.
    Proxy,
    /// A signed token.
    Jwt,
}

impl Handler {
    /// What CouchDB calls it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Handler::Cookie => "cookie",
            Handler::Default => "default",
            Handler::Proxy => "proxy",
            Handler::Jwt => "jwt",
        }
    }

    /// Those that are configured, in their order. One that is not known lets nobody in.
    #[must_use]
    pub fn configured(config: &Config) -> Vec<Handler> {
        let usual = || vec![Handler::Cookie, Handler::Default];
        config.get("chttpd", "authentication_handlers").map_or_else(usual, parse)
    }
}

/// Reads Erlang's tuples of a module and a function.
fn parse(text: &str) -> Vec<Handler> {
    let tuples = text.split('}').map(|tuple| tuple.trim_start_matches([',', ' ', '\t']));
    let named = |tuple: &str| {
        let known = handler(tuple);
        if known.is_none() {
            tracing::error!(handler = tuple, "[chttpd] authentication_handlers: not known");
        }
        known
    };
    tuples.filter(|tuple| !tuple.trim().is_empty()).filter_map(named).collect()
}

fn handler(tuple: &str) -> Option<Handler> {
    let (module, function) = tuple.trim().strip_prefix('{')?.split_once(',')?;
    if !["chttpd_auth", "couch_httpd_auth"].contains(&module.trim()) {
        return None;
    }
    match function.trim() {
        "cookie_authentication_handler" => Some(Handler::Cookie),
        "default_authentication_handler" => Some(Handler::Default),
        "proxy_authentication_handler" | "proxy_authentification_handler" => Some(Handler::Proxy),
        "jwt_authentication_handler" => Some(Handler::Jwt),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handlers_keep_their_order() {
        use Handler as H;
        let table = [
            (
                "{chttpd_auth, jwt_authentication_handler}, \
                 {chttpd_auth, cookie_authentication_handler}, \
                 {chttpd_auth, default_authentication_handler}",
                vec![H::Jwt, H::Cookie, H::Default],
            ),
            (
                "{couch_httpd_auth,default_authentication_handler},\
                 { chttpd_auth , proxy_authentication_handler }",
                vec![H::Default, H::Proxy],
            ),
            ("{couch_httpd_auth, proxy_authentification_handler}", vec![H::Proxy]),
            // Who misspells something is not let in another way.
            ("{couch_httpd_auth, null_authentication_handler}", vec![]),
            ("{elsewhere, cookie_authentication_handler}", vec![]),
            ("cookie", vec![]),
        ];
        for (text, expected) in table {
            assert_eq!(parse(text), expected, "{text}");
        }
        assert_eq!(Handler::configured(&Config::default()), [H::Cookie, H::Default]);
    }
}
