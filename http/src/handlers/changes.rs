//! `_changes` in every feed: what is asked, and how a change is shown. When a feed waits and when it ends
//! is `follow`'s business.

mod filter;
mod function;
mod question;

use settee_cluster::Db;
use settee_cluster::changes::Change;
use settee_cluster::docs::Facts;
use settee_model::json as stored;
use settee_model::selector::FieldPath;

use crate::body::Length;
use crate::context::Ctx;
use crate::error::Error;
use crate::feed::Feed;
use crate::handlers::follow::{Follower, Rows};
use crate::handlers::functions::request;
use crate::listing;
use crate::render::doc::{self, Shown, View};
use crate::render::{Script, etag};
use crate::reply::Reply;
use question::Question;

/// `GET`
pub async fn get(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    answer(ctx, db, &serde_json::Value::Null).await
}

/// `POST`
pub async fn post(ctx: &mut Ctx, db: Db) -> Result<Reply, Error> {
    ctx.require_json()?;
    let names_function =
        |(name, value): (&str, &str)| name.eq_ignore_ascii_case("filter") && value.contains('/');
    if ctx.query.iter().any(names_function) {
        request::bound(ctx);
    }
    let body = match ctx.body.length() {
        Length::None | Length::Known(0) => serde_json::Value::Null,
        _ => listing::object(&ctx.body.json().await?)?,
    };
    answer(ctx, db, &body).await
}

async fn answer(ctx: &Ctx, db: Db, body: &serde_json::Value) -> Result<Reply, Error> {
    let Question { feed, query, view, fields, waiting } = Question::read(ctx, &db, body).await?;
    let rows = ChangeRows { view, fields, include_docs: query.include_docs };
    // A feed that ends by itself is the same as long as the database is.
    let tag = match feed {
        Feed::Normal => Some(state_tag(&db).await?),
        _ => None,
    };
    if let Some(tag) = tag.as_deref().filter(|tag| ctx.etag_matches(tag)) {
        return Ok(Reply::not_modified(tag));
    }
    let changes = db.changes(query).await?;
    let follower = Follower { db, changes, feed, waiting, rows, limit: None, tells_pending: true };
    Ok(match tag {
        Some(tag) => follower.reply().etag(&tag),
        None => follower.reply(),
    })
}

/// Tag of all that a database is at present.
async fn state_tag(db: &Db) -> Result<String, Error> {
    let info = db.info().await?;
    let created = db.meta().created.to_string();
    let parts = [db.name().as_str(), &created, &info.update_seq, &info.purge_seq];
    Ok(etag::of_state(&parts.map(str::as_bytes)))
}

/// How `_changes` shows a change.
struct ChangeRows {
    view: View,
    fields: Option<Vec<FieldPath>>,
    include_docs: bool,
}

impl Rows for ChangeRows {
    fn shows(&self, _change: &Change) -> bool {
        true
    }

    fn write(&self, script: &mut Script, change: &Change) {
        write_revs(script.text(), change);
        if self.include_docs {
            script.push(",\"doc\":");
            self.write_doc(script, change);
        }
        script.push("}");
    }
}

impl ChangeRows {
    fn write_doc(&self, script: &mut Script, change: &Change) {
        match (&change.doc, &self.fields) {
            (None, _) => script.push("null"),
            (Some(shown), Some(fields)) => match filter::as_value(shown) {
                Some(value) => script.push(filter::project(&value, fields).to_string()),
                None => script.push("null"),
            },
            (Some(shown), None) => {
                let facts = Facts { conflicts: change.conflicts.clone(), ..Facts::default() };
                let conflicts = Shown { conflicts: true, ..Shown::default() };
                doc::write(script, shown, &self.view, Some((&facts, conflicts)));
            }
        }
    }
}

fn write_revs(out: &mut Vec<u8>, change: &Change) {
    out.extend_from_slice(b"{\"seq\":");
    match &change.seq {
        Some(seq) => stored::escape_into(out, seq),
        None => out.extend_from_slice(b"null"),
    }
    out.extend_from_slice(b",\"id\":");
    stored::escape_into(out, change.id.as_str());
    out.extend_from_slice(b",\"changes\":[");
    for (at, rev) in change.revs.iter().enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"rev\":" } else { b",{\"rev\":" });
        doc::write_rev(out, rev);
        out.push(b'}');
    }
    out.push(b']');
    if change.deleted {
        out.extend_from_slice(b",\"deleted\":true");
    }
}
