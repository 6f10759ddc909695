//! `POST /{db}/_bulk_docs`: many edits in one request, each with a result of its own. The body is
//! brought into stored form in one pass and cut into documents without being parsed again. Never undoes
//! an edit because another one failed.

use http::StatusCode;
use settee_cluster::Db;
use settee_cluster::docs::EditMode;
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::json::{Elements, Raw, escape_into, normalise, split_doc};
use settee_model::partition;
use settee_model::rev::Rev;

use super::edit::{self, Saved};
use crate::context::Ctx;
use crate::error::Error;
use crate::render::doc::write_rev;
use crate::reply::{Reply, error_members};
use crate::stats::stats;

/// `POST /{db}/_bulk_docs`
pub async fn post(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    ctx.require_json()?;
    let body = ctx.body.json().await?;
    let stored = normalise(&body, &ctx.settings.json_limits())?;
    drop(body);
    let request = Raw(&stored);
    if !request.is_object() {
        return Err(Error::bad_request("Request body must be a JSON object"));
    }
    // The documents are long: pass over them once.
    let [docs, w, new_edits, all_or_nothing] =
        request.pick(["docs", "w", "new_edits", "all_or_nothing"]);
    let docs = documents(docs)?;
    let mut options = edit::update_options(ctx)?;
    if let Some(w) = w.and_then(Raw::as_i64) {
        options.w = Some(u32::try_from(w.max(1)).unwrap_or(u32::MAX));
    }
    let mode = mode(new_edits)?;
    let edits = read(ctx, &db, docs, mode).await?;
    let all_or_nothing = all_or_nothing.and_then(Raw::as_bool) == Some(true);
    drop(stored);
    let named: Vec<Named> = edits.iter().map(|edit| (edit.id.clone(), edit.revs.tip())).collect();
    if mode == EditMode::Interactive && all_or_nothing && !named.is_empty() {
        let refusal = Error::Internal("not_implemented", "all_or_nothing is not supported".into());
        let rows = named.iter().map(|edit| (edit, &refusal));
        return Ok(Reply::json(StatusCode::EXPECTATION_FAILED, failures(rows)));
    }
    let results = edit::submit(ctx, &db, edits, mode, options).await?;
    stats().count_bulk(named.len());
    let rows = match mode {
        EditMode::Interactive => all_results(&named, &results),
        EditMode::Replicated => {
            let rows = named.iter().zip(&results);
            failures(rows.filter_map(|(edit, result)| Some((edit, result.as_ref().err()?))))
        }
    };
    Ok(Reply::json(status(&results), rows))
}

/// What an edit is about: the document, and the revision that the client named.
type Named = (DocId, Option<Rev>);

