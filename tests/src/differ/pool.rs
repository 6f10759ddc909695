//! Values at their edges: JSON, ids, revisions, headers. Texts of JSON, since what a client writes is
//! not always what a parser would write.

use super::{Maker, WRONG};

/// Scalars that documents hold and that keys are compared with.
const SCALARS: [&str; 40] = [
    "null",
    "true",
    "false",
    "0",
    "1",
    "2",
    "3",
    "4",
    "-1",
    "1.0",
    "1.5",
    "-2.5",
    "-0",
    "1e2",
    "1E+2",
    "1e-7",
    "0.1",
    "10",
    "9007199254740993",
    "12345678901234567890",
    "1.0e0",
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"B\"",
    "\"ab\"",
    "\"A\"",
    "\"é\"",
    "\"e\\u0301\"",
    "\"日本\"",
    "\"\\ud83d\\ude00\"",
    "\"a b\"",
    "\"1\"",
    "\"a\\/b\"",
    "\"\\\"\"",
    "\"x\"",
    "\"y\"",
    "\"_\"",
    "\"\\u2028\"",
    "\"~\"",
];

/// What is no JSON, or hardly.
const BROKEN: [&str; 16] = [
    "01",
    "+1",
    ".5",
    "1.",
    "NaN",
    "'a'",
    "\"\\x\"",
    "\"\\ud800\"",
    "1e999",
    "[1,]",
    "{\"a\":1,}",
    "\"a\tb\"",
    "\"\\u0000\"",
    "{1:2}",
    "tru",
    "-",
];

/// Revisions that nobody made or that are none.
pub(super) const ODD_REVS: [&str; 20] = [
    "x",
    "1",
    "1-",
    "-1",
    "1-x-y",
    "0-1",
    "",
    "99999999999999999999-abc",
    "-1-abc",
    "1.5-abc",
    "+1-abc",
    " 1-abc",
    "1-é",
    "2-00000000000000000000000000000000",
    "1-abc",
    "7-def",
    "01-abc",
    "1-ABCDEF0123456789ABCDEF0123456789",
    "1-abcdef0123456789abcdef0123456789",
    "null",
];

const IDS: [&str; 26] = [
    "a", "b", "c", "d", "e", "f", "g", "doc-1", "B", "é", "日本", "a b", "a/b", "a+b", "a%b", "😀",
    "\"q\"", "0", "~", "a&b=c", "-", "null", "a?b#c", "a:b", "e\u{301}", "x_y",
];

/// Ids that no document may have, or hardly.
const ODD_IDS: [&str; 10] =
    ["_bad", "_", "_design/", "_local/", "_design", "_all", "..", ".", "_design/a/b", "none"];

const PARTITIONED_IDS: [&str; 14] = [
    "p:a", "p:b", "p:c", "p:d", "q:a", "q:b", "q:é", "p:a:b", "p:1", "r:😀", "p:/", "é:a", "p2:a",
    "p:~",
];

const ODD_PARTITIONED_IDS: [&str; 8] =
    ["nocolon", ":a", "p:", "_p:a", "p::a", "_design/p", "_p", ":"];

impl Maker {
    /// A scalar, as text of JSON.
    pub(super) fn scalar(&mut self) -> String {
        match self.dice.below(10) {
            0..4 => self.dice.below(6).to_string(),
            4..6 => self.dice.pick(&["\"x\"", "\"y\"", "\"z\""]).to_owned(),
            _ => self.dice.pick(&SCALARS).to_owned(),
        }
    }

    /// A value, as text of JSON.
    pub(super) fn value(&mut self, depth: usize) -> String {
        match self.dice.below(12) {
            0 if depth > 0 => {
                let items: Vec<String> =
                    (0..self.dice.below(4)).map(|_| self.value(depth - 1)).collect();
                format!("[{}]", items.join(","))
            }
            1 if depth > 0 => self.object(depth - 1),
            _ => self.scalar(),
        }
    }

    fn object(&mut self, depth: usize) -> String {
        let names = ["x", "y", "", "é", "a.b", "_x", "$y", "0", "x", "n"];
        let members: Vec<String> = (0..self.dice.below(4))
            .map(|_| format!("\"{}\":{}", self.dice.pick(&names), self.value(depth)))
            .collect();
        format!("{{{}}}", members.join(","))
    }

