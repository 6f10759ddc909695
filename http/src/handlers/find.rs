//! `_find` and `_explain`, of a database or one of its partitions. Plans nothing and matches nothing:
//! `query::mango` does, for the coordinator and at the shards.

use std::time::Instant;

use bytes::Bytes;
use http::StatusCode;
use settee_cluster::Db;
use settee_cluster::find::Finding;
use settee_model::json::{self as stored, Limits};
use settee_query::mango::{self, Find, Response};

use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::enter_partition;
use crate::off::off_thread;
use crate::reply::{Reply, Sink};
use crate::route::Method;
use crate::settings::Settings;
use crate::stats::stats;

/// Bytes of a request that is quickly read.
const SMALL: usize = 16 << 10;
/// Levels of a question's JSON.
const DEEPEST: usize = 250;
/// Bytes of documents that are sent together.
const PIECE: usize = 64 << 10;

/// `_find`
pub async fn find(ctx: &mut Ctx, db: Db, partition: Option<String>) -> Result<Reply, Error> {
    let question = question(ctx, &db, partition).await?;
    let began = Instant::now();
    let mut finding = db.find(question, ctx.settings.find_warning).await?;
    // What goes wrong before there is a document is told with a status.
    let first = finding.next_batch().await?;
    Ok(Reply::json_stream(StatusCode::OK, move |mut sink| async move {
        write(finding, first, began, &mut sink).await
    }))
}

/// `_explain`
pub async fn explain(ctx: &mut Ctx, db: Db, partition: Option<String>) -> Result<Reply, Error> {
    let question = question(ctx, &db, partition).await?;
    let (name, catalog) = (db.name().clone(), db.indexes().await?);
    let explain =
        move || mango::explain(&question, &catalog, name.as_str()).map(|plan| plan.to_string());
    Ok(Reply::json(StatusCode::OK, off_thread(explain).await??))
}

/// What is asked, and checked as far as that can be done without looking at the database.
async fn question(ctx: &mut Ctx, db: &Db, path: Option<String>) -> Result<Find, Error> {
    enter_partition(ctx, db, path.as_deref())?;
    if ctx.method != Method::Post {
        return Err(Error::MethodNotAllowed("POST"));
    }
    ctx.require_json()?;
    let body = ctx.body.json().await?;
    let small = body.len() <= SMALL;
    let partition = path.or_else(|| ctx.query.get("partition").map(str::to_owned));
    let settings = ctx.settings.clone();
    let parse = move || {
        let body = stored::normalise(&body, &limits(&settings))?;
        Ok::<_, Error>(Find::parse(&body, partition.as_deref(), settings.find_limit)?)
    };
    if small { parse() } else { off_thread(parse).await? }
}

/// What bounds the JSON of questions: they are read by levels, which take stack.
pub fn limits(settings: &Settings) -> Limits {
    let usual = settings.json_limits();
    Limits { depth: usual.depth.min(DEEPEST), ..usual }
}

/// Writes documents as they come.
async fn write(
    mut finding: Finding,
    mut batch: Option<Vec<Bytes>>,
    began: Instant,
    sink: &mut Sink,
) -> Result<(), Error> {
    let (mut response, mut out) = (Response::default(), Vec::new());
    response.begin(&mut out);
    while let Some(documents) = batch {
        for document in documents {
            response.row(&mut out, &document);
            if out.len() >= PIECE {
                sink.send(std::mem::take(&mut out)).await;
            }
        }
        sink.send(std::mem::take(&mut out)).await;
        batch = finding.next_batch().await?;
    }
    let milliseconds = began.elapsed().as_secs_f64() * 1000.0;
    let summary = finding.finish();
    stats().count_find(summary.cost, began);
    response.end(&mut out, &summary, milliseconds);
    out.push(b'\n');
    sink.send(out).await;
    Ok(())
}
