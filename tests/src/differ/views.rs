//! Design documents with views, and their rows with every combination of parameters.

use super::pool::{in_path, quoted};
use super::world::{Doc, View};
use super::{Maker, Param, WRONG};
use crate::client::Request;

/// Maps that fail at nothing, whatever the document.
const MAPS: [&str; 10] = [
    "function(doc) { emit(doc.n, doc.s); }",
    "function(doc) { emit([doc.t, doc.n], 1); }",
    "function(doc) { if (doc.a && doc.a.length) for (var i = 0; i < doc.a.length; i++) emit(doc.a[i], i); }",
    "function(doc) { emit(doc._id, {_id: doc.link}); }",
    "function(doc) { emit(null, doc._rev); }",
    "function(doc) { if (typeof doc.n === 'number' && Math.abs(doc.n) < 1000) emit(doc.t, doc.n); }",
    "function(doc) { if (doc.n === 3) throw 'no'; emit(doc.o, null); }",
    "function(doc) { emit(doc.s); emit(doc.s, [doc.n, doc.t]); }",
    "function(doc) { emit([doc.t, doc.s, doc.n], doc._attachments ? 1 : 0); }",
    "function(doc) { emit(doc._id.length, doc._conflicts || doc._deleted || doc._revisions || null); }",
];

/// Maps whose values can be added.
const SUMMED: [&str; 4] = [
    "function(doc) { emit([doc.t, doc.n], 1); }",
    "function(doc) { if (typeof doc.n === 'number' && Math.abs(doc.n) < 1000) emit(doc.t, doc.n); }",
    "function(doc) { if (doc.a) emit([doc.t, doc.a.length || 0, doc.n], 2); }",
    "function(doc) { emit(doc.s, 1.5); }",
];

const REDUCES: [&str; 6] = [
    "_count",
    "_sum",
    "_stats",
    "_count",
    "_approx_count_distinct",
    "function(keys, values, rereduce) { return rereduce ? sum(values) : values.length; }",
];

/// Members that no design document should have.
const ODD: [&str; 14] = [
    "\"views\":5",
    "\"views\":[]",
    "\"views\":{\"v\":5}",
    "\"views\":{\"v\":{}}",
    "\"views\":{\"v\":{\"map\":5}}",
    "\"views\":{\"v\":{\"map\":\"not a function\"}}",
    "\"views\":{\"v\":{\"map\":\"function(doc) {\"}}",
    "\"views\":{\"v\":{\"map\":\"function(doc){}\",\"reduce\":\"_nope\"}}",
    "\"language\":5",
    "\"language\":\"no\"",
    "\"options\":5",
    "\"filters\":[]",
    "\"views\":{\"\":{\"map\":\"function(doc){emit(1)}\"}}",
    "\"validate_doc_update\":5",
];

const QUERY: [Param; 22] = [
    ("key", 14, &["<value>", "[\"x\",<n>]"], &["x", "", "{"]),
    ("keys", 10, &["<values>"], &["x", "5", "{}", "\"a\""]),
    ("startkey", 16, &["<value>", "[\"x\"]", "[]"], &["x", "", "["]),
    ("endkey", 16, &["<value>", "[\"y\",{}]", "{}", "\"\u{fff0}\""], &["x", ""]),
    ("start_key", 3, &["<value>"], &["x"]),
    ("end_key", 3, &["<value>"], &["x"]),
    ("startkey_docid", 6, &["<rawid>"], &["", "\"a\""]),
    ("endkey_docid", 6, &["<rawid>"], &[""]),
    ("inclusive_end", 9, &["true", "false"], &["x", "", "1"]),
    ("descending", 22, &["true", "false"], &["x", ""]),
    ("limit", 20, &["<n>", "100"], &["-1", "x", "", "1.5", "\"1\""]),
    ("skip", 14, &["<n>"], &["-1", "x", ""]),
    ("include_docs", 18, &["true", "false"], &["x", "1"]),
    ("conflicts", 8, &["true", "false"], &["x"]),
    ("attachments", 4, &["true", "false"], &["x"]),
    ("reduce", 30, &["true", "false"], &["x", "", "1"]),
    ("group", 22, &["true", "false"], &["x", "1"]),
    ("group_level", 16, &["0", "1", "2", "<n>"], &["-1", "x", "", "1.5", "exact"]),
    ("update_seq", 8, &["true", "false"], &["x"]),
    ("update", 2, &["true"], &["x"]),
    ("stable", 2, &["true", "false"], &["x"]),
    ("unknown", 2, &["1"], &["x"]),
];