    /// What is wrong where a value should stand.
    pub(super) fn broken(&mut self) -> String {
        self.dice.pick(&BROKEN).to_owned()
    }

    /// Members of a document, each a text.
    pub(super) fn members(&mut self) -> Vec<String> {
        let mut members = Vec::new();
        for name in ["n", "s", "t", "a", "o", "link"] {
            if self.dice.chance(35) {
                continue;
            }
            let value = match name {
                "n" if self.dice.chance(70) => self.dice.below(8).to_string(),
                "t" => self.dice.pick(&["\"x\"", "\"y\"", "\"z\""]).to_owned(),
                "a" if self.dice.chance(80) => {
                    let items: Vec<_> = (0..self.dice.below(4)).map(|_| self.scalar()).collect();
                    format!("[{}]", items.join(","))
                }
                "o" if self.dice.chance(80) => self.object(1),
                "link" => self.text_of_id(),
                _ => self.value(2),
            };
            members.push(format!("\"{name}\":{value}"));
        }
        if self.dice.chance(4) {
            let odd = [
                "\"_x\":1",
                "\"\":0",
                "\"é\":{}",
                "\"$x\":1",
                "\"n\":9",
                "\"_conflicts\":[]",
                "\"_revs_info\":[]",
                "\"_local_seq\":1",
                "\"_attachments\":{}",
                "\"_deleted\":false",
                "\"_deleted\":0",
                "\"_deleted\":null",
                "\"_deleted_conflicts\":[\"1-a\"]",
                "\"_attachments\":[]",
                "\"_revisions\":{}",
                "\"__proto__\":{}",
                "\"_replication_id\":\"x\"",
            ];
            members.push(self.dice.pick(&odd).to_owned());
        }
        if self.dice.chance(1) {
            let broken = self.broken();
            members.push(format!("\"b\":{broken}"));
        }
        members
    }

    /// An id: of something that exists, of something that could, or of nothing that may.
    pub(super) fn id(&mut self) -> String {
        if self.dice.chance(60)
            && let Some(doc) = self.world.some(&mut self.dice, |_| true)
        {
            return doc.id;
        }
        self.new_id()
    }

    /// An id of which nothing may be known.
    pub(super) fn new_id(&mut self) -> String {
        let wrong = self.dice.chance(WRONG / 2);
        let id = match (self.world.partitioned, wrong) {
            (false, false) => self.dice.pick(&IDS),
            (false, true) => self.dice.pick(&ODD_IDS),
            (true, false) => self.dice.pick(&PARTITIONED_IDS),
            (true, true) => self.dice.pick(&ODD_PARTITIONED_IDS),
        };
        match self.dice.below(12) {
            0 => format!("_local/{}", id.trim_start_matches('_')),
            _ => id.to_owned(),
        }
    }

    /// An id as a text of JSON.
    pub(super) fn text_of_id(&mut self) -> String {
        quoted(&self.id())
    }

    /// A revision that no edit should name.
    pub(super) fn odd_rev(&mut self) -> String {
        self.dice.pick(&ODD_REVS).to_owned()
    }
}

/// A text of JSON.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A document's name in a path; the first slash of special ones is mostly written out.
pub(super) fn in_path(id: &str) -> String {
    match id.split_once('/') {
        Some((kind @ ("_design" | "_local"), rest)) => format!("{kind}/{}", encoded(rest, "")),
        _ => encoded(id, ""),
    }
}

/// A value in a query; the marks of captured values stay.
pub(super) fn in_query(value: &str) -> String {
    encoded(value, "[]{}\",:$!'()*@/?")
}

fn encoded(text: &str, as_it_is: &str) -> String {
    let mut encoded = String::new();
    for letter in text.chars() {
        if letter.is_ascii_alphanumeric() || "-._~".contains(letter) || as_it_is.contains(letter) {
            encoded.push(letter);
            continue;
        }
        let mut bytes = [0; 4];
        for byte in letter.encode_utf8(&mut bytes).bytes() {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}
