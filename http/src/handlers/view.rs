//! `_design/{ddoc}/_view/{view}` and its `queries`, also of one partition, and `_info`. Builds no
//! index; what parameters mean is said by `listing` and `view_query`.

use std::sync::Arc;

use http::StatusCode;
use serde_json::json;
use settee_cluster::docs::{Facts, OpenedDoc};
use settee_cluster::views::{LineDoc, LineValue, ViewHead, ViewLine, ViewQuery, ViewRows};
use settee_cluster::{Db, DesignDoc};
use settee_model::json::{self as stored, Raw};
use settee_query::view::Definition;

use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::all_docs::{Shape, shape};
use crate::handlers::play::play;
use crate::handlers::rows;
use crate::listing::{self, Listing};
use crate::render::Script;
use crate::render::doc::{self, Shown, View};
use crate::reply::{Reply, Sink, push_string};
use crate::route::Method;
use crate::view_query;

/// What follows the design document in the path.
const ALLOWED: &str = "GET,POST,HEAD";

/// Whatever is asked of `_view` in a design document that is there; `rest` is what follows.
///
/// # Errors
/// 404 for unknown views, 405, `query_parse_error`.
pub async fn any(
    ctx: &mut Ctx,
    db: Db,
    opened: OpenedDoc,
    rest: &[String],
    partition: Option<String>,
) -> Result<Reply, Error> {
    let named = |view| Named { ddoc: ddoc(&db, opened), db, view, partition };
    match (rest, ctx.method) {
        ([view], Method::Get) => {
            let listing = Listing::of_view(&ctx.query)?;
            named(view).answer(ctx, listing).await
        }
        ([view], Method::Post) => {
            let listing = posted(ctx).await?;
            named(view).answer(ctx, listing).await
        }
        ([view, last], Method::Post) if last == "queries" => named(view).queries(ctx).await,
        ([_, last], _) if last == "queries" => Err(Error::MethodNotAllowed("POST")),
        _ => Err(Error::MethodNotAllowed(ALLOWED)),
    }
}

/// A design document as far as its views depend on it.
pub fn ddoc(db: &Db, opened: OpenedDoc) -> Arc<DesignDoc> {
    let OpenedDoc { doc, .. } = opened;
    let partitioned = db.meta().partitioned;
    Arc::new(DesignDoc::new(doc.id.as_str(), doc.record.body, partitioned))
}

/// What a `POST` asks, in its body and in its query.
async fn posted(ctx: &mut Ctx) -> Result<Listing, Error> {
    let body = ctx.json_object().await?;
    if body.get("queries").is_some() {
        listing::body_queries(&body)?;
        let reason = "The `queries` parameter is no longer supported at this endpoint";
        return Err(Error::bad_request(reason));
    }
    if body.get("keys").is_some_and(|keys| !keys.is_array()) {
        return Err(Error::bad_request("`keys` member must be an array."));
    }
    Listing::of_view_body(&body, &ctx.query)
}

/// A view as a path names it.
struct Named<'a> {
    db: Db,
    ddoc: Arc<DesignDoc>,
    view: &'a str,
    partition: Option<String>,
}

impl Named<'_> {
    async fn answer(self, ctx: &Ctx, listing: Listing) -> Result<Reply, Error> {
        let listing = self.in_partition(listing);
        let (shape, query) = self.query(ctx, &self.ddoc.definition()?, listing)?;
        view_query::check_order(&query)?;
        let db = self.db;
        let rows = db.view(query).await?;
        Ok(Reply::json_stream(StatusCode::OK, |mut sink| async move {
            let mut script = write_rows(&db, rows, &shape, Script::default(), &mut sink).await?;
            script.push("\n");
            play(&db, script, &mut sink).await
        }))
    }

    async fn queries(self, ctx: &mut Ctx) -> Result<Reply, Error> {
        let body = ctx.json_object().await?;
        let bodies = listing::body_queries(&body)?;
        let common = self.in_partition(Listing::of_view(&ctx.query)?);
        let definition = self.ddoc.definition()?;
        if definition.view(self.view).is_none() {
            return Err(Error::NotFound("missing_named_view".into()));
        }
        let mut asked = Vec::with_capacity(bodies.len());
        for body in bodies {
            asked.push(self.query(ctx, &definition, common.with_view_body(body)?)?);
        }
        asked.iter().try_for_each(|(_, query)| view_query::check_order(query))?;
        let (db, mut asked) = (self.db, asked.into_iter());
        // What goes wrong with the first is told by a status.
        let first = match asked.next() {
            Some((shape, query)) => Some((shape, db.view(query).await?)),
            None => None,
        };
        Ok(Reply::json_stream(StatusCode::OK, |mut sink| async move {
            let script = write_all(&db, first, asked, &mut sink).await?;
            play(&db, script, &mut sink).await
        }))
    }

    /// The partition in the path comes in the place of one that a body names; one of `queries` may
    /// name another, as in CouchDB.
    fn in_partition(&self, listing: Listing) -> Listing {
        Listing { partition: self.partition.clone().or(listing.partition), ..listing }
    }

    /// What is asked, and how its rows are shown.
    fn query(
        &self,
        ctx: &Ctx,
        definition: &Definition,
        listing: Listing,
    ) -> Result<(Shape, ViewQuery), Error> {
        let shape = shape(&listing);
        let query = view_query::of(&self.ddoc, definition, self.view, listing, &ctx.settings)?;
        Ok((shape, query))
    }
}

