//! Requests for one document: edits with every kind of revision, reads with every parameter, copies.

use super::pool::{in_path, in_query, quoted};
use super::world::Doc;
use super::{Maker, Param, WRONG};
use crate::client::Request;

const READ: [Param; 14] = [
    ("rev", 18, &["<rev>"], &["x", "", "1", "5", "1-abc"]),
    ("revs", 18, &["true", "false"], &["1", "", "TRUE"]),
    ("revs_info", 15, &["true", "false"], &["yes", ""]),
    ("conflicts", 15, &["true", "false"], &["x", "null"]),
    ("deleted_conflicts", 12, &["true", "false"], &["x"]),
    ("local_seq", 5, &["true", "false"], &["x"]),
    ("meta", 6, &["true", "false"], &["x"]),
    ("latest", 10, &["true", "false"], &["x"]),
    (
        "open_revs",
        14,
        &["all", "<revs>", "[\"<rev>\"]"],
        &["x", "[]", "{}", "[5]", "\"1-abc\"", "[\"x\"]"],
    ),
    ("attachments", 18, &["true", "false"], &["x", "1"]),
    ("att_encoding_info", 8, &["true", "false"], &["x"]),
    ("atts_since", 6, &["<revs>", "[]"], &["x", "{}", "5", "[5]", "[\"x\"]"]),
    ("unknown", 4, &["1"], &["%"]),
    ("deleted", 2, &["true"], &["x"]),
];

const ACCEPTS: [&str; 10] = [
    "application/json",
    "multipart/mixed",
    "multipart/related",
    "*/*",
    "text/plain",
    "text/html",
    "application/json;q=0.5, multipart/*",
    "x",
    "multipart/related,application/json",
    "image/png",
];

impl Maker {
    /// A document that mostly exists, and mostly is an ordinary one.
    pub(super) fn target(&mut self) -> Doc {
        let id = self.id();
        self.world.doc(&id)
    }

    /// A revision for an edit, and whether it will probably be taken.
    pub(super) fn rev_for_edit(&mut self, doc: &Doc) -> (Option<String>, bool) {
        let latest = doc.latest();
        match self.dice.below(20) {
            0 => (None, latest.is_none()),
            1 => (Some(self.odd_rev()), false),
            2 => (doc.revs.first().cloned(), doc.revs.len() < 2),
            _ => (latest, true),
        }
    }

    /// The members of a document that is to be written, with its stubs.
    pub(super) fn document(&mut self, doc: &Doc) -> (Vec<String>, Vec<String>) {
        let mut members = self.members();
        let mut kept = Vec::new();
        let had = if doc.deleted { &[][..] } else { doc.attachments.as_slice() };
        if !had.is_empty() && self.dice.chance(60) || self.dice.chance(8) {
            let mut stubs: Vec<String> =
                had.iter().map(|name| format!("{}:{{\"stub\":true}}", quoted(name))).collect();
            kept.extend_from_slice(had);
            if self.dice.chance(50) {
                let (name, new) = self.inline_attachment();
                stubs.push(new);
                kept.push(name);
            }
            members.push(format!("\"_attachments\":{{{}}}", stubs.join(",")));
        }
        (members, kept)
    }

    pub(super) fn write_document(&mut self) {
        if self.dice.chance(15) {
            return self.write_branch();
        }
        let doc = self.target();
        let (mut members, kept) = self.document(&doc);
        let (rev, mut taken) = self.rev_for_edit(&doc);
        let mut query = Vec::new();
        let mut headers = Vec::new();
        if let Some(rev) = rev {
            match self.dice.below(10) {
                0..4 => members.insert(0, format!("\"_rev\":{}", quoted(&rev))),
                4..7 => query.push(format!("rev={}", in_query(&rev))),
                7..9 => headers.push(("If-Match", rev)),
                _ => {
                    members.push(format!("\"_rev\":{}", quoted(&rev)));
                    query.push(format!("rev={}", in_query(&self.rev_of(&doc))));
                    taken = false;
                }
            }
        } else if self.dice.chance(3) {
            let odd = self.dice.pick(&["5", "null", "true", "[]", "{}", "\"\"", "\"1-\""]);
            members.push(format!("\"_rev\":{odd}"));
        }
        if self.dice.chance(6) {
            let id = if self.dice.chance(50) { quoted(&doc.id) } else { self.scalar() };
            members.push(format!("\"_id\":{id}"));
        }
        let deleted = self.dice.chance(5);
        if deleted {
            members.push("\"_deleted\":true".to_owned());
        }
        if self.dice.chance(4) {
            query.push(
                self.dice
                    .pick(&[
                        "new_edits=true",
                        "new_edits=x",
                        "batch=x",
                        "w=1",
                        "r=1",
                        "conflicts=true",
                        "x=1",
                        "rev",
                    ])
                    .to_owned(),
            );
        }
        let body = format!("{{{}}}", members.join(","));
        let whole = if self.dice.chance(2) {
            self.dice.pick(&["[]", "5", "null", "{", "{}x", "\"a\"", "{} {}", "[{}]"]).to_owned()
        } else {
            body
        };
        let by_post = self.dice.chance(8) && Doc::is_plain(&doc.id);
        let mut request = if by_post {
            let with_id =
                format!("{{\"_id\":{}{}", quoted(&doc.id), if whole == "{}" { "" } else { "," });
            let whole = whole.replacen('{', &with_id, 1);
            Request::new("POST", &self.path("", &query)).json(&whole)
        } else {
            Request::new("PUT", &self.path(&format!("/{}", in_path(&doc.id)), &query)).json(&whole)
        };
        for (name, value) in headers {
            request.headers.insert(0, (name.to_owned(), value));
        }
        if self.dice.chance(2) {
            let kind = self.dice.pick(&[
                "text/plain",
                "application/json;charset=utf-8",
                "x",
                "multipart/form-data",
            ]);
            request.headers.retain(|(name, _)| name != "Content-Type");
            request = request.header("Content-Type", kind);
        }
        let rev = self.ask_and_keep(request, 'r', "/rev");
        if taken {
            self.world.edited(&doc.id, rev, kept, deleted);
        }
    }

