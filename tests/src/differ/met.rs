//! [`Met`]: one exchange with both servers, and what can be asked of it and of the steps before it. Forgives
//! nothing: see `known`.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;
use serde_json::Value;

use crate::client::Response;
use crate::script::Step;

/// One exchange with both servers.
pub struct Met<'a> {
    /// What was asked before in the conversation.
    pub before: &'a [Step],
    /// What was asked.
    pub step: &'a Step,
    /// What CouchDB answered.
    pub theirs: &'a Response,
    /// What the server under test answered.
    pub ours: &'a Response,
    /// How that differs.
    pub lines: &'a [String],
}

impl Step {
    /// Whether its path, without the query, ends so.
    pub(super) fn is(&self, end: &str) -> bool {
        self.request.path.split('?').next().is_some_and(|path| path.ends_with(end))
    }

    /// Its body.
    pub(super) fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(self.request.body.as_deref().unwrap_or_default())
    }

    /// Its body as JSON, `null` if it is none.
    pub(super) fn json(&self) -> Value {
        let body = self.request.body.as_deref().unwrap_or_default();
        serde_json::from_slice(body).unwrap_or_default()
    }

    /// Whether the path holds this.
    pub(super) fn asks(&self, part: &str) -> bool {
        self.request.path.contains(part)
    }

    /// Whether the body holds this.
    pub(super) fn says(&self, part: &str) -> bool {
        self.text().contains(part)
    }

    /// Whether its documents come with their revisions.
    pub(super) fn is_replicated(&self) -> bool {
        self.asks("new_edits=false") || self.says("\"new_edits\":false")
    }

    /// Whether it sets how many ancestors are kept.
    pub(super) fn limits_revs(&self) -> bool {
        self.is("/_revs_limit") && self.request.method == "PUT"
    }

    /// Whether its body names a member more than once, or something else looks like that.
    pub(super) fn repeats_a_member(&self) -> bool {
        let (text, body) = (self.text(), self.json());
        let mut names = body.as_object().into_iter().flatten().map(|(name, _)| name);
        names.any(|name| text.matches(&format!("{}:", Value::from(name.as_str()))).count() > 1)
    }

    /// The id of a document in its body, which may stand in the path.
    pub(super) fn id_of(&self, doc: &Value) -> Option<String> {
        let path = self.request.path.split('?').next().and_then(|path| path.rsplit('/').next());
        let path = path.filter(|_| self.request.method == "PUT").map(decoded);
        doc.get("_id").and_then(Value::as_str).map(str::to_owned).or(path)
    }

    /// Whether a document of this id is asked for, or written.
    pub(super) fn names(&self, id: &str) -> bool {
        let path = self.request.path.split('?').next().map(decoded).unwrap_or_default();
        let local = path.contains("/_local/") && !id.starts_with("_local/");
        let is = |doc: &Value| doc.get("_id").and_then(Value::as_str) == Some(id);
        !local && path.ends_with(&format!("/{id}")) || self.docs().iter().any(is)
    }

    /// The documents of its body: its `docs`, or itself.
    fn docs(&self) -> Vec<Value> {
        let body = self.json();
        body.get("docs").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![body])
    }

    /// The document of a line (`/2: …`), and those before it.
    fn doc_of(&self, line: &str) -> Option<(Value, Vec<Value>)> {
        let at: usize = place(line).split('/').nth(1)?.parse().ok()?;
        let mut docs = self.docs();
        let doc = docs.get(at)?.clone();
        docs.truncate(at);
        Some((doc, docs))
    }

    /// Whether its body holds `_revisions` with more ids than there can be generations.
    pub(super) fn names_too_many(&self) -> bool {
        self.docs().iter().filter_map(|doc| doc.get("_revisions")).any(|revisions| {
            let ids = revisions.get("ids").and_then(Value::as_array).map_or(0, Vec::len);
            revisions.get("start").and_then(Value::as_u64).is_some_and(|start| start < ids as u64)
        })
    }
}

