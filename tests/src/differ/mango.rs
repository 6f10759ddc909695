//! Mango: indexes made and deleted, questions with random selectors and options.

use super::pool::{in_query, quoted};
use super::world::{Doc, View};
use super::{Maker, Param, WRONG};
use crate::client::Request;
use crate::script::{Capture, Step};

const FIELDS: [&str; 14] =
    ["n", "s", "t", "a", "o", "o.x", "a.0", "link", "_id", "n", "t", "_rev", "nothing", "o.y.x"];

const OPTIONS: [Param; 11] = [
    ("limit", 30, &["<n>", "100"], &["-1", "\"1\"", "\"x\"", "1.5", "null"]),
    ("skip", 15, &["<n>"], &["-1", "\"1\"", "1.5", "null"]),
    (
        "sort",
        22,
        &[
            "[\"n\"]",
            "[{\"n\":\"desc\"}]",
            "[\"t\",\"n\"]",
            "[\"_id\"]",
            "[{\"_id\":\"desc\"}]",
            "[\"s\"]",
            "[]",
            "[{\"t\":\"asc\"},{\"n\":\"asc\"}]",
        ],
        &[
            "\"n\"",
            "[5]",
            "[{\"n\":\"up\"}]",
            "[{\"n\":\"asc\"},{\"t\":\"desc\"}]",
            "{}",
            "[{}]",
            "null",
            "[\"\"]",
            "[{\"a\":\"asc\",\"b\":\"asc\"}]",
        ],
    ),
    (
        "fields",
        30,
        &[
            "[\"_id\"]",
            "[\"n\",\"o.x\"]",
            "[]",
            "[\"_id\",\"_rev\",\"t\"]",
            "[\"a.0\",\"o\"]",
            "[\"n\",\"n\"]",
            "[\"o.x\",\"o\"]",
            "[\"nothing\",\"_id\"]",
        ],
        &["\"n\"", "[5]", "{}", "null", "[\"\"]", "\"all_fields\"", "[\"a..b\"]"],
    ),
    (
        "use_index",
        8,
        &["\"i1\"", "[\"i1\",\"j1\"]", "\"_design/i2\"", "\"none\"", "[\"i2\"]"],
        &["5", "{}", "[]", "\"\"", "[1]", "null"],
    ),
    ("conflicts", 6, &["true", "false"], &["\"x\"", "1"]),
    ("execution_stats", 6, &["true", "false"], &["\"x\""]),
    ("r", 2, &["1"], &["\"x\"", "0", "-1"]),
    ("update", 2, &["true"], &["\"x\"", "5"]),
    ("stable", 2, &["true", "false"], &["\"x\""]),
    ("unknown", 1, &["1"], &["{}"]),
];

impl Maker {
    pub(super) fn mango(&mut self) {
        match self.dice.below(20) {
            0..3 => self.create_index(),
            3 => self.delete_index(),
            4 => self.ask(Request::new("GET", &self.path("/_index", &[]))),
            _ => self.find(),
        }
    }

    fn find(&mut self) {
        let selector = self.selector(2);
        let options = self.body(&OPTIONS, &Doc::default());
        let mut members = vec![format!("\"selector\":{selector}")];
        if self.dice.chance(1) {
            members.clear();
        }
        members.extend(options);
        if self.dice.chance(8) {
            let known =
                self.world.bookmarks.get(self.dice.below(self.world.bookmarks.len())).cloned();
            let mark =
                known.unwrap_or_else(|| self.dice.pick(&["nil", "", "x", "AAAA"]).to_owned());
            members.push(format!("\"bookmark\":{}", quoted(&mark)));
        }
        let begin = self.partition();
        let route = self
            .dice
            .pick(&["_find", "_find", "_find", "_find", "_find", "_find", "_find", "_explain"]);
        let body = match self.dice.chance(1) {
            true => self
                .dice
                .pick(&["{}", "[]", "5", "{", "{\"selector\":5}", "{\"selector\":[]}", "null"])
                .to_owned(),
            false => format!("{{{}}}", members.join(",")),
        };
        let mut step = Step {
            request: Request::new("POST", &self.path(&format!("{begin}/{route}"), &[])).json(&body),
            ..Step::default()
        };
        step.ignore.push("execution_time_ms".to_owned());
        if route == "_find" && body.contains("\"limit\":") && !body.contains("\"bookmark\"") {
            let name = self.world.name('m');
            self.world.bookmarks.push(format!("{{{{{name}}}}}"));
            step.captures.push(Capture { name, source: "/bookmark".to_owned() });
        }
        self.say(step);
    }

