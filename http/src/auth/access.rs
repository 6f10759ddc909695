//! What an endpoint asks of its user, before anything else is looked at. Pure; the security
//! object of a database is weighed in `security`.

use crate::auth::User;
use crate::error::Error;
use crate::route::{DbEndpoint, Endpoint, Method, Namespace, ServerEndpoint};

/// The least that a user must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Anybody.
    Anyone,
    /// Somebody with a name.
    Authenticated,
    /// A server administrator, or who has the role `_metrics`.
    Metrics,
    /// A server administrator.
    ServerAdmin,
    /// The same, of those whom the database's security object lets in: others are told that it does
    /// not.
    MemberAndServerAdmin,
    /// An administrator of the database, or of the server.
    DbAdmin,
    /// Whom the database's security object lets in.
    DbMember,
}

/// What `endpoint` asks. `lists_open` is the opposite of the setting `admin_only_all_dbs`.
#[must_use]
pub fn required(endpoint: &Endpoint, method: Method, lists_open: bool) -> Access {
    match endpoint {
        Endpoint::Server(server) => of_server(server, method, lists_open),
        Endpoint::Db { name, of } => of_db(name.as_str(), of, method),
    }
}

fn of_server(endpoint: &ServerEndpoint, method: Method, lists_open: bool) -> Access {
    use ServerEndpoint as S;
    match endpoint {
        S::Welcome | S::Favicon | S::Up | S::Uuids | S::Session => Access::Anyone,
        S::ActiveTasks if method != Method::Get => Access::Anyone,
        S::Replicate => Access::Authenticated,
        S::AllDbs | S::DbsInfo if lists_open => Access::Anyone,
        S::Utils(_) if method == Method::Get => Access::Anyone,
        S::Node(parts) => match parts.get(1).map(String::as_str) {
            Some("_stats" | "_system" | "_prometheus") => Access::Metrics,
            _ => Access::ServerAdmin,
        },
        _ => Access::ServerAdmin,
    }
}

fn of_db(name: &str, endpoint: &DbEndpoint, method: Method) -> Access {
    use DbEndpoint as D;
    let system = matches!(name, "_users" | "_replicator");
    match endpoint {
        // There was something once: it is everybody's to hear that it is no more.
        D::Root if name == "_stats" && method == Method::Get => Access::Anyone,
        _ if name.starts_with('_') && !system => Access::ServerAdmin,
        D::Root if matches!(method, Method::Put | Method::Delete) => Access::ServerAdmin,
        D::AllDocs(Namespace::All) | D::AllDocsQueries(Namespace::All) | D::Changes if system => {
            Access::ServerAdmin
        }
        D::AllDocs(_) | D::AllDocsQueries(_) if system => Access::MemberAndServerAdmin,
        D::SyncShards | D::Purge | D::PurgedInfosLimit if system => Access::MemberAndServerAdmin,
        _ if name == "_replicator" && !names_documents(endpoint) => Access::MemberAndServerAdmin,
        // CouchDB lets strangers change these where everybody is a member; here they may not.
        D::Security | D::RevsLimit if method == Method::Put => Access::DbAdmin,
        D::Compact | D::CompactViews(_) | D::ViewCleanup => Access::DbAdmin,
        D::SyncShards | D::Purge | D::PurgedInfosLimit => Access::ServerAdmin,
        _ => Access::DbMember,
    }
}

/// Whether what is asked shows no documents but those that it names, and is no upkeep: where not all
/// documents are everybody's to see, members may ask no more.
#[must_use]
pub fn names_documents(endpoint: &DbEndpoint) -> bool {
    use DbEndpoint as D;
    matches!(
        endpoint,
        D::Root
            | D::Doc(_)
            | D::Attachment(..)
            | D::DesignRedirect
            | D::Nameless(_)
            | D::BulkDocs
            | D::BulkGet
            | D::MissingRevs
            | D::RevsDiff
            | D::EnsureFullCommit
            | D::Security
    )
}