impl Met<'_> {
    pub(super) fn asks(&self, part: &str) -> bool {
        self.step.asks(part)
    }

    pub(super) fn says(&self, part: &str) -> bool {
        self.step.says(part)
    }

    /// Whether a document that has a revision, in its body or beside it, was never named before.
    pub(super) fn edits_a_stranger(&self) -> bool {
        let is_known = |id: String| self.before.iter().any(|step| step.names(&id));
        let in_path = self.asks("rev=") || self.has("If-Match");
        self.step.docs().iter().any(|doc| {
            let edits = in_path || doc.get("_rev").is_some();
            edits && !self.step.id_of(doc).is_some_and(is_known)
        })
    }

    /// Whether the document of a line (`/2: …`) has a revision that was not captured.
    pub(super) fn makes_up(&self, line: &str) -> bool {
        let doc = self.step.doc_of(line).map(|(doc, _)| doc);
        let rev = doc.as_ref().and_then(|doc| doc.get("_rev")).and_then(Value::as_str);
        rev.is_some_and(|rev| !rev.contains("{{"))
    }

    /// Whether the document of a line is named before it in the same request.
    pub(super) fn comes_again(&self, line: &str) -> bool {
        let Some((doc, before)) = self.step.doc_of(line) else { return false };
        let id = doc.get("_id");
        id.is_some() && before.iter().any(|doc| doc.get("_id") == id)
    }

    /// Whether a purge named what may not be there: a revision that was not captured, or one that was not
    /// the last of its document any more.
    pub(super) fn purged_in_vain(&self) -> bool {
        let mut purges = self.before.iter().enumerate().filter(|(_, step)| step.is("/_purge"));
        purges.any(|(at, purge)| {
            let before = self.before.get(..at).unwrap_or_default();
            let finds = |(id, revs): (&String, &Value)| finds_last(before, id, &revs.to_string());
            purge.json().as_object().is_some_and(|of| !of.iter().all(finds))
        })
    }

    /// Whether a header has this name, or this in its value.
    pub(super) fn has(&self, part: &str) -> bool {
        let headers = &self.step.request.headers;
        headers.iter().any(|(name, value)| name == part || value.contains(part))
    }

    /// Whether the answers, or those members of them, have the same members.
    pub(super) fn differs_in_order(&self, name: &str) -> bool {
        let members = |answer: &Response| {
            let body = match part(answer, name) {
                Value::Null => answer.json().unwrap_or_default(),
                part => part,
            };
            let mut members: Vec<String> =
                body.as_object()?.iter().map(|one| format!("{one:?}")).collect();
            members.sort();
            Some((answer.status, members))
        };
        members(self.theirs).is_some_and(|theirs| Some(theirs) == members(self.ours))
    }

    /// Whether both give the same changes, and not in the same order; a `limit` cuts off what came to
    /// stand behind it.
    pub(super) fn lists_changes_in_another_order(&self) -> bool {
        let listed = |answer: &Response| {
            let part = part(answer, "results");
            let rows = part.as_array().into_iter().flatten();
            let row = |row: &Value| format!("{:?} {:?}", row.get("id"), row.get("changes"));
            let mut rows: Vec<String> = rows.map(row).collect();
            rows.sort();
            rows
        };
        self.step.is("/_changes")
            && (self.theirs.status, self.ours.status) == (200, 200)
            && (self.asks("limit=") || listed(self.theirs) == listed(self.ours))
    }

    /// Whether a list of ours is empty.
    pub(super) fn gives_no(&self, name: &str) -> bool {
        let text: String = self.ours.text().split_whitespace().collect();
        text.contains(&format!("\"{name}\":[]"))
    }

    /// Whether `doc_ids`, of the body or the query, holds a document more than once.
    pub(super) fn names_twice(&self) -> bool {
        let query = self.step.request.path.split_once('?').map_or("", |(_, query)| query);
        let query = query.split('&').filter_map(|part| part.strip_prefix("doc_ids=")).map(decoded);
        let body = self.step.json();
        let lists = query.chain(body.get("doc_ids").map(Value::to_string));
        lists.into_iter().any(|list| {
            let ids = serde_json::from_str::<Vec<Value>>(&list).unwrap_or_default();
            ids.iter().enumerate().any(|(at, id)| ids.iter().take(at).any(|other| other == id))
        })
    }

    /// A crash there, a refusal with a reason here.
    pub(super) fn crash_that_is_refused(&self) -> bool {
        self.theirs.status == 500 && (400..500).contains(&self.ours.status)
    }
}

/// Whether one of these revisions was captured where the document was written last.
fn finds_last(before: &[Step], id: &str, revs: &str) -> bool {
    let wrote = |step: &&Step| !["GET", "HEAD"].contains(&&*step.request.method) && step.names(id);
    let last = before.iter().rev().find(wrote);
    last.is_some_and(|step| {
        step.captures.iter().any(|one| revs.contains(&format!("{{{{{}}}}}", one.name)))
    })
}

/// Where in the answer a line (`/rows/2/id: …`) finds a difference.
pub(super) fn place(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

/// A member of an answer, `null` if it has none.
pub(super) fn part(answer: &Response, name: &str) -> Value {
    answer.json().unwrap_or_default().get(name).cloned().unwrap_or_default()
}

/// The revisions that an answer shows, sorted.
pub(super) fn revs_of(answer: &Response) -> Vec<String> {
    let text = answer.text();
    let after = text.split("\"_rev\":\"").skip(1);
    let mut revs: Vec<String> =
        after.filter_map(|rest| rest.split('"').next()).map(str::to_owned).collect();
    revs.sort();
    revs
}

/// A value of a query without its percent signs.
pub(super) fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}