    /// A revision with a history of its own.
    fn write_branch(&mut self) {
        let doc = self.target();
        let (rev, body) = self.branch(&doc);
        let path = self.path(&format!("/{}", in_path(&doc.id)), &["new_edits=false".to_owned()]);
        self.ask(Request::new("PUT", &path).json(&body));
        if let Some(rev) = rev {
            self.world.edited(&doc.id, rev, Vec::new(), body.contains("\"_deleted\":true"));
        }
    }

    /// A document with its own revision, as replication writes it; and that revision.
    pub(super) fn branch(&mut self, doc: &Doc) -> (Option<String>, String) {
        let mut members = self.members();
        // Siblings have a common root mostly, so that there are trees and not only roots.
        let root = self.dice.chance(60).then(|| "root".to_owned());
        let mut path: Vec<String> = root.into_iter().collect();
        // No choice is 7.
        let mut made_of = 7 * path.len();
        for _ in 0..=self.dice.below(4) {
            let choice = self.dice.below(7);
            // As if it were made of its ancestors: it has the same ones wherever it is named.
            made_of = made_of * 8 + choice;
            path.push(match choice {
                0..5 => format!("r{made_of:o}"),
                _ => format!("{made_of:032x}"),
            });
        }
        path.reverse();
        let start = match self.dice.chance(WRONG) {
            true => self.dice.pick(&["0", "1", "100", "-1", "\"1\"", "1.5", "2"]).to_owned(),
            false => path.len().to_string(),
        };
        let rev = path.first().map(|id| format!("{start}-{id}"));
        if let Some(rev) = rev.as_ref().filter(|_| !self.dice.chance(4)) {
            members.insert(0, format!("\"_rev\":{}", quoted(rev)));
        }
        if path.len() > 1 || self.dice.chance(50) {
            let ids: Vec<String> = path.iter().map(|id| quoted(id)).collect();
            members
                .push(format!("\"_revisions\":{{\"start\":{start},\"ids\":[{}]}}", ids.join(",")));
        }
        if self.dice.chance(15) {
            members.push("\"_deleted\":true".to_owned());
        }
        if self.dice.chance(10) {
            let (_, inline) = self.inline_attachment();
            members.push(format!("\"_attachments\":{{{inline}}}"));
        }
        let taken = start.parse() == Ok(path.len()) && Doc::is_plain(&doc.id);
        (rev.filter(|_| taken), format!("{{{}}}", members.join(",")))
    }

    pub(super) fn read_document(&mut self) {
        let doc = self.target();
        let query = if self.dice.chance(75) { self.query(&READ, &doc) } else { Vec::new() };
        let method = self.dice.pick(&["GET", "GET", "GET", "GET", "GET", "GET", "HEAD"]);
        let path = self.path(&format!("/{}", in_path(&doc.id)), &query);
        let mut request = Request::new(method, &path);
        let accept = query
            .iter()
            .any(|part| part.starts_with("open_revs") || part.starts_with("attachments"));
        if accept && self.dice.chance(60) {
            request = request.header("Accept", "application/json");
        } else if self.dice.chance(20) {
            request = request.header("Accept", self.dice.pick(&ACCEPTS));
        }
        if self.dice.chance(6) {
            let rev = self.rev_of(&doc);
            let tag = if self.dice.chance(70) { quoted(&rev) } else { rev };
            request = request
                .header(self.dice.pick(&["If-None-Match", "If-None-Match", "If-Match"]), &tag);
        }
        self.ask(request);
    }

    pub(super) fn delete_or_copy(&mut self) {
        let doc = self.target();
        if self.dice.chance(40) {
            return self.copy(&doc);
        }
        let (rev, taken) = self.rev_for_edit(&doc);
        let in_header = self.dice.chance(20);
        let query: Vec<String> = match (&rev, in_header) {
            (Some(rev), false) => vec![format!("rev={}", in_query(rev))],
            _ => Vec::new(),
        };
        let mut request =
            Request::new("DELETE", &self.path(&format!("/{}", in_path(&doc.id)), &query));
        if let Some(rev) = rev.as_ref().filter(|_| in_header) {
            request = request.header("If-Match", rev);
        }
        let name = self.ask_and_keep(request, 'r', "/rev");
        if taken && rev.is_some() {
            self.world.edited(&doc.id, name, Vec::new(), true);
        }
    }

    fn copy(&mut self, from: &Doc) {
        let to = if self.dice.chance(50) {
            self.target()
        } else {
            let id = self.new_id();
            self.world.doc(&id)
        };
        let mut destination = in_path(&to.id);
        let mut taken = to.latest().is_none();
        if let Some(rev) = to.latest().filter(|_| !self.dice.chance(15)) {
            destination.push_str(&format!("?rev={rev}"));
            taken = true;
        } else if self.dice.chance(5) {
            destination.push_str(&format!("?rev={}", in_query(&self.odd_rev())));
            taken = false;
        }
        let query = match self.dice.chance(20) {
            true => vec![format!("rev={}", in_query(&self.rev_of(from)))],
            false => Vec::new(),
        };
        let request = Request::new("COPY", &self.path(&format!("/{}", in_path(&from.id)), &query));
        let name = self.ask_and_keep(request.header("Destination", &destination), 'r', "/rev");
        if taken && from.latest().is_some() {
            self.world.edited(&to.id, name, from.attachments.clone(), false);
        }
    }
}
