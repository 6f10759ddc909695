//! What all writing of documents has in common: the rules for ids and revisions, attachments that
//! are uploaded before the edit, and the edit itself. Never reads a request's body, and makes up no
//! revision: shards do, by `model::edit`.

use http::StatusCode;
use http::header::LOCATION;
use settee_cluster::attachment::{EditUploads, UploadOptions, Uploads};
use settee_cluster::docs::{EditMode, EditResult, UpdateOptions};
use settee_cluster::{Db, Error as ClusterError};
use settee_model::ddoc;
use settee_model::doc::{AttEdit, AttSource, DocEdit, Encoding, Uploaded};
use settee_model::docid::{self, DocId};
use settee_model::json::{AttData, ParsedAtt, ParsedDoc, escape_into};
use settee_model::partition;
use settee_model::rev::{Rev, RevPath};

use super::doc_query::copies;
use super::functions::validate;
use crate::compile;
use crate::context::Ctx;
use crate::error::Error;
use crate::percent::push_segment;
use crate::render::doc::write_rev;
use crate::reply::Reply;
use crate::settings::Settings;
use crate::users::{self, Written};

#[cfg(test)]
mod tests;

/// Checks an id that is only looked for: in a partitioned database it names a partition.
///
/// # Errors
/// 400 `illegal_docid`.
pub fn need_partition(db: &Db, id: &DocId) -> Result<(), Error> {
    match db.meta().partitioned {
        true => Ok(partition::require(id)?),
        false => Ok(()),
    }
}

/// The same, unless it is one that no document can have.
///
/// # Errors
/// 400 `illegal_docid`.
pub fn check_place(db: &Db, id: &DocId) -> Result<(), Error> {
    if id.as_str().starts_with('_') { Ok(()) } else { need_partition(db, id) }
}

/// Checks an id that is to be written.
///
/// # Errors
/// 400 `illegal_docid`, `illegal_partition`.
pub fn check_id(ctx: &Ctx, db: &Db, id: &DocId) -> Result<(), Error> {
    let longest = ctx.settings.max_document_id_length;
    docid::check(id.as_str(), longest)?;
    if db.meta().partitioned {
        partition::check_doc_id(id, longest)?;
    }
    Ok(())
}

/// The revision that a request names beside its body: by the parameter `rev`, by `If-Match`, or by
/// both if they agree.
///
/// # Errors
/// 400 if one is no revision, or if they differ.
pub fn named_rev(rev: Option<&Rev>, if_match: Option<&str>) -> Result<Option<Rev>, Error> {
    let matched = if_match.map(|tag| tag.trim_matches('"').parse::<Rev>()).transpose()?;
    match (rev, matched) {
        (None, matched) => Ok(matched),
        (Some(rev), None) => Ok(Some(rev.clone())),
        (Some(rev), Some(matched)) if *rev == matched => Ok(Some(matched)),
        _ => Err(Error::bad_request("Document rev and etag have different values")),
    }
}

/// The revisions of an edit: those of the body, which the request may repeat but not contradict,
/// or else the one that the request names.
///
/// # Errors
/// 400 if one is no revision, or if they differ.
pub fn agreed_revs(
    body: RevPath,
    rev: Option<&str>,
    if_match: Option<&str>,
) -> Result<RevPath, Error> {
    let rev = rev.map(str::parse::<Rev>).transpose()?;
    let Some(tip) = body.tip() else {
        let named = named_rev(rev.as_ref(), if_match)?;
        return Ok(named.map(RevPath::single).unwrap_or_default());
    };
    if rev.is_some_and(|rev| rev != tip) {
        return Err(Error::bad_request(
            "Document rev from request body and query string have different values",
        ));
    }
    named_rev(Some(&tip), if_match)?;
    Ok(body)
}

/// A replicated edit must say which revision it is.
///
/// # Errors
/// 400.
pub fn check_revs(revs: &RevPath, mode: EditMode) -> Result<(), Error> {
    if mode == EditMode::Replicated && revs.ids.is_empty() {
        let reason = "When `new_edits: false`, the document needs `_rev` or `_revisions` specified";
        return Err(Error::bad_request(reason));
    }
    Ok(())
}

/// The edit that a request's document asks for under `id`. Whatever id the document itself names
/// means nothing here.
///
/// # Errors
/// Revisions that contradict each other; attachments that cannot be stored.
pub async fn from_request(
    ctx: &Ctx,
    db: &Db,
    id: DocId,
    mut doc: ParsedDoc,
    mode: EditMode,
) -> Result<DocEdit, Error> {
    let body_revs = std::mem::take(&mut doc.revs);
    doc.revs = agreed_revs(body_revs, ctx.query.get("rev"), ctx.if_match().as_deref())?;
    check_revs(&doc.revs, mode)?;
    build(ctx, &db.uploads(), id, doc, mode).await
}

