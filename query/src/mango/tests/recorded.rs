//! Recorded answers of CouchDB.

use serde_json::{Value, json};
use settee_model::collate::compare;

use super::super::*;

/// A recorded database.
struct Database {
    name: String,
    catalog: Catalog,
    /// Ids and texts, with their `_id` and `_rev`.
    docs: Vec<(String, Vec<u8>)>,
}

impl Database {
    fn new(head: &Value) -> Self {
        let text = |doc: &Value| (doc["_id"].as_str().unwrap().to_owned(), doc.to_string().into());
        let mut docs: Vec<(String, Vec<u8>)> =
            head["docs"].as_array().unwrap().iter().map(text).collect();
        docs.sort();
        let ddocs = docs.iter().filter(|(id, _)| id.starts_with("_design/"));
        let ddocs = ddocs.map(|(id, body)| (id.as_str(), body.as_slice()));
        let catalog = Catalog::new(ddocs, head["partitioned"] == true);
        Database { name: head["db"].as_str().unwrap().to_owned(), catalog, docs }
    }

    /// All rows of an index in its order: keys, and which documents they are of.
    fn rows(&self, source: &Source) -> Vec<(Vec<u8>, usize)> {
        let key = |(at, (id, doc)): (usize, &(String, Vec<u8>))| match source {
            Source::AllDocs => Some((id_key(id), at)),
            Source::Index(index) => Some((index.key(id, doc)?, at)),
        };
        let mut rows: Vec<_> = self.docs.iter().enumerate().filter_map(key).collect();
        if let Source::Index(_) = source {
            rows.sort_by(|a, b| compare(&a.0, &b.0).then(a.1.cmp(&b.1)));
        }
        rows
    }

    fn find(&self, find: &Find) -> Result<String, MangoError> {
        let plan = Plan::new(find, &self.catalog)?;
        let mut cursor = Cursor::new(find, &plan)?;
        let sieve = Sieve::new(&Task::new(find, &plan))?;
        let mut pass = sieve.pass();
        let (mut out, mut response) = (Vec::new(), Response::default());
        response.begin(&mut out);
        let mut rows = self.rows(&plan.source);
        if plan.descending {
            rows.reverse();
        }
        let start = cursor.start_after().map(|start| {
            rows.iter().position(|(key, at)| *key == start.key && self.docs[*at].0 == start.id)
        });
        let start = start.map_or(0, |at| at.unwrap() + 1);
        let spans = plan.spans_after(cursor.start_after());
        for (key, at) in rows.drain(..).skip(start) {
            let (id, document) = &self.docs[at];
            if cursor.is_done() {
                break;
            }
            let inside = |prefix: &String| id.starts_with(&format!("{prefix}:"));
            if !wanted(&plan, &spans, &key) || !find.partition.iter().all(inside) {
                continue;
            }
            let document = document.as_slice();
            let doc = if plan.include_docs { Doc::Read(&document) } else { Doc::Unread };
            let row = Row { id, key: &key, doc };
            let shown = match pass.row(row) {
                Sifted::Out => continue,
                Sifted::Shown(shown) => Some(shown),
                Sifted::Ask => sieve.document(&document),
            };
            cursor.count(pass.take_stats());
            if let Some(shown) = shown
                && cursor.take(&key, id)
            {
                response.row(&mut out, &shown);
            }
        }
        cursor.count(pass.take_stats());
        let summary = cursor.finish(find, &plan.source, SCAN_WARNING_THRESHOLD);
        response.end(&mut out, &summary, 1.0);
        Ok(String::from_utf8(out).unwrap())
    }
}

impl Database {
    /// Status and body of the answer to a request.
    fn ask(&self, request: &Value) -> (Value, String) {
        let find = Find::parse(request.to_string().as_bytes(), None, DEFAULT_LIMIT);
        match find.and_then(|find| self.find(&find)) {
            Ok(answer) => (json!(200), answer.trim_end().to_owned()),
            Err(error) => {
                let (status, answer) = failure(&error);
                (status, answer.to_string())
            }
        }
    }
}

fn wanted(plan: &Plan, spans: &[Span], key: &[u8]) -> bool {
    match plan.source {
        Source::Index(_) => spans.iter().any(|span| span.holds(key, plan.source.order())),
        Source::AllDocs => {
            let id: String = serde_json::from_slice(key).unwrap();
            use std::ops::RangeBounds;
            id_ranges(spans, None).iter().any(|range| range.contains(&id))
        }
    }
}

fn recorded(text: &str, mut check: impl FnMut(&Database, &Value)) {
    let mut database = None;
    for line in text.lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        if line.get("db").is_some() {
            database = Some(Database::new(&line));
        } else {
            check(database.as_ref().unwrap(), &line);
        }
    }
}

fn failure(error: &MangoError) -> (Value, Value) {
    (json!(error.status), json!({"error": error.error, "reason": error.reason}))
}

#[test]
fn plans_are_explained_as_there() {
    let mut count = 0;
    recorded(include_str!("explain.jsonl"), |database, line| {
        let body = line["request"].to_string();
        let answer = Find::parse(body.as_bytes(), None, DEFAULT_LIMIT)
            .and_then(|find| explain(&find, &database.catalog, &database.name));
        let (status, mut answer) = match answer {
            Ok(answer) => (json!(200), answer),
            Err(error) => failure(&error),
        };
        // The one member that is settee's own.
        answer.as_object_mut().unwrap().shift_remove("ranges");
        assert_eq!(status, line["status"], "{body}");
        assert_eq!(answer.to_string(), line["response"].to_string(), "{body}");
        count += 1;
    });
    assert!(count > 400);
}

#[test]
fn answers_are_those_of_couchdb() {
    let mut count = 0;
    recorded(include_str!("find.jsonl"), |database, line| {
        let (status, answer) = database.ask(&line["request"]);
        let expected = line["response"].as_str().unwrap().trim_end();
        assert_eq!(status, line["status"], "{line}");
        if answer != without_scan_warning(expected) {
            assert_eq!(answer, expected, "{line}");
        }
        count += 1;
    });
    assert!(count > 400);
}

#[test]
fn costs_are_counted_as_there() {
    recorded(include_str!("stats.jsonl"), |database, line| {
        let (_, answer) = database.ask(&line["request"]);
        let expected = line["response"].as_str().unwrap().trim_end();
        assert_eq!(timeless(&answer), timeless(expected), "{line}");
    });
}

#[test]
fn mistakes_are_those_of_couchdb() {
    let database = Database::new(&json!({"db": "x", "docs": [{"_id": "a", "a": 1, "b": 1}]}));
    for line in include_str!("errors.jsonl").lines() {
        let line: Value = serde_json::from_str(line).unwrap();
        let (status, answer) = database.ask(&line["request"]);
        assert_eq!(answer, line["response"].to_string(), "{line}");
        assert_eq!(status, line["status"], "{line}");
    }
}

/// An answer without the time that it took.
fn timeless(answer: &str) -> String {
    let Some((before, after)) = answer.split_once("\"execution_time_ms\":") else {
        return answer.to_owned();
    };
    format!("{before}{}", after.split_once('}').unwrap().1)
}

/// Where settee looks into less, it has less to warn of.
fn without_scan_warning(answer: &str) -> String {
    let start = "The number of documents examined is high in proportion";
    let Some((before, after)) = answer.split_once(start) else { return answer.to_owned() };
    let (_, after) = after.split_once('"').unwrap();
    match before.strip_suffix("\\n") {
        Some(before) => format!("{before}\"{after}"),
        None => format!("{}{after}", before.strip_suffix(",\r\n\"warning\": \"").unwrap()),
    }
}
