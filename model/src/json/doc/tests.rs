//! Documents as clients send them.

use super::super::AttData;
use super::*;

fn parse(input: &str) -> Result<ParsedDoc, DocError> {
    parse_doc(input.as_bytes(), &Limits::default())
}

fn parsed(input: &str) -> ParsedDoc {
    parse(input).unwrap_or_else(|error| panic!("{input}: {error}"))
}

fn body(input: &str) -> String {
    String::from_utf8(parsed(input).body.to_vec()).expect("UTF-8")
}

#[test]
fn the_body_is_what_has_no_underscore() {
    assert_eq!(
        body(r#"{"_id":"a","b":1,"_rev":"1-a","c":[{"_x":1}],"_deleted":true}"#),
        r#"{"b":1,"c":[{"_x":1}]}"#
    );
    assert_eq!(body("{}"), "{}");
    assert_eq!(body(r#"{"_id":"a"}"#), "{}");
    assert_eq!(body(r#"{"\u005fid":"a","a":1}"#), r#"{"a":1}"#);
    let kept = r#"{"_access":1,"_replication_id":1,"_replication_state":2,"_replication_stats":3}"#;
    assert_eq!(body(kept), kept);
    assert_eq!(
        body(r#"{"_revs_info":1,"_local_seq":2,"a":0,"_conflicts":3,"_deleted_conflicts":4}"#),
        r#"{"a":0}"#
    );
}

#[test]
fn special_members_are_read() {
    let doc = parsed(
        r#"{"_id":"ä/b","_deleted":true,"_rev":"3-abc",
            "_attachments":{"b":{"stub":true},"a":{"data":"QQ=="},"skipped":5}}"#,
    );
    assert_eq!(doc.id, Some(DocId::trusted("ä/b")));
    assert_eq!(doc.revs, RevPath::single("3-abc".parse().expect("rev")));
    assert!(doc.deleted);
    let names: Vec<&str> = doc.atts.iter().map(|att| att.name.as_str()).collect();
    assert_eq!(names, ["b", "a"]);
    assert_eq!(doc.atts[1].data, AttData::Inline(Bytes::from_static(b"A")));
    assert_eq!(parsed("{}"), ParsedDoc { body: Bytes::from_static(b"{}"), ..Default::default() });
}

#[test]
fn revisions_win_over_rev() {
    let path = RevPath { start: 3, ids: ["a", "b"].map(RevId::parse).to_vec() };
    let revisions = r#""_revisions":{"start":3,"ids":["a","b"]}"#;
    assert_eq!(parsed(&format!("{{{revisions},\"_rev\":\"bad\"}}")).revs, path);
    assert_eq!(parsed(&format!("{{\"_rev\":\"9-z\",{revisions}}}")).revs, path);
    let doc = parsed(r#"{"_revisions":{"start":0,"ids":[]},"_rev":"9-z"}"#);
    assert_eq!(doc.revs, RevPath::single("9-z".parse().expect("rev")));
    let doc = parsed(r#"{"_revisions":{"start":2,"ids":["a","b","c"]}}"#);
    assert_eq!(doc.revs.ids.len(), 2, "there is no generation below the first");
}

#[test]
fn errors_are_couchdbs() {
    for (input, status, error, reason) in [
        ("", 400, "bad_request", "invalid UTF-8 JSON"),
        ("1", 400, "bad_request", "Document must be a JSON object"),
        ("[{}]", 400, "bad_request", "Document must be a JSON object"),
        (r#"{"_id":5}"#, 400, "illegal_docid", "Document id must be a string"),
        (r#"{"_id":""}"#, 400, "illegal_docid", "Document id must not be empty"),
        (r#"{"_rev":5}"#, 400, "bad_request", "Invalid rev format"),
        (r#"{"_rev":"x"}"#, 400, "bad_request", "Invalid rev format"),
        (r#"{"_rev":"-1-a"}"#, 400, "bad_request", "Invalid rev format"),
        (
            r#"{"_rev":"1-zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"}"#,
            400,
            "bad_request",
            "Invalid rev format",
        ),
        (r#"{"_revisions":5}"#, 400, "doc_validation", "Bad special document member: _revisions"),
        (r#"{"_revisions":{}}"#, 400, "doc_validation", "_revisions.start isn't an integer."),
        (
            r#"{"_revisions":{"start":1.0,"ids":[]}}"#,
            400,
            "doc_validation",
            "_revisions.start isn't an integer.",
        ),
        (r#"{"_revisions":{"start":1}}"#, 400, "doc_validation", "_revisions.ids isn't a array."),
        (r#"{"_revisions":{"start":1,"ids":[5]}}"#, 400, "doc_validation", "RevId isn't a string"),
        (
            r#"{"_revisions":{"start":1,"ids":["zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz"]}}"#,
            400,
            "doc_validation",
            "RevId isn't a valid hexadecimal",
        ),
        (r#"{"_deleted":1}"#, 400, "doc_validation", "Bad special document member: _deleted"),
        (r#"{"_foo":1,"_bar":2}"#, 400, "doc_validation", "Bad special document member: _foo"),
        (r#"{"_":1}"#, 400, "doc_validation", "Bad special document member: _"),
        (r#"{"_a\n":1}"#, 400, "doc_validation", "Bad special document member: _a\n"),
        (
            r#"{"_attachments":[]}"#,
            400,
            "doc_validation",
            "Bad special document member: _attachments",
        ),
        (r#"{"_attachments":{"a":{}}}"#, 400, "bad_request", "Invalid attachment data for a"),
        (
            r#"{"_attachments":{"_a":{"data":""}}}"#,
            400,
            "bad_request",
            "Attachment name '_a' starts with prohibited character '_'",
        ),
    ] {
        let refused = parse(input).expect_err(input);
        assert_eq!((refused.status(), refused.error()), (status, error), "{input}");
        assert_eq!(refused.to_string(), reason, "{input}");
    }
}

#[test]
fn the_first_bad_member_is_named() {
    assert_eq!(parse(r#"{"_bar":1,"_id":5}"#), Err(DocError::member("_bar")));
    assert_eq!(parse(r#"{"_id":5,"_bar":1}"#), Err(DocIdError::NotString.into()));
}

#[test]
fn sizes_have_limits() {
    let limits = Limits { document_size: 20, attachment_size: Some(1), ..Limits::default() };
    let parse = |input: &str| parse_doc(input.as_bytes(), &limits);
    assert!(parse(r#"{"_id":"an id that doesn't count","a":"123456789012"}"#).is_ok());
    let refused = parse(r#"{"_id":"x","a":"1234567890123"}"#).expect_err("21 bytes");
    assert_eq!(refused, DocError::DocumentTooLarge("x".to_owned()));
    assert_eq!((refused.status(), refused.error()), (413, "document_too_large"));
    assert_eq!(refused.to_string(), "x");
    let refused = parse(r#"{"_attachments":{"b":{"data":"QUI="}}}"#).expect_err("2 bytes");
    assert_eq!((refused.status(), refused.error()), (413, "attachment_too_large"));
    assert_eq!(refused.to_string(), "b");
}

#[test]
fn documents_of_a_bulk_request_need_no_second_parse() {
    let request = br#" { "docs" : [ { "_id" : "a" } , { "b" : 1 } ] , "new_edits" : false } "#;
    let stored = normalise(request, &Limits::default()).expect("valid");
    let request = Raw(&stored);
    assert_eq!(request.get("new_edits").and_then(Raw::as_bool), Some(false));
    let docs: Vec<ParsedDoc> = request
        .get("docs")
        .and_then(Raw::elements)
        .expect("array")
        .map(|doc| split_doc(&doc, &Limits::default()).expect("valid"))
        .collect();
    assert_eq!(docs.len(), 2);
    assert_eq!(docs[0].id, Some(DocId::trusted("a")));
    assert_eq!(docs[1].body.as_ref(), br#"{"b":1}"#);
}
