//! `validate_doc_update` of all design documents of a database, before anything is written. Each edit
//! is judged with the revision that it edits, whose content never changes: so this can be done here,
//! ahead of the write, and what is decided there about conflicts holds all the same. Design
//! documents and `_local/` documents are judged by nobody.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use settee_cluster::Db;
use settee_cluster::docs::EditMode;
use settee_cluster::functions::{Kind, Validation};
use settee_model::doc::{AttEdit, AttSource, Attachment, DocEdit, DocRecord, StoredDoc};
use settee_model::json::escape_into;
use settee_model::selector::{Selector, SelectorError};
use settee_query::js;

use super::base::{Base, bases};
use super::{Functions, document, security, text, user};
use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::edit::{Saved, Settled};
use crate::off::off_thread;

/// Documents that are looked up at once.
const LOOKED_UP: usize = 16;
/// Bytes of documents that are judged together, and not much more than are held.
const TOGETHER: usize = 1 << 20;

/// The attachments of a revision by name.
type StoredAtts<'a> = HashMap<&'a str, &'a Attachment>;

/// An edit to be judged.
struct Subject {
    /// Its place among the verdicts.
    place: usize,
    new: Vec<u8>,
    old: Option<Vec<u8>>,
}

/// What every function is told beside documents.
#[derive(Clone)]
struct Circumstances {
    user: Arc<[u8]>,
    security: Bytes,
}

impl Subject {
    fn size(&self) -> usize {
        self.new.len() + self.old.as_ref().map_or(0, Vec::len)
    }
}

/// Judges edits that are not settled yet; those that are refused are settled, and those of which there is
/// nothing to be written.
///
/// # Errors
/// What concerns all of them: nobody can say which functions there are, or what they edit.
pub async fn judge(
    ctx: &Ctx,
    db: &Db,
    edits: &[DocEdit],
    mode: EditMode,
    settled: &mut [Settled],
) -> Result<(), Error> {
    let validations = db.validations().await?;
    if validations.is_empty() {
        return Ok(());
    }
    // On the heap: most databases never come here.
    Box::pin(judge_by(ctx, db, &validations, (edits, mode), settled)).await
}

/// Puts conflicts in the place of other refusals: who edits what is no leaf hears that first, as in
/// CouchDB.
///
/// # Errors
/// Shards that cannot be read.
pub async fn put_conflicts_first(
    db: &Db,
    edits: &[DocEdit],
    mode: EditMode,
    settled: &mut [Settled],
) -> Result<(), Error> {
    let refused = |settled: &&mut Settled| matches!(settled, Some(Err(_)));
    let pairs = edits.iter().zip(settled).filter(|(_, settled)| refused(settled));
    let (refused, settled): (Vec<&DocEdit>, Vec<&mut Settled>) = pairs.unzip();
    if refused.is_empty() {
        return Ok(());
    }
    for (base, settled) in bases(db, &refused, mode).await?.into_iter().zip(settled) {
        if matches!(base, Base::Conflict) {
            *settled = Some(Err(Error::Conflict));
        }
    }
    Ok(())
}

async fn judge_by(
    ctx: &Ctx,
    db: &Db,
    validations: &[Validation],
    (edits, mode): (&[DocEdit], EditMode),
    settled: &mut [Settled],
) -> Result<(), Error> {
    let judged = |(place, edit): &(usize, &DocEdit)| {
        let exempt = edit.id.is_design() || edit.id.is_local();
        !exempt && settled.get(*place).is_some_and(Option::is_none)
    };
    let (places, chosen): (Vec<usize>, Vec<&DocEdit>) =
        edits.iter().enumerate().filter(judged).unzip();
    let mut places = places.into_iter();
    let user = user(ctx, db).to_string().into_bytes();
    let told = Circumstances { user: user.into(), security: security(ctx, db) };
    let mut subjects = Vec::new();
    for some in chosen.chunks(LOOKED_UP) {
        let bases = bases(db, some, mode).await?;
        for ((edit, base), place) in some.iter().zip(bases).zip(places.by_ref()) {
            match base {
                Base::Known(rev) => settle(settled, place, Ok(Saved { rev, accepted: false })),
                Base::Conflict => settle(settled, place, Err(Error::Conflict)),
                Base::Edits(old) => {
                    let atts = stored(old.as_deref());
                    check_stubs(edit, &atts, mode)?;
                    let old = old.as_deref().map(|old| document(old, &[]));
                    subjects.push(Subject { place, new: proposed(edit, &atts), old });
                }
            }
        }
        if subjects.iter().map(Subject::size).sum::<usize>() >= TOGETHER {
            pass_all(db, validations, mem::take(&mut subjects), &told, settled).await?;
        }
    }
    pass_all(db, validations, subjects, &told, settled).await
}

async fn pass_all(
    db: &Db,
    validations: &[Validation],
    mut subjects: Vec<Subject>,
    told: &Circumstances,
    settled: &mut [Settled],
) -> Result<(), Error> {
    for Validation { ddoc, selector } in validations {
        if subjects.is_empty() {
            break;
        }
        subjects = match selector {
            Some(selector) => by_selector(selector, subjects, settled).await?,
            None => by_function(db, ddoc, subjects, told, settled).await?,
        };
    }
    Ok(())
}

fn settle(settled: &mut [Settled], place: usize, answer: Result<Saved, Error>) {
    if let Some(settled) = settled.get_mut(place) {
        *settled = Some(answer);
    }
}

