//! Who may do what is recorded from CouchDB, and no route is forgotten: each is asked with each of its
//! methods by every kind of user, and by strangers under each flag that keeps them out. The recordings
//! are replayed by `conformance`.

use std::collections::BTreeSet;
use std::fs;

use settee_http::percent::Plus;
use settee_http::route::{DbEndpoint, Endpoint, Method, Namespace, ServerEndpoint, route};
use settee_tests::base64;
use settee_tests::script::{self, Step};

use crate::repository;

/// Says what a route is called, and lists these names: methods and an example. A route without one
/// does not compile.
macro_rules! names {
    ($name:ident, $list:ident, $kind:ident: $($route:pat => $text:literal),* $(,)?) => {
        const $list: &[&str] = &[$($text),*];

        fn $name(route: &$kind) -> &'static str {
            use $kind as E;
            match route {
                $($route => $text),*
            }
        }
    };
}

names! { name_of_server, SERVER, ServerEndpoint:
    E::Welcome => "GET /",
    E::Favicon => "GET /favicon.ico",
    E::Utils(_) => "GET /_utils",
    E::Up => "GET /_up",
    E::AllDbs => "GET /_all_dbs",
    E::DbsInfo => "GET,POST /_dbs_info",
    E::ActiveTasks => "GET /_active_tasks",
    E::Uuids => "GET /_uuids",
    E::Session => "GET,POST,DELETE /_session",
    E::DbUpdates => "GET /_db_updates",
    E::Membership => "GET /_membership",
    E::ClusterSetup => "GET,POST /_cluster_setup",
    E::ReloadFunctions => "POST /_reload_query_servers",
    E::Node(_) => "GET,PUT,POST,DELETE /_node/…",
    E::Replicate => "replication, which is not built",
    E::SearchAnalyze => "POST /_search_analyze",
    E::NouveauAnalyze => "POST /_nouveau_analyze",
    E::Under(_) => "GET /_up/more",
    E::Unbuilt => "what is not built",
}

names! { name_of_db, DB, DbEndpoint:
    E::Root => "GET,POST,PUT,DELETE /db",
    E::AllDocs(Namespace::All) => "GET,POST /db/_all_docs",
    E::AllDocs(Namespace::Design) => "GET,POST /db/_design_docs",
    E::AllDocs(Namespace::Local) => "GET,POST /db/_local_docs",
    E::AllDocsQueries(Namespace::All) => "POST /db/_all_docs/queries",
    E::AllDocsQueries(Namespace::Design) => "POST /db/_design_docs/queries",
    E::AllDocsQueries(Namespace::Local) => "POST /db/_local_docs/queries",
    E::BulkDocs => "POST /db/_bulk_docs",
    E::BulkGet => "POST /db/_bulk_get",
    E::Changes => "GET,POST /db/_changes",
    E::Compact => "POST /db/_compact",
    E::CompactViews(_) => "POST /db/_compact/d",
    E::EnsureFullCommit => "POST /db/_ensure_full_commit",
    E::Find(None) => "POST /db/_find",
    E::Find(Some(_)) => "POST /db/_partition/p/_find",
    E::Explain(None) => "POST /db/_explain",
    E::Explain(Some(_)) => "POST /db/_partition/p/_explain",
    E::Index(None, _) => "GET,POST,DELETE /db/_index",
    E::Index(Some(_), _) => "GET,POST /db/_partition/p/_index",
    E::MissingRevs => "POST /db/_missing_revs",
    E::RevsDiff => "POST /db/_revs_diff",
    E::RevsLimit => "GET,PUT /db/_revs_limit",
    E::Purge => "POST /db/_purge",
    E::PurgedInfos => "GET /db/_purged_infos",
    E::PurgedInfosLimit => "GET,PUT /db/_purged_infos_limit",
    E::Security => "GET,PUT /db/_security",
    E::Shards => "GET /db/_shards",
    E::ShardOf(_) => "GET /db/_shards/doc",
    E::SyncShards => "POST /db/_sync_shards",
    E::ViewCleanup => "POST /db/_view_cleanup",
    E::SearchCleanup => "POST /db/_search_cleanup",
    E::TempView => "POST /db/_temp_view",
    E::Partition(_) => "GET /db/_partition/p",
    E::PartitionAllDocs(_) => "GET,POST /db/_partition/p/_all_docs",
    E::PartitionAllDocsQueries(_) => "POST /db/_partition/p/_all_docs/queries",
    E::PartitionDesign { .. } => "GET,POST /db/_partition/p/_design/d/_view/v",
    E::PartitionOther(_) => "GET /db/_partition/p/_nothing",
    E::Doc(_) => "GET,POST,PUT,DELETE,COPY /db/doc",
    E::Attachment(..) => "GET,PUT,DELETE /db/doc/att",
    E::DesignAction { .. } => "GET,POST,PUT /db/_design/d/_action",
    E::DesignRedirect => "GET /db/_design%2Fd",
    E::Refused(_) => "GET /db/_local",
    E::Nameless(_) => "GET /db/%ff",
}

