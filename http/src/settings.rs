//! [`Settings`]: the configuration that requests look at, read once into typed fields and swapped
//! as a whole when the configuration changes. Never reads files.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};
use settee_cluster::{Cluster, DiskSettings, FunctionSettings, LayoutDefaults};
use settee_model::config::Config;
use settee_query::mango;

use crate::auth::AuthSettings;
use crate::cors::Cors;
use crate::csp::Csp;
use crate::frames::Frames;
use crate::handlers::welcome::COUCHDB_VERSION;
use crate::hosts::Hosts;
use crate::percent::Plus;
use crate::prefer::Few;
use crate::users::per_user::PerUser;

#[cfg(test)]
mod tests;

/// Settings of the HTTP front. One value is seen by a request from its start to its end.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Users and sessions.
    pub auth: AuthSettings,
    /// `[chttpd] max_http_request_size`, bytes.
    pub max_http_request_size: u64,
    /// `[chttpd] decode_plus_to_space`: what `+` means in paths.
    pub plus: Plus,
    /// `[chttpd] max_uri_length`, bytes.
    pub max_uri_length: Option<usize>,
    /// `[couchdb] max_document_size`, bytes of JSON.
    pub max_document_size: u64,
    /// `[couchdb] max_attachment_size`, bytes.
    pub max_attachment_size: u64,
    /// `[couchdb] max_partition_size`, bytes of content; 0 or less for no limit.
    pub max_partition_size: Option<u64>,
    /// `[couchdb] max_document_id_length`, bytes.
    pub max_document_id_length: Option<usize>,
    /// How deep JSON may be nested.
    pub max_json_depth: usize,
    /// `[attachments] compressible_types`, lower case, `*` only at the end.
    pub compressible_types: Vec<String>,
    /// `[attachments] compression_level`, 0 for none.
    pub compression_level: u32,
    /// Which pages of other servers may read answers; `None` if that is left to browsers.
    pub cors: Option<Cors>,
    /// Which pages may show answers in frames; `None` if any may.
    pub frames: Option<Frames>,
    /// What browsers may do with what is sent.
    pub csp: Csp,
    /// By which names the server may be asked; `None` if by any.
    pub hosts: Option<Hosts>,
    /// The headers that are left for clients that prefer few.
    pub few: Few,
    /// `[chttpd] buffer_response`: whether answers are begun only when their end is known.
    pub buffer_response: bool,
    /// `[chttpd] rewrite_limit`: how often a request may become another one.
    pub rewrite_limit: u32,
    /// `[chttpd] secure_rewrites`: whether rules may not lead out of the database.
    pub secure_rewrites: bool,
    /// `[chttpd] changes_timeout`.
    pub changes_timeout: Duration,
    /// `[chttpd] admin_only_all_dbs`.
    pub admin_only_all_dbs: bool,
    /// `Server`, with or without versions: `[chttpd] server_header_versions`.
    pub server_header: HeaderValue,
    /// `[chttpd] WWW-Authenticate`.
    pub www_authenticate: Option<String>,
    /// `[chttpd_auth] authentication_redirect`: where browsers are sent that must log in.
    pub authentication_redirect: String,
    /// The security object of databases that were given none: `[couchdb] default_security`.
    pub default_security: Bytes,
    /// What functions of design documents may take: `[couchdb] os_process_timeout`,
    /// `[query_server_config] reduce_limit`.
    pub functions: FunctionSettings,
    /// `[disk_monitor]`: how much of the disk may be used.
    pub disk: DiskSettings,
    /// How new databases are laid out: `[cluster] q`, `n` and `placement`.
    pub layout: LayoutDefaults,
    /// `[couchdb] users_db_suffix`: databases whose names end so hold users, too.
    pub users_db_suffix: String,
    /// `[couchdb] users_db_security_editable`.
    pub users_db_security_editable: bool,
    /// `[couch_peruser]`: whether users have databases of their own, and how these are made.
    pub per_user: Option<PerUser>,
    /// `[vendor] name`
    pub vendor: String,
    /// `[couchdb] maintenance_mode`: `true`, `nolb`, or none.
    pub maintenance_mode: Option<String>,
    /// `[uuids] algorithm`, as written.
    pub uuid_algorithm: String,
    /// `[uuids] utc_id_suffix`.
    pub utc_id_suffix: String,
    /// `[uuids] max_count`.
    pub max_uuids: u64,
    /// `[chttpd] max_db_number_for_dbs_info_req`.
    pub max_dbs_info: usize,
    /// `[chttpd] x_forwarded_host`: the header in which a proxy says what host was asked.
    pub x_forwarded_host: String,
    /// `[chttpd] x_forwarded_proto`: the header in which it says `https`.
    pub x_forwarded_proto: String,
    /// `[chttpd] x_forwarded_ssl`: the header in which it says `on`.
    pub x_forwarded_ssl: String,
    /// `[chttpd] peer_header`: the header in which it says who asks; without it, nobody is believed.
    pub peer_header: Option<HeaderName>,
    /// `[query_server_config] partition_query_limit`: most rows of one partition in an answer.
    pub partition_query_limit: Option<u64>,
    /// `[query_server_config] query_limit`: most rows of a view in an answer.
    pub query_limit: Option<u64>,
    /// `[mango] default_limit`: documents in an answer to `_find`, if nobody says.
    pub find_limit: u64,
    /// `[mango] index_scan_warning_threshold`: documents that may be looked at for each one found.
    pub find_warning: u64,
    /// `[purge] max_document_id_number`.
    pub max_purge_ids: usize,
    /// `[purge] max_revisions_number`.
    pub max_purge_revs: usize,
    /// Lines of a `_bulk_get` that are read ahead.
    pub bulk_get_batch: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings::from_config(&Config::default())
    }
}