async fn write_all(
    db: &Db,
    first: Option<(Shape, ViewRows)>,
    others: impl Iterator<Item = (Shape, ViewQuery)>,
    sink: &mut Sink,
) -> Result<Script, Error> {
    let mut script = Script::default();
    script.push("{\"results\":[");
    if let Some((shape, rows)) = first {
        script.push("\r\n");
        script = write_rows(db, rows, &shape, script, sink).await?;
    }
    for (shape, query) in others {
        script.push(",\r\n");
        let rows = db.view(query).await?;
        script = write_rows(db, rows, &shape, script, sink).await?;
    }
    script.push("\r\n]}\n");
    Ok(script)
}

/// Writes the rows of one query; what was not sent yet is given back.
async fn write_rows(
    db: &Db,
    rows: ViewRows,
    shape: &Shape,
    mut script: Script,
    sink: &mut Sink,
) -> Result<Script, Error> {
    write_head(script.text(), rows.head());
    let write = |script: &mut Script, row: &_| write_row(script, row, &shape.view);
    rows::write(db, rows, write, script, sink).await
}

fn write_head(out: &mut Vec<u8>, head: &ViewHead) {
    out.push(b'{');
    if let Some((total, offset)) = head.rows {
        out.extend_from_slice(format!("\"total_rows\":{total},\"offset\":{offset},").as_bytes());
    }
    if let Some(seq) = &head.update_seq {
        out.extend_from_slice(b"\"update_seq\":");
        push_string(out, seq);
        out.push(b',');
    }
    out.extend_from_slice(b"\"rows\":[");
}

/// Appends a row.
pub fn write_row(script: &mut Script, row: &ViewLine, view: &View) {
    let out = script.text();
    let value = match &row.value {
        LineValue::Value(value) => value,
        LineValue::Error { error, reason } => {
            out.extend_from_slice(b"{\"key\":null,\"error\":");
            push_string(out, error);
            out.extend_from_slice(b",\"reason\":");
            push_string(out, reason);
            out.push(b'}');
            return;
        }
    };
    out.push(b'{');
    if let Some(id) = &row.id {
        out.extend_from_slice(b"\"id\":");
        stored::escape_into(out, id);
        out.push(b',');
    }
    out.extend_from_slice(b"\"key\":");
    out.extend_from_slice(&row.key);
    out.extend_from_slice(b",\"value\":");
    out.extend_from_slice(value);
    match &row.doc {
        None => {}
        Some(LineDoc::Missing) => script.push(",\"doc\":null"),
        Some(LineDoc::Own { doc, conflicts }) => {
            script.push(",\"doc\":");
            let facts = Facts { conflicts: conflicts.clone(), ..Facts::default() };
            let shown = Shown { conflicts: true, ..Shown::default() };
            doc::write(script, doc, view, Some((&facts, shown)));
        }
        Some(LineDoc::Linked(doc)) => {
            script.push(",\"doc\":");
            doc::write(script, doc, &View::default(), None);
        }
    }
    script.push("}");
}

/// Which rules keys are ordered by; CouchDB names the version of its library.
pub const COLLATOR: &str = "153.120";

/// `GET _design/{ddoc}/_info`
///
/// # Errors
/// 405.
pub async fn info(
    ctx: &mut Ctx,
    db: Db,
    opened: OpenedDoc,
    rest: &[String],
) -> Result<Reply, Error> {
    if ctx.method != Method::Get || !rest.is_empty() {
        return Err(Error::MethodNotAllowed("GET"));
    }
    let ddoc = ddoc(&db, opened);
    let info = db.view_info(&ddoc).await?;
    let language = Raw(&ddoc.body).get("language").and_then(Raw::as_str);
    let body = json!({
        "name": ddoc.id.strip_prefix("_design/").unwrap_or(&ddoc.id),
        "view_index": {
            "updates_pending": {
                "minimum": info.pending_least,
                "preferred": info.pending_preferred,
                "total": info.pending_total,
            },
            "waiting_commit": false,
            "waiting_clients": info.waiting_clients,
            "updater_running": info.updater_running,
            "update_seq": info.update_seq,
            "sizes": {
                "file": info.sizes.file,
                "external": info.sizes.external,
                "active": info.sizes.active,
            },
            "signature": info.signature,
            "purge_seq": info.purge_seq,
            "language": language.as_deref().unwrap_or("javascript"),
            "compact_running": info.compact_running,
            "collator_versions": [COLLATOR],
        },
    });
    Ok(Reply::json(StatusCode::OK, body.to_string()))
}
