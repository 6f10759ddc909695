//! Listings of documents and of changes, with every parameter that they know and some that they do not.

use super::pool::{in_path, in_query};
use super::world::Doc;
use super::{Maker, Param, WRONG};
use crate::client::Request;
use crate::script::{Capture, Step};

/// Parameters of `_all_docs` and its kin.
const ROWS: [Param; 19] = [
    ("key", 14, &["<id>"], &["x", "5", "", "null", "{}", "a"]),
    ("keys", 9, &["<ids>"], &["x", "5", "{}", "\"a\"", "[5]", "[null]"]),
    ("startkey", 16, &["<id>"], &["x", "5", "", "[]", "null"]),
    ("endkey", 16, &["<id>"], &["x", "5", "{}", "null"]),
    ("start_key", 4, &["<id>"], &["x"]),
    ("end_key", 4, &["<id>"], &["x"]),
    ("startkey_docid", 5, &["<rawid>"], &["", "\"a\""]),
    ("end_key_doc_id", 5, &["<rawid>"], &[""]),
    ("inclusive_end", 9, &["true", "false"], &["x", "", "1"]),
    ("descending", 22, &["true", "false"], &["x", "", "TRUE"]),
    ("limit", 20, &["<n>", "100"], &["-1", "x", "", "1.5", "\"1\"", "99999999999999999999"]),
    ("skip", 14, &["<n>"], &["-1", "x", "", "1.5"]),
    ("include_docs", 30, &["true", "false"], &["x", "null", "1"]),
    ("conflicts", 14, &["true", "false"], &["x"]),
    ("attachments", 8, &["true", "false"], &["x"]),
    ("att_encoding_info", 4, &["true", "false"], &["x"]),
    ("update_seq", 8, &["true", "false"], &["x"]),
    ("stable", 2, &["true", "false"], &["x"]),
    ("reduce", 2, &["false"], &["true", "x"]),
];

/// The same as members of a body.
const ROWS_BODY: [Param; 12] = [
    ("keys", 40, &["<ids>"], &["\"a\"", "5", "{}", "null", "[5,null]"]),
    ("key", 6, &["<id>"], &["5", "null", "{}"]),
    ("start_key", 9, &["<id>"], &["5", "null"]),
    ("end_key", 9, &["<id>"], &["5", "null"]),
    ("descending", 14, &["true", "false"], &["\"true\"", "1", "\"x\""]),
    ("limit", 14, &["<n>"], &["-1", "\"1\"", "\"x\"", "1.5", "null"]),
    ("skip", 10, &["<n>"], &["-1", "\"1\"", "1.5"]),
    ("include_docs", 20, &["true", "false"], &["\"true\"", "1"]),
    ("inclusive_end", 6, &["true", "false"], &["\"false\"", "0"]),
    ("update_seq", 6, &["true", "false"], &["\"x\""]),
    ("conflicts", 8, &["true"], &["\"x\""]),
    ("unknown", 3, &["1"], &["{}"]),
];

const CHANGES: [Param; 14] = [
    ("since", 35, &["0", "now", "<seq>"], &["x", "-1", "", "5", "\"0\""]),
    ("descending", 12, &["true", "false"], &["x"]),
    ("include_docs", 25, &["true", "false"], &["x", "1"]),
    ("conflicts", 12, &["true", "false"], &["x"]),
    ("attachments", 6, &["true", "false"], &["x"]),
    ("att_encoding_info", 4, &["true"], &["x"]),
    ("style", 25, &["all_docs", "main_only"], &["x", ""]),
    ("feed", 10, &["normal"], &["x", ""]),
    ("timeout", 2, &["100"], &["x", "-1"]),
    ("heartbeat", 2, &["10000", "true"], &["x", "0", "false"]),
    ("filter", 5, &["_design"], &["x", "_view", "no/such", "_docids", "_selector", ""]),
    ("seq_interval", 3, &["<n>"], &["x", "0"]),
    ("r", 1, &["1"], &["x"]),
    ("unknown", 2, &["1"], &["x"]),
];