    fn field(&mut self) -> String {
        if self.dice.chance(WRONG / 2) {
            return self
                .dice
                .pick(&[
                    "",
                    "a\\\\.b",
                    ".",
                    "$n",
                    "a.",
                    "é",
                    "_x",
                    "_deleted",
                    "_attachments",
                    "n.x",
                ])
                .to_owned();
        }
        self.dice.pick(&FIELDS).to_owned()
    }

    /// A selector, as text of JSON.
    pub(super) fn selector(&mut self, depth: usize) -> String {
        let members: Vec<String> = (0..self.dice.below(4)).map(|_| self.condition(depth)).collect();
        format!("{{{}}}", members.join(","))
    }

    fn condition(&mut self, depth: usize) -> String {
        if depth > 0 && self.dice.chance(20) {
            let operator = self.dice.pick(&["$and", "$or", "$nor", "$not"]);
            return match operator {
                "$not" => format!("\"$not\":{}", self.selector(depth - 1)),
                _ if self.dice.chance(4) => format!(
                    "\"{operator}\":{}",
                    self.dice.pick(&["5", "{}", "[]", "[5]", "null", "[{}]"])
                ),
                _ => format!("\"{operator}\":{}", self.list_of(|maker| maker.selector(depth - 1))),
            };
        }
        let field = self.field();
        let right = match self.dice.chance(25) {
            true => self.value(1),
            false => {
                let tests: Vec<String> =
                    (0..1 + self.dice.below(2)).map(|_| self.test(depth)).collect();
                format!("{{{}}}", tests.join(","))
            }
        };
        format!("\"{field}\":{right}")
    }

    /// What is asked of a value: an operator with its argument.
    fn test(&mut self, depth: usize) -> String {
        if self.dice.chance(4) {
            let odd = [
                "\"$foo\":1",
                "\"$in\":5",
                "\"$exists\":\"x\"",
                "\"$mod\":[0,1]",
                "\"$mod\":[2]",
                "\"$mod\":\"x\"",
                "\"$regex\":\"(\"",
                "\"$regex\":5",
                "\"$size\":\"x\"",
                "\"$size\":-1",
                "\"$all\":5",
                "\"$type\":\"x\"",
                "\"$type\":5",
                "\"$elemMatch\":5",
                "\"$nin\":{}",
                "\"$beginsWith\":5",
                "\"$allMatch\":[]",
                "\"$not\":5",
                "\"$\":1",
                "\"$keyMapMatch\":5",
                "\"$and\":5",
                "\"$in\":[]",
                "\"$mod\":[2.5,1]",
                "\"$mod\":[-2,0]",
            ];
            return self.dice.pick(&odd).to_owned();
        }
        let nested = depth > 0;
        match self.dice.below(24) {
            0..8 => {
                let operator =
                    self.dice.pick(&["$eq", "$ne", "$lt", "$lte", "$gt", "$gte", "$gt", "$lt"]);
                format!("\"{operator}\":{}", self.value(1))
            }
            8..11 => format!(
                "\"{}\":{}",
                self.dice.pick(&["$in", "$nin"]),
                self.list_of(|maker| maker.scalar())
            ),
            11..13 => format!("\"$exists\":{}", self.dice.pick(&["true", "false"])),
            13..15 => {
                let kind =
                    self.dice.pick(&["null", "boolean", "number", "string", "array", "object"]);
                format!("\"$type\":\"{kind}\"")
            }
            15 => format!("\"$size\":{}", self.dice.below(3)),
            16 => format!("\"$mod\":[{},{}]", 1 + self.dice.below(4), self.dice.below(3)),
            17 => format!(
                "\"$regex\":\"{}\"",
                self.dice.pick(&["^a", "b$", "[0-9]+", "é", ".*", "", "^.$", "(?i)B"])
            ),
            18 => format!("\"$beginsWith\":\"{}\"", self.dice.pick(&["a", "é", "", "日"])),
            19 => format!("\"$all\":{}", self.list_of(|maker| maker.scalar())),
            20 | 21 if nested => {
                let operator = self.dice.pick(&["$elemMatch", "$allMatch", "$keyMapMatch"]);
                format!("\"{operator}\":{{{}}}", self.test(depth - 1))
            }
            22 if nested => format!("\"$not\":{{{}}}", self.test(depth - 1)),
            _ => format!("\"$gte\":{}", self.scalar()),
        }
    }

