//! Documents with their attachments as multipart bodies, and how long those are.

use bytes::Bytes;
use settee_model::doc::DocRecord;
use settee_model::rev::{Rev, RevPath};

use super::*;
use crate::render::script::tests::{content, shown};

fn doc(id: &str, rev: &str, atts: &[(&str, u64)]) -> StoredDoc {
    let atts = atts.iter().map(|(name, revpos)| Attachment {
        name: (*name).to_owned(),
        content_type: "text/plain".to_owned(),
        revpos: *revpos,
        content: content(5, (*name == "z").then_some(25)),
    });
    StoredDoc {
        id: DocId::trusted(id),
        revs: RevPath::single(rev.parse::<Rev>().unwrap()),
        deleted: false,
        record: DocRecord { atts: atts.collect(), body: Bytes::from_static(b"{}") },
    }
}

const MARKS: Boundaries<'static> = Boundaries { outer: "O", inner: "I" };

fn following_all() -> View {
    following(&View::default())
}

#[test]
fn a_document_and_its_attachments() {
    let doc = doc("a", "3-x", &[("z", 2), ("y", 1)]);
    let view = following_all();
    let mut script = Script::default();
    related(&mut script, "I", &doc, &view, None);
    let json = "{\"_id\":\"a\",\"_rev\":\"3-x\",\"_attachments\":{\
         \"z\":{\"content_type\":\"text/plain\",\"revpos\":2,\"digest\":\"md5-AAAAAAAAAAAAAAAAAAAAAA==\",\
         \"length\":5,\"follows\":true,\"encoding\":\"gzip\",\"encoded_length\":25},\
         \"y\":{\"content_type\":\"text/plain\",\"revpos\":1,\"digest\":\"md5-AAAAAAAAAAAAAAAAAAAAAA==\",\
         \"length\":5,\"follows\":true}}}";
    let expected = format!(
        "--I\r\nContent-Type: application/json\r\n\r\n{json}\r\n--I\
         \r\nContent-Disposition: attachment; filename=\"z\"\r\nContent-Type: text/plain\
         \r\nContent-Length: 25\r\nContent-Encoding: gzip\r\n\r\n<Stored 25>\r\n--I\
         \r\nContent-Disposition: attachment; filename=\"y\"\r\nContent-Type: text/plain\
         \r\nContent-Length: 5\r\n\r\n<Stored 5>\r\n--I--"
    );
    assert_eq!(content_type(&doc, &view, "I"), "multipart/related; boundary=\"I\"");
    let marks = "<Stored 25>".len() + "<Stored 5>".len();
    assert_eq!(script.length(), Some((expected.len() - marks + 25 + 5) as u64));
    assert_eq!(shown(script), expected);
}

#[test]
fn without_given_attachments_it_is_json() {
    let view = View { atts_since: Some(vec!["3-x".parse().unwrap()]), ..following_all() };
    let doc = doc("a", "3-x", &[("y", 1)]);
    let mut script = Script::default();
    related(&mut script, "I", &doc, &view, None);
    assert_eq!(content_type(&doc, &view, "I"), "application/json");
    assert!(shown(script).ends_with("\"length\":5,\"stub\":true}}}"));
}

#[test]
fn revisions_as_mixed() {
    let mut script = Script::default();
    mixed_start(&mut script, "O");
    let view = following_all();
    mixed_part(&mut script, MARKS, &RevResult::Found(doc("a", "1-x", &[])), &view);
    mixed_part(&mut script, MARKS, &RevResult::Missing("2-y".parse().unwrap()), &view);
    mixed_part(&mut script, MARKS, &RevResult::Found(doc("a", "1-z", &[("y", 1)])), &view);
    mixed_end(&mut script);
    let text = shown(script);
    assert!(text.starts_with(
        "--O\r\nContent-Type: application/json\r\n\r\n{\"_id\":\"a\",\"_rev\":\"1-x\"}\r\n--O\
         \r\nContent-Type: application/json; error=\"true\"\r\n\r\n{\"missing\":\"2-y\"}\r\n--O\
         \r\nContent-Type: multipart/related; boundary=\"I\"\r\n\r\n--I\r\nContent-Type"
    ));
    assert!(text.ends_with("<Stored 5>\r\n--I--\r\n--O--"));
}

#[test]
fn lines_of_bulk_get() {
    let mut script = Script::default();
    let view = following_all();
    bulk_doc(&mut script, MARKS, &doc("a", "1-x", &[]), &view);
    bulk_error(&mut script, "O", b"{}");
    bulk_doc(&mut script, MARKS, &doc("b", "1-z", &[("y", 1)]), &view);
    bulk_end(&mut script, "O");
    let text = shown(script);
    assert!(text.starts_with(
        "\r\n--O\r\nContent-Type: application/json\r\n\r\n{\"_id\":\"a\",\"_rev\":\"1-x\"}\
         \r\n--O\r\nContent-Type: application/json; error=\"true\"\r\n\r\n{}\
         \r\n--O\r\nX-Doc-Id: b\r\nX-Rev-Id: 1-z\r\nContent-Type: multipart/related; boundary=I\
         \r\n\r\n--I\r\nContent-Type: application/json"
    ));
    assert!(text.ends_with("<Stored 5>\r\n--I--\r\n--O--\r\n"));
}

#[test]
fn ranges_of_an_attachment() {
    let mut script = Script::default();
    let whole = content(100, None);
    let (id, ranges) = (DocId::trusted("d"), [(0, 1), (5, 6)]);
    byteranges(&mut script, "B", (&id, "a/b"), &whole, &ranges);
    assert_eq!(
        shown(script),
        "--B\r\nContent-Type: a/b\r\nContent-Range: bytes 0-1/100\r\n\r\n<Range(0, 2) 100>\
         \r\n--B\r\nContent-Type: a/b\r\nContent-Range: bytes 5-6/100\r\n\r\n<Range(5, 7) 100>\
         \r\n--B--"
    );
    let mut script = Script::default();
    byteranges(&mut script, "B", (&id, "a/b"), &whole, &[]);
    assert_eq!(shown(script), "--B--");
}
