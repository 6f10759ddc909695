//! `POST /{db}/_bulk_docs`: many edits in one request, each with a result of its own. The body is
//! brought into stored form in one pass and cut into documents without being parsed again.

use http::StatusCode;
use settee_cluster::Db;
use settee_cluster::docs::EditMode;
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::json::{Elements, Raw, escape_into, normalise, split_doc};

use super::edit::{self, Saved};
use crate::context::Ctx;
use crate::error::Error;
use crate::render::doc::write_rev;
use crate::reply::Reply;

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
    let docs = documents(request)?;
    let mut options = edit::update_options(ctx)?;
    if let Some(w) = request.get("w").and_then(Raw::as_i64) {
        options.w = Some(u32::try_from(w.max(1)).unwrap_or(u32::MAX));
    }
    let mode = mode(request)?;
    let edits = read(ctx, &db, docs, mode).await?;
    if request.get("all_or_nothing").and_then(Raw::as_bool) == Some(true) {
        return Ok(all_or_nothing(&edits));
    }
    drop(stored);
    match mode {
        EditMode::Interactive => {
            let ids: Vec<DocId> = edits.iter().map(|edit| edit.id.clone()).collect();
            let results = edit::submit(ctx, &db, edits, mode, options).await?;
            Ok(all_results(&ids, &results))
        }
        EditMode::Replicated => {
            let tips: Vec<_> =
                edits.iter().map(|edit| (edit.id.clone(), edit.revs.tip())).collect();
            let results = edit::submit(ctx, &db, edits, mode, options).await?;
            let mut out = b"[".to_vec();
            for ((id, rev), result) in tips.iter().zip(&results) {
                let Err(error) = result else { continue };
                start_row(&mut out, id);
                if let Some(rev) = rev {
                    out.extend_from_slice(b",\"rev\":");
                    write_rev(&mut out, rev);
                }
                end_error(&mut out, error);
            }
            out.push(b']');
            Ok(Reply::json(status(&results), out))
        }
    }
}

fn documents<'a>(request: Raw<'a>) -> Result<Elements<'a>, Error> {
    let docs = request
        .get("docs")
        .ok_or_else(|| Error::bad_request("POST body must include `docs` parameter."))?;
    docs.elements().ok_or_else(|| Error::bad_request("`docs` parameter must be an array."))
}

/// Long gone from CouchDB, which refuses each document by itself.
fn all_or_nothing(edits: &[DocEdit]) -> Reply {
    let mut out = b"[".to_vec();
    for edit in edits {
        start_row(&mut out, &edit.id);
        out.extend_from_slice(b",\"rev\":\"0-\",\"error\":\"not_implemented\",");
        out.extend_from_slice(b"\"reason\":\"all_or_nothing is not supported\"}");
    }
    out.push(b']');
    Reply::json(StatusCode::EXPECTATION_FAILED, out)
}

fn mode(request: Raw<'_>) -> Result<EditMode, Error> {
    match request.get("new_edits").map(Raw::as_bool) {
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
    let mut parsed = Vec::new();
    for raw in docs {
        let mut doc = split_doc(&raw, &limits)?;
        edit::check_revs(&doc.revs, mode)?;
        let id = doc.id.take().unwrap_or_else(|| DocId::trusted(&ctx.new_uuid()));
        edit::check_id(ctx, db, &id)?;
        parsed.push((id, doc));
    }
    let mut edits = Vec::with_capacity(parsed.len());
    for (id, doc) in parsed {
        edits.push(edit::build(ctx, db, id, doc, mode).await?);
    }
    Ok(edits)
}

fn status(results: &[Result<Saved, Error>]) -> StatusCode {
    let accepted = |result: &Result<Saved, Error>| matches!(result, Ok(saved) if saved.accepted);
    if results.iter().any(accepted) { StatusCode::ACCEPTED } else { StatusCode::CREATED }
}

fn all_results(ids: &[DocId], results: &[Result<Saved, Error>]) -> Reply {
    let mut out = Vec::with_capacity(2 + 96 * ids.len());
    out.push(b'[');
    for (id, result) in ids.iter().zip(results) {
        match result {
            Ok(saved) => {
                separate(&mut out);
                edit::write_ok(&mut out, id);
                out.extend_from_slice(b",\"rev\":");
                write_rev(&mut out, &saved.rev);
                out.extend_from_slice(if saved.accepted { b",\"accepted\":true}" } else { b"}" });
            }
            Err(error) => {
                start_row(&mut out, id);
                end_error(&mut out, error);
            }
        }
    }
    out.push(b']');
    Reply::json(status(results), out)
}

fn separate(out: &mut Vec<u8>) {
    if out.len() > 1 {
        out.push(b',');
    }
}

fn start_row(out: &mut Vec<u8>, id: &DocId) {
    separate(out);
    out.extend_from_slice(b"{\"id\":");
    escape_into(out, id.as_str());
}

fn end_error(out: &mut Vec<u8>, error: &Error) {
    let (_, name, reason) = error.info();
    out.extend_from_slice(b",\"error\":");
    escape_into(out, name);
    out.extend_from_slice(b",\"reason\":");
    escape_into(out, &reason);
    out.push(b'}');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reply::ReplyBody;

    fn text(reply: Reply) -> (u16, String) {
        let ReplyBody::Full(bytes) = reply.body else { panic!("a stream") };
        (reply.status.as_u16(), String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn saved(accepted: bool) -> Result<Saved, Error> {
        Ok(Saved { rev: "1-x".parse().unwrap(), accepted })
    }

    #[test]
    fn results_stand_in_the_order_of_the_documents() {
        let ids = ["a", "b\"", "c"].map(DocId::trusted);
        let (status, body) =
            text(all_results(&ids, &[saved(false), Err(Error::Conflict), saved(true)]));
        assert_eq!(status, 202);
        assert_eq!(
            body,
            "[{\"ok\":true,\"id\":\"a\",\"rev\":\"1-x\"},\
             {\"id\":\"b\\\"\",\"error\":\"conflict\",\"reason\":\"Document update conflict.\"},\
             {\"ok\":true,\"id\":\"c\",\"rev\":\"1-x\",\"accepted\":true}]\n"
        );
        assert_eq!(text(all_results(&[], &[])), (201, "[]\n".to_owned()));
        assert_eq!(text(all_results(&ids[..1], &[Err(Error::Conflict)])).0, 201);
    }

    #[test]
    fn new_edits_must_be_a_boolean() {
        assert_eq!(mode(Raw(b"{}")), Ok(EditMode::Interactive));
        assert_eq!(mode(Raw(b"{\"new_edits\":false}")), Ok(EditMode::Replicated));
        assert!(mode(Raw(b"{\"new_edits\":3}")).is_err());
        assert!(documents(Raw(b"{\"docs\":{}}")).is_err());
        assert_eq!(documents(Raw(b"{\"docs\":[1,2]}")).unwrap().count(), 2);
    }
}
