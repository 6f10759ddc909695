//! `_all_docs`, `_design_docs`, `_local_docs`, their `queries`, and those of one partition. Parses no
//! parameter (`listing` does) and opens no document: rows bring theirs along.

use std::ops::Range;

use http::StatusCode;
use serde_json::Value;
use settee_cluster::Db;
use settee_cluster::docs::Facts;
use settee_cluster::rows::{
    AllDocsQuery, DocRow, Key, Namespace as Of, Row, Rows, RowsHead, Select,
};
use settee_model::docid::DocId;
use settee_model::{json as stored, partition};

use crate::context::Ctx;
use crate::error::Error;
use crate::handlers::enter_partition;
use crate::handlers::play::play;
use crate::handlers::rows;
use crate::listing::{self, Listing};
use crate::render::Script;
use crate::render::doc::{self, Atts, Shown, View};
use crate::reply::{Reply, Sink};
use crate::route::Namespace;
use crate::view_query::capped;

/// `GET`
pub async fn get(
    ctx: &mut Ctx,
    db: Db,
    of: Namespace,
    partition: Option<String>,
) -> Result<Reply, Error> {
    enter_partition(ctx, &db, partition.as_deref())?;
    let listing = Listing::from_query(&ctx.query)?;
    answer(ctx, db, of, partition, listing).await
}

/// `POST`
pub async fn post(
    ctx: &mut Ctx,
    db: Db,
    of: Namespace,
    partition: Option<String>,
) -> Result<Reply, Error> {
    enter_partition(ctx, &db, partition.as_deref())?;
    let body = ctx.json_object().await?;
    let listing = Listing::from_body_and_query(&body, &ctx.query)?;
    answer(ctx, db, of, partition, listing).await
}

/// `POST …/queries`
pub async fn queries(
    ctx: &mut Ctx,
    db: Db,
    of: Namespace,
    partition: Option<String>,
) -> Result<Reply, Error> {
    enter_partition(ctx, &db, partition.as_deref())?;
    // Of whatever type it says it is: it is only read.
    let body = listing::object(&ctx.body.json().await?)?;
    let common = Listing::of_view(&ctx.query)?;
    // What is wrong with the parameters of any is told before what is wrong with a key.
    let bodies = listing::body_queries(&body)?.iter();
    let listings: Vec<Listing> =
        bodies.map(|body| common.with_body(body)).collect::<Result<_, _>>()?;
    let mut asked = Vec::with_capacity(listings.len());
    for listing in listings {
        asked.push((shape(&listing), query(ctx, &db, of, partition.clone(), listing)?));
    }
    Ok(Reply::json_stream(StatusCode::OK, |mut sink| async move {
        let mut script = Script::default();
        script.push("{\"results\":[");
        let mut separator = "\r\n";
        for (shape, query) in asked {
            script.push(std::mem::replace(&mut separator, ",\r\n"));
            let rows = db.all_docs(query).await?;
            script = write_rows(&db, rows, &shape, script, &mut sink).await?;
        }
        script.push("\r\n]}\n");
        play(&db, script, &mut sink).await
    }))
}

async fn answer(
    ctx: &Ctx,
    db: Db,
    of: Namespace,
    partition: Option<String>,
    listing: Listing,
) -> Result<Reply, Error> {
    listing.check()?;
    let shape = shape(&listing);
    let rows = db.all_docs(query(ctx, &db, of, partition, listing)?).await?;
    Ok(Reply::json_stream(StatusCode::OK, |mut sink| async move {
        let mut script = write_rows(&db, rows, &shape, Script::default(), &mut sink).await?;
        script.push("\n");
        play(&db, script, &mut sink).await
    }))
}

/// What is shown of each row.
pub struct Shape {
    /// Of its document.
    pub view: View,
    include_docs: bool,
}

impl Shape {
    /// The same with attachments named and not shown.
    pub fn without_content(self) -> Shape {
        Shape { view: View::default(), ..self }
    }
}

/// What a listing shows of each row.
pub fn shape(listing: &Listing) -> Shape {
    let atts = if listing.attachments { Atts::Inline } else { Atts::Stubs };
    let view = View { atts, encoding_info: listing.att_encoding_info, ..View::default() };
    Shape { view, include_docs: listing.include_docs }
}

/// What a listing asks of the coordinator.
pub fn query(
    ctx: &Ctx,
    db: &Db,
    of: Namespace,
    partition: Option<String>,
    listing: Listing,
) -> Result<AllDocsQuery, Error> {
    let partition = partition_of(db, partition, &listing)?;
    let limit = match &partition {
        Some(_) => capped(listing.limit, ctx.settings.partition_query_limit, u64::MAX)?,
        None => listing.limit,
    };
    // Where no key is said, the id beside it is one, but not in a partition, which is a range of keys.
    let in_all = |id: Option<String>| id.filter(|_| partition.is_none());
    let (start_id, end_id) = (in_all(listing.start_id), in_all(listing.end_id));
    let select = match listing.keys {
        Some(keys) => {
            let keys: Vec<Key> = keys.into_iter().map(key).collect();
            if of == Namespace::All && db.meta().partitioned {
                let shown = shown(keys.len(), listing.skip, listing.limit, listing.descending);
                keys.get(shown).into_iter().flatten().try_for_each(check_key)?;
            }
            Select::Keys(keys)
        }
        None => Select::Range {
            start: listing.start.map(bound).or(start_id),
            end: listing.end.map(bound).or(end_id),
            inclusive_end: listing.inclusive_end,
        },
    };
    Ok(AllDocsQuery {
        namespace: match of {
            Namespace::All => Of::All,
            Namespace::Design => Of::Design,
            Namespace::Local => Of::Local,
        },
        select,
        partition,
        descending: listing.descending,
        skip: listing.skip,
        limit,
        include_docs: listing.include_docs,
        conflicts: listing.conflicts,
        update_seq: listing.update_seq,
    })
}

