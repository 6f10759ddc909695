//! [`Cors`]: which pages of other servers may read what this one answers, in the words of
//! `Access-Control-…`. Pure: decides by headers alone, and never who a user is.

use std::collections::HashMap;

use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN,
};
use http::{HeaderMap, HeaderValue};
use settee_model::config::Config;

/// Headers that pages may send.
const HEADERS: &str = "accept, accept-language, authorization, content-length, content-range, \
                       content-type, destination, expires, if-match, last-modified, origin, \
                       pragma, x-couch-full-commit, x-couch-id, x-couch-persist, \
                       x-couchdb-www-authenticate, x-http-method-override, x-requested-with, \
                       x-couchdb-vhost-path";
const METHODS: &str = "CONNECT, COPY, DELETE, GET, HEAD, OPTIONS, POST, PUT, TRACE";
/// Headers that pages may read of every answer.
const EXPOSED: &str = "accept-ranges, etag, server, x-couch-request-id, x-couch-update-newrev, \
                       x-couchdb-body-time";
/// And those that they may read where an answer has them.
const SIMPLE: [&str; 5] =
    ["cache-control", "content-language", "expires", "last-modified", "pragma"];

/// What is allowed: to whoever asks for one of some hosts, and for any other.
#[derive(Clone, Debug)]
pub struct Cors {
    usual: Rules,
    hosts: HashMap<String, Rules>,
}

#[derive(Clone, Debug)]
struct Rules {
    anybody: bool,
    origins: Vec<String>,
    credentials: bool,
    methods: Vec<String>,
    headers: Vec<String>,
    exposed: Vec<String>,
    max_age: HeaderValue,
}

impl Cors {
    /// `[cors]` and `[cors:HOST]`; `None` unless `[chttpd] enable_cors`.
    #[must_use]
    pub fn from_config(config: &Config) -> Option<Self> {
        if !config.boolean("chttpd", "enable_cors", false) {
            return None;
        }
        let hosts = config.sections().filter_map(|section| {
            let host = section.strip_prefix("cors:")?;
            Some((host.to_owned(), Rules::from_config(config, section)))
        });
        let hosts = hosts.collect();
        Some(Cors { usual: Rules::from_config(config, "cors"), hosts })
    }

    /// The headers that answer the question whether a page may ask something; `None` if it may not,
    /// or if that was not the question.
    #[must_use]
    pub fn preflight(&self, host: Option<&str>, asked: &HeaderMap) -> Option<HeaderMap> {
        let rules = self.rules(host);
        let origin = asked.get(ORIGIN).filter(|origin| rules.welcome(origin))?;
        let method = asked.get(ACCESS_CONTROL_REQUEST_METHOD)?;
        if !rules.methods.iter().any(|known| known.as_bytes() == method.as_bytes()) {
            return None;
        }
        let none = HeaderValue::from_static("");
        let wanted = asked.get(ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or(&none);
        let mut names = wanted.to_str().ok()?.split(',').map(str::trim);
        let known = |name: &str| rules.headers.iter().any(|own| own.eq_ignore_ascii_case(name));
        if !names.all(|name| name.is_empty() || known(name)) {
            return None;
        }
        let mut told = HeaderMap::new();
        rules.admit(origin, &mut told);
        told.insert(ACCESS_CONTROL_MAX_AGE, rules.max_age.clone());
        let methods = HeaderValue::from_str(&rules.methods.join(", "));
        told.insert(ACCESS_CONTROL_ALLOW_METHODS, methods.ok()?);
        told.insert(ACCESS_CONTROL_ALLOW_HEADERS, wanted.clone());
        Some(told)
    }

    /// Whether a page of this origin may ask.
    #[must_use]
    pub fn welcomes(&self, host: Option<&str>, origin: &HeaderValue) -> bool {
        self.rules(host).welcome(origin)
    }

    /// Tells a page that it may read an answer, if it may.
    pub fn allow(&self, host: Option<&str>, asked: &HeaderMap, answered: &mut HeaderMap) {
        let Some(origin) = asked.get(ORIGIN) else { return };
        let rules = self.rules(host);
        if !rules.welcome(origin) {
            return;
        }
        let there = answered.keys().map(http::HeaderName::as_str);
        let simple = there.filter(|name| SIMPLE.contains(name));
        let exposed = rules.exposed.iter().map(String::as_str);
        let names: Vec<&str> = ["content-type"].into_iter().chain(simple).chain(exposed).collect();
        let names = HeaderValue::from_str(&names.join(", "));
        rules.admit(origin, answered);
        if let Ok(names) = names {
            answered.insert(ACCESS_CONTROL_EXPOSE_HEADERS, names);
        }
    }

    fn rules(&self, host: Option<&str>) -> &Rules {
        if self.hosts.is_empty() {
            return &self.usual;
        }
        let host = host.unwrap_or_default();
        let host = host.split_once("://").map_or(host, |(_, host)| host);
        let name = host.split(':').find(|part| !part.is_empty()).unwrap_or_default();
        self.hosts.get(name).unwrap_or(&self.usual)
    }
}

impl Rules {
    /// What a section does not say, `[cors]` does.
    fn from_config(config: &Config, section: &str) -> Self {
        let text = |key| config.get(section, key).or_else(|| config.get("cors", key));
        let list = |key, default| {
            let items = text(key).unwrap_or(default).split(',').map(str::trim);
            items.filter(|item| !item.is_empty()).map(str::to_owned).collect::<Vec<_>>()
        };
        let max_age = text("max_age").map(HeaderValue::from_str).and_then(Result::ok);
        let origins = list("origins", "");
        Rules {
            anybody: origins.iter().any(|origin| origin == "*"),
            origins,
            credentials: text("credentials") == Some("true"),
            methods: list("methods", METHODS),
            headers: list("headers", HEADERS),
            exposed: list("exposed_headers", EXPOSED)
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            max_age: max_age.unwrap_or(HeaderValue::from_static("600")),
        }
    }