fn documents(docs: Option<Raw<'_>>) -> Result<Elements<'_>, Error> {
    let docs =
        docs.ok_or_else(|| Error::bad_request("POST body must include `docs` parameter."))?;
    docs.elements().ok_or_else(|| Error::bad_request("`docs` parameter must be an array."))
}

fn mode(new_edits: Option<Raw<'_>>) -> Result<EditMode, Error> {
    match new_edits.map(Raw::as_bool) {
        None | Some(Some(true)) => Ok(EditMode::Interactive),
        Some(Some(false)) => Ok(EditMode::Replicated),
        Some(None) => Err(Error::bad_request("`new_edits` parameter must be a boolean.")),
    }
}

/// All documents are read and checked before the first attachment is stored.
async fn read(
    ctx: &Ctx,
    db: &Db,
    docs: Elements<'_>,
    mode: EditMode,
) -> Result<Vec<DocEdit>, Error> {
    let limits = ctx.settings.json_limits();
    let partitioned = db.meta().partitioned;
    let mut parsed = Vec::new();
    for raw in docs {
        let mut doc = split_doc(&raw, &limits)?;
        edit::check_revs(&doc.revs, mode)?;
        let id = doc.id.take().unwrap_or_else(|| DocId::trusted(&ctx.new_uuid()));
        if partitioned {
            partition::check_doc_id(&id, limits.id_length)?;
        }
        parsed.push((id, doc));
    }
    let mut edits = Vec::with_capacity(parsed.len());
    let uploads = db.uploads();
    for (id, doc) in parsed {
        edits.push(edit::build(ctx, &uploads, id, doc, mode).await?);
    }
    Ok(edits)
}

fn status(results: &[Result<Saved, Error>]) -> StatusCode {
    let accepted = |result: &Result<Saved, Error>| matches!(result, Ok(saved) if saved.accepted);
    if results.iter().any(accepted) { StatusCode::ACCEPTED } else { StatusCode::CREATED }
}

fn all_results(edits: &[Named], results: &[Result<Saved, Error>]) -> Vec<u8> {
    let mut out = Vec::with_capacity(2 + 96 * edits.len());
    out.push(b'[');
    for ((id, _), result) in edits.iter().zip(results) {
        separate(&mut out);
        match result {
            Ok(saved) => {
                edit::write_ok(&mut out, id);
                out.extend_from_slice(b",\"rev\":");
                write_rev(&mut out, &saved.rev);
                out.extend_from_slice(if saved.accepted { b",\"accepted\":true}" } else { b"}" });
            }
            Err(error) => {
                out.extend_from_slice(b"{\"id\":");
                escape_into(&mut out, id.as_str());
                end_error(&mut out, error);
            }
        }
    }
    out.push(b']');
    out
}

/// Rows that name the revision too; those of edits that were made are left out before.
fn failures<'a>(rows: impl Iterator<Item = (&'a Named, &'a Error)>) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for ((id, rev), error) in rows {
        separate(&mut out);
        out.extend_from_slice(b"{\"id\":");
        escape_into(&mut out, id.as_str());
        out.extend_from_slice(b",\"rev\":");
        match rev {
            Some(rev) => write_rev(&mut out, rev),
            None => out.extend_from_slice(b"\"0-\""),
        }
        end_error(&mut out, error);
    }
    out.push(b']');
    out
}

fn separate(out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
}

fn end_error(out: &mut Vec<u8>, error: &Error) {
    out.push(b',');
    out.extend_from_slice(error_members(error).get(1..).unwrap_or_default());
}

#[cfg(test)]
mod tests {
    use super::*;
    fn text(rows: Vec<u8>) -> String {
        String::from_utf8(rows).unwrap()
    }

    fn saved(accepted: bool) -> Result<Saved, Error> {
        Ok(Saved { rev: "1-x".parse().unwrap(), accepted })
    }

    fn named(id: &str, rev: Option<&str>) -> Named {
        (DocId::trusted(id), rev.map(|rev| rev.parse().unwrap()))
    }

    #[test]
    fn results_stand_in_the_order_of_the_documents() {
        let edits = [named("a", None), named("b\"", Some("1-q")), named("c", None)];
        let results = [saved(false), Err(Error::Conflict), saved(true)];
        assert_eq!(
            text(all_results(&edits, &results)),
            "[{\"ok\":true,\"id\":\"a\",\"rev\":\"1-x\"},\
             {\"id\":\"b\\\"\",\"error\":\"conflict\",\"reason\":\"Document update conflict.\"},\
             {\"ok\":true,\"id\":\"c\",\"rev\":\"1-x\",\"accepted\":true}]"
        );
        assert_eq!(text(all_results(&[], &[])), "[]");
        assert_eq!(status(&results), StatusCode::ACCEPTED);
        assert_eq!(status(&results[..2]), StatusCode::CREATED);
    }

    #[test]
    fn failures_name_the_revision() {
        let edits = [named("a", Some("1-x")), named("b", None)];
        let rows = edits.iter().map(|edit| (edit, &Error::Conflict));
        assert_eq!(
            text(failures(rows)),
            "[{\"id\":\"a\",\"rev\":\"1-x\",\"error\":\"conflict\",\
             \"reason\":\"Document update conflict.\"},\
             {\"id\":\"b\",\"rev\":\"0-\",\"error\":\"conflict\",\
             \"reason\":\"Document update conflict.\"}]"
        );
    }

    #[test]
    fn new_edits_must_be_a_boolean() {
        assert_eq!(mode(None), Ok(EditMode::Interactive));
        assert_eq!(mode(Some(Raw(b"false"))), Ok(EditMode::Replicated));
        assert!(mode(Some(Raw(b"3"))).is_err());
        assert!(documents(Some(Raw(b"{}"))).is_err());
        assert_eq!(documents(Some(Raw(b"[1,2]"))).unwrap().count(), 2);
    }
}
