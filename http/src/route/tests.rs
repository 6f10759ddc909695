//! The table of routes.

use super::*;

fn db(of: DbEndpoint) -> Endpoint {
    Endpoint::Db { name: DbName::trusted("db"), of }
}

fn doc(id: &str) -> Endpoint {
    db(DbEndpoint::Doc(DocId::trusted(id)))
}

fn attachment(id: &str, name: &str) -> Endpoint {
    db(DbEndpoint::Attachment(DocId::trusted(id), name.to_owned()))
}

fn get(path: &str) -> Endpoint {
    route(Method::Get, path, Plus::Space)
}

#[test]
fn a_plus_is_a_space_or_itself() {
    let name = |path, plus| match route(Method::Get, path, plus) {
        Endpoint::Db { name, .. } => name.as_str().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(name("/a+b%2Bc%20d", Plus::Space), "a b+c d");
    assert_eq!(name("/a+b%2Bc%20d", Plus::Itself), "a+b+c d");
}

#[test]
fn server_routes() {
    use ServerEndpoint as S;
    let table = [
        ("/", S::Welcome),
        ("//", S::Welcome),
        ("/favicon.ico", S::Favicon),
        ("/_utils", S::Utils(None)),
        ("/_utils/", S::Utils(Some(String::new()))),
        ("/_utils/a/b%20c", S::Utils(Some("a/b c".to_owned()))),
        ("/_up", S::Up),
        ("/_up/", S::Up),
        ("/_all_dbs", S::AllDbs),
        ("/_dbs_info", S::DbsInfo),
        ("/_active_tasks", S::ActiveTasks),
        ("/_uuids", S::Uuids),
        ("/_session", S::Session),
        ("/_db_updates", S::DbUpdates),
        ("/_membership", S::Membership),
        ("/_cluster_setup", S::ClusterSetup),
        ("/_node/_local/_config", S::Node(vec!["_local".to_owned(), "_config".to_owned()])),
        ("/_replicate", S::Replicate),
        ("/_scheduler/jobs", S::Unbuilt),
        ("/_up/x", S::Under(Box::new(S::Up))),
        ("/_session/x/y", S::Under(Box::new(S::Session))),
        ("/_node/%ff", S::Node(vec!["\u{fffd}".to_owned()])),
    ];
    for (path, expected) in table {
        assert_eq!(get(path), Endpoint::Server(expected), "{path}");
    }
    let unknown = Endpoint::Db { name: DbName::trusted("_nothing"), of: DbEndpoint::Root };
    assert_eq!(get("/_nothing"), unknown);
    for path in ["/_all_dbs/x", "/_membership/x", "/_db_updates/x"] {
        assert!(matches!(get(path), Endpoint::Db { .. }), "{path}");
    }
}

#[test]
fn database_routes() {
    use DbEndpoint as D;
    use Namespace as N;
    let p = || "p".to_owned();
    let table = [
        ("", D::Root),
        ("/", D::Root),
        ("/_all_docs", D::AllDocs(N::All)),
        ("/_design_docs", D::AllDocs(N::Design)),
        ("/_local_docs/", D::AllDocs(N::Local)),
        ("/_all_docs/queries", D::AllDocsQueries(N::All)),
        ("/_design_docs/queries", D::AllDocsQueries(N::Design)),
        ("/_local_docs/queries", D::AllDocsQueries(N::Local)),
        ("/_bulk_docs", D::BulkDocs),
        ("/_bulk_get", D::BulkGet),
        ("/_changes", D::Changes),
        ("/_changes/more", D::Changes),
        ("/_compact", D::Compact),
        ("/_compact/x", D::CompactViews("x".to_owned())),
        ("/_ensure_full_commit", D::EnsureFullCommit),
        ("/_missing_revs", D::MissingRevs),
        ("/_revs_diff", D::RevsDiff),
        ("/_revs_limit", D::RevsLimit),
        ("/_purge", D::Purge),
        ("/_purged_infos", D::PurgedInfos),
        ("/_purged_infos_limit", D::PurgedInfosLimit),
        ("/_security", D::Security),
        ("/_shards", D::Shards),
        ("/_shards/a%2Fb", D::ShardOf(DocId::trusted("a/b"))),
        ("/_sync_shards", D::SyncShards),
        ("/_view_cleanup", D::ViewCleanup),
        ("/_temp_view", D::TempView),
        ("/_find", D::Find(None)),
        ("/_partition/p/_find", D::Find(Some(p()))),
        ("/_search_cleanup", D::SearchCleanup),
        ("/_partition", D::Refused("invalid_partition_req")),
        ("/_partition/p", D::Partition(p())),
        ("/_partition/p/_all_docs", D::PartitionAllDocs(p())),
        ("/_partition/p/_all_docs/queries", D::PartitionAllDocsQueries(p())),
        ("/_partition/p/x", D::PartitionOther(p())),
        ("/_local", D::Refused("Invalid _local document id.")),
        ("/_local%2F", D::Refused("Invalid _local document id.")),
        ("/_local/a/b", D::Refused("_local documents do not accept attachments.")),
        ("/_local%2Fa/b", D::Refused("_local documents do not accept attachments.")),
        ("/_design%2Fx", D::DesignRedirect),
        ("/_design%2fx/att", D::DesignRedirect),
    ];
    for (path, expected) in table {
        assert_eq!(get(&format!("/db{path}")), db(expected), "{path}");
    }
}

#[test]
fn documents_and_attachments() {
    let table = [
        ("/db/x", doc("x")),
        ("/db/x/", doc("x")),
        ("/db/a%2Fb", doc("a/b")),
        ("/db/a+b%2bc", doc("a b+c")),
        ("/db/caf%C3%A9", doc("café")),
        ("/db/_nothing", doc("_nothing")),
        ("/db/_design", doc("_design")),
        ("/db/_design/x", doc("_design/x")),
        ("/db/_design/x%2Fy", doc("_design/x/y")),
        ("/db/_local/x", doc("_local/x")),
        ("/db/_local%2Fx", doc("_local/x")),
        ("/db/_local/x%2Fy", doc("_local/x/y")),
        ("/db/x/y", attachment("x", "y")),
        ("/db/x/y/z", attachment("x", "y/z")),
        ("/db/x/y%2Fz", attachment("x", "y/z")),
        ("/db/_design/x/y/z", attachment("_design/x", "y/z")),
        ("/db/_revs_diff/x", attachment("_revs_diff", "x")),
    ];
    for (path, expected) in table {
        assert_eq!(get(path), expected, "{path}");
    }
    assert_eq!(route(Method::Put, "/db/_design%2Fx", Plus::Space), doc("_design/x"));
    let expected = db(DbEndpoint::DesignAction {
        ddoc: DocId::trusted("_design/x"),
        action: "_view".to_owned(),
        rest: vec!["y z".to_owned()],
    });
    assert_eq!(get("/db/_design/x/_view/y+z"), expected);
    assert_eq!(get("/a%2Fb"), Endpoint::Db { name: DbName::trusted("a/b"), of: DbEndpoint::Root });
}

#[test]
fn what_is_not_utf_8_names_nothing() {
    let nameless = |what| db(DbEndpoint::Nameless(what));
    let table = [
        ("/db/%ff", nameless(Nameless::Doc)),
        ("/db/a%ffb", nameless(Nameless::Doc)),
        ("/db/%c3", nameless(Nameless::Doc)),
        ("/db/%ff/x", nameless(Nameless::Doc)),
        ("/db/_design/%ff", nameless(Nameless::Doc)),
        ("/db/_design/%ff/_view/x", nameless(Nameless::Doc)),
        ("/db/_local/%ff", nameless(Nameless::Doc)),
        ("/db/x/%ff", nameless(Nameless::Attachment)),
        ("/db/_design/x/y/%ff", nameless(Nameless::Attachment)),
        ("/db/%ef%bf%bd", doc("\u{fffd}")),
        ("/%ff", Endpoint::Db { name: DbName::trusted("\u{fffd}"), of: DbEndpoint::Root }),
    ];
    for (path, expected) in table {
        assert_eq!(get(path), expected, "{path}");
    }
}

#[test]
fn allowed_methods_are_in_couchdbs_words() {
    let table = [
        ("/", "GET,HEAD"),
        ("/_up", "GET,HEAD"),
        ("/_all_dbs", "GET,HEAD"),
        ("/_active_tasks", "GET,HEAD"),
        ("/_uuids", "GET"),
        ("/_membership", "GET"),
        ("/_db_updates", "GET"),
        ("/_session", "GET,HEAD,POST,DELETE"),
        ("/_session/x", "GET,HEAD,POST,DELETE"),
        ("/_cluster_setup", "GET,POST"),
        ("/_replicate", "POST"),
        ("/_dbs_info", "GET,HEAD,POST"),
        ("/db", "DELETE,GET,HEAD,POST"),
        ("/db/x", "DELETE,GET,HEAD,POST,PUT,COPY"),
        ("/db/x/y", "DELETE,GET,HEAD,PUT"),
        ("/db/_changes", "GET,POST,HEAD"),
        ("/db/_all_docs", "GET,HEAD,POST"),
        ("/db/_all_docs/queries", "POST"),
        ("/db/_bulk_docs", "POST"),
        ("/db/_security", "PUT,GET"),
        ("/db/_revs_limit", "PUT,GET"),
        ("/db/_purged_infos_limit", "GET,PUT"),
        ("/db/_purged_infos", "GET"),
        ("/db/_shards", "GET"),
        ("/db/_sync_shards", "POST"),
        ("/db/_compact", "POST"),
    ];
    for (path, expected) in table {
        assert_eq!(get(path).allow(), expected, "{path}");
    }
}

proptest::proptest! {
    #[test]
    fn no_path_panics_and_slashes_stay_inside_ids(path in "/[ -~é]{0,40}") {
        let _ = route(Method::Get, &path, Plus::Space);
        let _ = route(Method::Put, &path, Plus::Itself);
    }

    #[test]
    fn an_encoded_id_comes_back(id in "[^_/][^/]{0,20}") {
        let mut encoded = String::from("/db/");
        crate::percent::push_segment(&mut encoded, &id);
        proptest::prop_assert_eq!(get(&encoded), doc(&id));
    }
}
