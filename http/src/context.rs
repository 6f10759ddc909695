//! [`Ctx`]: all that a handler may know about its request, and [`App`]: what all requests share.
//! Holds things; decides nothing.

use std::borrow::Cow;
use std::sync::Arc;

use http::header::{AsHeaderName, HOST, IF_MATCH, IF_NONE_MATCH, ORIGIN};
use http::{HeaderMap, Uri};
use parking_lot::RwLock;
use settee_cluster::{Cluster, Db};
use settee_model::config::Config;

use crate::auth::access::Access;
use crate::auth::security::Security;
use crate::auth::{Accounts, User};
use crate::body::RequestBody;
use crate::config::{ConfigFiles, LiveConfig, overlay};
use crate::cors::Cors;
use crate::error::Error;
use crate::headers;
use crate::patience::Patience;
use crate::peer::Peer;
use crate::process::Process;
use crate::query::Query;
use crate::route::Method;
use crate::settings::Settings;
use crate::site::Site;
use crate::stats::stats;
use crate::uuids::Uuids;

/// What all requests share.
pub struct App {
    /// The coordinator.
    pub cluster: Cluster,
    /// New document ids.
    pub uuids: Uuids,
    /// Who can log in.
    pub accounts: Accounts,
    /// The configuration as operators see and change it.
    pub config: LiveConfig,
    /// The process that this runs in.
    pub process: Box<dyn Process>,
    /// The web interface.
    pub site: Site,
    /// How long is waited for clients.
    pub patience: Patience,
    settings: RwLock<Arc<Settings>>,
}

impl App {
    /// A front over a coordinator. `key` is random, and keys what is remembered of passwords.
    #[must_use]
    pub fn new(
        cluster: Cluster,
        mut config: Config,
        files: Box<dyn ConfigFiles>,
        process: Box<dyn Process>,
        key: [u8; 32],
    ) -> Self {
        // Its time begins here.
        let _ = stats();
        overlay(&mut config, &cluster.common_settings().borrow());
        let settings = Settings::from_config(&config);
        settings.hand_down(&cluster);
        let accounts = Accounts::new(cluster.clone(), key, settings.auth.lockout.capacity);
        let settings = RwLock::new(Arc::new(settings));
        let (config, uuids) = (LiveConfig::new(config, files), Uuids::default());
        let (site, patience) = (Site::default(), Patience::default());
        App { cluster, uuids, accounts, config, process, site, patience, settings }
    }

    /// The same with a web interface.
    #[must_use]
    pub fn with_site(self, site: Site) -> Self {
        App { site, ..self }
    }

    /// The same with another patience.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        App { patience, ..self }
    }

    /// The settings of now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// Takes over what the configuration says now.
    pub(crate) fn refresh(&self) {
        let settings = Settings::from_config(&self.config.now());
        settings.hand_down(&self.cluster);
        *self.settings.write() = Arc::new(settings);
    }
}

/// One request.
pub struct Ctx {
    /// What all requests share.
    pub app: Arc<App>,
    /// The settings as they were when the request came.
    pub settings: Arc<Settings>,
    /// Its method.
    pub method: Method,
    /// Whether it is a `HEAD`, which is otherwise a [`Method::Get`].
    pub head: bool,
    /// Its target.
    pub uri: Uri,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its query string.
    pub query: Query,
    /// Its body.
    pub body: RequestBody,
    /// How often design documents made another request of it, which is then to be answered.
    pub rewrites: u32,
    /// Who asks.
    pub user: Arc<User>,
    /// From where.
    pub peer: Peer,
}

impl Ctx {
    /// A new document id.
    #[must_use]
    pub fn new_uuid(&self) -> String {
        self.app.uuids.next(&self.settings)
    }

    /// Whether the database lets this user do what an endpoint asks.
    pub(crate) fn check_access(&self, db: &Db, access: Access) -> Result<(), Error> {
        if self.user.is_admin() {
            return Ok(());
        }
        self.security(db).check(access, &self.user)
    }

    /// Refuses who does not administer the database: for its settings and its design documents.
    ///
    /// # Errors
    /// 401 or 403.
    pub fn require_db_admin(&self, db: &Db) -> Result<(), Error> {
        if self.user.is_admin() {
            return Ok(());
        }
        self.security(db).require_admin(&self.user)
    }

    fn security(&self, db: &Db) -> Security {
        let meta = db.meta();
        Security::parse(meta.security.as_ref().unwrap_or(&self.settings.default_security))
    }