/// A document as an edit; what it has of attachments is uploaded before it. Local
/// documents have none, whatever they say.
///
/// # Errors
/// Attachments that cannot be stored, or that are said to follow where nothing follows.
pub async fn build(
    ctx: &Ctx,
    uploads: &Uploads,
    id: DocId,
    doc: ParsedDoc,
    mode: EditMode,
) -> Result<DocEdit, Error> {
    let mut atts = Vec::with_capacity(doc.atts.len());
    if !doc.atts.is_empty() && !id.is_local() {
        let uploads = uploads.of(&id)?;
        for att in doc.atts {
            atts.push(inline_or_stub(ctx, &uploads, att, mode).await?);
        }
    }
    let revs = match mode {
        EditMode::Interactive => doc.revs.tip().map(RevPath::single).unwrap_or_default(),
        EditMode::Replicated => doc.revs,
    };
    Ok(DocEdit { id, revs, deleted: doc.deleted, body: doc.body, atts })
}

/// An attachment whose bytes stand in its document, or are stored already.
///
/// # Errors
/// As [`build`].
pub async fn inline_or_stub(
    ctx: &Ctx,
    uploads: &EditUploads,
    att: ParsedAtt,
    mode: EditMode,
) -> Result<AttEdit, Error> {
    let (revpos, source) = match att.data {
        AttData::Stub => (att.revpos, AttSource::Stub),
        AttData::Inline(bytes) => {
            let options = upload_options(&ctx.settings, &att.content_type, Encoding::Identity);
            let mut upload = uploads.begin(options);
            if !bytes.is_empty() {
                upload.write(bytes).await?;
            }
            let uploaded = upload.finish().await?.uploaded;
            (new_revpos(att.revpos, mode), AttSource::Uploaded(uploaded))
        }
        AttData::Follows { .. } => {
            let reason = format!("Attachment {} follows nowhere", att.name);
            return Err(Error::BadRequest(reason.into()));
        }
    };
    Ok(AttEdit { name: att.name, content_type: att.content_type, revpos, source })
}

/// The generation of an attachment that comes with its bytes: an interactive edit gives its own,
/// whatever the client says.
#[must_use]
pub fn new_revpos(said: Option<u64>, mode: EditMode) -> Option<u64> {
    match mode {
        EditMode::Interactive => None,
        EditMode::Replicated => Some(said.unwrap_or(0)),
    }
}

/// An attachment of one's own making.
#[must_use]
pub fn new_att(name: String, content_type: String, uploaded: Uploaded) -> AttEdit {
    AttEdit { name, content_type, revpos: None, source: AttSource::Uploaded(uploaded) }
}

/// How to store an attachment of a media type.
#[must_use]
pub fn upload_options(settings: &Settings, media: &str, encoding: Encoding) -> UploadOptions {
    let level = Some(settings.compression_level).filter(|level| (1..=9).contains(level));
    let compress = level.filter(|_| {
        encoding == Encoding::Identity && is_compressible(&settings.compressible_types, media)
    });
    UploadOptions { encoding, compress }
}

/// Whether a media type, with or without its parameters, is one of `types`, in which a star
/// stands for anything.
fn is_compressible(types: &[String], media: &str) -> bool {
    let media = media.trim().to_ascii_lowercase();
    let bare = media.split(';').next().unwrap_or_default().trim_end();
    types.iter().any(|pattern| {
        [media.as_str(), bare].into_iter().any(|media| match pattern.split_once('*') {
            None => media == pattern,
            Some((start, end)) => media.strip_prefix(start).is_some_and(|rest| rest.ends_with(end)),
        })
    })
}

/// The parameter `w`, and what the operator allows.
///
/// # Errors
/// 400 for what is no number.
pub fn update_options(ctx: &Ctx) -> Result<UpdateOptions, Error> {
    let w = ctx.query.get("w").map(|w| copies("w", w)).transpose()?;
    Ok(UpdateOptions { w, max_partition_size: ctx.settings.max_partition_size })
}

/// Makes edits; one result for each, in order.
///
/// # Errors
/// What concerns the whole request: a stub of an attachment that is not there is as bad as that.
pub async fn submit(
    ctx: &Ctx,
    db: &Db,
    mut edits: Vec<DocEdit>,
    mode: EditMode,
    options: UpdateOptions,
) -> Result<Vec<Result<Saved, Error>>, Error> {
    let settled = sift(ctx, db, &mut edits, mode).await?;
    let mut results = Vec::new().into_iter();
    if !edits.is_empty() {
        let _written = Written::of(ctx, db, edits.iter().map(|edit| &edit.id));
        results = db.update(edits, mode, options).await?.into_iter();
    }
    let mut saved = Vec::with_capacity(settled.len());
    for settled in settled {
        saved.push(match settled {
            Some(answer) => answer,
            None => outcome(results.next())?,
        });
    }
    Ok(saved)
}

