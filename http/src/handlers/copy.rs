//! `COPY /{db}/{docid}`: a revision becomes a new document, or a new revision of another one. The
//! source's history does not come along, and the way never leads to another database.

use http::StatusCode;
use settee_cluster::Db;
use settee_cluster::attachment::{EditUploads, UploadOptions};
use settee_cluster::docs::{EditMode, OpenOptions};
use settee_model::doc::{AttEdit, AttSource, Attachment, DocEdit, StoredDoc};
use settee_model::docid::DocId;
use settee_model::rev::{Rev, RevPath};

use super::edit;
use crate::context::Ctx;
use crate::error::Error;
use crate::headers;
use crate::percent::{NOT_UTF_8, Plus, decode};
use crate::reply::Reply;
use crate::users;

/// `COPY /{db}/{docid}`
pub async fn copy(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    let rev = ctx.query.get("rev").map(str::parse::<Rev>).transpose()?;
    let rev = edit::named_rev(rev.as_ref(), ctx.if_match().as_deref())?;
    let no_text = || Error::IllegalDocId(NOT_UTF_8.into());
    let header = ctx.headers.get("destination");
    let header = header.map(|header| headers::text(header).ok_or_else(no_text)).transpose()?;
    let (target, target_rev) = destination(header, ctx.settings.plus)?;
    let target = DocId::trusted(&target);
    edit::check_id(ctx, &db, &target)?;
    edit::check_place(&db, &id)?;
    if id.is_local() && rev.is_some() {
        return Err(Error::missing());
    }
    let options = OpenOptions { rev, ..OpenOptions::default() };
    let opened = users::open_doc(ctx, &db, &id, options).await?;
    let edit = DocEdit {
        id: target.clone(),
        revs: target_rev.map(RevPath::single).unwrap_or_default(),
        deleted: opened.doc.deleted,
        body: opened.doc.record.body.clone(),
        atts: copy_atts(&db, &opened.doc, &target).await?,
    };
    let saved = edit::submit_one(ctx, &db, edit, EditMode::Interactive).await?;
    let reply = saved.reply(&target, StatusCode::CREATED).etag(&format!("\"{}\"", saved.rev));
    Ok(edit::with_location(reply, ctx, &db, &target))
}

/// The id and the revision that a `Destination` header names.
fn destination(header: Option<&str>, plus: Plus) -> Result<(String, Option<Rev>), Error> {
    let header =
        header.ok_or_else(|| Error::bad_request("Destination header is mandatory for COPY."))?;
    if header.starts_with("http://") || header.starts_with("https://") {
        return Err(Error::bad_request("Destination URL must be relative."));
    }
    let (id, rev) = match header.split_once('?') {
        None => (header, None),
        Some((id, query)) => {
            let rev = query.split_once('=').map_or("", |(_, rev)| rev);
            // One revision and nothing else: whoever says more means something that is not done.
            if rev.contains(['=', '?']) {
                return Err(Error::bad_request("Destination may name a revision only."));
            }
            (id, Some(rev.parse()?))
        }
    };
    Ok((decode(id, plus)?.into_owned(), rev))
}

/// The target may lie in another shard, so bytes go there as they are stored; in the same shard
/// they are found to be there already. Local documents have no attachments.
async fn copy_atts(db: &Db, source: &StoredDoc, target: &DocId) -> Result<Vec<AttEdit>, Error> {
    let mut atts = Vec::with_capacity(source.record.atts.len());
    if target.is_local() {
        return Ok(atts);
    }
    let uploads = db.uploads().of(target)?;
    for att in &source.record.atts {
        atts.push(copy_att(db, source, &uploads, att).await?);
    }
    Ok(atts)
}

async fn copy_att(
    db: &Db,
    source: &StoredDoc,
    uploads: &EditUploads,
    att: &Attachment,
) -> Result<AttEdit, Error> {
    let options = UploadOptions { encoding: att.content.encoding, compress: None };
    let mut upload = uploads.begin(options);
    let mut bytes = db.read_attachment(&source.id, &att.content, None, false);
    while let Some(piece) = bytes.next().await {
        upload.write(piece?).await?;
    }
    let mut uploaded = upload.finish().await?.uploaded;
    uploaded.content.length = att.content.length;
    Ok(AttEdit {
        name: att.name.clone(),
        content_type: att.content_type.clone(),
        revpos: Some(att.revpos),
        source: AttSource::Uploaded(uploaded),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn destinations_are_decoded_and_may_name_a_revision() {
        let of = |text| destination(Some(text), Plus::Space).unwrap();
        assert_eq!(of("c%20b/d"), ("c b/d".to_owned(), None));
        assert_eq!(of("/db/x"), ("/db/x".to_owned(), None));
        assert_eq!(of("a?rev=1-x"), ("a".to_owned(), Some("1-x".parse().unwrap())));
        let bad = ["http://a/b", "https://a", "a?rev=zz", "a?x", "a?rev=1-x&y=z", "a?rev=1-x?y"];
        for bad in bad.map(Some).into_iter().chain([None]) {
            assert_eq!(destination(bad, Plus::Space).unwrap_err().info().0, 400, "{bad:?}");
        }
    }
}