    /// A header's text, which may be any UTF-8.
    #[must_use]
    pub fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        headers::text(self.headers.get(name)?)
    }

    /// A header's text, with U+FFFD in the place of what is none.
    #[must_use]
    pub fn header_lossy(&self, name: impl AsHeaderName) -> Option<Cow<'_, str>> {
        self.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()))
    }

    /// The revision that `If-Match` names. What is no text names none: a write that it was to guard is
    /// not done without it.
    #[must_use]
    pub fn if_match(&self) -> Option<Cow<'_, str>> {
        self.header_lossy(IF_MATCH)
    }

    /// Checks the body's media type as CouchDB does.
    ///
    /// # Errors
    /// 415.
    pub fn require_json(&self) -> Result<(), Error> {
        crate::body::require_content_type(&self.headers, "application/json")
    }

    /// Refuses what a page of another server has a browser ask in its user's name, unless CORS lets
    /// that page in: for what asks for no body, and so for no JSON, which such pages cannot send.
    ///
    /// # Errors
    /// 403.
    pub fn require_no_other_page(&self) -> Result<(), Error> {
        let Some(origin) = self.headers.get(ORIGIN) else { return Ok(()) };
        let own = origin.to_str().ok().and_then(|origin| origin.split_once("://"));
        let is_own = own.is_some_and(|(_, host)| Some(host) == self.host());
        let welcome = |cors: &Cors| cors.welcomes(self.host(), origin);
        if is_own || self.settings.cors.as_ref().is_some_and(welcome) {
            return Ok(());
        }
        Err(Error::Forbidden("A page of another server may not ask for this.".into()))
    }

    /// The body, which must be a JSON object and say that it is JSON.
    ///
    /// # Errors
    /// 415, 413, 400.
    pub async fn json_object(&mut self) -> Result<serde_json::Value, Error> {
        self.require_json()?;
        crate::listing::object(&self.body.json().await?)
    }

    /// Whether the client has this version already; `tag` has its quotes.
    #[must_use]
    pub fn etag_matches(&self, tag: &str) -> bool {
        self.header(&IF_NONE_MATCH).is_some_and(|tags| {
            let mut tags = tags.split([',', ' ']).filter(|tag| !tag.is_empty());
            tags.any(|sent| sent.strip_prefix("W/").unwrap_or(sent) == tag)
        })
    }

    /// Whether the client speaks TLS to whom it speaks to.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        is_secure(&self.settings, &self.headers, self.peer)
    }

    /// A path as an absolute URI, for `Location`. `path` is percent-encoded and begins with `/`.
    #[must_use]
    pub fn absolute_uri(&self, path: &str) -> String {
        let scheme = if self.is_secure() { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.host().unwrap_or("localhost"))
    }

    /// The host that was asked, with its port, as far as the client or a proxy says it.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let forwarded = self.header(&self.settings.x_forwarded_host);
        let host = forwarded.or_else(|| self.header(&HOST));
        host.or_else(|| self.uri.authority().map(http::uri::Authority::as_str))
    }
}

/// Whether the client speaks TLS, to this server or to a proxy that says so. Who says so without being
/// one gets cookies that it cannot use.
#[must_use]
pub fn is_secure(settings: &Settings, headers: &HeaderMap, peer: Peer) -> bool {
    let says = |name: &str, value: &str| headers.get(name).is_some_and(|said| said == value);
    peer.secure
        || says(&settings.x_forwarded_ssl, "on")
        || says(&settings.x_forwarded_proto, "https")
}

#[cfg(test)]
mod tests {
    use settee_model::config::Config;

    use super::*;
    use crate::kit::headers;

    fn peer(address: &str) -> Peer {
        Peer { address: address.parse().unwrap(), secure: false }
    }

    fn settings(key: &str, value: &str) -> Settings {
        let mut config = Config::default();
        config.set("chttpd", key, value);
        Settings::from_config(&config)
    }

    #[test]
    fn a_proxy_says_whether_it_is_asked_over_tls() {
        let usual = Settings::default();
        let plain = peer("10.0.0.1:80");
        let says = |settings: &Settings, sent: (&'static str, &'static str)| {
            is_secure(settings, &headers(&[sent]), plain)
        };
        assert!(says(&usual, ("x-forwarded-ssl", "on")));
        assert!(says(&usual, ("x-forwarded-proto", "https")));
        assert!(!says(&usual, ("x-forwarded-proto", "http")));
        let other = settings("x_forwarded_proto", "X-Scheme");
        assert!(says(&other, ("x-scheme", "https")));
        assert!(!says(&other, ("x-forwarded-proto", "https")));
        assert!(is_secure(&usual, &headers(&[]), Peer { secure: true, ..plain }));
    }
}
