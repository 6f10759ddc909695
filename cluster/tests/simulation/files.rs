//! Clients that attach files to documents, and keep them with edits that name them only.

use bytes::Bytes;
use settee_cluster::attachment::UploadOptions;
use settee_cluster::docs::{EditMode, OpenOptions};
use settee_cluster::{Db, Error};
use settee_model::doc::{AttEdit, AttSource, DocEdit, Encoding, Uploaded};
use settee_model::docid::DocId;
use settee_model::rev::RevPath;

use crate::clients::{Client, edit};

/// What attachments are called.
const NAME: &str = "file";

fn att(source: AttSource) -> AttEdit {
    let content_type = "application/octet-stream".into();
    AttEdit { name: NAME.into(), content_type, revpos: None, source }
}

impl Client {
    /// Edits a document with a new file.
    pub async fn attach(&mut self, db: &Db) {
        let id = self.some_doc();
        let Some(revs) = self.read_doc(db, id.clone()).await else { return };
        // What travels with its edit (up to 32 KiB), what goes ahead of it, and what does so in pieces.
        let length = match self.chance.below(8) {
            0 => self.chance.below(400_000),
            1 | 2 => 32_766 + self.chance.below(5),
            _ => self.chance.below(20_000),
        };
        let mut bytes = vec![0; length as usize];
        bytes.fill_with(|| self.chance.next() as u8);
        let bytes = Bytes::from(bytes);
        let uploaded = match self.ask(upload(db, &id, bytes.clone())).await {
            Ok(uploaded) => uploaded,
            Err(error) => {
                let name = &self.name;
                self.load.history.note(|| format!("{name} uploaded nothing to {id}: {error:?}"));
                return;
            }
        };
        self.write_with(db, id, revs, att(AttSource::Uploaded(uploaded)), bytes).await;
    }

    /// Edits a document that has a file, and keeps it.
    pub async fn stub(&mut self, db: &Db) {
        let id = self.some_doc();
        let Ok(found) = self.ask(db.open_doc(&id, OpenOptions::default())).await else { return };
        let Some(rev) = found.doc.rev().filter(|_| !found.doc.record.atts.is_empty()) else {
            return;
        };
        // Of an answer that was lost nobody knows which revision has which file.
        let bytes =
            self.load.history.with(|kept| kept.files.get(&(id.clone(), rev.clone())).cloned());
        let Some(bytes) = bytes else { return };
        self.write_with(db, id, RevPath::single(rev), att(AttSource::Stub), bytes).await;
    }

    async fn write_with(&mut self, db: &Db, id: DocId, revs: RevPath, att: AttEdit, bytes: Bytes) {
        let edit = DocEdit { atts: vec![att], ..edit(id.clone(), revs, false, self.body()) };
        if let Ok(rev) = self.put(db, edit, EditMode::Interactive).await {
            self.load.history.with(|kept| kept.files.insert((id, rev), bytes));
        }
    }
}

async fn upload(db: &Db, id: &DocId, bytes: Bytes) -> Result<Uploaded, Error> {
    let options = UploadOptions { encoding: Encoding::Identity, compress: None };
    let mut upload = db.uploads().of(id)?.begin(options);
    for piece in bytes.chunks(50_000) {
        upload.write(Bytes::copy_from_slice(piece)).await?;
    }
    Ok(upload.finish().await?.uploaded)
}
