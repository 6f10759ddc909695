//! Reading documents: `GET` and `HEAD` of `/{db}/{docid}`, of design and local ones too. Never
//! parses a body that is stored.

use http::StatusCode;
use http::header::{ACCEPT, CONTENT_TYPE};
use settee_cluster::Db;
use settee_cluster::docs::{OpenedDoc, RevResult, Revs};
use settee_model::docid::DocId;

use super::doc_query::DocQuery;
use super::edit;
use super::play::{json_reply, stream_reply};
use crate::accept::accepts;
use crate::context::Ctx;
use crate::error::Error;
use crate::random::hex_32;
use crate::render::doc::{self, Atts};
use crate::render::multipart::{self, Boundaries};
use crate::render::{Script, etag};
use crate::reply::Reply;
use crate::users::{self, Sight};

/// `GET /{db}/{docid}`
pub async fn get(ctx: &mut Ctx, db: Db, id: DocId) -> Result<Reply, Error> {
    let query = DocQuery::parse(&ctx.query)?;
    edit::check_place(&db, &id)?;
    match &query.open_revs {
        Some(revs) => open_revs(ctx, &db, &id, revs.clone(), &query).await,
        None => {
            let options = query.open_options();
            if id.is_local() && options.rev.is_some() {
                return Err(Error::missing());
            }
            let opened = users::open_doc(ctx, &db, &id, options).await?;
            Ok(one(ctx, &db, &opened, &query))
        }
    }
}

/// One revision. It has a tag only if nothing is shown that changes without it.
fn one(ctx: &Ctx, db: &Db, opened: &OpenedDoc, query: &DocQuery) -> Reply {
    let doc = &opened.doc;
    let facts = opened.facts.as_ref().filter(|facts| query.shown.something_of(facts));
    let tag = facts.is_none().then(|| etag::of_doc(doc));
    if let Some(tag) = tag.as_deref().filter(|tag| ctx.etag_matches(tag)) {
        return Reply::not_modified(tag);
    }
    let facts = facts.map(|facts| (facts, query.shown));
    let view = query.single_view();
    let mut script = Script::with_capacity(doc.record.body.len() + 256);
    let with_atts = view.atts == Atts::Inline && !doc.record.atts.is_empty();
    let reply = if with_atts && accepts(ctx.header(&ACCEPT), "multipart/related") {
        let (view, boundary) = (multipart::following(&view), hex_32());
        multipart::related(&mut script, &boundary, doc, &view, facts);
        let media = multipart::content_type(doc, &view, &boundary);
        stream_reply(db, StatusCode::OK, script).header(CONTENT_TYPE, &media)
    } else {
        doc::write(&mut script, doc, &view, facts);
        json_reply(db, StatusCode::OK, script)
    };
    match tag {
        Some(tag) => reply.etag(&tag),
        None => reply,
    }
}

/// `open_revs`: several revisions, as JSON or as multipart.
async fn open_revs(
    ctx: &Ctx,
    db: &Db,
    id: &DocId,
    revs: Revs,
    query: &DocQuery,
) -> Result<Reply, Error> {
    let all = revs == Revs::All;
    let results = db.open_revs(id, revs, query.latest).await?;
    let results = Sight::of(ctx, db).revs(results)?;
    if all && results.is_empty() {
        return Err(Error::missing());
    }
    if accepts(ctx.header(&ACCEPT), "multipart/mixed") {
        return Ok(mixed(db, &results, query));
    }
    let view = query.multi_view();
    let mut script = Script::default();
    script.push("[");
    for (index, result) in results.iter().enumerate() {
        if index > 0 {
            script.push(",");
        }
        match result {
            RevResult::Found(found) => {
                script.push("{\"ok\":");
                doc::write(&mut script, found, &view, None);
            }
            RevResult::Missing(rev) => {
                script.push("{\"missing\":");
                doc::write_rev(script.text(), rev);
            }
        }
        script.push("}");
    }
    script.push("]");
    Ok(json_reply(db, StatusCode::OK, script))
}

fn mixed(db: &Db, results: &[RevResult], query: &DocQuery) -> Reply {
    let (outer, inner) = (hex_32(), hex_32());
    let marks = Boundaries { outer: &outer, inner: &inner };
    let view = multipart::following(&query.multi_view());
    let mut script = Script::default();
    multipart::mixed_start(&mut script, &outer);
    for result in results {
        multipart::mixed_part(&mut script, marks, result, &view);
    }
    multipart::mixed_end(&mut script);
    let media = format!("multipart/mixed; boundary=\"{outer}\"");
    stream_reply(db, StatusCode::OK, script).header(CONTENT_TYPE, &media)
}