impl Settings {
    /// Reads what is configured, with CouchDB's defaults for the rest.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let size =
            |section, key, default| config.limit(section, key, Some(default)).unwrap_or(u64::MAX);
        let count = |section, key, default| config.parsed::<usize>(section, key, default);
        let length = |section, key| {
            config.limit(section, key, None).and_then(|limit| usize::try_from(limit).ok())
        };
        let text = |section, key| config.get(section, key).map(str::to_owned);
        let types = "text/*, application/javascript, application/json, application/xml";
        Settings {
            auth: AuthSettings::from_config(config),
            max_http_request_size: size("chttpd", "max_http_request_size", 4_294_967_296),
            plus: match config.boolean("chttpd", "decode_plus_to_space", true) {
                true => Plus::Space,
                false => Plus::Itself,
            },
            max_uri_length: length("chttpd", "max_uri_length"),
            max_document_size: size("couchdb", "max_document_size", 8_000_000),
            max_attachment_size: size("couchdb", "max_attachment_size", 1_073_741_824),
            max_partition_size: max_partition_size(config),
            max_document_id_length: length("couchdb", "max_document_id_length"),
            max_json_depth: settee_model::json::DEPTH_MAX,
            compressible_types: config
                .list("attachments", "compressible_types", types)
                .iter()
                .map(|media| media.to_ascii_lowercase())
                .collect(),
            compression_level: config.parsed("attachments", "compression_level", 8).min(9),
            cors: Cors::from_config(config),
            frames: Frames::from_config(config),
            csp: Csp::from_config(config),
            hosts: Hosts::from_config(config),
            few: Few::from_config(config),
            buffer_response: config.boolean("chttpd", "buffer_response", false),
            rewrite_limit: config.parsed("chttpd", "rewrite_limit", 100),
            secure_rewrites: config.boolean("chttpd", "secure_rewrites", true),
            changes_timeout: Duration::from_millis(size("chttpd", "changes_timeout", 60_000)),
            admin_only_all_dbs: config.boolean("chttpd", "admin_only_all_dbs", true),
            server_header: server_header(config),
            www_authenticate: text("chttpd", "WWW-Authenticate"),
            authentication_redirect: text("chttpd_auth", "authentication_redirect")
                .unwrap_or_else(|| "/_utils/session.html".to_owned()),
            default_security: default_security(config),
            functions: functions(config),
            disk: disk(config),
            layout: layout(config),
            users_db_suffix: text("couchdb", "users_db_suffix")
                .unwrap_or_else(|| "_users".to_owned()),
            users_db_security_editable: config.boolean(
                "couchdb",
                "users_db_security_editable",
                false,
            ),
            per_user: PerUser::from_config(config),
            vendor: text("vendor", "name").unwrap_or_else(|| "settee".to_owned()),
            maintenance_mode: text("couchdb", "maintenance_mode").filter(|mode| mode != "false"),
            uuid_algorithm: text("uuids", "algorithm").unwrap_or_else(|| "sequential".to_owned()),
            utc_id_suffix: text("uuids", "utc_id_suffix").unwrap_or_default(),
            max_uuids: size("uuids", "max_count", 1000),
            max_dbs_info: count("chttpd", "max_db_number_for_dbs_info_req", 100),
            x_forwarded_host: text("chttpd", "x_forwarded_host")
                .unwrap_or_else(|| "X-Forwarded-Host".to_owned()),
            x_forwarded_proto: text("chttpd", "x_forwarded_proto")
                .unwrap_or_else(|| "X-Forwarded-Proto".to_owned()),
            x_forwarded_ssl: text("chttpd", "x_forwarded_ssl")
                .unwrap_or_else(|| "X-Forwarded-Ssl".to_owned()),
            peer_header: config
                .get("chttpd", "peer_header")
                .and_then(|name| HeaderName::try_from(name).ok()),
            partition_query_limit: config.limit(
                "query_server_config",
                "partition_query_limit",
                None,
            ),
            query_limit: config.limit("query_server_config", "query_limit", None),
            find_limit: config.parsed("mango", "default_limit", mango::DEFAULT_LIMIT),
            find_warning: config.parsed(
                "mango",
                "index_scan_warning_threshold",
                mango::SCAN_WARNING_THRESHOLD,
            ),
            max_purge_ids: count("purge", "max_document_id_number", 100),
            max_purge_revs: count("purge", "max_revisions_number", 1000),
            bulk_get_batch: 64,
        }
    }

    /// Tells the coordinator what it goes by.
    pub(crate) fn hand_down(&self, cluster: &Cluster) {
        cluster.set_layout(self.layout.clone());
        cluster.set_functions(self.functions.clone());
        cluster.set_disk(self.disk);
    }

    /// What bounds the JSON of requests.
    #[must_use]
    pub fn json_limits(&self) -> settee_model::json::Limits {
        settee_model::json::Limits {
            depth: self.max_json_depth,
            id_length: self.max_document_id_length,
            document_size: self.max_document_size,
            attachment_size: Some(self.max_attachment_size),
            ..Default::default()
        }
    }
}