/// Kinds of users, and who of the scripts is of that kind.
const KINDS: [(&str, &[&str]); 5] = [
    ("nobody", &[]),
    ("a user", &["acc_out", "acc_met", "acr_ann", "acr_met"]),
    ("a member", &["acc_mem", "acc_rdr"]),
    ("an administrator of the database", &["acc_adm", "acc_chf"]),
    ("an administrator", &[]),
];

const FLAGS: [&str; 2] = ["require_valid_user", "require_valid_user_except_for_up"];

fn kind(step: &Step) -> Option<&'static str> {
    let sent = step.request.headers.iter().find(|(name, _)| name == "Authorization");
    let proof = match sent {
        None => return Some("an administrator"),
        Some((_, proof)) if proof == "none" => return Some("nobody"),
        Some((_, proof)) => proof,
    };
    let is =
        |name: &&str| *proof == format!("Basic {}", base64(format!("{name}:pw-{name}").as_bytes()));
    KINDS.iter().find(|(_, names)| names.iter().any(is)).map(|(kind, _)| *kind)
}

/// What the name of a route is, unless it is one of a database of the system.
fn name(step: &Step) -> Option<&'static str> {
    let path = step.request.path.split('?').next().unwrap_or_default();
    match route(Method::parse(&step.request.method), path, Plus::Space) {
        Endpoint::Server(of) => Some(name_of_server(&of)),
        Endpoint::Db { name, .. } if name.as_str().starts_with('_') => None,
        Endpoint::Db { of, .. } => Some(name_of_db(&of)),
    }
}

/// Everything that the scripts ask: who asks what with which method, and what is asked by nobody while
/// a flag is up.
fn asked() -> BTreeSet<(String, &'static str, &'static str)> {
    let mut asked = BTreeSet::new();
    for file in fs::read_dir(repository("tests/conformance/scripts")).expect("scripts") {
        let path = file.expect("a script").path();
        let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !file.starts_with("access_") {
            continue;
        }
        let recording = repository("tests/conformance/recordings").join(&file);
        assert!(recording.with_extension("jsonl").exists(), "{file} is not recorded");
        let mut up = BTreeSet::new();
        for step in script::parse(&fs::read_to_string(path).expect("text")).expect("a script") {
            let request = &step.request;
            let flag = request.path.strip_prefix("/_node/_local/_config/chttpd/");
            if let Some(flag) = FLAGS.into_iter().find(|known| flag == Some(known)) {
                let is_up = request.body.as_deref() == Some(b"\"true\"");
                if is_up {
                    up.insert(flag)
                } else {
                    up.remove(flag)
                };
                continue;
            }
            let (Some(kind), Some(name)) = (kind(&step), name(&step)) else { continue };
            let method = Method::parse(&request.method).name();
            match up.first() {
                None => asked.insert((method.to_owned(), name, kind)),
                Some(flag) => kind == "nobody" && asked.insert(("flag".to_owned(), name, flag)),
            };
        }
    }
    asked
}

#[test]
fn every_route_is_recorded_for_every_kind_of_user() {
    let asked = asked();
    let mut missing = Vec::new();
    for name in SERVER.iter().chain(DB) {
        for flag in FLAGS {
            if !asked.contains(&("flag".into(), name, flag)) {
                missing.push(format!("{name}, by nobody while {flag}"));
            }
        }
        let Some((methods, _)) = name.split_once(" /") else { continue };
        for (method, (kind, _)) in methods.split(',').flat_map(|of| KINDS.map(|kind| (of, kind))) {
            let of_db = kind.contains("member") || kind.contains("of the database");
            if (DB.contains(name) || !of_db) && !asked.contains(&(method.into(), name, kind)) {
                missing.push(format!("{method} of {name}, by {kind}"));
            }
        }
    }
    assert!(missing.is_empty(), "{} gaps:\n{}", missing.len(), missing.join("\n"));
}