/// Whether `user` is enough for what is asked of them outside of databases.
///
/// # Errors
/// 401, in CouchDB's words.
pub fn check(access: Access, user: &User) -> Result<(), Error> {
    let refused = match access {
        Access::ServerAdmin if !user.is_admin() => "You are not a server admin.",
        Access::Metrics if !user.is_admin() && !user.has_role("_metrics") => {
            "You are not a server admin or read-only metrics user"
        }
        Access::Authenticated if user.name.is_none() => "You are not an authenticated user",
        _ => return Ok(()),
    };
    Err(Error::Unauthorized(refused.into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::percent::Plus;
    use crate::route::route;

    #[test]
    fn who_may_ask_for_what() {
        use Access as A;
        use Method as M;
        let table = [
            (M::Get, "/", A::Anyone),
            (M::Get, "/_up", A::Anyone),
            (M::Post, "/_session", A::Anyone),
            (M::Get, "/_uuids", A::Anyone),
            (M::Get, "/_all_dbs", A::ServerAdmin),
            (M::Get, "/_dbs_info", A::ServerAdmin),
            (M::Get, "/_active_tasks", A::ServerAdmin),
            (M::Get, "/_membership", A::ServerAdmin),
            (M::Get, "/_node/_local/_config", A::ServerAdmin),
            (M::Get, "/_node/_local/_stats/x", A::Metrics),
            (M::Get, "/_utils/", A::Anyone),
            (M::Post, "/_utils/", A::ServerAdmin),
            (M::Get, "/_nothing", A::ServerAdmin),
            (M::Get, "/_stats", A::Anyone),
            (M::Put, "/_stats", A::ServerAdmin),
            (M::Get, "/_stats/couchdb", A::ServerAdmin),
            (M::Get, "/_up/x", A::ServerAdmin),
            (M::Get, "/_session/x", A::ServerAdmin),
            (M::Post, "/_replicate", A::Authenticated),
            (M::Post, "/_replicate/x", A::ServerAdmin),
            (M::Post, "/_search_analyze", A::ServerAdmin),
            (M::Put, "/db", A::ServerAdmin),
            (M::Delete, "/db", A::ServerAdmin),
            (M::Get, "/db", A::DbMember),
            (M::Post, "/db", A::DbMember),
            (M::Put, "/db/doc", A::DbMember),
            (M::Get, "/db/_security", A::DbMember),
            (M::Put, "/db/_security", A::DbAdmin),
            (M::Put, "/db/_revs_limit", A::DbAdmin),
            (M::Post, "/db/_compact", A::DbAdmin),
            (M::Post, "/db/_view_cleanup", A::DbAdmin),
            (M::Post, "/db/_purge", A::ServerAdmin),
            (M::Get, "/db/_purged_infos_limit", A::ServerAdmin),
            (M::Post, "/db/_sync_shards", A::ServerAdmin),
            (M::Put, "/_users", A::ServerAdmin),
            (M::Get, "/_users/_all_docs", A::ServerAdmin),
            (M::Get, "/_users/_local_docs", A::MemberAndServerAdmin),
            (M::Put, "/_replicator", A::ServerAdmin),
            (M::Get, "/_replicator", A::DbMember),
            (M::Get, "/_replicator/job", A::DbMember),
            (M::Put, "/_replicator/job", A::DbMember),
            (M::Post, "/_replicator", A::DbMember),
            (M::Get, "/_replicator/_security", A::DbMember),
            (M::Put, "/_replicator/_security", A::DbAdmin),
            (M::Get, "/_replicator/_changes", A::ServerAdmin),
            (M::Get, "/_replicator/_design_docs", A::MemberAndServerAdmin),
            (M::Post, "/_replicator/_all_docs/queries", A::ServerAdmin),
            (M::Post, "/_replicator/_find", A::MemberAndServerAdmin),
            (M::Post, "/_replicator/_explain", A::MemberAndServerAdmin),
            (M::Get, "/_replicator/_index", A::MemberAndServerAdmin),
            (M::Post, "/_replicator/_partition/a/_find", A::MemberAndServerAdmin),
            (M::Get, "/_replicator/_partition/a/_design/d/_view/v", A::MemberAndServerAdmin),
            (M::Get, "/_replicator/_design/d", A::DbMember),
            (M::Get, "/_replicator/_design/d/_view/v", A::MemberAndServerAdmin),
            (M::Get, "/_replicator/_design/d/_list/l/v", A::MemberAndServerAdmin),
            (M::Get, "/_replicator/_design/d/_show/s/job", A::MemberAndServerAdmin),
            (M::Get, "/_replicator/_design/d/_rewrite/x", A::MemberAndServerAdmin),
            (M::Post, "/_replicator/_compact", A::MemberAndServerAdmin),
            (M::Post, "/_replicator/_compact/d", A::MemberAndServerAdmin),
            (M::Post, "/_replicator/_view_cleanup", A::MemberAndServerAdmin),
            (M::Post, "/_replicator/_purge", A::MemberAndServerAdmin),
            (M::Get, "/_replicator/_purged_infos", A::MemberAndServerAdmin),
            (M::Put, "/_replicator/_purged_infos_limit", A::MemberAndServerAdmin),
            (M::Post, "/_replicator/_sync_shards", A::MemberAndServerAdmin),
            (M::Get, "/_users/org.couchdb.user:ann", A::DbMember),
            (M::Get, "/_users/%FF", A::DbMember),
            (M::Post, "/_users/_purge", A::MemberAndServerAdmin),
            (M::Post, "/_users/_sync_shards", A::MemberAndServerAdmin),
            (M::Get, "/_users/_purged_infos_limit", A::MemberAndServerAdmin),
            (M::Post, "/_users", A::DbMember),
            (M::Get, "/_global_changes/x", A::ServerAdmin),
        ];
        for (method, path, wanted) in table {
            let endpoint = route(method, path, Plus::Space);
            assert_eq!(required(&endpoint, method, false), wanted, "{method:?} {path}");
        }
        let lists = route(M::Get, "/_all_dbs", Plus::Space);
        assert_eq!(required(&lists, M::Get, true), A::Anyone);
    }
}
