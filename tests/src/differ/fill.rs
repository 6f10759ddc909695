//! Texts with holes: `<id>` an id as JSON, `<ids>` some, `<rawid>` one without quotes, `<rev>` a
//! revision of the document in question, `<revs>` some as JSON, `<value>` any value, `<values>` some,
//! `<n>` a small number, `<seq>` a sequence. Queries and bodies are made of them.

use super::pool::{in_query, quoted};
use super::world::Doc;
use super::{Maker, Param, WRONG};

impl Maker {
    /// A text whose holes are filled.
    pub(super) fn fill(&mut self, text: &str, doc: &Doc) -> String {
        let mut filled = String::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('<') {
            filled.push_str(before);
            let Some((hole, behind)) = after.split_once('>') else {
                filled.push('<');
                rest = after;
                continue;
            };
            let value = self.hole(hole, doc);
            filled.push_str(&value);
            rest = behind;
        }
        filled.push_str(rest);
        filled
    }

    fn hole(&mut self, hole: &str, doc: &Doc) -> String {
        match hole {
            "id" => self.text_of_id(),
            "ids" => self.list_of(|maker| maker.text_of_id()),
            "rawid" => self.id(),
            "rev" => self.rev_of(doc),
            "revs" => self.list_of(|maker| quoted(&maker.rev_of(doc))),
            "value" => self.value(1),
            "values" => self.list_of(|maker| maker.value(1)),
            "n" => self.dice.below(7).to_string(),
            "seq" => match self.world.sequences.len() {
                0 => "0".to_owned(),
                known => {
                    let at = self.dice.below(known);
                    self.world.sequences.get(at).cloned().unwrap_or_default()
                }
            },
            other => format!("<{other}>"),
        }
    }

    /// A list, as text of JSON.
    pub(super) fn list_of(&mut self, mut one: impl FnMut(&mut Maker) -> String) -> String {
        let items: Vec<String> = (0..self.dice.below(5)).map(|_| one(self)).collect();
        format!("[{}]", items.join(","))
    }

    /// A revision of a document, mostly.
    pub(super) fn rev_of(&mut self, doc: &Doc) -> String {
        match doc.revs.get(self.dice.below(doc.revs.len())) {
            Some(rev) if !self.dice.chance(WRONG) => rev.clone(),
            _ => self.odd_rev(),
        }
    }

    /// Values for a request, by name, as texts that are not encoded.
    fn values(&mut self, table: &[Param], doc: &Doc) -> Vec<(&'static str, String)> {
        let mut values = Vec::new();
        // One wrong value says more than many.
        let wrong_at = self.dice.chance(WRONG).then(|| self.dice.below(table.len()));
        for (at, (name, often, right, wrong)) in table.iter().enumerate() {
            let is_wrong = wrong_at == Some(at);
            if !is_wrong && !self.dice.chance(*often) {
                continue;
            }
            let template = self.dice.pick(if is_wrong { wrong } else { right });
            let value = self.fill(template, doc);
            values.push((*name, value));
        }
        values
    }

    /// The parts of a query.
    pub(super) fn query(&mut self, table: &[Param], doc: &Doc) -> Vec<String> {
        let values = self.values(table, doc);
        values.iter().map(|(name, value)| format!("{name}={}", in_query(value))).collect()
    }

    /// The members of a body.
    pub(super) fn body(&mut self, table: &[Param], doc: &Doc) -> Vec<String> {
        let values = self.values(table, doc);
        values.iter().map(|(name, value)| format!("\"{name}\":{value}")).collect()
    }
}
