//! [`Settings`]: the configuration that requests look at, read once into typed fields and swapped
//! as a whole when the configuration changes. Never reads files.

use std::time::Duration;

use bytes::Bytes;

/// Settings of the HTTP front. One value is seen by a request from its start to its end.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `[chttpd] max_http_request_size`, bytes.
    pub max_http_request_size: u64,
    /// `[chttpd] max_uri_length`, bytes.
    pub max_uri_length: Option<usize>,
    /// `[couchdb] max_document_size`, bytes of JSON.
    pub max_document_size: u64,
    /// `[couchdb] max_attachment_size`, bytes.
    pub max_attachment_size: u64,
    /// `[couchdb] max_document_id_length`, bytes.
    pub max_document_id_length: Option<usize>,
    /// `[couchdb] single_node`-independent limit of nested JSON.
    pub max_json_depth: usize,
    /// `[attachments] compressible_types`, lower case, `*` only at the end.
    pub compressible_types: Vec<String>,
    /// `[attachments] compression_level`, 0 for none.
    pub compression_level: u32,
    /// `[chttpd] changes_timeout`.
    pub changes_timeout: Duration,
    /// `[chttpd] admin_only_all_dbs`.
    pub admin_only_all_dbs: bool,
    /// `[chttpd] require_valid_user`.
    pub require_valid_user: bool,
    /// `[chttpd] require_valid_user_except_for_up`.
    pub require_valid_user_except_for_up: bool,
    /// `[chttpd] server_header_versions`.
    pub server_header_versions: bool,
    /// `[chttpd] WWW-Authenticate`.
    pub www_authenticate: Option<String>,
    /// `[couchdb] default_security` = `admin_only` when not told otherwise.
    pub default_security: Bytes,
    /// `[couchdb] users_db_security_editable`.
    pub users_db_security_editable: bool,
    /// `[uuids] algorithm`, as written.
    pub uuid_algorithm: String,
    /// `[uuids] utc_id_suffix`.
    pub utc_id_suffix: String,
    /// `[uuids] max_count`.
    pub max_uuids: u64,
    /// `[chttpd] max_db_number_for_dbs_info_req`.
    pub max_dbs_info: usize,
    /// `[purge] max_document_id_number`.
    pub max_purge_ids: usize,
    /// `[purge] max_revisions_number`.
    pub max_purge_revs: usize,
    /// `[chttpd] bulk_get_use_batches`-independent: lines read ahead in `_bulk_get`.
    pub bulk_get_batch: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let types = ["text/*", "application/javascript", "application/json", "application/xml"];
        Settings {
            max_http_request_size: 4_294_967_296,
            max_uri_length: None,
            max_document_size: 8_000_000,
            max_attachment_size: 1_073_741_824,
            max_document_id_length: None,
            max_json_depth: 1000,
            compressible_types: types.map(str::to_owned).to_vec(),
            compression_level: 8,
            changes_timeout: Duration::from_secs(60),
            admin_only_all_dbs: true,
            require_valid_user: false,
            require_valid_user_except_for_up: false,
            server_header_versions: true,
            www_authenticate: None,
            default_security: Bytes::from_static(
                b"{\"members\":{\"roles\":[\"_admin\"]},\"admins\":{\"roles\":[\"_admin\"]}}",
            ),
            users_db_security_editable: false,
            uuid_algorithm: "sequential".to_owned(),
            utc_id_suffix: String::new(),
            max_uuids: 1000,
            max_dbs_info: 100,
            max_purge_ids: 100,
            max_purge_revs: 1000,
            bulk_get_batch: 64,
        }
    }
}

impl Settings {
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
