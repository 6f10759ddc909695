//! `validate_doc_update` of all design documents of a database, before anything is written. Each edit
//! is judged with the revision that it edits, whose content never changes: so this can be done here,
//! ahead of the write, and what is decided there about conflicts holds all the same. Design
//! documents and `_local/` documents are judged by nobody.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use settee_cluster::Db;
use settee_cluster::docs::{BulkGet, EditMode, IdRevs, RevResult, Revs};
use settee_cluster::functions::Kind;
use settee_model::doc::{AttEdit, AttSource, Attachment, DocEdit, DocRecord, StoredDoc};
use settee_model::json::{Raw, escape_into, value};
use settee_model::rev::{Rev, RevPath};
use settee_model::selector::Selector;
use settee_query::js;

use super::{Functions, document, security, text, user};
use crate::context::Ctx;
use crate::error::Error;

/// Documents that are looked up at once.
const LOOKED_UP: usize = 64;

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

/// Judges edits that nothing speaks against yet; says of each that is refused why.
///
/// # Errors
/// What concerns all of them: nobody can say which functions there are, or what they edit.
pub async fn judge(
    ctx: &Ctx,
    db: &Db,
    edits: &[DocEdit],
    mode: EditMode,
    verdicts: &mut [Option<Error>],
) -> Result<(), Error> {
    let validations = db.validations().await?;
    if validations.is_empty() {
        return Ok(());
    }
    // On the heap: most databases never come here.
    Box::pin(judge_by(ctx, db, &validations, (edits, mode), verdicts)).await
}

async fn judge_by(
    ctx: &Ctx,
    db: &Db,
    validations: &[Arc<StoredDoc>],
    (edits, mode): (&[DocEdit], EditMode),
    verdicts: &mut [Option<Error>],
) -> Result<(), Error> {
    let judged = |(place, edit): &(usize, &DocEdit)| {
        let exempt = edit.id.is_design() || edit.id.is_local();
        !exempt && verdicts.get(*place).is_some_and(Option::is_none)
    };
    let chosen: Vec<(usize, &DocEdit)> = edits.iter().enumerate().filter(judged).collect();
    let user = user(ctx, db).to_string().into_bytes();
    let told = Circumstances { user: user.into(), security: security(ctx, db) };
    for chosen in chosen.chunks(LOOKED_UP) {
        let mut subjects = Vec::with_capacity(chosen.len());
        let bases = match mode {
            EditMode::Interactive => edited(db, chosen).await?,
            EditMode::Replicated => ancestors(db, chosen).await?,
        };
        for ((place, edit), base) in chosen.iter().zip(bases) {
            match base {
                Base::Known => {}
                Base::Conflict => set(verdicts, *place, Error::Conflict),
                Base::Edits(old) => {
                    check_stubs(edit, old.as_deref(), mode)?;
                    subjects.push(subject(*place, edit, old.as_deref()));
                }
            }
        }
        for ddoc in validations {
            subjects = pass(db, ddoc, subjects, &told, verdicts).await?;
        }
    }
    Ok(())
}

fn set(verdicts: &mut [Option<Error>], place: usize, error: Error) {
    if let Some(verdict) = verdicts.get_mut(place) {
        *verdict = Some(error);
    }
}

/// What an edit is made of.
enum Base {
    /// The revision that it edits, or nothing.
    Edits(Option<Box<StoredDoc>>),
    /// It edits what is no leaf.
    Conflict,
    /// There is nothing to be written: it is here already.
    Known,
}

/// What interactive edits edit: a leaf, or nothing that lives.
async fn edited(db: &Db, edits: &[(usize, &DocEdit)]) -> Result<Vec<Base>, Error> {
    let lines = edits.iter().map(|(_, edit)| BulkGet { id: edit.id.clone(), revs: Revs::All });
    let found = db.open_many(lines.collect(), false).await?;
    let mut bases = Vec::with_capacity(edits.len());
    for ((_, edit), leaves) in edits.iter().zip(found) {
        let mut leaves = leaves?.into_iter().filter_map(stored);
        bases.push(match edit.revs.tip() {
            Some(rev) => match leaves.find(|leaf| leaf.rev().as_ref() == Some(&rev)) {
                Some(leaf) => Base::Edits(Some(Box::new(leaf))),
                None => Base::Conflict,
            },
            None if leaves.all(|leaf| leaf.deleted) => Base::Edits(None),
            None => Base::Conflict,
        });
    }
    Ok(bases)
}

