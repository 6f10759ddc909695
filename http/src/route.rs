//! From the bytes of a request line to the thing that is asked for. Pure: never looks at users,
//! databases or bodies, and never decides whether a method is allowed before the database is
//! known to exist (CouchDB answers 401 and 404 before 405).

use settee_model::docid::{DbName, DocId};

use crate::percent::{Plus, decode_bytes};

#[cfg(test)]
mod tests;

/// A request's method. `HEAD` is `Get` whose body is not sent (see `Ctx::head`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Method {
    /// `GET` and `HEAD`.
    Get,
    /// `PUT`.
    Put,
    /// `POST`.
    Post,
    /// `DELETE`.
    Delete,
    /// `COPY`.
    Copy,
    /// `OPTIONS`.
    Options,
    /// `PATCH`, and what nobody has heard of.
    Other,
}

impl Method {
    /// Reads the token of the request line.
    #[must_use]
    pub fn parse(token: &str) -> Self {
        match token {
            "GET" | "HEAD" => Method::Get,
            "PUT" => Method::Put,
            "POST" => Method::Post,
            "DELETE" => Method::Delete,
            "COPY" => Method::Copy,
            "OPTIONS" => Method::Options,
            _ => Method::Other,
        }
    }

    /// A token that is read as this.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Put => "PUT",
            Method::Post => "POST",
            Method::Delete => "DELETE",
            Method::Copy => "COPY",
            Method::Options | Method::Other => "OPTIONS",
        }
    }
}

/// What a request is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The server as a whole.
    Server(ServerEndpoint),
    /// A database; the name is decoded but not checked.
    Db {
        /// The database's name.
        name: DbName,
        /// What of it.
        of: DbEndpoint,
    },
}

/// Routes outside of databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerEndpoint {
    /// `/`
    Welcome,
    /// `/favicon.ico`
    Favicon,
    /// `/_utils`, and what is under it, decoded; `None` without the closing slash.
    Utils(Option<String>),
    /// `/_up`
    Up,
    /// `/_all_dbs`
    AllDbs,
    /// `/_dbs_info`
    DbsInfo,
    /// `/_active_tasks`
    ActiveTasks,
    /// `/_uuids`
    Uuids,
    /// `/_session`
    Session,
    /// `/_db_updates`
    DbUpdates,
    /// `/_membership`
    Membership,
    /// `/_cluster_setup`
    ClusterSetup,
    /// `/_reload_query_servers`
    ReloadFunctions,
    /// `/_node/{node}/…`: the parts after `_node`.
    Node(Vec<String>),
    /// `/_replicate`
    Replicate,
    /// `/_search_analyze`
    SearchAnalyze,
    /// `/_nouveau_analyze`
    NouveauAnalyze,
    /// One of these with more behind it, which means nothing.
    Under(Box<ServerEndpoint>),
    /// A part of CouchDB that is not built yet.
    Unbuilt,
}

/// Which documents a listing is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Namespace {
    /// `_all_docs`
    All,
    /// `_design_docs`
    Design,
    /// `_local_docs`
    Local,
}

/// Routes inside a database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DbEndpoint {
    /// `/{db}`
    Root,
    /// `_all_docs`, `_design_docs`, `_local_docs`
    AllDocs(Namespace),
    /// `…/queries` of these
    AllDocsQueries(Namespace),
    /// `_bulk_docs`
    BulkDocs,
    /// `_bulk_get`
    BulkGet,
    /// `_changes`
    Changes,
    /// `_compact`
    Compact,
    /// `_compact/{ddoc}`: the name without `_design/`.
    CompactViews(String),
    /// `_ensure_full_commit`
    EnsureFullCommit,
    /// `_find`, perhaps of a partition.
    Find(Option<String>),
    /// `_explain`, perhaps of a partition.
    Explain(Option<String>),
    /// `_index` and what follows it, perhaps under a partition, which means nothing there.
    Index(Option<String>, Vec<String>),
    /// `_missing_revs`
    MissingRevs,
    /// `_revs_diff`
    RevsDiff,
    /// `_revs_limit`
    RevsLimit,
    /// `_purge`
    Purge,
    /// `_purged_infos`
    PurgedInfos,
    /// `_purged_infos_limit`
    PurgedInfosLimit,
    /// `_security`
    Security,
    /// `_shards`
    Shards,
    /// `_shards/{docid}`
    ShardOf(DocId),
    /// `_sync_shards`
    SyncShards,
    /// `_view_cleanup`
    ViewCleanup,
    /// `_search_cleanup`, `_nouveau_cleanup`
    SearchCleanup,
    /// `_temp_view`: gone.
    TempView,
    /// `_partition/{p}`
    Partition(String),
    /// `_partition/{p}/_all_docs`
    PartitionAllDocs(String),
    /// `_partition/{p}/_all_docs/queries`
    PartitionAllDocsQueries(String),
    /// `_partition/{p}/_design/{ddoc}/_{action}/…`
    PartitionDesign {
        /// The partition.
        partition: String,
        /// The design document.
        ddoc: DocId,
        /// With its underscore.
        action: String,
        /// What follows.
        rest: Vec<String>,
    },
    /// Anything else under a partition, which is there or not built only if the database is
    /// partitioned.
    PartitionOther(String),
    /// A document, `_design/…` and `_local/…` included; the id is decoded but not checked.
    Doc(DocId),
    /// An attachment; the name has all segments, joined by `/`.
    Attachment(DocId, String),
    /// `_design/{ddoc}/_{action}/…`. If the action is none of CouchDB's, it names an attachment
    /// (`action/rest…`) once the design document is known to be there.
    DesignAction {
        /// The design document.
        ddoc: DocId,
        /// With its underscore.
        action: String,
        /// What follows.
        rest: Vec<String>,
    },
    /// `GET /{db}/_design%2F…`: CouchDB sends the client to the form with a slash.
    DesignRedirect,
    /// A path that nothing can be at; 400 with this reason.
    Refused(&'static str),
    /// A path that is not UTF-8, so that nothing is there and nothing can be put there.
    Nameless(Nameless),
}

