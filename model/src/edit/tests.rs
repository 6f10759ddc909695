//! Edits of one document after another, decided and applied to a shard in memory.

use std::convert::Infallible;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::doc::{AttBytes, AttContent, AttEdit, AttSource, DocEdit, Encoding, Hold, Uploaded};
use crate::docinfo::{DocInfo, RevInfo};
use crate::rev::RevId;

/// A shard of one document.
#[derive(Default)]
struct Shard {
    info: Option<DocInfo>,
    records: Vec<DocRecord>,
}

impl Shard {
    fn interactive(&mut self, edit: DocEdit) -> Result<String, EditError> {
        let records = &self.records;
        let parent = |info: &RevInfo| Ok(records[info.body.unwrap() as usize].clone());
        let decided = decide_interactive::<Infallible>(self.info.as_ref(), edit, parent).unwrap();
        self.apply(decided)
    }

    fn replicated(&mut self, edit: DocEdit) -> Result<String, EditError> {
        let records = &self.records;
        let parent = |info: &RevInfo| Ok(records[info.body.unwrap() as usize].clone());
        let decided = decide_replicated::<Infallible>(self.info.as_ref(), edit, parent).unwrap();
        self.apply(decided)
    }

    fn apply(&mut self, decision: Decision) -> Result<String, EditError> {
        let decided = match decision {
            Decision::Write(decided) => decided,
            Decision::Known(rev) => return Ok(format!("known {rev}")),
            Decision::Refuse(error) => return Err(error),
        };
        let info = self.info.get_or_insert_with(|| DocInfo::new(decided.id.clone()));
        let body = Some(self.records.len() as u64);
        let value = RevInfo { deleted: decided.deleted, body, ..RevInfo::default() };
        info.tree.merge(&decided.path, value);
        info.tree.stem(1000);
        let rev = decided.rev().unwrap().to_string();
        self.records.push(decided.record);
        Ok(rev)
    }

    fn record(&self, rev: &str) -> &DocRecord {
        let node = self.info.as_ref().unwrap().tree.get(&rev.parse().unwrap()).unwrap();
        &self.records[node.value.unwrap().body.unwrap() as usize]
    }

    fn leaves(&self) -> Vec<String> {
        let leaves = self.info.as_ref().unwrap().tree.leaves();
        leaves.iter().map(|leaf| leaf.rev().to_string()).collect()
    }
}

/// `revs`: the tip's full name, then ids of ancestors: `3-c,b,a`; empty for none.
fn edit(revs: &str, body: &str) -> DocEdit {
    let mut ids = revs.split(',').filter(|id| !id.is_empty());
    let tip: Option<Rev> = ids.next().map(|tip| tip.parse().unwrap());
    let mut path = tip.map(RevPath::single).unwrap_or_default();
    path.ids.extend(ids.map(RevId::parse));
    DocEdit {
        id: DocId::trusted("doc"),
        revs: path,
        deleted: false,
        body: Bytes::copy_from_slice(body.as_bytes()),
        atts: Vec::new(),
    }
}

fn deletion(revs: &str) -> DocEdit {
    DocEdit { deleted: true, ..edit(revs, "{}") }
}

fn with(atts: Vec<AttEdit>, edit: DocEdit) -> DocEdit {
    DocEdit { atts, ..edit }
}

fn stub(name: &str, revpos: Option<u64>) -> AttEdit {
    let content_type = "text/ignored".into();
    AttEdit { name: name.into(), content_type, revpos, source: AttSource::Stub }
}

fn upload(name: &str, revpos: Option<u64>) -> AttEdit {
    let content = AttContent {
        encoding: Encoding::Identity,
        length: 3,
        stored_length: 3,
        md5: [7; 16],
        chunks: Vec::new(),
    };
    let source = AttSource::Uploaded(Uploaded { content, bytes: AttBytes::Held(Hold::default()) });
    AttEdit { name: name.into(), content_type: "text/plain".into(), revpos, source }
}

/// Name, type and generation of each attachment.
fn names(record: &DocRecord) -> Vec<(&str, &str, u64)> {
    record.atts.iter().map(|a| (a.name.as_str(), a.content_type.as_str(), a.revpos)).collect()
}

