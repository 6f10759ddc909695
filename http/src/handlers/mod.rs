//! From an endpoint and a method to the handler that answers: the one table of what is allowed.
//!
//! A handler is `async fn(ctx: &mut Ctx, db: Db, …) -> Result<Reply, Error>` in the file of its
//! family. When it runs, the user was checked, and the database is there and lets them in. Ids and
//! names are decoded but not checked. `HEAD` arrives as `GET`: answer in full, the body is dropped
//! unread. Nothing here knows how an answer is made.

use std::sync::Arc;

use http::StatusCode;
use http::header::LOCATION;
use settee_cluster::Db;
use settee_cluster::docs::OpenOptions;
use settee_model::docid::DocId;
use settee_model::partition;

use crate::auth::access;
use crate::context::Ctx;
use crate::error::Error;
use crate::percent::NOT_UTF_8;
use crate::reply::Reply;
use crate::route::{DbEndpoint, Endpoint, Method, Nameless, Namespace, ServerEndpoint};
use crate::users;

pub mod all_docs;
pub mod attachment;
pub mod attachment_write;
pub mod bulk_docs;
pub mod bulk_get;
pub mod changes;
pub mod cluster_setup;
pub mod copy;
pub mod database;
pub mod db_updates;
pub mod doc;
pub mod doc_multipart;
pub mod doc_query;
pub mod doc_write;
pub mod edit;
pub mod elsewhere;
pub mod find;
pub mod follow;
pub mod form;
pub mod functions;
pub mod index;
pub mod lists;
pub mod node;
pub mod node_docs;
pub mod parts;
pub mod play;
pub mod purge;
pub mod revs;
pub mod rows;
pub mod session;
pub mod stats;
pub mod view;
pub mod welcome;

use functions::{Functions, list, rewrite, show, update};

/// Answers a request whose user is known.
///
/// # Errors
/// Whatever the client is to be told instead of an answer.
pub async fn dispatch(ctx: &mut Ctx, endpoint: Endpoint) -> Result<Reply, Error> {
    let access = access::required(&endpoint, ctx.method, !ctx.settings.admin_only_all_dbs);
    access::check(access, &ctx.user)?;
    let allow = endpoint.allow();
    match endpoint {
        Endpoint::Server(server) => on_server(ctx, server, allow).await,
        Endpoint::Db { name, of: DbEndpoint::Root } if ctx.method == Method::Put => {
            database::create(ctx, name.as_str().to_owned()).await
        }
        Endpoint::Db { name, of: DbEndpoint::Root } if ctx.method == Method::Delete => {
            database::remove(ctx, name.as_str().to_owned()).await
        }
        Endpoint::Db { name, of } => {
            let db = ctx.app.cluster.db(&name)?;
            ctx.check_access(&db, access)?;
            users::check(ctx, &db, &of)?;
            on_db(ctx, db, of, allow).await
        }
    }
}

async fn on_server(
    ctx: &mut Ctx,
    endpoint: ServerEndpoint,
    allow: &'static str,
) -> Result<Reply, Error> {
    use {Method as M, ServerEndpoint as S};
    let endpoint = match endpoint {
        S::Under(endpoint) => *endpoint,
        endpoint => endpoint,
    };
    match (endpoint, ctx.method) {
        (S::Welcome, M::Get) => welcome::welcome(ctx).await,
        (S::Favicon, M::Get) => welcome::favicon(ctx).await,
        (S::Utils(path), M::Get) => welcome::utils(ctx, path).await,
        (S::Up, M::Get) => welcome::up(ctx).await,
        (S::AllDbs, M::Get) => lists::all_dbs(ctx).await,
        (S::DbsInfo, M::Get) => lists::dbs_info(ctx).await,
        (S::DbsInfo, M::Post) => lists::dbs_info_of(ctx).await,
        (S::ActiveTasks, M::Get) => lists::active_tasks(ctx).await,
        (S::Uuids, M::Get) => lists::uuids(ctx).await,
        (S::DbUpdates, M::Get) => db_updates::get(ctx).await,
        (S::Membership, M::Get) => lists::membership(ctx).await,
        (S::ClusterSetup, M::Get) => cluster_setup::state(ctx).await,
        (S::ClusterSetup, M::Post) => cluster_setup::act(ctx).await,
        (S::Session, M::Get) => session::get(ctx).await,
        (S::Session, M::Post) => session::post(ctx).await,
        (S::Session, M::Delete) => session::delete(ctx).await,
        (S::ReloadFunctions, M::Post) => stats::reload_functions(ctx),
        (S::Node(path), _) => node::any(ctx, path).await,
        (S::SearchAnalyze, _) => Err(Error::Unavailable("Search is not available".into())),
        // It is so where no service for it is configured.
        (S::NouveauAnalyze, M::Post) => Err(Error::missing()),
        (S::Replicate, M::Post) | (S::Unbuilt, _) => Err(Error::NotImplemented),
        _ => Err(Error::MethodNotAllowed(allow)),
    }
}