/// Which of so many keys have a row in the answer; the others are not looked at.
fn shown(keys: usize, skip: u64, limit: Option<u64>, descending: bool) -> Range<usize> {
    let count = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let end = count(skip).saturating_add(limit.map_or(usize::MAX, count)).min(keys);
    let start = count(skip).min(end);
    if descending { keys - end..keys - start } else { start..end }
}

/// A document that is asked for must be in a partition; names that no document has are in none.
fn check_key(key: &Key) -> Result<(), Error> {
    match key {
        Key::Id(id) if !id.as_str().starts_with('_') => Ok(partition::require(id)?),
        _ => Ok(()),
    }
}

/// The partition in the path, which the query string may repeat but not contradict; a body that
/// names another one is not heeded.
fn partition_of(db: &Db, path: Option<String>, listing: &Listing) -> Result<Option<String>, Error> {
    if path.is_some() {
        return Ok(path);
    }
    let Some(asked) = &listing.partition else { return Ok(None) };
    partition::check(asked)?;
    if !db.meta().partitioned {
        let reason = "`partition` parameter is not supported on this db";
        return Err(Error::QueryParse(reason.into()));
    }
    Ok(Some(asked.clone()))
}

/// Anything that is no string sorts before all ids.
fn bound(key: Value) -> String {
    match key {
        Value::String(text) => text,
        _ => String::new(),
    }
}

fn key(key: Value) -> Key {
    match key {
        Value::String(text) => Key::Id(DocId::trusted(&text)),
        other => Key::Other(other.to_string().into()),
    }
}

/// Writes the rows of one query; what was not sent yet is given back.
async fn write_rows(
    db: &Db,
    rows: Rows,
    shape: &Shape,
    mut script: Script,
    sink: &mut Sink,
) -> Result<Script, Error> {
    write_head(script.text(), rows.head());
    let write = |script: &mut Script, row: &_| write_row(script, row, shape);
    rows::write(db, rows, write, script, sink).await
}

fn write_head(out: &mut Vec<u8>, head: &RowsHead) {
    let number = |n: Option<u64>| n.map_or_else(|| "null".to_owned(), |n| n.to_string());
    out.extend_from_slice(b"{\"total_rows\":");
    out.extend_from_slice(number(head.total_rows).as_bytes());
    out.extend_from_slice(b",\"offset\":");
    out.extend_from_slice(number(head.offset).as_bytes());
    if let Some(seq) = &head.update_seq {
        out.extend_from_slice(b",\"update_seq\":");
        match seq {
            Some(seq) => stored::escape_into(out, seq),
            None => out.extend_from_slice(b"null"),
        }
    }
    out.extend_from_slice(b",\"rows\":[");
}

/// Appends a row.
pub fn write_row(script: &mut Script, row: &Row, shape: &Shape) {
    match row {
        Row::Doc(row) => write_doc_row(script, row, shape),
        Row::Missing(key) => {
            let out = script.text();
            out.extend_from_slice(b"{\"key\":");
            match key {
                Key::Id(id) => stored::escape_into(out, id.as_str()),
                Key::Other(text) => out.extend_from_slice(text),
            }
            out.extend_from_slice(b",\"error\":\"not_found\"}");
        }
    }
}

fn write_doc_row(script: &mut Script, row: &DocRow, shape: &Shape) {
    let out = script.text();
    out.extend_from_slice(b"{\"id\":");
    let at = out.len();
    stored::escape_into(out, row.id.as_str());
    let id = at..out.len();
    out.extend_from_slice(b",\"key\":");
    out.extend_from_within(id);
    out.extend_from_slice(b",\"value\":{\"rev\":");
    doc::write_rev(out, &row.rev);
    if row.deleted {
        out.extend_from_slice(b",\"deleted\":true");
    }
    out.push(b'}');
    match &row.doc {
        Some(shown) => {
            script.push(",\"doc\":");
            let facts = Facts { conflicts: row.conflicts.clone(), ..Facts::default() };
            let shown_facts = Shown { conflicts: true, ..Shown::default() };
            doc::write(script, shown, &shape.view, Some((&facts, shown_facts)));
        }
        None if shape.include_docs => script.push(",\"doc\":null"),
        None => {}
    }
    script.push("}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_documents_name_a_partition() {
        let check =
            |id: &str| check_key(&key(id.into())).map_err(|error| error.info().1.to_owned());
        assert_eq!(check("nocolon"), Err("illegal_docid".to_owned()));
        for id in ["p:a", ":a", "_design/x", "_x"] {
            assert_eq!(check(id), Ok(()), "{id}");
        }
        assert!(check_key(&key(5.into())).is_ok());
    }
}
