//! [`Ctx`]: all that a handler may know about its request, and [`App`]: what all requests share.
//! Holds things; decides nothing.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use http::header::{HOST, IF_NONE_MATCH};
use http::{HeaderMap, HeaderName, Uri};
use parking_lot::RwLock;
use settee_cluster::{Cluster, Db};
use settee_model::config::Config;

use crate::auth::access::Access;
use crate::auth::security::Security;
use crate::auth::{Accounts, User};
use crate::body::RequestBody;
use crate::config::{ConfigFiles, LiveConfig, overlay};
use crate::error::Error;
use crate::process::Process;
use crate::query::Query;
use crate::route::Method;
use crate::settings::Settings;
use crate::stats::stats;
use crate::uuids::Uuids;

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// Whether what is said is secured by TLS.
    pub secure: bool,
}

impl Peer {
    /// Its address without the port.
    #[must_use]
    pub fn ip(&self) -> IpAddr {
        self.address.ip()
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}

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
        cluster.set_layout(settings.layout.clone());
        cluster.set_functions(settings.functions.clone());
        let settings = RwLock::new(Arc::new(settings));
        let accounts = Accounts::new(cluster.clone(), key);
        let (config, uuids) = (LiveConfig::new(config, files), Uuids::default());
        App { cluster, uuids, accounts, config, process, settings }
    }

    /// The settings of now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings.read().clone()
    }

    /// Takes over what the configuration says now.
    pub(crate) fn refresh(&self) {
        let settings = Settings::from_config(&self.config.now());
        self.cluster.set_layout(settings.layout.clone());
        self.cluster.set_functions(settings.functions.clone());
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

    /// A header's text.
    #[must_use]
    pub fn header(&self, name: &HeaderName) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The text of a header that has no constant.
    #[must_use]
    pub fn header_named(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// Checks the body's media type as CouchDB does.
    ///
    /// # Errors
    /// 415.
    pub fn require_json(&self) -> Result<(), Error> {
        crate::body::require_content_type(&self.headers, "application/json")
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

    /// A path as an absolute URI, for `Location`. `path` is percent-encoded and begins with `/`.
    #[must_use]
    pub fn absolute_uri(&self, path: &str) -> String {
        let secure = self.peer.secure
            || self.header_named("x-forwarded-ssl") == Some("on")
            || self.header_named("x-forwarded-proto") == Some("https");
        let scheme = if secure { "https" } else { "http" };
        format!("{scheme}://{}{path}", self.host().unwrap_or("localhost"))
    }

    /// The host that was asked, with its port, as far as the client or a proxy says it.
    #[must_use]
    pub fn host(&self) -> Option<&str> {
        let forwarded = self.header_named(&self.settings.x_forwarded_host);
        let host = forwarded.or_else(|| self.header(&HOST));
        host.or_else(|| self.uri.authority().map(http::uri::Authority::as_str))
    }
}

/// Percent-encodes a path segment as CouchDB writes `Location`.
pub fn push_encoded(out: &mut String, text: &str) {
    const DIGITS: [char; 16] =
        ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' | b'.' | b'-' | b':' => {
                out.push(char::from(byte));
            }
            byte => {
                let digits = [byte >> 4, byte & 15].map(usize::from);
                out.push('%');
                out.extend(digits.iter().filter_map(|&digit| DIGITS.get(digit)));
            }
        }
    }
}