/// The attachments of a revision by name: there may be as many as a request can hold.
fn stored(old: Option<&StoredDoc>) -> StoredAtts<'_> {
    let atts = old.map(|old| old.record.atts.as_slice()).unwrap_or_default();
    atts.iter().map(|att| (att.name.as_str(), att)).collect()
}

/// Of what is not there nobody is asked.
fn check_stubs(edit: &DocEdit, stored: &StoredAtts<'_>, mode: EditMode) -> Result<(), Error> {
    let lacks = |att: &&AttEdit| {
        matches!(att.source, AttSource::Stub) && !stored.contains_key(att.name.as_str())
    };
    match edit.atts.iter().find(lacks).filter(|_| mode == EditMode::Interactive) {
        Some(att) => {
            let (id, name) = (edit.id.to_string(), att.name.clone());
            Err(settee_cluster::Error::MissingStub { id, name }.into())
        }
        None => Ok(()),
    }
}

/// The document that an edit would make, as functions see it: with the revision that it edits, for it
/// has none of its own yet.
fn proposed(edit: &DocEdit, stored: &StoredAtts<'_>) -> Vec<u8> {
    let record = DocRecord { atts: Vec::new(), body: edit.body.clone() };
    let doc =
        StoredDoc { id: edit.id.clone(), revs: edit.revs.clone(), deleted: edit.deleted, record };
    let mut out = text(&doc, true, None);
    if !edit.atts.is_empty() && out.pop().is_some() {
        out.extend_from_slice(b",\"_attachments\":{");
        let from = out.len();
        edit.atts.iter().for_each(|att| write_att(&mut out, from, att, stored));
        out.extend_from_slice(b"}}");
    }
    out
}

/// One that is stored has a digest, one that is new has none yet.
fn write_att(out: &mut Vec<u8>, from: usize, att: &AttEdit, stored: &StoredAtts<'_>) {
    use base64::Engine as _;
    let kept = stored.get(att.name.as_str());
    let (media, length, rest) = match (&att.source, kept) {
        (AttSource::Uploaded(new), _) => {
            (&att.content_type, new.content.length, format!("{}", att.revpos.unwrap_or(0)))
        }
        (AttSource::Stub, Some(kept)) => {
            let digest = base64::engine::general_purpose::STANDARD.encode(kept.content.md5);
            let rest = format!("{},\"digest\":\"md5-{digest}\"", kept.revpos);
            (&kept.content_type, kept.content.length, rest)
        }
        (AttSource::Stub, None) => return,
    };
    if out.len() > from {
        out.push(b',');
    }
    escape_into(out, &att.name);
    out.extend_from_slice(b":{\"content_type\":");
    escape_into(out, media);
    out.extend_from_slice(
        format!(",\"revpos\":{rest},\"length\":{length},\"stub\":true}}").as_bytes(),
    );
}

/// Has the function of one design document judge; gives back the edits that pass.
async fn by_function(
    db: &Db,
    ddoc: &Arc<StoredDoc>,
    subjects: Vec<Subject>,
    told: &Circumstances,
    settled: &mut [Settled],
) -> Result<Vec<Subject>, Error> {
    let functions = Functions::of(db, ddoc.clone());
    if let Err(error) = functions.check_language() {
        subjects.iter().for_each(|subject| settle(settled, subject.place, Err(error.clone())));
        return Ok(Vec::new());
    }
    let limit = db.function_time() / 2;
    let (mut left, mut passed) = (subjects, Vec::new());
    while !left.is_empty() {
        let told = told.clone();
        let judged = functions.run(Kind::Batch, move |design| {
            let began = Instant::now();
            let mut results = Vec::with_capacity(left.len());
            for Subject { new, old, .. } in &left {
                results.push(design.validate(new, old.as_deref(), &told.user, &told.security));
                if began.elapsed() > limit {
                    break;
                }
            }
            Ok((left, results))
        });
        let (mut subjects, results): (Vec<Subject>, Vec<Result<(), js::Error>>) = judged.await?;
        left = subjects.split_off(results.len().min(subjects.len()));
        for (subject, result) in subjects.into_iter().zip(results) {
            match result {
                Ok(()) => passed.push(subject),
                Err(error) => settle(settled, subject.place, Err(Error::Script(error))),
            }
        }
    }
    Ok(passed)
}

/// The same with a selector over both documents, in the place of a function.
async fn by_selector(
    selector: &Result<Arc<Selector>, SelectorError>,
    subjects: Vec<Subject>,
    settled: &mut [Settled],
) -> Result<Vec<Subject>, Error> {
    let selector = selector.clone();
    let judge = move || {
        let refusal = |subject: &Subject| match &selector {
            Ok(selector) if selector.matches(&both(subject)) => None,
            Ok(_) => Some(Error::Forbidden("document is not valid".into())),
            Err(error) => Some(error.clone().into()),
        };
        let refusals: Vec<Option<Error>> = subjects.iter().map(refusal).collect();
        subjects.into_iter().zip(refusals).collect::<Vec<_>>()
    };
    let mut passed = Vec::new();
    for (subject, refusal) in off_thread(judge).await? {
        match refusal {
            None => passed.push(subject),
            Some(error) => settle(settled, subject.place, Err(error)),
        }
    }
    Ok(passed)
}

fn both(subject: &Subject) -> Vec<u8> {
    let old = subject.old.as_deref().unwrap_or(b"null");
    [b"{\"newDoc\":", subject.new.as_slice(), b",\"oldDoc\":", old, b"}"].concat()
}
