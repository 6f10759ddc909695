//! Answers of Mango of which the copy dies in the middle, and what several copies must agree on.

use settee_engine::shard::{Batch, Write};
use settee_query::mango::Find;

use super::scans::{DOCS, filled_with, name};
use super::*;
use crate::designs::DesignDocs;
use crate::find::{FindError, Finding};
use crate::functions::Marks;
use crate::tests::edit;

const INDEX: &str =
    r#"{"language":"query","views":{"n":{"map":{"fields":{"n":"asc"}},"options":{"def":{}}}}}"#;

fn question(text: &str) -> Find {
    Find::parse(text.as_bytes(), None, 25).unwrap()
}

async fn ask(database: &Arc<Database>, text: &str) -> Result<Finding, FindError> {
    let designs = DesignDocs::of(database, &Marks::default()).await?;
    Finding::start(database.clone(), &designs, question(text), 10).await
}

async fn ids(mut finding: Finding, mut between: impl FnMut(usize)) -> Vec<String> {
    let mut seen = Vec::new();
    let mut batches = 0;
    while let Some(batch) = finding.next_batch().await.unwrap() {
        assert!(!batch.is_empty());
        for shown in batch {
            let shown: serde_json::Value = serde_json::from_slice(&shown).unwrap();
            seen.push(shown["_id"].as_str().unwrap().to_owned());
        }
        batches += 1;
        between(batches);
    }
    seen
}

/// Two of three match.
fn body(number: usize) -> String {
    let pad = "x".repeat(1500);
    format!("{{\"n\":{},\"m\":{},\"b\":\"{pad}\"}}", DOCS - number, number % 3)
}

async fn nodes() -> Nodes {
    let nodes = filled_with(body).await;
    for at in 0..3 {
        let ddoc = Write::Interactive(edit("_design/n", INDEX, None));
        nodes.copy(at).write(Batch::of(vec![ddoc])).await.unwrap();
    }
    nodes
}

#[tokio::test]
async fn an_answer_goes_on_with_another_copy_and_repeats_nothing() {
    for (sort, descending) in
        [("", false), (r#","sort":["n"]"#, true), (r#","sort":[{"n":"desc"}]"#, false)]
    {
        let mut nodes = nodes().await;
        let database = Arc::new(nodes.database(3));
        let text =
            format!(r#"{{"selector":{{"n":{{"$gt":0}},"m":{{"$gt":0}}}},"limit":5000{sort}}}"#);
        let text = if sort.is_empty() { text.replace(r#""n":{"$gt":0},"#, "") } else { text };
        let finding = ask(&database, &text).await.unwrap();
        let seen = ids(finding, |batches| match batches {
            1 => nodes.all[0].kill(),
            3 => nodes.all[1].kill(),
            _ => {}
        });
        let mut wanted: Vec<String> = (0..DOCS).filter(|number| number % 3 > 0).map(name).collect();
        if descending {
            wanted.reverse();
        }
        assert_eq!(seen.await, wanted, "{text}");
    }
}

#[tokio::test]
async fn pages_are_what_one_answer_is() {
    let nodes = nodes().await;
    let database = Arc::new(nodes.database(0));
    let mut seen = Vec::new();
    let mut bookmark = String::new();
    loop {
        let text = format!(
            r#"{{"selector":{{"n":{{"$gt":0}}}},"limit":400,"fields":["_id"],"bookmark":"{bookmark}"}}"#
        );
        let mut finding = ask(&database, &text).await.unwrap();
        let mut page = 0;
        while let Some(batch) = finding.next_batch().await.unwrap() {
            page += batch.len();
            seen.extend(batch);
        }
        bookmark = finding.finish().bookmark.unwrap();
        if page == 0 {
            break;
        }
    }
    let id = |number| format!(r#"{{"_id":"{}"}}"#, name(number));
    let wanted: Vec<String> = (0..DOCS).rev().map(id).collect();
    assert_eq!(seen, wanted);
}

#[tokio::test]
async fn several_copies_agree_if_they_are_asked_to() {
    let nodes = nodes().await;
    // One copy has missed the last edit.
    let rev = nodes.leaves(0, &name(7)).await.remove(0);
    for at in [1, 2] {
        let newer = edit(&name(7), r#"{"n":-7}"#, Some(&rev));
        nodes.copy(at).write(Batch::of(vec![Write::Interactive(newer)])).await.unwrap();
    }
    let database = Arc::new(nodes.database(0));
    let text = |r: u32| format!(r#"{{"selector":{{"_id":"{}"}},"fields":["n"],"r":{r}}}"#, name(7));
    for (r, wanted) in [(1, format!(r#"{{"n":{}}}"#, DOCS - 7)), (3, r#"{"n":-7}"#.to_owned())] {
        let mut finding = ask(&database, &text(r)).await.unwrap();
        assert_eq!(finding.next_batch().await.unwrap().unwrap(), [wanted]);
        assert_eq!(finding.next_batch().await.unwrap(), None);
    }
}

#[tokio::test]
async fn little_is_looked_at_for_little() {
    let nodes = nodes().await;
    let database = Arc::new(nodes.database(3));
    let keys = |text: &'static str| {
        let database = database.clone();
        async move {
            let mut finding = ask(&database, text).await.unwrap();
            while finding.next_batch().await.unwrap().is_some() {}
            finding.finish().stats.unwrap().keys
        }
    };
    let few =
        r#"{"selector":{"n":{"$in":[5,50,500,5000]}},"use_index":"n","execution_stats":true}"#;
    assert_eq!(keys(few).await, 3);
    let ids = r#"{"selector":{"_id":{"$in":["doc00005","doc00007","x"]}},"execution_stats":true}"#;
    assert_eq!(keys(ids).await, 2);
    let either = r#"{"selector":{"$or":[{"n":1},{"n":{"$gt":1498}}]},"use_index":"n","execution_stats":true}"#;
    assert_eq!(keys(either).await, 4);
    let limit = r#"{"selector":{"m":1},"limit":3,"execution_stats":true}"#;
    // The design document, eleven others, of which four match.
    assert_eq!(keys(limit).await, 12);
}
