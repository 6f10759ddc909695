//! The range of a field's values that a selector leaves, as CouchDB computes it: it decides which
//! index is taken, and where in it the search begins and ends. Only conditions that hold for all
//! that matches count. Narrower bounds are the affair of `narrow`.

use std::cmp::Ordering;

use serde_json::Value;
use settee_model::collate::compare;

use super::shape::{each_condition, is_indexable};

/// An end of a range; `None` where there is no end.
type Edge = Option<(Value, Inclusive)>;

type Inclusive = bool;

/// Values between two edges.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Range {
    low: Edge,
    high: Edge,
}

/// The ranges of fields, in the order of their names.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Ranges<'a> {
    Of(Vec<(&'a str, Range)>),
    /// No value of this field is left.
    Empty(&'a str),
}

/// Where a value stands to a range.
#[derive(PartialEq)]
enum Place {
    Before,
    AtLow,
    Inside,
    AtHigh,
    After,
}

impl<'a> Ranges<'a> {
    pub fn of(selector: &'a Value) -> Self {
        let mut conditions = Vec::new();
        each_condition(selector, &mut |field, operator, argument| {
            conditions.push((field, operator, argument));
        });
        // Conditions on one field stay in the order in which they are written.
        conditions.sort_by_key(|(field, _, _)| *field);
        let mut ranges = Vec::new();
        for group in conditions.chunk_by(|a, b| a.0 == b.0) {
            let Some((field, _, _)) = group.first() else { continue };
            if !group.iter().any(|(_, operator, _)| is_indexable(operator)) {
                continue;
            }
            let mut conditions = group.iter();
            let range = conditions.try_fold(Range::default(), |range, (_, operator, argument)| {
                range.narrow(operator, argument)
            });
            match range {
                Some(range) => ranges.push((*field, range)),
                None => return Ranges::Empty(field),
            }
        }
        Ranges::Of(ranges)
    }

    /// How many fields have one.
    pub fn len(&self) -> usize {
        match self {
            Ranges::Of(ranges) => ranges.len(),
            Ranges::Empty(_) => 1,
        }
    }

    /// For how many of an index's columns, from the first on, there is a range.
    pub fn prefix<'c>(&self, columns: impl Iterator<Item = &'c str>) -> usize {
        let most = match self {
            Ranges::Of(ranges) => ranges.len(),
            Ranges::Empty(_) => 1,
        };
        columns.take(most).take_while(|column| self.get(column).is_some()).count()
    }

    /// The range of a field; `Some(None)` if it is empty.
    pub fn get(&self, field: &str) -> Option<Option<&Range>> {
        match self {
            Ranges::Of(ranges) => {
                let at = ranges.binary_search_by_key(&field, |(name, _)| name).ok()?;
                ranges.get(at).map(|(_, range)| Some(range))
            }
            Ranges::Empty(name) => (*name == field).then_some(None),
        }
    }
}

impl Range {
    /// `None` if no value is left.
    fn narrow(self, operator: &str, argument: &Value) -> Option<Range> {
        use Place::{After, AtHigh, AtLow, Before, Inside};
        let edge = |inclusive| Some((argument.clone(), inclusive));
        let only = || Some(Range { low: edge(true), high: edge(true) });
        let closed = |edge: &Edge| edge.as_ref().is_some_and(|(_, inclusive)| *inclusive);
        let place = self.place(argument);
        match (operator, place) {
            ("$beginsWith", _) => {
                let prefix = argument.as_str()?;
                let last = Value::from(format!("{prefix}\u{ffff}"));
                self.narrow("$gte", argument)?.narrow("$lte", &last)
            }
            ("$lt" | "$lte" | "$eq", Before) | ("$lt", AtLow) => None,
            ("$gt" | "$gte" | "$eq", After) | ("$gt", AtHigh) => None,
            ("$lte" | "$eq", AtLow) => {
                if closed(&self.low) {
                    only()
                } else {
                    None
                }
            }
            ("$gte" | "$eq", AtHigh) => {
                if closed(&self.high) {
                    only()
                } else {
                    None
                }
            }
            ("$eq", Inside) => only(),
            ("$lt", Inside | AtHigh) => Some(Range { high: edge(false), ..self }),
            ("$lte", Inside) => Some(Range { high: edge(true), ..self }),
            ("$gt", Inside | AtLow) => Some(Range { low: edge(false), ..self }),
            ("$gte", Inside) => Some(Range { low: edge(true), ..self }),
            _ => Some(self),
        }
    }

    fn place(&self, value: &Value) -> Place {
        let value = value.to_string();
        let to = |edge: &Edge| {
            let (edge, _) = edge.as_ref()?;
            Some(compare(value.as_bytes(), edge.to_string().as_bytes()))
        };
        match (to(&self.low), to(&self.high)) {
            (Some(Ordering::Less), _) => Place::Before,
            (Some(Ordering::Equal), _) => Place::AtLow,
            (_, Some(Ordering::Equal)) => Place::AtHigh,
            (_, Some(Ordering::Greater)) => Place::After,
            _ => Place::Inside,
        }
    }

    pub fn low(&self) -> Option<&Value> {
        self.low.as_ref().map(|(value, _)| value)
    }

    pub fn high(&self) -> Option<&Value> {
        self.high.as_ref().map(|(value, _)| value)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ends(condition: Value) -> Option<(Option<Value>, Option<Value>)> {
        let parts: Vec<Value> =
            condition.as_array().unwrap().iter().map(|condition| json!({"a": condition})).collect();
        let selector = json!({"$and": parts});
        let ranges = Ranges::of(&selector);
        let range = ranges.get("a")??;
        Some((range.low().cloned(), range.high().cloned()))
    }

    #[test]
    fn conditions_narrow_a_range_in_turn() {
        let both = |low: Value, high: Value| Some((Some(low), Some(high)));
        let table = [
            (json!([{"$gt": 1}, {"$lt": 5}]), both(json!(1), json!(5))),
            (json!([{"$gt": 1}, {"$lt": 1}]), None),
            (json!([{"$gte": 1}, {"$lte": 1}]), both(json!(1), json!(1))),
            (json!([{"$gt": 1}, {"$lte": 1}]), None),
            (json!([{"$gt": 1}, {"$gt": 2}, {"$gte": 2}]), Some((Some(json!(2)), None))),
            (json!([{"$lt": 5}, {"$eq": 5}]), None),
            (json!([{"$lte": 5}, {"$eq": 5}]), both(json!(5), json!(5))),
            (json!([{"$eq": 5}, {"$eq": 5.0}]), both(json!(5.0), json!(5.0))),
            (json!([{"$eq": 5}, {"$eq": "5"}]), None),
            (json!([{"$beginsWith": "a"}]), both(json!("a"), json!("a\u{ffff}"))),
            (json!([{"$beginsWith": "a"}, {"$lt": "ab"}]), both(json!("a"), json!("ab"))),
            (json!([{"$ne": 5}, {"$exists": true}]), Some((None, None))),
        ];
        for (condition, expected) in table {
            assert_eq!(ends(condition.clone()), expected, "{condition}");
        }
    }
}
