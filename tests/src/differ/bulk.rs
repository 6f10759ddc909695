//! Many documents in one request: written, read, asked for by revision, purged.

use super::pool::quoted;
use super::world::Doc;
use super::{Maker, Param, WRONG};
use crate::client::Request;
use crate::script::{Capture, Step};

const GET: [Param; 6] = [
    ("revs", 40, &["true", "false"], &["x", ""]),
    ("attachments", 30, &["true", "false"], &["x"]),
    ("latest", 20, &["true", "false"], &["x"]),
    ("att_encoding_info", 10, &["true", "false"], &["x"]),
    ("conflicts", 5, &["true"], &["x"]),
    ("revs_info", 5, &["true"], &["x"]),
];

/// One edit among many, and what will probably come of it.
struct Edit {
    id: String,
    taken: bool,
    deleted: bool,
    attachments: Vec<String>,
}

impl Maker {
    pub(super) fn write_many(&mut self) {
        match self.dice.below(10) {
            0..5 => self.edit_many(),
            5..9 => self.replicate_many(),
            _ => self.purge(),
        }
    }

    fn edit_many(&mut self) {
        let mut docs = Vec::new();
        let mut edits: Vec<Edit> = Vec::new();
        for _ in 0..self.dice.below(6) {
            if self.dice.chance(2) {
                docs.push(
                    self.dice
                        .pick(&[
                            "5",
                            "null",
                            "[]",
                            "\"a\"",
                            "{\"_id\":5}",
                            "{\"_id\":\"\"}",
                            "{\"_id\":\"_x\"}",
                            "{\"_id\":\"a\",\"_x\":1}",
                            "{\"_id\":null}",
                        ])
                        .to_owned(),
                );
                continue;
            }
            let doc = self.target();
            let (mut members, kept) = self.document(&doc);
            let (rev, taken) = self.rev_for_edit(&doc);
            if let Some(rev) = rev {
                members.insert(0, format!("\"_rev\":{}", quoted(&rev)));
            }
            let deleted = self.dice.chance(8);
            if deleted {
                members.push("\"_deleted\":true".to_owned());
            }
            members.insert(0, format!("\"_id\":{}", quoted(&doc.id)));
            docs.push(format!("{{{}}}", members.join(",")));
            let twice = edits.iter().any(|other| other.id == doc.id);
            let attachments = if deleted { Vec::new() } else { kept };
            edits.push(Edit { id: doc.id, taken: taken && !twice, deleted, attachments });
        }
        let mut body = format!("{{\"docs\":[{}]}}", docs.join(","));
        if self.dice.chance(5) {
            body = self
                .dice
                .pick(&[
                    "{}",
                    "[]",
                    "{\"docs\":{}}",
                    "{\"docs\":[]}",
                    "{\"docs\":null}",
                    "{\"docs\":[{}],\"new_edits\":5}",
                    "{\"docs\":[],\"new_edits\":null}",
                    "5",
                    "{\"docs\":[{\"_id\":\"a\"},]}",
                    "{\"docs\":[],\"all_or_nothing\":true}",
                ])
                .to_owned();
            edits.clear();
        }
        let mut step = Step::default();
        for (at, edit) in edits.into_iter().enumerate() {
            if !edit.taken {
                continue;
            }
            let name = self.world.name('r');
            step.captures.push(Capture { name: name.clone(), source: format!("/{at}/rev") });
            let rev = format!("{{{{{name}}}}}");
            self.world.edited(&edit.id, rev, edit.attachments, edit.deleted);
        }
        if body.contains("{}") {
            // Ids that the server makes up.
            step.ignore.extend(["id".to_owned(), "rev".to_owned()]);
        }
        step.request = Request::new("POST", &self.path("/_bulk_docs", &[])).json(&body);
        self.say(step);
    }