/// What a path that is not UTF-8 would name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nameless {
    /// A document.
    Doc,
    /// An attachment.
    Attachment,
}

/// Finds what a path is about.
///
/// `path` is as on the wire, without query. Slashes that are doubled or trail mean nothing, as in
/// CouchDB; `%2F` does not separate. What is not UTF-8 once it is decoded names no document, and
/// elsewhere it is read with U+FFFD in its place.
#[must_use]
pub fn route(method: Method, path: &str, plus: Plus) -> Endpoint {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let parts: Vec<_> = parts.map(|part| decode_bytes(part, plus)).collect();
    let texts: Vec<_> = parts.iter().map(|part| String::from_utf8_lossy(part)).collect();
    let words: Vec<&str> = texts.iter().map(AsRef::as_ref).collect();
    let [first, rest @ ..] = words.as_slice() else {
        return Endpoint::Server(ServerEndpoint::Welcome);
    };
    if let Some(server) = server_endpoint(first, rest, path.ends_with('/')) {
        return Endpoint::Server(server);
    }
    let nameless = parts.iter().skip(1).position(|part| std::str::from_utf8(part).is_err());
    let of = match (nameless, rest) {
        (None, _) => db_endpoint(method, rest),
        (Some(0), _) | (Some(1), ["_design" | "_local", ..]) => DbEndpoint::Nameless(Nameless::Doc),
        (Some(_), _) => DbEndpoint::Nameless(Nameless::Attachment),
    };
    Endpoint::Db { name: DbName::trusted(first), of }
}

fn server_endpoint(first: &str, rest: &[&str], closed: bool) -> Option<ServerEndpoint> {
    use ServerEndpoint as S;
    if !first.starts_with('_') && first != "favicon.ico" {
        return None;
    }
    let exact = rest.is_empty();
    let alone = match first {
        "favicon.ico" => return Some(S::Favicon),
        "_utils" => return Some(S::Utils((!exact || closed).then(|| rest.join("/")))),
        "_node" => return Some(S::Node(owned(rest))),
        "_scheduler" | "_reshard" => return Some(S::Unbuilt),
        "_all_dbs" if exact => S::AllDbs,
        "_dbs_info" if exact => S::DbsInfo,
        "_db_updates" if exact => S::DbUpdates,
        "_membership" if exact => S::Membership,
        "_up" => S::Up,
        "_active_tasks" => S::ActiveTasks,
        "_uuids" => S::Uuids,
        "_session" => S::Session,
        "_cluster_setup" => S::ClusterSetup,
        "_reload_query_servers" => S::ReloadFunctions,
        "_replicate" => S::Replicate,
        "_search_analyze" => S::SearchAnalyze,
        "_nouveau_analyze" => S::NouveauAnalyze,
        _ => return None,
    };
    Some(if exact { alone } else { S::Under(Box::new(alone)) })
}