/// What replicated edits come from: the nearest of their ancestors that is stored here.
async fn ancestors(db: &Db, edits: &[(usize, &DocEdit)]) -> Result<Vec<Base>, Error> {
    let own = |edit: &DocEdit| edit.revs.tip().into_iter().collect::<Vec<Rev>>();
    let asked = edits.iter().map(|(_, edit)| IdRevs { id: edit.id.clone(), revs: own(edit) });
    let unknown = db.revs_diff(asked.collect()).await?;
    let line = |edit: &DocEdit| BulkGet {
        id: edit.id.clone(),
        revs: Revs::Some(revs_of(&edit.revs).skip(1).collect()),
    };
    let lines = edits.iter().map(|(_, edit)| line(edit)).collect();
    let found = db.open_many(lines, false).await?;
    let mut bases = Vec::with_capacity(edits.len());
    for ((_, edit), (unknown, ancestors)) in edits.iter().zip(unknown.into_iter().zip(found)) {
        if unknown.missing.is_empty() {
            bases.push(Base::Known);
            continue;
        }
        let ancestors: Vec<StoredDoc> = ancestors?.into_iter().filter_map(stored).collect();
        let nearest = revs_of(&edit.revs).skip(1).find_map(|rev| {
            ancestors.iter().find(|ancestor| ancestor.rev().as_ref() == Some(&rev)).cloned()
        });
        bases.push(Base::Edits(nearest.map(Box::new)));
    }
    Ok(bases)
}

fn stored(result: RevResult) -> Option<StoredDoc> {
    match result {
        RevResult::Found(doc) => Some(doc),
        RevResult::Missing(_) => None,
    }
}

fn revs_of(path: &RevPath) -> impl Iterator<Item = Rev> {
    let pos = |back: usize| path.start.saturating_sub(back as u64);
    path.ids.iter().enumerate().map(move |(back, id)| Rev { pos: pos(back), id: id.clone() })
}

/// Of what is not there nobody is asked.
fn check_stubs(edit: &DocEdit, old: Option<&StoredDoc>, mode: EditMode) -> Result<(), Error> {
    let stored = old.map(|old| old.record.atts.as_slice()).unwrap_or_default();
    let lacks = |att: &&AttEdit| {
        matches!(att.source, AttSource::Stub) && stored.iter().all(|kept| kept.name != att.name)
    };
    match edit.atts.iter().find(lacks).filter(|_| mode == EditMode::Interactive) {
        Some(att) => {
            let (id, name) = (edit.id.to_string(), att.name.clone());
            Err(settee_cluster::Error::MissingStub { id, name }.into())
        }
        None => Ok(()),
    }
}

fn subject(place: usize, edit: &DocEdit, old: Option<&StoredDoc>) -> Subject {
    Subject { place, new: proposed(edit, old), old: old.map(|old| document(old, &[])) }
}

/// The document that an edit would make, as functions see it: with the revision that it edits, for it
/// has none of its own yet.
fn proposed(edit: &DocEdit, old: Option<&StoredDoc>) -> Vec<u8> {
    let record = DocRecord { atts: Vec::new(), body: edit.body.clone() };
    let doc =
        StoredDoc { id: edit.id.clone(), revs: edit.revs.clone(), deleted: edit.deleted, record };
    let mut out = text(&doc, true, None);
    let stored = old.map(|old| old.record.atts.as_slice()).unwrap_or_default();
    if !edit.atts.is_empty() && out.pop().is_some() {
        out.extend_from_slice(b",\"_attachments\":{");
        let from = out.len();
        edit.atts.iter().for_each(|att| write_att(&mut out, from, att, stored));
        out.extend_from_slice(b"}}");
    }
    out
}

/// One that is stored has a digest, one that is new has none yet.
fn write_att(out: &mut Vec<u8>, from: usize, att: &AttEdit, stored: &[Attachment]) {
    use base64::Engine as _;
    let kept = stored.iter().find(|kept| kept.name == att.name);
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

/// Has one design document judge; gives back the edits that pass.
async fn pass(
    db: &Db,
    ddoc: &Arc<StoredDoc>,
    subjects: Vec<Subject>,
    told: &Circumstances,
    verdicts: &mut [Option<Error>],
) -> Result<Vec<Subject>, Error> {
    if let Some(rule) =
        Raw(&ddoc.record.body).get("validate_doc_update").filter(|rule| rule.is_object())
    {
        return Ok(by_rule(rule, subjects, verdicts));
    }
    let functions = Functions::of(db, ddoc.clone());
    if let Err(error) = functions.check_language() {
        subjects.iter().for_each(|subject| set(verdicts, subject.place, error.clone()));
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
                Err(error) => set(verdicts, subject.place, Error::Script(error)),
            }
        }
    }
    Ok(passed)
}

/// A selector over both documents, in the place of a function.
fn by_rule(rule: Raw<'_>, subjects: Vec<Subject>, verdicts: &mut [Option<Error>]) -> Vec<Subject> {
    let selector = value(rule.bytes()).map_err(Error::from);
    let selector = selector.and_then(|rule| Ok(Selector::parse(&rule)?));
    let mut passed = Vec::new();
    for subject in subjects {
        let refused = match &selector {
            Ok(selector) if selector.matches(&both(&subject)) => None,
            Ok(_) => Some(Error::Forbidden("document is not valid".into())),
            Err(error) => Some(error.clone()),
        };
        match refused {
            None => passed.push(subject),
            Some(error) => set(verdicts, subject.place, error),
        }
    }
    passed
}

fn both(subject: &Subject) -> Vec<u8> {
    let old = subject.old.as_deref().unwrap_or(b"null");
    [b"{\"newDoc\":", subject.new.as_slice(), b",\"oldDoc\":", old, b"}"].concat()
}