    /// Origins are compared as they are written: scheme, host and port.
    fn welcome(&self, origin: &HeaderValue) -> bool {
        self.anybody || self.origins.iter().any(|known| known.as_bytes() == origin.as_bytes())
    }

    /// Credentials are for pages that say who they are.
    fn admit(&self, origin: &HeaderValue, told: &mut HeaderMap) {
        if self.credentials && origin != "*" {
            told.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
        told.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kit::headers;

    const PAGE: &str = "http://example.com";

    fn cors(ini: &str) -> Cors {
        let mut config = Config::default();
        config.merge_ini(&format!("[httpd]\nenable_cors = true\n{ini}"));
        Cors::from_config(&config).unwrap()
    }

    fn preflight(cors: &Cors, origin: &str, method: &str, names: &str) -> Option<HeaderMap> {
        let asked = headers(&[
            ("origin", origin),
            ("access-control-request-method", method),
            ("access-control-request-headers", names),
        ]);
        cors.preflight(Some("server:5984"), &asked)
    }

    fn allowed(cors: &Cors, host: &str, origin: &str) -> HeaderMap {
        let mut answered = headers(&[("content-type", "text/plain"), ("cache-control", "x")]);
        cors.allow(Some(host), &headers(&[("origin", origin)]), &mut answered);
        answered
    }

    #[test]
    fn it_is_off_unless_it_is_enabled() {
        let mut config = Config::default();
        config.merge_ini("[cors]\norigins = *\n");
        assert!(Cors::from_config(&config).is_none());
    }

    #[test]
    fn a_preflight_is_answered_for_known_pages_methods_and_headers() {
        let cors = cors("[cors]\norigins = http://example.com, null\n");
        let told = preflight(&cors, PAGE, "PUT", "Accept-Language,X-Couch-ID").unwrap();
        assert_eq!(told["access-control-allow-origin"], PAGE);
        assert_eq!(told["access-control-allow-methods"], METHODS);
        assert_eq!(told["access-control-allow-headers"], "Accept-Language,X-Couch-ID");
        assert_eq!(told["access-control-max-age"], "600");
        assert!(!told.contains_key("access-control-allow-credentials"));
        assert_eq!(preflight(&cors, PAGE, "GET", "").unwrap()["access-control-allow-headers"], "");
        for (origin, method, names, fits) in [
            ("null", "GET", "", true),
            ("http://EXAMPLE.com", "GET", "", false),
            ("https://example.com", "GET", "", false),
            ("http://example.com:80", "GET", "", false),
            (PAGE, "PATCH", "", false),
            (PAGE, "get", "", false),
            (PAGE, "GET", "X-Other", false),
        ] {
            let told = preflight(&cors, origin, method, names);
            assert_eq!(told.is_some(), fits, "{origin} {method} {names}");
        }
        assert!(cors.preflight(None, &headers(&[("origin", PAGE)])).is_none(), "asks for nothing");
    }

    #[test]
    fn answers_name_the_page_and_what_it_may_read() {
        let told = allowed(&cors("[cors]\norigins = *\ncredentials = true\n"), "x", "app://page");
        assert_eq!(told["access-control-allow-origin"], "app://page");
        assert_eq!(told["access-control-allow-credentials"], "true");
        let names = format!("content-type, cache-control, {EXPOSED}");
        assert_eq!(told["access-control-expose-headers"], names);
        let told = allowed(&cors("[cors]\norigins = *\ncredentials = true\n"), "x", "*");
        assert!(!told.contains_key("access-control-allow-credentials"));
        let told = allowed(&cors("[cors]\norigins = http://example.org\n"), "x", PAGE);
        assert_eq!(told.len(), 2, "{told:?}");
        assert_eq!(allowed(&cors(""), "x", PAGE).len(), 2);
    }

    #[test]
    fn hosts_have_rules_of_their_own() {
        let cors = cors(
            "[cors]\norigins = http://example.com\nmax_age = 7\n\
             [cors:own.host]\norigins = http://example.org\nmethods = GET, put\n\
             headers = X-One\nexposed_headers = X-Two\n",
        );
        let origin = |host, origin| allowed(&cors, host, origin).len() > 2;
        assert!(origin("own.host:5984", "http://example.org"));
        assert!(origin("https://own.host", "http://example.org"));
        assert!(!origin("own.host", PAGE));
        assert!(origin("other.host", PAGE));
        let told = allowed(&cors, "own.host", "http://example.org");
        assert_eq!(told["access-control-expose-headers"], "content-type, cache-control, x-two");
        let asked = headers(&[
            ("origin", "http://example.org"),
            ("access-control-request-method", "put"),
            ("access-control-request-headers", "x-one"),
        ]);
        let told = cors.preflight(Some("own.host"), &asked).unwrap();
        assert_eq!(told["access-control-allow-methods"], "GET, put");
        assert_eq!(told["access-control-max-age"], "7");
    }
}
