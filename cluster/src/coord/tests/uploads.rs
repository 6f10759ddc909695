//! Attachments go to all copies, and one that breaks off is left out.

use std::time::Duration;

use bytes::Bytes;
use settee_engine::shard::{Batch, Write};
use settee_model::doc::{AttBytes, AttContent, AttEdit, AttSource, Encoding, Hold};

use super::*;
use crate::attachment::{AttStream, EditUploads, UploadOptions, Uploads, is_held};
use crate::tests::edit;

const PLAIN: UploadOptions = UploadOptions { encoding: Encoding::Identity, compress: None };

fn attached(doc: &str, parent: Option<&Rev>, atts: Vec<(&str, AttSource)>) -> DocEdit {
    let att = |(name, source): (&str, AttSource)| AttEdit {
        name: name.into(),
        content_type: "text/plain".into(),
        revpos: None,
        source,
    };
    DocEdit { atts: atts.into_iter().map(att).collect(), ..edit(doc, "{}", parent) }
}

/// Bytes that are not all the same.
fn bytes(length: u32) -> Vec<u8> {
    (0..length).map(|n| (n.wrapping_mul(2_654_435_761) >> 20) as u8).collect()
}

async fn read(copy: ShardCopy, content: &AttContent) -> Result<Vec<u8>, Error> {
    let mut stream = AttStream::new(Ok(copy), content, None, true);
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece?);
    }
    Ok(all)
}