const BODY: [Param; 14] = [
    ("keys", 30, &["<values>"], &["\"a\"", "5", "{}", "null"]),
    ("key", 10, &["<value>"], &["{\"a\":"]),
    ("start_key", 12, &["<value>", "[]"], &["{"]),
    ("endkey", 12, &["<value>", "{}"], &["]"]),
    ("descending", 14, &["true", "false"], &["\"true\"", "1"]),
    ("limit", 16, &["<n>"], &["-1", "\"1\"", "\"x\"", "1.5"]),
    ("skip", 12, &["<n>"], &["-1", "\"1\"", "null"]),
    ("include_docs", 14, &["true", "false"], &["\"true\"", "1"]),
    ("inclusive_end", 6, &["true", "false"], &["0"]),
    ("reduce", 25, &["true", "false"], &["\"false\"", "0"]),
    ("group", 20, &["true", "false"], &["\"true\"", "1"]),
    ("group_level", 14, &["1", "2", "0"], &["\"1\"", "\"exact\"", "-1", "null"]),
    ("update_seq", 6, &["true"], &["\"x\""]),
    ("unknown", 3, &["1"], &["{}"]),
];

impl Maker {
    pub(super) fn view(&mut self) {
        if self.world.views.is_empty() || self.dice.chance(12) {
            return self.write_design();
        }
        let view = self.some_view();
        let none = Doc::default();
        let begin = self.partition();
        let path = format!("{begin}/_design/{}/_view/{}", in_path(&view.ddoc), in_path(&view.name));
        let request = match self.dice.below(12) {
            0..8 => {
                let query = self.query(&QUERY, &none);
                Request::new(
                    self.dice.pick(&["GET", "GET", "GET", "GET", "GET", "HEAD"]),
                    &self.path(&path, &query),
                )
            }
            8..11 => {
                let query =
                    if self.dice.chance(15) { self.query(&QUERY, &none) } else { Vec::new() };
                let body = self.body(&BODY, &none);
                Request::new("POST", &self.path(&path, &query))
                    .json(&format!("{{{}}}", body.join(",")))
            }
            _ => {
                let queries = self.list_of(|maker| {
                    let body = maker.body(&BODY, &Doc::default());
                    format!("{{{}}}", body.join(","))
                });
                Request::new("POST", &self.path(&format!("{path}/queries"), &[]))
                    .json(&format!("{{\"queries\":{queries}}}"))
            }
        };
        self.ask(request);
    }

    /// A view that should exist, or one that should not.
    pub(super) fn some_view(&mut self) -> View {
        match self.world.views.get(self.dice.below(self.world.views.len())) {
            Some(view) if !self.dice.chance(WRONG / 2) => view.clone(),
            _ => View { ddoc: self.dice.pick(&["v1", "none"]).to_owned(), name: "none".to_owned() },
        }
    }

    fn write_design(&mut self) {
        let ddoc = self.dice.pick(&["v1", "v2", "é v"]).to_owned();
        let doc = self.world.doc(&format!("_design/{ddoc}"));
        let mut views = Vec::new();
        for number in 0..1 + self.dice.below(3) {
            let name = format!("v{number}");
            let reduce = if self.dice.chance(55) { self.dice.pick(&REDUCES) } else { "" };
            let adds = ["_sum", "_stats"].contains(&reduce);
            let map = if adds { self.dice.pick(&SUMMED) } else { self.dice.pick(&MAPS) };
            let reduce = match reduce {
                "" => String::new(),
                reduce => format!(",\"reduce\":{}", quoted(reduce)),
            };
            views.push((
                View { ddoc: ddoc.clone(), name: name.clone() },
                format!("\"{name}\":{{\"map\":{}{reduce}}}", quoted(map)),
            ));
        }
        let wrong = self.dice.chance(WRONG);
        let mut members = match wrong {
            true => vec![self.dice.pick(&ODD).to_owned()],
            false => {
                let views: Vec<String> = views.iter().map(|(_, text)| text.clone()).collect();
                vec![format!("\"views\":{{{}}}", views.join(","))]
            }
        };
        if self.world.partitioned && self.dice.chance(50) {
            members.push("\"options\":{\"partitioned\":false}".to_owned());
        } else if self.dice.chance(8) {
            let options = [
                "{\"local_seq\":true}",
                "{\"include_design\":true}",
                "{\"partitioned\":true}",
                "{\"x\":1}",
                "{}",
            ];
            members.push(format!("\"options\":{}", self.dice.pick(&options)));
        }
        if let Some(rev) = doc.latest() {
            members.insert(0, format!("\"_rev\":{}", quoted(&rev)));
        }
        let path = self.path(&format!("/_design/{}", in_path(&ddoc)), &[]);
        let rev = self.ask_and_keep(
            Request::new("PUT", &path).json(&format!("{{{}}}", members.join(","))),
            'r',
            "/rev",
        );
        // What is refused leaves all as it was.
        if !wrong {
            self.world.edited(&doc.id, rev, Vec::new(), false);
            self.world.views.retain(|view| view.ddoc != ddoc);
            self.world.views.extend(views.into_iter().map(|(view, _)| view));
        }
    }
}
