//! What an endpoint asks of its user, before anything else is looked at. Pure; the security
//! object of a database is weighed in `security`.

use crate::auth::User;
use crate::error::Error;
use crate::route::{DbEndpoint, Endpoint, Method, ServerEndpoint};

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
        Endpoint::Db { name, of } => of_db(name, of, method),
    }
}

fn of_server(endpoint: &ServerEndpoint, method: Method, lists_open: bool) -> Access {
    use ServerEndpoint as S;
    match endpoint {
        S::Welcome | S::Favicon | S::Up | S::Uuids | S::Session => Access::Anyone,
        S::ActiveTasks => Access::Anyone,
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
    if name.starts_with('_') && !system {
        return Access::ServerAdmin;
    }
    match endpoint {
        D::Root if matches!(method, Method::Put | Method::Delete) => Access::ServerAdmin,
        D::AllDocs(_) | D::AllDocsQueries(_) | D::Changes if system => Access::ServerAdmin,
        D::Compact | D::CompactViews(_) | D::ViewCleanup if !system => Access::DbAdmin,
        D::SyncShards | D::Purge | D::PurgedInfosLimit if !system => Access::ServerAdmin,
        _ => Access::DbMember,
    }
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