/// What is answered to an edit that is not written: that it is here already, or why it is refused.
pub type Settled = Option<Result<Saved, Error>>;

/// Takes edits that are settled without being written out of the others.
async fn sift(
    ctx: &Ctx,
    db: &Db,
    edits: &mut Vec<DocEdit>,
    mode: EditMode,
) -> Result<Vec<Settled>, Error> {
    users::prepare(ctx, db, edits, mode).await?;
    let mut settled: Vec<Settled> =
        edits.iter().map(|edit| refusal(ctx, db, edit).map(Err)).collect();
    compile::judge(edits, &mut settled, &ctx.settings.functions.limits).await?;
    validate::put_conflicts_first(db, edits, mode, &mut settled).await?;
    validate::judge(ctx, db, edits, mode, &mut settled).await?;
    if settled.iter().any(Option::is_some) {
        let mut settled = settled.iter();
        edits.retain(|_| settled.next().is_some_and(Option::is_none));
    }
    Ok(settled)
}

/// Those of some edits against which nothing speaks yet.
///
/// # Errors
/// When that cannot be said.
pub async fn allowed(
    ctx: &Ctx,
    db: &Db,
    mut edits: Vec<DocEdit>,
    mode: EditMode,
) -> Result<Vec<DocEdit>, Error> {
    sift(ctx, db, &mut edits, mode).await?;
    Ok(edits)
}

fn outcome(result: Option<EditResult>) -> Result<Result<Saved, Error>, Error> {
    let Some(EditResult { result, accepted }) = result else {
        return Err(Error::Internal("internal_server_error", "an edit has no result".into()));
    };
    match result {
        Ok(rev) => Ok(Ok(Saved { rev, accepted })),
        Err(error @ ClusterError::MissingStub { .. }) => Err(error.into()),
        Err(error) => Ok(Err(error.into())),
    }
}

/// Why an edit is not even tried: design documents are for administrators, and have a shape.
fn refusal(ctx: &Ctx, db: &Db, edit: &DocEdit) -> Option<Error> {
    if !edit.id.is_design() {
        return None;
    }
    let checked =
        ctx.require_db_admin(db).and_then(|()| Ok(ddoc::check(&edit.body, db.meta().partitioned)?));
    checked.err()
}

/// Makes one edit.
///
/// # Errors
/// Why it could not be made.
pub async fn submit_one(ctx: &Ctx, db: &Db, edit: DocEdit, mode: EditMode) -> Result<Saved, Error> {
    let options = update_options(ctx)?;
    let mut results = submit(ctx, db, vec![edit], mode, options).await?;
    results
        .pop()
        .unwrap_or(Err(Error::Internal("internal_server_error", "an edit has no result".into())))
}

/// An edit that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Saved {
    /// The new revision.
    pub rev: Rev,
    /// Fewer copies than wanted have it so far.
    pub accepted: bool,
}

impl Saved {
    /// 202 if more copies were wanted, `done` otherwise.
    #[must_use]
    pub fn status(&self, done: StatusCode) -> StatusCode {
        if self.accepted { StatusCode::ACCEPTED } else { done }
    }

    /// `{"ok":true,"id":…,"rev":…}`, without a status of its own.
    #[must_use]
    pub fn reply(&self, id: &DocId, done: StatusCode) -> Reply {
        let mut out = Vec::with_capacity(96);
        write_ok(&mut out, id);
        out.extend_from_slice(b",\"rev\":");
        write_rev(&mut out, &self.rev);
        out.push(b'}');
        Reply::json(self.status(done), out)
    }
}

/// `{"ok":true,"id":…`, open.
pub fn write_ok(out: &mut Vec<u8>, id: &DocId) {
    out.extend_from_slice(b"{\"ok\":true,\"id\":");
    escape_into(out, id.as_str());
}

/// The answer to `batch=ok`.
#[must_use]
pub fn batched(id: &DocId) -> Reply {
    let mut out = Vec::with_capacity(64);
    write_ok(&mut out, id);
    out.push(b'}');
    Reply::json(StatusCode::ACCEPTED, out)
}

/// Adds the document's own address.
#[must_use]
pub fn with_location(reply: Reply, ctx: &Ctx, db: &Db, id: &DocId) -> Reply {
    let mut path = String::from("/");
    push_segment(&mut path, db.name().as_str());
    path.push('/');
    push_segment(&mut path, id.as_str());
    reply.header(LOCATION, &ctx.absolute_uri(&path))
}