    fn replicate_many(&mut self) {
        let mut docs = Vec::new();
        for _ in 0..1 + self.dice.below(5) {
            let doc = self.target();
            let (rev, body) = self.branch(&doc);
            docs.push(
                body.replacen('{', &format!("{{\"_id\":{},", quoted(&doc.id)), 1)
                    .replace(",}", "}"),
            );
            if let Some(rev) = rev {
                self.world.edited(&doc.id, rev, Vec::new(), body.contains("\"_deleted\":true"));
            }
        }
        let body = format!("{{\"docs\":[{}],\"new_edits\":false}}", docs.join(","));
        self.ask(Request::new("POST", &self.path("/_bulk_docs", &[])).json(&body));
    }

    pub(super) fn ask_many(&mut self) {
        match self.dice.below(10) {
            0..5 => self.get_many(),
            5..8 => self.ask_for_revisions("/_revs_diff"),
            _ => self.ask_for_revisions("/_missing_revs"),
        }
    }

    fn get_many(&mut self) {
        let asked = self.list_of(|maker| {
            let doc = maker.target();
            let mut members = vec![format!("\"id\":{}", quoted(&doc.id))];
            if maker.dice.chance(50) {
                members.push(format!("\"rev\":{}", quoted(&maker.rev_of(&doc))));
            }
            if maker.dice.chance(5) {
                members.push(maker.fill("\"atts_since\":<revs>", &doc));
            }
            if maker.dice.chance(2) {
                members = vec![
                    maker
                        .dice
                        .pick(&[
                            "\"rev\":\"1-a\"",
                            "\"id\":5",
                            "\"id\":\"\"",
                            "\"id\":null",
                            "\"_id\":\"a\"",
                        ])
                        .to_owned(),
                ];
            }
            format!("{{{}}}", members.join(","))
        });
        let body = match self.dice.chance(3) {
            true => self
                .dice
                .pick(&[
                    "{}",
                    "[]",
                    "{\"docs\":[]}",
                    "{\"docs\":null}",
                    "{\"docs\":[5]}",
                    "{\"docs\":{}}",
                    "5",
                    "{",
                ])
                .to_owned(),
            false => format!("{{\"docs\":{asked}}}"),
        };
        let query = self.query(&GET, &Doc::default());
        let mut request = Request::new("POST", &self.path("/_bulk_get", &query));
        if self.dice.chance(25) {
            let kinds = [
                "multipart/mixed",
                "multipart/related",
                "application/json",
                "*/*",
                "text/plain",
                "x",
            ];
            request = request.header("Accept", self.dice.pick(&kinds));
        }
        self.ask(request.json(&body));
    }

    fn ask_for_revisions(&mut self, route: &str) {
        let mut asked = Vec::new();
        for _ in 0..self.dice.below(5) {
            let doc = self.target();
            let revs = match self.dice.chance(3) {
                true => self
                    .dice
                    .pick(&["\"1-a\"", "{}", "5", "null", "[5]", "[[]]", "[null]"])
                    .to_owned(),
                false => self.fill("<revs>", &doc),
            };
            asked.push(format!("{}:{revs}", quoted(&doc.id)));
        }
        let body = match self.dice.chance(3) {
            true => self.dice.pick(&["[]", "5", "null", "{", "\"a\""]).to_owned(),
            false => format!("{{{}}}", asked.join(",")),
        };
        self.ask(Request::new("POST", &self.path(route, &[])).json(&body));
    }

    fn purge(&mut self) {
        let mut asked = Vec::new();
        for _ in 0..1 + self.dice.below(3) {
            // Design documents that were purged live on in CouchDB's cache.
            let plain = self.world.some(&mut self.dice, |id| !id.starts_with("_design/"));
            let Some(doc) = plain else { continue };
            let revs = match self.dice.chance(WRONG) {
                true => self.dice.pick(&["\"1-a\"", "{}", "5", "null", "[5]", "[]"]).to_owned(),
                false => {
                    let revs: Vec<String> = doc
                        .revs
                        .iter()
                        .rev()
                        .take(1 + self.dice.below(2))
                        .map(|rev| quoted(rev))
                        .collect();
                    format!("[{}]", revs.join(","))
                }
            };
            asked.push(format!("{}:{revs}", quoted(&doc.id)));
        }
        self.ask(
            Request::new("POST", &self.path("/_purge", &[]))
                .json(&format!("{{{}}}", asked.join(","))),
        );
    }
}