fn missing_stub(name: &str) -> Result<String, EditError> {
    Err(EditError::MissingStub { id: DocId::trusted("doc"), name: name.into() })
}

const CONFLICT: Result<String, EditError> = Err(EditError::Conflict);

#[test]
fn a_document_is_made_edited_and_deleted() {
    let mut shard = Shard::default();
    let first = shard.interactive(edit("", "{}")).unwrap();
    assert!(first.starts_with("1-"));
    let second = shard.interactive(edit(&first, r#"{"a":1}"#)).unwrap();
    assert!(second.starts_with("2-"));
    assert_eq!(shard.record(&second).body, r#"{"a":1}"#);
    let third = shard.interactive(deletion(&second)).unwrap();
    assert_eq!(shard.leaves(), [third]);
    assert!(shard.info.unwrap().is_deleted());
}

#[test]
fn only_a_current_leaf_can_be_replaced() {
    let mut shard = Shard::default();
    assert_eq!(shard.interactive(edit("1-a", "{}")), CONFLICT);
    let first = shard.interactive(edit("", "{}")).unwrap();
    assert_eq!(shard.interactive(edit("", "{}")), CONFLICT, "the very same edit again");
    assert_eq!(shard.interactive(edit("", r#"{"a":1}"#)), CONFLICT);
    assert_eq!(shard.interactive(deletion("")), CONFLICT);
    let second = shard.interactive(edit(&first, "{}")).unwrap();
    for revs in [first.as_str(), "2-a", "1-a", "7-a"] {
        assert_eq!(shard.interactive(edit(revs, "{}")), CONFLICT, "{revs}");
    }
    assert_eq!(shard.interactive(edit(&format!("{second},a"), "{}")), CONFLICT, "wrong ancestor");
    let right = format!("{second},{}", &first[2..]);
    assert!(shard.interactive(edit(&right, "{}")).unwrap().starts_with("3-"));
}

#[test]
fn a_deleted_document_comes_back_only_from_nothing() {
    let mut shard = Shard::default();
    let tombstone = shard.interactive(deletion("")).unwrap();
    assert!(tombstone.starts_with("1-"), "a tombstone may be the first revision");
    assert_eq!(shard.interactive(edit(&tombstone, "{}")), CONFLICT);
    assert_eq!(shard.interactive(deletion(&tombstone)), CONFLICT);
    assert_eq!(shard.interactive(deletion("")), CONFLICT);
    assert_eq!(shard.interactive(with(vec![stub("a", None)], edit("", "{}"))), missing_stub("a"));
    let again = shard.interactive(with(vec![upload("a", None)], edit("", "{}"))).unwrap();
    assert!(again.starts_with("2-"), "it goes on from the tombstone that won");
    assert_eq!(names(shard.record(&again)), [("a", "text/plain", 1)], "as CouchDB counts");
    assert_eq!(shard.leaves(), [again]);
}

#[test]
fn a_deleted_branch_can_be_continued_while_another_lives() {
    let mut shard = Shard::default();
    shard.replicated(edit("2-b,a", "{}")).unwrap();
    shard.replicated(deletion("2-c,a")).unwrap();
    let back = shard.interactive(edit("2-c", "{}")).unwrap();
    assert_eq!(shard.leaves(), [back, "2-b".into()]);
    shard.interactive(deletion("2-b")).unwrap();
    assert!(!shard.info.unwrap().is_deleted());
}

#[test]
fn a_copied_attachment_keeps_its_generation() {
    let mut shard = Shard::default();
    let atts = vec![upload("a", Some(7)), upload("b", None)];
    let copy = shard.interactive(with(atts, edit("", "{}"))).unwrap();
    assert_eq!(names(shard.record(&copy)), [("a", "text/plain", 7), ("b", "text/plain", 1)]);
}

#[test]
fn stubs_become_what_the_replaced_revision_has() {
    let mut shard = Shard::default();
    let lost = with(vec![upload("a", None), stub("b", None)], edit("1-x", "{}"));
    assert_eq!(shard.interactive(lost), missing_stub("b"), "weighs more than the conflict");
    let first = shard.interactive(with(vec![upload("a", None)], edit("", "{}"))).unwrap();
    let atts = vec![upload("b", None), stub("a", Some(1))];
    let second = shard.interactive(with(atts, edit(&first, "{}"))).unwrap();
    let expected = [("b", "text/plain", 2), ("a", "text/plain", 1)];
    assert_eq!(names(shard.record(&second)), expected);
    for (name, revpos) in [("a", Some(2)), ("c", None)] {
        let atts = vec![stub("b", None), stub(name, revpos)];
        assert_eq!(shard.interactive(with(atts, edit(&second, "{}"))), missing_stub(name));
    }
    let stale = with(vec![stub("nothing", None)], edit(&first, "{}"));
    assert_eq!(shard.interactive(stale), CONFLICT);
    let twice = with(vec![upload("t", None), stub("t", None)], edit(&second, "{}"));
    assert_eq!(shard.interactive(twice), Err(EditError::DuplicateAttachments));
}

#[test]
fn replicated_revisions_go_where_they_belong() {
    let mut shard = Shard::default();
    assert_eq!(shard.replicated(edit("", "{}")), Err(EditError::RevRequired));
    shard.replicated(edit("3-c,b,a", "{}")).unwrap();
    assert_eq!(shard.replicated(edit("3-c", "{}")), Ok("known 3-c".into()));
    shard.replicated(edit("2-d,a", "{}")).unwrap();
    shard.replicated(edit("5-z", "{}")).unwrap();
    assert_eq!(shard.leaves(), ["5-z", "3-c", "2-d"]);
    assert_eq!(shard.replicated(edit("3-c,x", "{}")), Ok("known 3-c".into()), "no twin");
}

#[test]
fn a_known_name_can_bring_what_was_missing() {
    let mut shard = Shard::default();
    shard.replicated(edit("3-c,b", "{}")).unwrap();
    let with_att = with(vec![upload("a", None)], edit("2-b", "{}"));
    assert_eq!(shard.replicated(with_att), Ok("known 2-b".into()));
    assert_eq!(shard.replicated(edit("2-b", r#"{"v":2}"#)), Ok("2-b".into()));
    assert_eq!(shard.record("2-b").body, r#"{"v":2}"#);
    assert_eq!(shard.replicated(edit("2-b", "{}")), Ok("known 2-b".into()));
    assert_eq!(shard.replicated(edit("3-c,b,a", "{}")), Ok("3-c".into()));
    let path = shard.info.unwrap().tree.path_of(&"3-c".parse().unwrap()).unwrap();
    assert_eq!(path.ids.len(), 3);
}

/// In a made-up world each revision has one parent; this much of a branch is told.
fn world_path(pos: u64, id: u8, length: usize) -> RevPath {
    let id = |pos: u64| RevId::from_bytes(&[pos as u8, id & (0xff >> (8 - pos.min(8)))]);
    RevPath { start: pos, ids: (1..=pos).rev().map(id).take(length).collect() }
}

/// Ends and histories of all branches.
fn histories(shard: &Shard) -> Vec<RevPath> {
    let tree = &shard.info.as_ref().unwrap().tree;
    tree.leaves().iter().map(|leaf| tree.path_of(&leaf.rev()).unwrap()).collect()
}

proptest! {
    #[test]
    fn replicated_revisions_make_the_same_tree_in_any_order(
        (writes, shuffled) in prop::collection::vec((1..7_u64, 0..4_u8, 1..7_usize, any::<bool>()), 1..10)
            .prop_flat_map(|all| (Just(all.clone()), Just(all).prop_shuffle()))
    ) {
        let write = |(pos, id, length, att): &(u64, u8, usize, bool)| {
            let atts = if *att { vec![upload("a", Some(1))] } else { Vec::new() };
            DocEdit { revs: world_path(*pos, *id, *length), ..with(atts, edit("", "{}")) }
        };
        let [one, other] = [writes, shuffled].map(|writes| {
            let mut shard = Shard::default();
            writes.iter().for_each(|it| drop(shard.replicated(write(it)).unwrap()));
            histories(&shard)
        });
        prop_assert_eq!(one, other);
    }
}

#[test]
fn what_is_known_with_all_its_ancestors_is_not_written_again() {
    let mut shard = Shard::default();
    shard.replicated(edit("1-a", "{}")).unwrap();
    shard.replicated(edit("3-c", "{}")).unwrap();
    let joins = edit("3-c,b,a", "{}");
    assert_eq!(shard.replicated(joins.clone()), Ok("3-c".into()));
    assert_eq!(shard.leaves(), ["3-c"]);
    assert_eq!(shard.replicated(joins), Ok("known 3-c".into()));
    // More ancestors than there are generations.
    shard.replicated(edit("1-z,y,x,w", "{}")).unwrap();
    assert_eq!(shard.replicated(edit("1-z,y,x,w", "{}")), Ok("known 1-z".into()));
}

#[test]
fn replicated_stubs_look_for_the_nearest_stored_ancestor() {
    let mut shard = Shard::default();
    let lost = with(vec![stub("a", None)], edit("2-b,a", "{}"));
    assert_eq!(shard.replicated(lost), missing_stub("a"));
    shard.replicated(with(vec![upload("a", None)], edit("3-c", "{}"))).unwrap();
    assert_eq!(names(shard.record("3-c")), [("a", "text/plain", 0)], "as the client said, or 0");
    let far = with(vec![stub("a", Some(0)), upload("b", Some(4))], edit("6-f,e,d,c", "{}"));
    shard.replicated(far).unwrap();
    let expected = [("a", "text/plain", 0), ("b", "text/plain", 4)];
    assert_eq!(names(shard.record("6-f")), expected);
    let side = with(vec![stub("b", None)], edit("5-x,d,c", "{}"));
    assert_eq!(shard.replicated(side), missing_stub("b"), "only its own line counts");
    let apart = with(vec![stub("a", None)], edit("5-x,q", "{}"));
    assert_eq!(shard.replicated(apart), missing_stub("a"));
}

#[test]
fn local_revisions_count_from_what_the_client_names() {
    let next = |revs: &RevPath, deleted| {
        local_base(revs, deleted).map(|base| next_local_rev(base, deleted))
    };
    let rev = |text: &str| RevPath::single(text.parse().unwrap());
    assert_eq!(next(&RevPath::default(), false), Ok(1));
    assert_eq!(next(&rev("0-5"), false), Ok(6));
    assert_eq!(next(&rev("0-5"), true), Ok(0));
    assert_eq!(next(&rev("1-x"), true), Ok(0));
    for bad in ["1-5", "0-abc", "0-"] {
        assert_eq!(next(&rev(bad), false), Err(EditError::BadLocalRev), "{bad}");
    }
}

/// Recorded from Apache CouchDB 3.4.2: made deleted, brought back, deleted, brought back with an
/// attachment, and a document with that attachment from the start.
#[test]
fn revisions_are_couchdbs() {
    let bytes = |mut edit: DocEdit| {
        for att in &mut edit.atts {
            att.content_type = "application/octet-stream".into();
            if let AttSource::Uploaded(uploaded) = &mut att.source {
                uploaded.content.md5 =
                    *b"\x69\x3e\x9a\xf8\x4d\x3d\xfc\xc7\x1e\x64\x0e\x00\x5b\xdc\x5e\x2e";
            }
        }
        edit
    };
    let mut shard = Shard::default();
    let tombstone = DocEdit { deleted: true, ..edit("", r#"{"a":1}"#) };
    assert_eq!(shard.interactive(tombstone).unwrap(), "1-d753478db6d9401dc7197af10c51e5ac");
    let back = shard.interactive(edit("", r#"{"a":2}"#)).unwrap();
    assert_eq!(back, "2-eb59a0b4eb9d837995409ac1af503692");
    let gone = shard.interactive(deletion(&back)).unwrap();
    assert_eq!(gone, "3-dacb55234594ec1ab06646b98b82a546");
    let with_att = bytes(with(vec![upload("t.bin", None)], edit("", r#"{"a":3}"#)));
    let again = shard.interactive(with_att.clone()).unwrap();
    assert_eq!(again, "4-df522aaf1b136a10eebc93c1572b63e3");
    let fresh = Shard::default().interactive(with_att).unwrap();
    assert_eq!(fresh, "1-e543e7b577468072b8b59038722e0386");
}

#[test]
fn errors_speak_as_couchdb() {
    let stub = missing_stub("a/b").unwrap_err();
    assert_eq!(stub.to_string(), "Invalid attachment stub in doc for a/b");
    assert_eq!(stub.name(), "missing_stub");
    assert_eq!(EditError::Conflict.to_string(), "Document update conflict.");
}