async fn on_db(
    ctx: &mut Ctx,
    db: Db,
    endpoint: DbEndpoint,
    allow: &'static str,
) -> Result<Reply, Error> {
    use {DbEndpoint as D, Method as M};
    match (endpoint, ctx.method) {
        (D::Root, M::Get) => database::info(ctx, db).await,
        (D::Root, M::Post) => doc_write::create(ctx, db).await,
        (D::AllDocs(of), M::Get) => all_docs::get(ctx, db, of, None).await,
        (D::AllDocs(of), M::Post) => all_docs::post(ctx, db, of, None).await,
        (D::AllDocsQueries(of), M::Post) => all_docs::queries(ctx, db, of, None).await,
        (D::BulkDocs, M::Post) => bulk_docs::post(ctx, db).await,
        (D::BulkGet, M::Post) => bulk_get::post(ctx, db).await,
        (D::Changes, M::Get) => changes::get(ctx, db).await,
        (D::Changes, M::Post) => changes::post(ctx, db).await,
        (D::Find(partition), _) => find::find(ctx, db, partition).await,
        (D::Explain(partition), _) => find::explain(ctx, db, partition).await,
        (D::Index(partition, rest), _) => index::any(ctx, db, partition, rest).await,
        (D::MissingRevs, M::Post) => revs::missing_revs(ctx, db).await,
        (D::RevsDiff, M::Post) => revs::revs_diff(ctx, db).await,
        (D::Purge, M::Post) => purge::post(ctx, db).await,
        (D::PurgedInfos, M::Get) => purge::infos(ctx, db).await,
        (D::Doc(id), M::Get) => doc::get(ctx, db, id).await,
        (D::Doc(id), M::Put) => doc_write::put(ctx, db, id).await,
        (D::Doc(id), M::Post) => form::post(ctx, db, id).await,
        (D::Doc(id), M::Delete) => doc_write::delete(ctx, db, id).await,
        (D::Doc(id), M::Copy) => copy::copy(ctx, db, id).await,
        (D::Attachment(id, name), M::Get) => attachment::get(ctx, db, id, name).await,
        (D::Attachment(id, name), M::Put) => attachment_write::put(ctx, db, id, name).await,
        (D::Attachment(id, name), M::Delete) => attachment_write::delete(ctx, db, id, name).await,
        (D::DesignRedirect, _) => design_redirect(ctx),
        (D::DesignAction { ddoc, action, rest }, _) => {
            on_design_action(ctx, db, ddoc, &action, &rest, allow).await
        }
        (endpoint, _) => on_upkeep(ctx, db, endpoint, allow).await,
    }
}

/// Sends clients from `_design%2F…` to `_design/…`, all else in the target as it was.
fn design_redirect(ctx: &Ctx) -> Result<Reply, Error> {
    let target = ctx.uri.path_and_query().map_or("", http::uri::PathAndQuery::as_str);
    let lower = target.to_ascii_lowercase();
    let at = lower.find("_design%2f").ok_or_else(Error::missing)?;
    let (before, after) = (target.get(..at), target.get(at + "_design%2f".len()..));
    let target = format!("{}_design/{}", before.unwrap_or("/"), after.unwrap_or(""));
    let reply = Reply::empty(StatusCode::MOVED_PERMANENTLY);
    Ok(reply.header(LOCATION, &ctx.absolute_uri(&target)))
}

/// What design documents do besides being documents. Names that are none of CouchDB's are
/// attachments whose names happen to begin with an underscore.
async fn on_design_action(
    ctx: &mut Ctx,
    db: Db,
    ddoc: DocId,
    action: &str,
    rest: &[String],
    allow: &'static str,
) -> Result<Reply, Error> {
    const ACTIONS: [&str; 6] =
        ["_info", "_search", "_search_info", "_search_disk_size", "_nouveau", "_nouveau_info"];
    if action == "_view" {
        let opened = users::open_doc(ctx, &db, &ddoc, OpenOptions::default()).await?;
        return view::any(ctx, db, opened, rest, None).await;
    }
    let opened = db.open_doc(&ddoc, OpenOptions::default()).await?;
    if action == "_info" {
        return view::info(ctx, db, opened, rest).await;
    }
    let functions = Functions::of(&db, Arc::new(opened.doc));
    match action {
        "_show" => return show::answer(ctx, functions, rest).await,
        "_list" => return list::answer(ctx, &db, &ddoc, functions, rest).await,
        "_rewrite" => return rewrite::answer(ctx, &db, &ddoc, functions, rest).await,
        "_update" => return update::answer(ctx, &db, functions, rest).await,
        _ => {}
    }
    if ACTIONS.contains(&action) {
        return Err(Error::NotImplemented);
    }
    let name = std::iter::once(action).chain(rest.iter().map(String::as_str));
    let name = name.collect::<Vec<_>>().join("/");
    match ctx.method {
        Method::Get => attachment::get(ctx, db, ddoc, name).await,
        Method::Put => attachment_write::put(ctx, db, ddoc, name).await,
        Method::Delete => attachment_write::delete(ctx, db, ddoc, name).await,
        _ => Err(Error::MethodNotAllowed(allow)),
    }
}

