//! Design documents as most copies have them, looked for once for all who ask.

use super::super::designs::design_docs;
use super::reads::{give, revision};
use super::*;
use crate::designs::DesignDocs;
use crate::functions::Marks;
use crate::join::join_all;

#[tokio::test]
async fn a_late_copy_neither_hides_nor_shows_what_most_have_otherwise() {
    let nodes = Nodes::three().await;
    for doc in ["_design/gone", "_design/newer", "_design/same"] {
        give(&nodes, &[0, 1, 2], revision(doc, &["aa"], false)).await;
    }
    give(&nodes, &[1, 2], revision("_design/gone", &["bb", "aa"], true)).await;
    give(&nodes, &[1, 2], revision("_design/newer", &["bb", "aa"], false)).await;
    give(&nodes, &[1, 2], revision("_design/new", &["aa"], false)).await;
    for at in 0..3 {
        let named = |doc: settee_model::doc::StoredDoc| Some((doc.id.to_string(), doc.rev()?));
        let found = design_docs(&nodes.database(at), named).await.unwrap();
        let found: Vec<String> = found.iter().map(|(id, rev)| format!("{id} {rev}")).collect();
        assert_eq!(found, ["_design/new 1-aa", "_design/newer 2-bb", "_design/same 1-aa"], "{at}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_looks_for_all_who_ask_at_the_same_time() {
    let nodes = Nodes::three().await;
    let (database, marks) = (nodes.database(0), Marks::default());
    let asked = join_all((0..20).map(|_| DesignDocs::of(&database, &marks))).await;
    let found: Vec<_> = asked.into_iter().map(Result::unwrap).collect();
    assert!(found.iter().all(|one| Arc::ptr_eq(one, &found[0])));
    marks.changed(&DbName::trusted("db"));
    let anew = DesignDocs::of(&database, &marks).await.unwrap();
    assert!(!Arc::ptr_eq(&anew, &found[0]));
}
