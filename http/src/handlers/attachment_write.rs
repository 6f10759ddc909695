//! Writing an attachment by itself: `PUT` and `DELETE` of `/{db}/{docid}/{attname}`. The bytes are
//! uploaded as they come; the document's other attachments stay where they are. Never holds one whole,
//! and compresses nothing: the coordinator does.

use http::StatusCode;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, LOCATION};
use settee_cluster::docs::{EditMode, OpenOptions};
use settee_cluster::{Db, Error as ClusterError};
use settee_model::doc::{DocEdit, Encoding, StoredDoc, Uploaded};
use settee_model::docid::DocId;
use settee_model::json::check_attachment_name;
use settee_model::rev::{Rev, RevPath};

use super::attachment::find;
use super::edit;
use crate::body::Length;
use crate::context::Ctx;
use crate::error::Error;
use crate::percent::push_segment;
use crate::reply::Reply;

/// `PUT /{db}/{docid}/{attname}`
pub async fn put(ctx: &mut Ctx, db: Db, id: DocId, name: String) -> Result<Reply, Error> {
    check_attachment_name(&name)?;
    let encoding = encoding(ctx.header(&CONTENT_ENCODING))?;
    let media = ctx.header_lossy(&CONTENT_TYPE).unwrap_or("application/octet-stream".into());
    let media = media.into_owned();
    let mut edit = match named_rev(ctx)? {
        Some(rev) => {
            edit::check_place(&db, &id)?;
            open_rev(&db, &id, &rev).await?.into_edit()
        }
        None => {
            edit::check_id(ctx, &db, &id)?;
            new_doc(id.clone())
        }
    };
    edit.atts.retain(|att| att.name != name);
    let options = edit::upload_options(&ctx.settings, &media, encoding);
    let mut upload = db.uploads().of(&id)?.begin(options);
    let most = check_length(ctx, &name)?;
    let mut sum = 0;
    while let Some(piece) = ctx.body.chunk().await? {
        sum += piece.len() as u64;
        if sum > most {
            return Err(Error::AttachmentTooLarge(name));
        }
        upload.write(piece).await?;
    }
    let uploaded: Uploaded = upload.finish().await?.uploaded;
    edit.atts.insert(0, edit::new_att(name.clone(), media, uploaded));
    let saved = edit::submit_one(ctx, &db, edit, EditMode::Interactive).await?;
    let location = location(ctx, &db, &id, &name);
    Ok(saved.reply(&id, StatusCode::CREATED).header(LOCATION, &location))
}

/// `DELETE /{db}/{docid}/{attname}`
pub async fn delete(ctx: &mut Ctx, db: Db, id: DocId, name: String) -> Result<Reply, Error> {
    check_attachment_name(&name)?;
    let rev = named_rev(ctx)?;
    edit::check_place(&db, &id)?;
    let Some(rev) = rev else {
        let opened = db.open_doc(&id, OpenOptions::default()).await?;
        find(opened.doc.record.atts, &name)?;
        return Err(Error::Conflict);
    };
    let doc = open_rev(&db, &id, &rev).await?;
    find(doc.record.atts.clone(), &name)?;
    let mut edit = doc.into_edit();
    edit.atts.retain(|att| att.name != name);
    let mut saved = edit::submit_one(ctx, &db, edit, EditMode::Interactive).await?;
    saved.accepted = false;
    Ok(saved.reply(&id, StatusCode::OK))
}

/// The revision that is to be edited.
///
/// # Errors
/// 409 if it is not stored.
pub async fn open_rev(db: &Db, id: &DocId, rev: &Rev) -> Result<StoredDoc, Error> {
    let options = OpenOptions { rev: Some(rev.clone()), ..OpenOptions::default() };
    match db.open_doc(id, options).await {
        Ok(opened) => Ok(opened.doc),
        Err(ClusterError::NotFound { .. }) => Err(Error::MissingRev),
        Err(error) => Err(error.into()),
    }
}

fn new_doc(id: DocId) -> DocEdit {
    let body = bytes::Bytes::from_static(b"{}");
    DocEdit { id, revs: RevPath::default(), deleted: false, body, atts: Vec::new() }
}

fn named_rev(ctx: &Ctx) -> Result<Option<Rev>, Error> {
    let rev = ctx.query.get("rev").map(str::parse::<Rev>).transpose()?;
    edit::named_rev(rev.as_ref(), ctx.if_match().as_deref())
}

fn encoding(header: Option<&str>) -> Result<Encoding, Error> {
    let name = header.unwrap_or("identity").trim();
    if name.eq_ignore_ascii_case("identity") {
        Ok(Encoding::Identity)
    } else if name.eq_ignore_ascii_case("gzip") {
        Ok(Encoding::Gzip)
    } else {
        let reason = "Only gzip and identity content-encodings are supported";
        Err(Error::BadContentType(reason.into()))
    }
}

/// How many bytes may come: what says its length is refused at once if it says too much.
fn check_length(ctx: &Ctx, name: &str) -> Result<u64, Error> {
    let most = ctx.settings.max_attachment_size;
    match ctx.body.length() {
        Length::Known(length) if length > most => Err(Error::AttachmentTooLarge(name.to_owned())),
        Length::Chunked => Ok(most.min(ctx.settings.max_http_request_size)),
        _ => Ok(most),
    }
}

/// The attachment's address; of the database's name CouchDB encodes nothing here.
fn location(ctx: &Ctx, db: &Db, id: &DocId, name: &str) -> String {
    let mut path = format!("/{}/", db.name());
    push_segment(&mut path, id.as_str());
    path.push('/');
    push_segment(&mut path, name);
    ctx.absolute_uri(&path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_ignore_case_and_space() {
        assert_eq!(encoding(None), Ok(Encoding::Identity));
        assert_eq!(encoding(Some(" Gzip ")), Ok(Encoding::Gzip));
        assert_eq!(encoding(Some("br")).unwrap_err().info().0, 415);
    }
}