    fn create_index(&mut self) {
        let ddoc = self.dice.pick(&["i1", "i2"]).to_owned();
        let name = self.dice.pick(&["j1", "j2", "j3"]).to_owned();
        let mut fields = Vec::new();
        for _ in 0..1 + self.dice.below(2) {
            let field = quoted(&self.field()).replace("\\\\\\\\", "\\\\");
            fields.push(if self.dice.chance(15) { format!("{{{field}:\"desc\"}}") } else { field });
        }
        let mut fields = format!("[{}]", fields.join(","));
        if self.dice.chance(WRONG) {
            fields = self
                .dice
                .pick(&[
                    "[]",
                    "5",
                    "[5]",
                    "{}",
                    "[{\"n\":\"up\"}]",
                    "\"n\"",
                    "[\"n\",\"n\"]",
                    "[{\"n\":\"asc\"},{\"t\":\"desc\"}]",
                    "[\"\"]",
                ])
                .to_owned();
        }
        let mut index = vec![format!("\"fields\":{fields}")];
        if self.dice.chance(15) {
            let selector = self.selector(1);
            index.push(format!("\"partial_filter_selector\":{selector}"));
        }
        let mut members = vec![format!("\"index\":{{{}}}", index.join(","))];
        if self.dice.chance(92) {
            members.push(format!("\"ddoc\":\"{ddoc}\""));
            members.push(format!("\"name\":\"{name}\""));
        }
        if self.world.partitioned && self.dice.chance(50) {
            members.push(format!("\"partitioned\":{}", self.dice.pick(&["true", "false"])));
        }
        if self.dice.chance(5) {
            members.push(
                self.dice
                    .pick(&[
                        "\"type\":\"json\"",
                        "\"type\":\"x\"",
                        "\"partitioned\":\"x\"",
                        "\"partitioned\":true",
                        "\"w\":1",
                        "\"ddoc\":5",
                        "\"name\":5",
                        "\"name\":\"\"",
                        "\"ddoc\":\"\"",
                        "\"x\":1",
                        "\"type\":5",
                    ])
                    .to_owned(),
            );
        }
        let request = Request::new("POST", &self.path("/_index", &[]))
            .json(&format!("{{{}}}", members.join(",")));
        self.ask(request);
        self.world.indexes.push(View { ddoc, name });
    }

    fn delete_index(&mut self) {
        let index = self
            .world
            .indexes
            .get(self.dice.below(self.world.indexes.len()))
            .cloned()
            .unwrap_or_default();
        let kind = self.dice.pick(&["json", "json", "json", "json", "text", "x"]);
        let ddoc = if self.dice.chance(30) {
            format!("_design/{}", index.ddoc)
        } else {
            in_query(&index.ddoc)
        };
        let path = self.path(&format!("/_index/{ddoc}/{kind}/{}", index.name), &[]);
        self.ask(Request::new("DELETE", &path));
    }
}
