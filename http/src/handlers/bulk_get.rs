//! `POST /{db}/_bulk_get`: many revisions of many documents, as JSON or as multipart. Lines are
//! read some tens at a time and leave as they are read, so memory does not grow with the answer.

use http::StatusCode;
use http::header::ACCEPT;
use settee_cluster::Db;
use settee_cluster::docs::BulkGet;
use settee_model::json::{Raw, normalise};

use super::doc_query::DocQuery;
use super::play::{json_reply, play, stream_reply};
use crate::accept::accepts;
use crate::context::Ctx;
use crate::error::Error;
use crate::query::Query;
use crate::render::Script;
use crate::reply::Reply;
use crate::users::Sight;

mod answer;
mod line;

use answer::Answer;
use line::{Line, Want};

/// `POST /{db}/_bulk_get`
pub async fn post(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    ctx.require_json()?;
    let body = ctx.body.json().await?;
    let limits = ctx.settings.json_limits();
    let stored = normalise(&body, &limits)?;
    drop(body);
    let lines = line::array(Raw(&stored))?;
    check_parameters(&ctx.query)?;
    let query = DocQuery::parse(&ctx.query)?;
    let partitioned = db.meta().partitioned;
    let lines = lines.map(|raw| Line::parse(raw, &limits, partitioned));
    let lines = lines.collect::<Result<Vec<Line>, Error>>()?;
    let accept = ctx.header(&ACCEPT);
    let answer = if accepts(accept, "application/json") {
        Answer::json(query.view)
    } else if accepts(accept, "multipart/mixed") {
        Answer::multipart("multipart/mixed", query.view)
    } else if accepts(accept, "multipart/related") {
        Answer::multipart("multipart/related", query.view)
    } else {
        Answer::json(query.view)
    };
    let most = ctx.settings.bulk_get_batch.max(1);
    let (sight, lines) = (Sight::of(ctx, &db), lines.into_iter());
    let read = Reading { db, sight, lines, most, latest: query.latest, answer };
    Ok(read.reply().await)
}

/// Parameters that a line has, or that mean nothing here, are refused.
fn check_parameters(query: &Query) -> Result<(), Error> {
    const REFUSED: [&str; 5] = ["open_revs", "new_edits", "w", "rev", "atts_since"];
    match query.iter().find(|(name, _)| REFUSED.contains(name)) {
        Some((name, _)) => {
            let reason = format!("\"{name}\" query parameter is not acceptable");
            Err(Error::BadRequest(reason.into()))
        }
        None => Ok(()),
    }
}

/// An answer under way.
struct Reading {
    db: Db,
    sight: Sight,
    lines: std::vec::IntoIter<Line>,
    /// Lines that are read at once.
    most: usize,
    latest: bool,
    answer: Answer,
}

impl Reading {
    /// A short answer is made at once, a long one while it is sent.
    async fn reply(mut self) -> Reply {
        let mut script = Script::default();
        if self.lines.len() <= self.most {
            self.batch(&mut script).await;
            self.answer.end(&mut script);
            return match self.answer.content_type() {
                None => json_reply(&self.db, StatusCode::OK, script),
                Some(media) => media.on(stream_reply(&self.db, StatusCode::OK, script)),
            };
        }
        let media = self.answer.content_type();
        let stream = |mut sink| async move {
            while self.lines.len() > 0 {
                self.batch(&mut script).await;
                play(&self.db, std::mem::take(&mut script), &mut sink).await?;
            }
            self.answer.end(&mut script);
            if self.answer.content_type().is_none() {
                script.push("\n");
            }
            play(&self.db, script, &mut sink).await
        };
        match media {
            None => Reply::json_stream(StatusCode::OK, stream),
            Some(media) => media.on(Reply::stream(StatusCode::OK, None, stream)),
        }
    }

    /// Reads the next lines. What goes wrong with all of them is told for each of them.
    async fn batch(&mut self, script: &mut Script) {
        let lines: Vec<Line> = self.lines.by_ref().take(self.most).collect();
        let wanted = lines.iter().filter_map(|line| match &line.want {
            Want::Revs { id, revs, .. } => Some(BulkGet { id: id.clone(), revs: revs.clone() }),
            Want::Nothing { .. } => None,
        });
        let wanted: Vec<BulkGet> = wanted.collect();
        let mut failure = settee_cluster::Error::Closing;
        let mut results = Vec::new().into_iter();
        if !wanted.is_empty() {
            match self.db.open_many(wanted, self.latest).await {
                Ok(found) => results = found.into_iter(),
                Err(error) => failure = error,
            }
        }
        for line in lines {
            let result = match &line.want {
                Want::Revs { .. } => results.next().unwrap_or_else(|| Err(failure.clone())),
                Want::Nothing { .. } => Ok(Vec::new()),
            };
            let result = result.map_err(Error::from).and_then(|found| self.sight.revs(found));
            self.answer.line(script, &line, result);
        }
    }
}