#[tokio::test]
async fn every_copy_has_the_bytes_and_stubs_keep_them() {
    let nodes = Nodes::three().await;
    let database = nodes.database(1);
    let packed = UploadOptions { compress: Some(6), ..PLAIN };
    let mut contents = Vec::new();
    let mut atts = Vec::new();
    for (name, length, options) in
        [("large", 1_500_000, PLAIN), ("packed", 700_000, packed), ("small", 5, PLAIN)]
    {
        let mut upload = EditUploads::to(database.copies(0).unwrap().to_vec()).begin(options);
        for piece in bytes(length).chunks(100_000) {
            upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        let finished = upload.finish().await.unwrap();
        contents.push((length, finished.uploaded.content.clone()));
        atts.push((name, AttSource::Uploaded(finished.uploaded)));
    }
    let (first, accepted) = put(&database, attached("doc", None, atts), 3).await.unwrap();
    assert!(!accepted);
    let names = ["large", "packed", "small"];
    let stubs = names.map(|name| (name, AttSource::Stub)).to_vec();
    let (second, accepted) = put(&database, attached("doc", Some(&first), stubs), 3).await.unwrap();
    assert!(!accepted);
    for at in 0..3 {
        nodes.has(at, "doc", &second).await;
        let doc = nodes.copy(at).open(id("doc"), OpenOptions::default()).await.unwrap().doc;
        assert_eq!(doc.record.atts.iter().map(|att| att.revpos).collect::<Vec<_>>(), [1; 3]);
        for (length, content) in &contents {
            assert!(read(nodes.copy(at), content).await.unwrap() == bytes(*length));
        }
    }
}

#[tokio::test]
async fn a_copy_that_breaks_off_is_left_out() {
    for down in 0..3 {
        let mut nodes = Nodes::three().await;
        let database = nodes.database(if down == 1 { 2 } else { 1 });
        put(&database, edit("first", "{}", None), 3).await.unwrap();
        let mut upload = EditUploads::to(database.copies(0).unwrap().to_vec()).begin(PLAIN);
        for (number, piece) in bytes(3_000_000).chunks(100_000).enumerate() {
            upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
            if number == 10 {
                nodes.all[down].kill();
            }
        }
        let finished = upload.finish().await.unwrap();
        // It comes back before the edit, and must not be asked to find what it never got.
        nodes.all[down].revive();
        let content = finished.uploaded.content.clone();
        let source = AttSource::Uploaded(finished.uploaded);
        let made = attached("doc", None, vec![("att", source)]);
        let (rev, accepted) = put(&database, made, 3).await.unwrap();
        assert!(accepted, "{down}");
        for at in (0..3).filter(|at| *at != down) {
            nodes.has(at, "doc", &rev).await;
            assert!(read(nodes.copy(at), &content).await.unwrap() == bytes(3_000_000));
        }
        assert!(nodes.leaves(down, "doc").await.is_empty());
    }
}

#[tokio::test]
async fn an_upload_fails_when_all_copies_do() {
    let mut nodes = Nodes::three().await;
    let database = nodes.database(3);
    let mut upload = EditUploads::to(database.copies(0).unwrap().to_vec()).begin(PLAIN);
    upload.write(Bytes::from(vec![1; 300_000])).await.unwrap();
    nodes.all.iter_mut().for_each(Far::kill);
    let error = upload.finish().await.err();
    assert!(matches!(error, Some(Error::Unreachable(_))), "{error:?}");
    let mut again = EditUploads::to(database.copies(0).unwrap().to_vec()).begin(PLAIN);
    let again = again.write(Bytes::from(vec![1; 300_000])).await.err();
    assert!(matches!(again, Some(Error::Unreachable(_))), "{again:?}");
}

/// Waits until all nodes are believed to be alive, or one is not.
async fn all_live(database: &Database, wanted: bool) {
    while database.copies(0).unwrap().iter().all(ShardCopy::is_live) != wanted {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_small_one_comes_with_its_edit_even_to_a_copy_that_was_away() {
    let mut nodes = Nodes::three().await;
    let database = nodes.database(1);
    put(&database, edit("first", "{}", None), 3).await.unwrap();
    nodes.all[2].kill();
    all_live(&database, false).await;
    let mut upload = EditUploads::to(database.copies(0).unwrap().to_vec()).begin(PLAIN);
    upload.write(bytes(30_000).into()).await.unwrap();
    let finished = upload.finish().await.unwrap();
    nodes.all[2].revive();
    all_live(&database, true).await;
    let content = finished.uploaded.content.clone();
    let made = attached("doc", None, vec![("att", AttSource::Uploaded(finished.uploaded))]);
    let (rev, accepted) = put(&database, made, 3).await.unwrap();
    assert!(!accepted);
    for at in 0..3 {
        nodes.has(at, "doc", &rev).await;
        assert!(read(nodes.copy(at), &content).await.unwrap() == bytes(30_000));
    }
}

#[tokio::test]
async fn an_edit_may_have_any_number_of_them() {
    let nodes = Nodes::three().await;
    let database = nodes.database(1);
    // Those that come along, and those that go ahead; more than the streams that a node may have open
    // to another one.
    for (count, length) in [(2_000_u32, 4), (1_100, 33_000)] {
        let uploads = EditUploads::to(database.copies(0).unwrap().to_vec());
        let bytes = |number: u32| {
            let mut bytes = vec![0; length];
            bytes[..4].copy_from_slice(&number.to_le_bytes());
            bytes
        };
        let (mut atts, mut contents) = (Vec::new(), Vec::new());
        for number in 0..count {
            let mut upload = uploads.begin(PLAIN);
            upload.write(bytes(number).into()).await.unwrap();
            let uploaded = upload.finish().await.unwrap().uploaded;
            contents.push(uploaded.content.clone());
            atts.push((format!("{number}"), AttSource::Uploaded(uploaded)));
        }
        drop(uploads);
        let named = atts.iter().map(|(name, source)| (name.as_str(), source.clone())).collect();
        let doc = format!("doc{length}");
        let (rev, accepted) = put(&database, attached(&doc, None, named), 3).await.unwrap();
        assert!(!accepted);
        for at in 0..3 {
            nodes.has(at, &doc, &rev).await;
            for number in [0, 1, count / 2, count - 1] {
                let read = read(nodes.copy(at), &contents[number as usize]).await.unwrap();
                assert!(read == bytes(number), "{number}");
            }
        }
    }
}

#[tokio::test]
async fn a_request_may_have_any_number_of_edits_with_them() {
    let nodes = Nodes::three().await;
    let database = nodes.database(1);
    let uploads = Uploads::new(nodes.database(1).into());
    let bytes = |number: u32| [&number.to_le_bytes()[..], &[0; 33_000]].concat();
    // More than the streams that a node may have open to another one, and none is written before all
    // are there.
    let mut edits = Vec::new();
    for number in 0..1_100 {
        let name = format!("doc{number}");
        let mut upload = uploads.of(&id(&name)).unwrap().begin(PLAIN);
        upload.write(bytes(number).into()).await.unwrap();
        let uploaded = upload.finish().await.unwrap().uploaded;
        let content = uploaded.content.clone();
        let edit = attached(&name, None, vec![("att", AttSource::Uploaded(uploaded))]);
        edits.push((number, content, edit));
    }
    drop(uploads);
    for (number, content, edit) in edits.into_iter().step_by(157) {
        let (_, accepted) = put(&database, edit, 3).await.unwrap();
        assert!(!accepted);
        for at in 0..3 {
            assert!(read(nodes.copy(at), &content).await.unwrap() == bytes(number), "{number}");
        }
    }
}

#[tokio::test]
async fn a_copy_that_fails_at_an_edit_is_not_asked_for_what_it_held_before() {
    let mut nodes = Nodes::three().await;
    let uploads = Uploads::new(nodes.database(1).into());
    let upload = async |name: &str| {
        let mut upload = uploads.of(&id(name)).unwrap().begin(PLAIN);
        upload.write(bytes(300_000).into()).await.unwrap();
        upload.finish().await.unwrap().uploaded.bytes
    };
    let AttBytes::Held(first) = upload("first").await else { panic!() };
    let homes: Vec<_> = nodes.database(1).copies(0).unwrap().iter().map(ShardCopy::home).collect();
    let held = |hold: &Hold| homes.iter().filter(|home| is_held(hold, home)).count();
    assert_eq!(held(&first), 3);
    nodes.all[2].kill();
    let AttBytes::Held(second) = upload("second").await else { panic!() };
    assert_eq!((held(&first), held(&second)), (2, 2));
    nodes.all[2].revive();
    let AttBytes::Held(third) = upload("third").await else { panic!() };
    assert_eq!((held(&first), held(&third)), (2, 2));
}

#[tokio::test]
async fn one_that_is_given_up_does_not_take_the_others_with_it() {
    let nodes = Nodes::three().await;
    let database = nodes.database(1);
    let uploads = EditUploads::to(database.copies(0).unwrap().to_vec());
    let mut contents = Vec::new();
    let mut atts = Vec::new();
    for (name, length) in [("a", 300_000), ("given up", 600_000), ("b", 400_000)] {
        let mut upload = uploads.begin(PLAIN);
        for piece in bytes(length).chunks(100_000) {
            upload.write(Bytes::copy_from_slice(piece)).await.unwrap();
        }
        if name != "given up" {
            let uploaded = upload.finish().await.unwrap().uploaded;
            contents.push((length, uploaded.content.clone()));
            atts.push((name, AttSource::Uploaded(uploaded)));
        }
    }
    let (_, accepted) = put(&database, attached("doc", None, atts), 3).await.unwrap();
    assert!(!accepted);
    for at in 0..3 {
        for (length, content) in &contents {
            assert!(read(nodes.copy(at), content).await.unwrap() == bytes(*length));
        }
    }
}

#[tokio::test]
async fn bytes_that_are_not_what_their_names_say_are_refused() {
    let nodes = Nodes::three().await;
    let database = nodes.database(1);
    let mut upload = EditUploads::to(database.copies(0).unwrap().to_vec()).begin(PLAIN);
    upload.write(Bytes::from_static(b"bytes")).await.unwrap();
    let mut uploaded = upload.finish().await.unwrap().uploaded;
    uploaded.content.chunks[0].hash[0] ^= 1;
    let made = attached("doc", None, vec![("att", AttSource::Uploaded(uploaded))]);
    assert_eq!(put(&database, made.clone(), 3).await, Err(Error::AttachmentMismatch));
    let other =
        database.copies(0).unwrap().iter().find(|copy| matches!(copy, ShardCopy::Remote(_)));
    let refused = other.unwrap().write(Batch::of(vec![Write::Interactive(made)])).await;
    assert_eq!(refused, Err(Error::AttachmentMismatch));
    for at in 0..3 {
        assert!(nodes.leaves(at, "doc").await.is_empty());
    }
}
