//! Documents as JSON.

use bytes::Bytes;
use settee_model::doc::{AttContent, DocRecord};
use settee_model::docid::DocId;
use settee_model::rev::RevId;

use super::*;
use crate::render::script::tests::{content, shown};

fn rev(text: &str) -> Rev {
    text.parse().unwrap()
}

fn doc(id: &str, revs: &[&str], start: u64, body: &'static str) -> StoredDoc {
    StoredDoc {
        id: DocId::trusted(id),
        revs: RevPath { start, ids: revs.iter().map(|id| RevId::parse(id)).collect() },
        deleted: false,
        record: DocRecord { atts: vec![], body: Bytes::from_static(body.as_bytes()) },
    }
}

fn att(name: &str, revpos: u64, content: AttContent) -> Attachment {
    Attachment { name: name.to_owned(), content_type: "text/plain".to_owned(), revpos, content }
}

fn json(doc: &StoredDoc, view: &View, facts: Option<(&Facts, Shown)>) -> String {
    let mut script = Script::default();
    write(&mut script, doc, view, facts);
    shown(script)
}

#[test]
fn the_body_is_spliced_between_id_and_revision_and_the_rest() {
    let mut doc = doc("a\"b", &["b", "967a00dff5e02add41819138abb3284d"], 2, r#"{"x":1.0,"y":{}}"#);
    let plain = View::default();
    assert_eq!(json(&doc, &plain, None), r#"{"_id":"a\"b","_rev":"2-b","x":1.0,"y":{}}"#);
    doc.deleted = true;
    doc.record.body = Bytes::from_static(b"{}");
    let view = View { revs: true, ..plain };
    assert_eq!(
        json(&doc, &view, None),
        r#"{"_id":"a\"b","_rev":"2-b","_deleted":true,"_revisions":{"start":2,"ids":["b","967a00dff5e02add41819138abb3284d"]}}"#
    );
}

#[test]
fn local_documents_count_from_zero() {
    let doc = doc("_local/l", &["3"], 0, r#"{"a":2}"#);
    let view = View { revs: true, ..View::default() };
    assert_eq!(
        json(&doc, &view, None),
        r#"{"_id":"_local/l","_rev":"0-3","a":2,"_revisions":{"start":0,"ids":["3"]}}"#
    );
}

#[test]
fn facts_follow_the_revisions_in_couchdbs_order() {
    let doc = doc("c", &["c", "a"], 2, r#"{"v":2}"#);
    let facts = Facts {
        revs_info: vec![
            (rev("2-c"), RevStatus::Available),
            (rev("1-a"), RevStatus::Missing),
            (rev("1-d"), RevStatus::Deleted),
        ],
        conflicts: vec![rev("2-b")],
        deleted_conflicts: vec![],
        local_seq: 6,
    };
    let all = Shown { revs_info: true, conflicts: true, deleted_conflicts: true, local_seq: true };
    assert_eq!(
        json(&doc, &View { revs: true, ..View::default() }, Some((&facts, all))),
        r#"{"_id":"c","_rev":"2-c","v":2,"_revisions":{"start":2,"ids":["c","a"]},"_revs_info":[{"rev":"2-c","status":"available"},{"rev":"1-a","status":"missing"},{"rev":"1-d","status":"deleted"}],"_conflicts":["2-b"],"_local_seq":6}"#
    );
    let none = Shown { deleted_conflicts: true, ..Shown::default() };
    assert!(none.any() && !none.something_of(&facts));
    assert_eq!(
        json(&doc, &View::default(), Some((&facts, none))),
        r#"{"_id":"c","_rev":"2-c","v":2}"#
    );
}

#[test]
fn attachments_as_stubs_inline_and_following() {
    let mut doc = doc("a", &["x"], 3, "{}");
    doc.record.atts = vec![att("n", 3, content(5, Some(25))), att("o", 1, content(7, None))];
    let mut view = View { encoding_info: true, ..View::default() };
    let head = r#"{"_id":"a","_rev":"3-x","_attachments":{"n":{"content_type":"text/plain","revpos":3,"digest":"md5-AAAAAAAAAAAAAAAAAAAAAA==""#;
    let mid =
        r#","o":{"content_type":"text/plain","revpos":1,"digest":"md5-AAAAAAAAAAAAAAAAAAAAAA==""#;
    let expect = |first: &str, second: &str| format!("{head},{first}}}{mid},{second}}}}}}}");
    let encoding = r#""encoding":"gzip","encoded_length":25"#;
    assert_eq!(
        json(&doc, &view, None),
        expect(&format!(r#""length":5,"stub":true,{encoding}"#), r#""length":7,"stub":true"#)
    );
    view.atts = Atts::Follow;
    assert_eq!(
        json(&doc, &view, None),
        expect(&format!(r#""length":5,"follows":true,{encoding}"#), r#""length":7,"follows":true"#)
    );
    view = View { atts: Atts::Inline, ..View::default() };
    assert_eq!(
        json(&doc, &view, None),
        expect(r#""data":"<Base64 25>""#, r#""data":"<Base64 7>""#)
    );
    view.atts_since = Some(vec![rev("9-z"), rev("3-y")]);
    assert_eq!(
        json(&doc, &view, None),
        expect(r#""data":"<Base64 25>""#, r#""data":"<Base64 7>""#)
    );
}

#[test]
fn attachments_that_a_client_has_are_stubs() {
    let mut doc = doc("a", &["x", "y", "z"], 3, "{}");
    doc.record.atts = vec![att("n", 3, content(5, None)), att("o", 2, content(7, None))];
    let since = |revs: &[&str]| View {
        atts: Atts::Inline,
        atts_since: Some(revs.iter().map(|text| rev(text)).collect()),
        ..View::default()
    };
    let given = |view: View| view.given(&doc).map(|att| att.name.clone()).collect::<Vec<_>>();
    assert_eq!(given(since(&[])), ["n", "o"]);
    assert_eq!(given(since(&["1-z"])), ["n", "o"]);
    assert_eq!(given(since(&["1-z", "2-y"])), ["n"]);
    assert_eq!(given(since(&["3-x"])), [""; 0]);
    assert_eq!(given(since(&["3-y", "2-x"])), ["n", "o"]);
    let text = json(&doc, &since(&["2-y"]), None);
    assert!(text.contains(r#""data":"<Base64 5>""#) && text.contains(r#""length":7,"stub":true"#));
}

#[test]
fn attachments_of_no_generation_are_given_to_who_says_nothing_of_what_he_has() {
    let mut doc = doc("a", &["x"], 1, "{}");
    doc.record.atts = vec![att("o", 0, content(7, None))];
    let inline = View { atts: Atts::Inline, ..View::default() };
    assert_eq!(inline.given(&doc).count(), 1);
    assert!(json(&doc, &inline, None).contains(r#""data":"<Base64 7>""#));
    let since = View { atts_since: Some(vec![]), ..inline };
    assert_eq!(since.given(&doc).count(), 0);
    assert!(json(&doc, &since, None).contains(r#""length":7,"stub":true"#));
}
