//! `_db_updates`: what became of databases, told by the documents of `_global_changes`, each of
//! which is named `created:db`, `updated:db` or `deleted:db`. Writes none of these (the coordinator
//! does), and looks at none of the databases that they name.

use std::time::Duration;

use settee_cluster::changes::{Change, ChangesQuery, Since};
use settee_model::docid::DbName;
use settee_model::json as stored;

use crate::context::Ctx;
use crate::error::Error;
use crate::feed::Feed;
use crate::handlers::follow::{Follower, Rows, Waiting};
use crate::render::Script;
use crate::reply::Reply;

/// The database that the feed is read from.
const GLOBAL_CHANGES: &str = "_global_changes";

/// How often a feed shows that it lives when it was asked to, without saying how often.
const HEARTBEAT: Duration = Duration::from_secs(60);

/// What was asked for.
struct Question {
    feed: Feed,
    query: ChangesQuery,
    limit: Option<u64>,
    heartbeat: Option<Duration>,
    timeout: Duration,
}

/// `GET /_db_updates`
pub async fn get(ctx: &mut Ctx) -> Result<Reply, Error> {
    let Question { feed, query, limit, heartbeat, timeout } = read(ctx)?;
    let db = ctx.app.cluster.db(&DbName::trusted(GLOBAL_CHANGES))?;
    let changes = db.changes(query).await?;
    let waiting = heartbeat.map_or(Waiting::Timeout(timeout), Waiting::Heartbeat);
    let rows = UpdateRows;
    Ok(Follower { db, changes, feed, waiting, rows, limit, tells_pending: false }.reply())
}

fn read(ctx: &Ctx) -> Result<Question, Error> {
    let mut question = Question {
        feed: Feed::Normal,
        query: ChangesQuery::default(),
        limit: None,
        heartbeat: None,
        timeout: ctx.settings.changes_timeout,
    };
    let number =
        |text: &str| text.parse::<u64>().map_err(|_| Error::bad_request("invalid_integer"));
    for (name, value) in ctx.query.iter() {
        match name {
            "feed" => {
                question.feed =
                    Feed::parse(value).filter(|_| value != "live").ok_or_else(|| {
                        let reason =
                            "Supported `feed` types: normal, continuous, longpoll, eventsource";
                        Error::bad_request(reason)
                    })?;
            }
            "descending" => question.query.descending = value == "true",
            "since" if value == "now" => question.query.since = Since::Now,
            "since" if value == "0" => question.query.since = Since::Start,
            "since" => question.query.since = Since::Seq(value.to_owned()),
            "limit" => question.limit = Some(number(value)?),
            "heartbeat" if value == "true" => question.heartbeat = Some(HEARTBEAT),
            "heartbeat" if value == "false" => {}
            "heartbeat" => question.heartbeat = Some(Duration::from_millis(number(value)?.max(1))),
            "timeout" => {
                question.timeout = question.timeout.min(Duration::from_millis(number(value)?));
            }
            _ => {}
        }
    }
    Ok(question)
}

/// How `_db_updates` shows a change.
struct UpdateRows;

impl Rows for UpdateRows {
    fn shows(&self, change: &Change) -> bool {
        change.id.as_str().contains(':')
    }

    fn write(&self, script: &mut Script, change: &Change) {
        let out = script.text();
        let (kind, db) = change.id.as_str().split_once(':').unwrap_or_default();
        out.extend_from_slice(b"{\"db_name\":");
        stored::escape_into(out, db);
        out.extend_from_slice(b",\"type\":");
        stored::escape_into(out, kind);
        out.extend_from_slice(b",\"seq\":");
        stored::escape_into(out, change.seq.as_deref().unwrap_or_default());
        out.push(b'}');
    }
}