impl Maker {
    pub(super) fn list(&mut self) {
        let kind = match self.dice.below(20) {
            0 => "_local_docs".to_owned(),
            1..3 => "_design_docs".to_owned(),
            3..5 if self.world.partitioned => {
                format!(
                    "_partition/{}/_all_docs",
                    in_path(self.dice.pick(&["p", "q", "é", "none", "_p", ""]))
                )
            }
            _ => "_all_docs".to_owned(),
        };
        let none = Doc::default();
        let request = match self.dice.below(10) {
            0..7 => {
                let query = self.query(&ROWS, &none);
                Request::new(
                    self.dice.pick(&["GET", "GET", "GET", "GET", "HEAD"]),
                    &self.path(&format!("/{kind}"), &query),
                )
            }
            7..9 => {
                let query =
                    if self.dice.chance(15) { self.query(&ROWS, &none) } else { Vec::new() };
                let body = self.body(&ROWS_BODY, &none);
                let body = format!("{{{}}}", body.join(","));
                Request::new("POST", &self.path(&format!("/{kind}"), &query)).json(&body)
            }
            _ => {
                let queries = self.list_of(|maker| {
                    let body = maker.body(&ROWS_BODY, &Doc::default());
                    format!("{{{}}}", body.join(","))
                });
                let body = format!("{{\"queries\":{queries}}}");
                Request::new("POST", &self.path(&format!("/{kind}/queries"), &[])).json(&body)
            }
        };
        self.ask(request);
    }

    pub(super) fn changes(&mut self) {
        let none = Doc::default();
        let mut query = self.query(&CHANGES, &none);
        let mut step = Step::default();
        if self.world.spread {
            step.unordered.push("results".to_owned());
        } else {
            if self.dice.chance(25) {
                let wrong = self.dice.chance(WRONG);
                let limit = if wrong {
                    self.dice.pick(&["x", "-1", "", "1.5"]).to_owned()
                } else {
                    self.dice.below(6).to_string()
                };
                query.push(format!("limit={limit}"));
            }
            if self.dice.chance(12) {
                // With signs of life these would never end.
                query.retain(|part| !part.starts_with("heartbeat"));
                query.push(
                    self.dice
                        .pick(&["feed=longpoll&timeout=50", "feed=continuous&timeout=50"])
                        .to_owned(),
                );
            }
        }
        let body = self.filter(&mut query);
        let path = self.path("/_changes", &query);
        step.request = match body {
            Some(body) => Request::new("POST", &path).json(&body),
            None => Request::new("GET", &path),
        };
        if !self.world.spread {
            let name = self.world.name('s');
            let source =
                self.dice.pick(&["/last_seq", "/last_seq", "/results/0/seq", "/results/1/seq"]);
            // Only a plain list is sure to show it.
            if !query.iter().any(|part| part.starts_with("feed") || part.starts_with("limit"))
                && source == "/last_seq"
            {
                step.captures.push(Capture { name: name.clone(), source: source.to_owned() });
                self.world.sequences.push(format!("{{{{{name}}}}}"));
            }
        }
        self.say(step);
    }

    /// A filter of changes: what it adds to the query, and its body.
    fn filter(&mut self, query: &mut Vec<String>) -> Option<String> {
        let kind = match self.dice.below(20) {
            0..2 => "_doc_ids",
            2..4 => "_selector",
            4 => "_view",
            _ => {
                return self.dice.chance(3).then(|| {
                    self.dice.pick(&["{}", "[]", "{", "5", "{\"doc_ids\":[\"a\"]}"]).to_owned()
                });
            }
        };
        query.retain(|part| !part.starts_with("filter="));
        query.push(format!("filter={kind}"));
        match kind {
            "_doc_ids" if self.dice.chance(30) => {
                let ids = self.list_of(|maker| maker.text_of_id());
                query.push(format!("doc_ids={}", in_query(&ids)));
                None
            }
            "_doc_ids" => {
                let wrong = self.dice.chance(WRONG);
                let ids = if wrong {
                    "\"a\"".to_owned()
                } else {
                    self.list_of(|maker| maker.text_of_id())
                };
                Some(format!("{{\"doc_ids\":{ids}}}"))
            }
            "_selector" => {
                let selector = self.selector(1);
                let fields =
                    if self.dice.chance(30) { ",\"fields\":[\"_id\",\"n\",\"o.x\"]" } else { "" };
                Some(format!("{{\"selector\":{selector}{fields}}}"))
            }
            _ => {
                let view = self.some_view();
                query.push(format!("view={}/{}", in_path(&view.ddoc), in_path(&view.name)));
                None
            }
        }
    }
}