fn db_endpoint(method: Method, words: &[&str]) -> DbEndpoint {
    use DbEndpoint as D;
    match words {
        [] => D::Root,
        ["_all_docs"] => D::AllDocs(Namespace::All),
        ["_design_docs"] => D::AllDocs(Namespace::Design),
        ["_local_docs"] => D::AllDocs(Namespace::Local),
        ["_all_docs", "queries"] => D::AllDocsQueries(Namespace::All),
        ["_design_docs", "queries"] => D::AllDocsQueries(Namespace::Design),
        ["_local_docs", "queries"] => D::AllDocsQueries(Namespace::Local),
        ["_bulk_docs"] => D::BulkDocs,
        ["_bulk_get"] => D::BulkGet,
        ["_changes", ..] => D::Changes,
        ["_compact"] => D::Compact,
        ["_compact", ddoc, ..] => D::CompactViews((*ddoc).to_owned()),
        ["_ensure_full_commit"] => D::EnsureFullCommit,
        ["_missing_revs"] => D::MissingRevs,
        ["_revs_diff"] => D::RevsDiff,
        ["_revs_limit"] => D::RevsLimit,
        ["_purge"] => D::Purge,
        ["_purged_infos"] => D::PurgedInfos,
        ["_purged_infos_limit"] => D::PurgedInfosLimit,
        ["_security"] => D::Security,
        ["_shards"] => D::Shards,
        ["_shards", id] => D::ShardOf(DocId::trusted(id)),
        ["_sync_shards"] => D::SyncShards,
        ["_view_cleanup", ..] => D::ViewCleanup,
        ["_temp_view", ..] => D::TempView,
        ["_find", ..] => D::Find(None),
        ["_explain", ..] => D::Explain(None),
        ["_index", rest @ ..] => D::Index(None, owned(rest)),
        ["_search_cleanup" | "_nouveau_cleanup", ..] => D::SearchCleanup,
        ["_partition", rest @ ..] => partition_endpoint(rest),
        ["_design", name, action, rest @ ..] if action.starts_with('_') => D::DesignAction {
            ddoc: prefixed("_design/", name),
            action: (*action).to_owned(),
            rest: owned(rest),
        },
        ["_design", name, rest @ ..] => document(prefixed("_design/", name), rest),
        ["_local" | "_local/"] => D::Refused("Invalid _local document id."),
        ["_local", name] => D::Doc(prefixed("_local/", name)),
        ["_local", ..] => D::Refused("_local documents do not accept attachments."),
        [id, ..] if method == Method::Get && id.starts_with("_design/") => D::DesignRedirect,
        [id, _, ..] if id.starts_with("_local/") => {
            D::Refused("_local documents do not accept attachments.")
        }
        [id, more @ ..] => document(DocId::trusted(id), more),
    }
}

fn partition_endpoint(rest: &[&str]) -> DbEndpoint {
    use DbEndpoint as D;
    match rest {
        [] => D::Refused("invalid_partition_req"),
        [partition] => D::Partition((*partition).to_owned()),
        [partition, "_all_docs"] => D::PartitionAllDocs((*partition).to_owned()),
        [partition, "_all_docs", "queries"] => D::PartitionAllDocsQueries((*partition).to_owned()),
        [partition, "_design", name, action, rest @ ..] if action.starts_with('_') => {
            D::PartitionDesign {
                partition: (*partition).to_owned(),
                ddoc: prefixed("_design/", name),
                action: (*action).to_owned(),
                rest: owned(rest),
            }
        }
        [partition, "_find", ..] => D::Find(Some((*partition).to_owned())),
        [partition, "_explain", ..] => D::Explain(Some((*partition).to_owned())),
        [partition, "_index", rest @ ..] => D::Index(Some((*partition).to_owned()), owned(rest)),
        [partition, ..] => D::PartitionOther((*partition).to_owned()),
    }
}

fn owned(words: &[&str]) -> Vec<String> {
    words.iter().map(|&word| word.to_owned()).collect()
}

fn prefixed(prefix: &str, name: &str) -> DocId {
    DocId::trusted(&format!("{prefix}{name}"))
}

fn document(id: DocId, rest: &[&str]) -> DbEndpoint {
    if rest.is_empty() { DbEndpoint::Doc(id) } else { DbEndpoint::Attachment(id, rest.join("/")) }
}

impl Endpoint {
    /// The value of `Allow`, which is also in the reason of a 405, word for word.
    #[must_use]
    pub fn allow(&self) -> &'static str {
        match self {
            Endpoint::Server(server) => server.allow(),
            Endpoint::Db { of, .. } => of.allow(),
        }
    }
}

impl ServerEndpoint {
    fn allow(&self) -> &'static str {
        use ServerEndpoint as S;
        match self {
            S::Under(endpoint) => endpoint.allow(),
            S::DbsInfo => "GET,HEAD,POST",
            S::ClusterSetup => "GET,POST",
            S::Uuids | S::DbUpdates | S::Membership | S::Node(_) => "GET",
            S::Session => "GET,HEAD,POST,DELETE",
            S::ReloadFunctions | S::Replicate | S::NouveauAnalyze => "POST",
            _ => "GET,HEAD",
        }
    }
}

impl DbEndpoint {
    fn allow(&self) -> &'static str {
        use DbEndpoint as D;
        match self {
            D::Root => "DELETE,GET,HEAD,POST",
            D::AllDocs(_) | D::PartitionAllDocs(_) => "GET,HEAD,POST",
            D::Changes => "GET,POST,HEAD",
            D::RevsLimit | D::Security => "PUT,GET",
            D::PurgedInfosLimit => "GET,PUT",
            D::Doc(_) => "DELETE,GET,HEAD,POST,PUT,COPY",
            D::Attachment(..) | D::DesignAction { .. } => "DELETE,GET,HEAD,PUT",
            D::PurgedInfos | D::Shards | D::ShardOf(_) | D::Partition(_) => "GET",
            _ => "POST",
        }
    }
}
