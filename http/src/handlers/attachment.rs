//! Reading an attachment by itself: `GET` and `HEAD` of `/{db}/{docid}/{attname}`, whole or in
//! ranges, as it is stored or unpacked. Touches none of the bytes: they are places in a script, which
//! `play` fills.

use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_RANGE, CONTENT_TYPE,
    RANGE,
};
use settee_cluster::Db;
use settee_cluster::docs::OpenOptions;
use settee_model::doc::{Attachment, Encoding};
use settee_model::docid::DocId;

use super::doc_query::DocQuery;
use super::edit;
use super::play::stream_reply;
use crate::accept::accepts_gzip;
use crate::context::Ctx;
use crate::csp;
use crate::error::Error;
use crate::random::hex_32;
use crate::render::range::{self, Ranges};
use crate::render::{Form, Script, etag, multipart};
use crate::reply::Reply;
use crate::users;

/// `GET /{db}/{docid}/{attname}`
pub async fn get(ctx: &mut Ctx, db: Db, id: DocId, name: String) -> Result<Reply, Error> {
    let query = DocQuery::parse(&ctx.query)?;
    edit::check_place(&db, &id)?;
    let options = OpenOptions {
        rev: query.rev,
        latest: query.latest,
        deleted: query.deleted,
        r: query.r,
        ..OpenOptions::default()
    };
    let opened = users::open_doc(ctx, &db, &id, options).await?;
    let att = find(opened.doc.record.atts, &name)?;
    let tag = etag::of_attachment(&att.content);
    if ctx.etag_matches(&tag) {
        return Ok(Reply::not_modified(&tag));
    }
    send(ctx, &db, &id, &att, &tag)
}

/// The attachment of that name.
///
/// # Errors
/// 404.
pub fn find(atts: Vec<Attachment>, name: &str) -> Result<Attachment, Error> {
    let found = atts.into_iter().find(|att| att.name == name);
    found.ok_or_else(|| Error::NotFound("Document is missing attachment".into()))
}

fn send(ctx: &Ctx, db: &Db, id: &DocId, att: &Attachment, tag: &str) -> Result<Reply, Error> {
    let content = &att.content;
    let mut script = Script::default();
    if content.encoding == Encoding::Gzip {
        let packed = accepts_gzip(ctx.header(&ACCEPT_ENCODING));
        // Sent whole, but a range of nothing is refused all the same where the length is known.
        if packed || content.length != content.stored_length {
            let length = if packed { content.stored_length } else { content.length };
            range::parse(ctx.header(&RANGE), length)?;
        }
        script.att(id, content, if packed { Form::Stored } else { Form::Decoded });
        let reply = with_headers(ctx, stream_reply(db, StatusCode::OK, script), att, (tag, "none"));
        return Ok(if packed { reply.header(CONTENT_ENCODING, "gzip") } else { reply });
    }
    match range::parse(ctx.header(&RANGE), content.length)? {
        Ranges::Whole => {
            script.att(id, content, Form::Stored);
            Ok(with_headers(ctx, stream_reply(db, StatusCode::OK, script), att, (tag, "bytes")))
        }
        Ranges::One(from, to) => {
            script.att(id, content, Form::Range(from, to + 1));
            let reply = stream_reply(db, StatusCode::PARTIAL_CONTENT, script);
            let range = format!("bytes {from}-{to}/{}", content.length);
            Ok(with_headers(ctx, reply, att, (tag, "bytes")).header(CONTENT_RANGE, &range))
        }
        Ranges::Many(ranges) => {
            let boundary = hex_32();
            let whose = (id, att.content_type.as_str());
            multipart::byteranges(&mut script, &boundary, whose, content, &ranges);
            let media = format!("multipart/byteranges; boundary=\"{boundary}\"");
            let reply = stream_reply(db, StatusCode::PARTIAL_CONTENT, script);
            Ok(reply.header(CONTENT_TYPE, &media))
        }
    }
}

/// What a stranger uploaded must not run as a page of this server: hence the sandbox.
fn with_headers(ctx: &Ctx, reply: Reply, att: &Attachment, (tag, ranges): (&str, &str)) -> Reply {
    let mut reply = reply
        .etag(tag)
        .header(CACHE_CONTROL, "must-revalidate")
        .header(CONTENT_TYPE, &att.content_type)
        .header(ACCEPT_RANGES, ranges);
    csp::restrict(&mut reply.headers, ctx.settings.csp.attachments.as_ref());
    reply
}