fn max_partition_size(config: &Config) -> Option<u64> {
    let size: i64 = config.parsed("couchdb", "max_partition_size", 10 << 30);
    u64::try_from(size).ok().filter(|size| *size > 0)
}

fn functions(config: &Config) -> FunctionSettings {
    let usual = FunctionSettings::default();
    let time = config.limit("couchdb", "os_process_timeout", Some(5000)).unwrap_or(u64::MAX);
    let mut limits = usual.limits;
    limits.time = Duration::from_millis(time);
    // CouchDB knows `log`, too: there what shrinks too little is only logged.
    let reduce_limit = config.get("query_server_config", "reduce_limit").unwrap_or("true");
    let memory = config.limit("quickjs", "memory_limit_bytes", None);
    limits.memory =
        memory.map_or(limits.memory, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX));
    let all = config.limit("settee", "functions_mb", None).map(|mb| mb.saturating_mul(1 << 20));
    FunctionSettings {
        limits,
        reduce_limit: reduce_limit == "true",
        memory: all.map_or(usual.memory, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX)),
        engines: config.parsed("query_server_config", "os_process_limit", usual.engines),
        idle: Duration::from_secs(config.parsed(
            "query_server_config",
            "os_process_idle_limit",
            300,
        )),
    }
}

fn disk(config: &Config) -> DiskSettings {
    if !config.boolean("disk_monitor", "enable", false) {
        return DiskSettings::default();
    }
    let percent = |key, usual: i64| {
        let threshold = config.parsed("disk_monitor", key, usual);
        u8::try_from(threshold.clamp(0, 100)).ok()
    };
    DiskSettings {
        writes: percent("interactive_database_writes_threshold", 90),
        views: percent("interactive_view_indexing_threshold", 90),
        ahead: percent("background_view_indexing_threshold", 80),
    }
}

fn layout(config: &Config) -> LayoutDefaults {
    let usual = LayoutDefaults::default();
    LayoutDefaults {
        q: config.parsed("cluster", "q", usual.q).max(1),
        n: config.parsed("cluster", "n", usual.n).max(1),
        placement: config.get("cluster", "placement").map(str::to_owned),
    }
}

fn server_header(config: &Config) -> HeaderValue {
    if config.boolean("chttpd", "server_header_versions", true) {
        let name = format!("CouchDB/{COUCHDB_VERSION} (settee {})", env!("CARGO_PKG_VERSION"));
        HeaderValue::try_from(name).unwrap_or(HeaderValue::from_static("CouchDB"))
    } else {
        HeaderValue::from_static("CouchDB")
    }
}

fn default_security(config: &Config) -> Bytes {
    let security = match config.get("couchdb", "default_security").unwrap_or("admin_only") {
        "everyone" | "admin_local" => "{}",
        _ => "{\"members\":{\"roles\":[\"_admin\"]},\"admins\":{\"roles\":[\"_admin\"]}}",
    };
    Bytes::from_static(security.as_bytes())
}