/// A partition that a path names, which is looked at before anything else. There the parameters of the
/// query count in the order of their names, as in CouchDB: `startkey` beside `key` is what it says.
///
/// # Errors
/// 400 where there are none, where it is none, and where the query names another one.
fn enter_partition(ctx: &mut Ctx, db: &Db, path: Option<&str>) -> Result<(), Error> {
    let Some(path) = path else { return Ok(()) };
    if !db.meta().partitioned {
        return Err(Error::bad_request("database is not partitioned"));
    }
    partition::check(path)?;
    if ctx.query.get("partition").is_some_and(|asked| asked != path) {
        return Err(Error::bad_request("Conflicting value for `partition` in query string"));
    }
    ctx.query.sort();
    Ok(())
}

/// The same, asked of one partition.
async fn on_partition_design(
    ctx: &mut Ctx,
    db: Db,
    partition: String,
    ddoc: DocId,
    action: &str,
    rest: &[String],
) -> Result<Reply, Error> {
    enter_partition(ctx, &db, Some(&partition))?;
    let opened = db.open_doc(&ddoc, OpenOptions::default()).await?;
    match action {
        "_view" => view::any(ctx, db, opened, rest, Some(partition)).await,
        _ => Err(Error::NotImplemented),
    }
}

/// What is rarer: limits, security, partitions, maintenance, and what is not there.
async fn on_upkeep(
    ctx: &mut Ctx,
    db: Db,
    endpoint: DbEndpoint,
    allow: &'static str,
) -> Result<Reply, Error> {
    use {DbEndpoint as D, Method as M};
    match (endpoint, ctx.method) {
        (D::Security, M::Get) => database::security(ctx, db).await,
        (D::Security, M::Put) => database::set_security(ctx, db).await,
        (D::RevsLimit, M::Get) => database::revs_limit(ctx, db).await,
        (D::RevsLimit, M::Put) => database::set_revs_limit(ctx, db).await,
        (D::PurgedInfosLimit, M::Get) => database::purged_infos_limit(ctx, db).await,
        (D::PurgedInfosLimit, M::Put) => database::set_purged_infos_limit(ctx, db).await,
        (D::Compact, M::Post) => database::compact(ctx, db).await,
        (D::CompactViews(ddoc), M::Post) => database::compact_views(ctx, db, ddoc).await,
        (D::ViewCleanup, M::Post) => database::view_cleanup(ctx, db).await,
        (D::SearchCleanup, M::Post) => Ok(database::search_cleanup()),
        (D::EnsureFullCommit, M::Post) => database::ensure_full_commit(ctx, db).await,
        (D::Shards, M::Get) => database::shards(ctx, db).await,
        (D::ShardOf(id), M::Get) => database::shard_of(ctx, db, id).await,
        (D::SyncShards, M::Post) => database::sync_shards(ctx, db).await,
        (D::Partition(name), M::Get) => database::partition(ctx, db, name).await,
        (D::Partition(name), M::Post) if name.starts_with('_') => {
            Err(Error::IllegalPartition("Partition must not start with an underscore".into()))
        }
        (D::PartitionAllDocs(name), M::Get) => {
            all_docs::get(ctx, db, Namespace::All, Some(name)).await
        }
        (D::PartitionAllDocs(name), M::Post) => {
            all_docs::post(ctx, db, Namespace::All, Some(name)).await
        }
        (D::PartitionAllDocsQueries(name), M::Post) => {
            all_docs::queries(ctx, db, Namespace::All, Some(name)).await
        }
        (D::PartitionDesign { partition, ddoc, action, rest }, _) => {
            on_partition_design(ctx, db, partition, ddoc, &action, &rest).await
        }
        (D::PartitionOther(_), _) if !db.meta().partitioned => {
            Err(Error::bad_request("database is not partitioned"))
        }
        (D::PartitionOther(name), _) => {
            partition::check(&name)?;
            Err(Error::missing())
        }
        (D::TempView, _) => Err(Error::Gone("Temporary views are not supported in CouchDB".into())),
        (D::Refused(reason), _) => Err(Error::bad_request(reason)),
        (D::Nameless(Nameless::Doc), M::Put) => Err(Error::IllegalDocId(NOT_UTF_8.into())),
        (D::Nameless(Nameless::Attachment), M::Put) => {
            Err(Error::bad_request("Attachment name is not UTF-8 encoded"))
        }
        (D::Nameless(_), _) => Err(Error::missing()),
        _ => Err(Error::MethodNotAllowed(allow)),
    }
}
