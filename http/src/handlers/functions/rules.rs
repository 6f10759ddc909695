//! Rules of `rewrites`: from the path and query of a request to those of another one. Pure.
//!
//! A rule matches a method and a path whose parts may be names to be bound (`:name`) or, at its end,
//! anything (`*`). What was bound, and the request's own query, go into the new path and query.

use serde_json::{Map, Value};

use crate::error::Error;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Parts of the path, relative to the design document.
    pub parts: Vec<String>,
    /// The query.
    pub query: Vec<(String, String)>,
}

/// A name and what it stands for.
type Binding = (String, Value);

/// Parameters that are JSON.
const KEYS: [&str; 6] = ["key", "startkey", "start_key", "endkey", "end_key", "keys"];

struct Rule<'a> {
    method: &'a str,
    from: Vec<&'a str>,
    to: Vec<&'a str>,
    query: Option<&'a Map<String, Value>>,
    formats: Option<&'a Map<String, Value>>,
}

/// Where the first rule that matches leads; `None` if none does.
///
/// # Errors
/// For rules that lead nowhere, or too far up if that is not allowed.
pub fn apply(
    rules: &[Value],
    method: &str,
    path: &[String],
    query: &[(String, Value)],
    secure: bool,
) -> Result<Option<Target>, Error> {
    let rules = rules.iter().filter_map(Value::as_object);
    let rules = rules.map(|rule| Rule::read(rule, secure)).collect::<Result<Vec<_>, _>>()?;
    let matches = |rule: &Rule<'_>| {
        let fits = rule.method == "*" || rule.method == method;
        let bound = fits.then(|| bind(&rule.from, path)).flatten()?;
        Some(rule.target(bound, query))
    };
    Ok(rules.iter().find_map(matches))
}

/// A parameter of a request's query as rules see it.
///
/// # Errors
/// 400 for a key that is no JSON.
pub fn parameter(name: &str, value: &str) -> Result<(String, Value), Error> {
    let value = match KEYS.contains(&name) {
        true => settee_model::json::value(value.as_bytes()).map_err(|_| Error::invalid_json())?,
        false => value.into(),
    };
    Ok((name.to_owned(), value))
}

impl<'a> Rule<'a> {
    fn read(rule: &'a Map<String, Value>, secure: bool) -> Result<Self, Error> {
        let text = |name: &str, usual: &'static str| match rule.get(name) {
            None => Ok(usual),
            Some(value) => value.as_str().ok_or(Error::Internal("unknown_error", "badarg".into())),
        };
        if !rule.contains_key("to") {
            return Err(Error::Internal("error", "invalid_rewrite_target".into()));
        }
        Ok(Rule {
            method: text("method", "*")?,
            from: parts(text("from", "*")?, secure)?,
            to: parts(text("to", "")?, secure)?,
            query: rule.get("query").and_then(Value::as_object),
            formats: rule.get("formats").and_then(Value::as_object),
        })
    }

    fn target(&self, (mut bindings, rest): (Vec<Binding>, &[String]), query: &[Binding]) -> Target {
        bindings.extend_from_slice(query);
        let mut own: Vec<Binding> = self
            .query
            .into_iter()
            .flatten()
            .map(|(name, value)| (name.clone(), self.replaced(value, &bindings)))
            .collect();
        own.reverse();
        bindings.retain(|(name, _)| own.iter().all(|(other, _)| other != name));
        bindings.extend(own);
        let mut parts = Vec::new();
        for part in &self.to {
            match part.strip_prefix(':') {
                _ if *part == "*" => {
                    parts.extend_from_slice(rest);
                    break;
                }
                Some(name) => {
                    let value = find(&bindings, name).map(plain);
                    parts.push(value.unwrap_or_else(|| "undefined".to_owned()));
                }
                None => parts.push((*part).to_owned()),
            }
        }
        let shown = |(name, value): &Binding| {
            let text = match KEYS.contains(&name.as_str()) {
                true => value.to_string(),
                false => plain(value),
            };
            (name.clone(), text)
        };
        let query = bindings.iter().rev().filter(|(name, _)| name != "*").map(shown).collect();
        Target { parts, query }
    }

    /// A value of the rule's query with what it names put in.
    fn replaced(&self, value: &Value, bindings: &[Binding]) -> Value {
        let variable = |text: &str| text.strip_prefix(':').map(str::to_owned);
        match value {
            Value::String(text) if text == "*" => self.value_of("*", value, bindings),
            Value::String(text) => match variable(text) {
                Some(name) => self.value_of(&name, value, bindings),
                None => value.clone(),
            },
            Value::Array(list) => {
                let item = |item: &Value| match item.as_str().and_then(variable) {
                    Some(name) => self.value_of(&name, item, bindings),
                    None => item.clone(),
                };
                Value::Array(list.iter().map(item).collect())
            }
            other => other.clone(),
        }
    }

    fn value_of(&self, name: &str, usual: &Value, bindings: &[Binding]) -> Value {
        let value = find(bindings, name).unwrap_or(usual).clone();
        let format = self.formats.and_then(|formats| formats.get(name)).and_then(Value::as_str);
        match (format, value.as_str()) {
            (Some("int"), Some(text)) => text.parse::<i64>().map_or(value.clone(), Value::from),
            (Some("bool"), Some(text)) if text.eq_ignore_ascii_case("true") => true.into(),
            (Some("bool"), Some(text)) if text.eq_ignore_ascii_case("false") => false.into(),
            _ => value,
        }
    }
}

fn find<'b>(bindings: &'b [Binding], name: &str) -> Option<&'b Value> {
    bindings.iter().find(|(other, _)| other == name).map(|(_, value)| value)
}

/// A value as text: lists are written one item after the other.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Array(list) => list.iter().map(plain).collect(),
        other => other.to_string(),
    }
}

/// The parts of a rule's path. Two steps up lead to the database; a third would leave it.
fn parts(path: &str, secure: bool) -> Result<Vec<&str>, Error> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if secure && parts.iter().filter(|part| **part == "..").count() > 2 {
        return Err(insecure());
    }
    Ok(parts)
}

/// What is said of a rule, or a function, that leads out of its database.
pub fn insecure() -> Error {
    Error::Internal("insecure_rewrite_rule", "too many ../.. segments".into())
}

/// What the parts of a pattern are bound to, the last one first, and what is left for its star.
fn bind<'p>(pattern: &[&str], path: &'p [String]) -> Option<(Vec<Binding>, &'p [String])> {
    let mut bindings = Vec::new();
    let (mut pattern, mut path) = (pattern, path);
    loop {
        match (pattern, path) {
            ([], []) => break,
            (["*"], _) => break,
            ([part, pattern_rest @ ..], [own, path_rest @ ..]) => {
                match part.strip_prefix(':').or((*part == "*").then_some("*")) {
                    Some(name) => bindings.insert(0, (name.to_owned(), own.as_str().into())),
                    None if part == own => {}
                    None => return None,
                }
                (pattern, path) = (pattern_rest, path_rest);
            }
            _ => return None,
        }
    }
    Some((bindings, path))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn go(rules: Value, method: &str, path: &str, query: &[(&str, &str)]) -> Option<Target> {
        let path: Vec<String> =
            path.split('/').filter(|p| !p.is_empty()).map(str::to_owned).collect();
        let query: Vec<_> =
            query.iter().map(|(name, value)| parameter(name, value).unwrap()).collect();
        apply(rules.as_array().unwrap(), method, &path, &query, true).unwrap()
    }

    fn to(parts: &[&str], query: &[(&str, &str)]) -> Option<Target> {
        let parts = parts.iter().map(|&part| part.to_owned()).collect();
        let query =
            query.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect();
        Some(Target { parts, query })
    }

    #[test]
    fn names_are_bound_and_put_in() {
        let rules = json!([
            {"from": "a/:id", "to": "../../:id"},
            {"from": "k/:a/:b", "to": "_view/v", "query": {"startkey": [":a", ":b"], "n": "*", "x": ":none"}},
            {"from": "int/:a", "to": "v", "query": {"key": ":a", "t": ":t"}, "formats": {"a": "int", "t": "bool"}},
            {"from": "/*", "to": "files/*"},
        ]);
        assert_eq!(go(rules.clone(), "GET", "a/x", &[]), to(&["..", "..", "x"], &[("id", "x")]));
        let two = go(rules.clone(), "GET", "k/1/2", &[("q", "z")]);
        let query = [
            ("startkey", "[\"1\",\"2\"]"),
            ("n", "*"),
            ("x", ":none"),
            ("q", "z"),
            ("a", "1"),
            ("b", "2"),
        ];
        assert_eq!(two, to(&["_view", "v"], &query));
        let int = go(rules.clone(), "GET", "int/7", &[("t", "True")]);
        assert_eq!(int, to(&["v"], &[("key", "7"), ("t", "true"), ("a", "7")]));
        assert_eq!(go(rules, "GET", "x/y/z", &[]), to(&["files", "x", "y", "z"], &[]));
    }

    #[test]
    fn methods_and_lengths_must_fit() {
        let rules =
            json!([5, {"from": "a", "to": "b", "method": "PUT"}, {"from": "a/:b", "to": ":c"}]);
        assert_eq!(go(rules.clone(), "GET", "a", &[]), None);
        assert_eq!(go(rules.clone(), "PUT", "a", &[]), to(&["b"], &[]));
        assert_eq!(go(rules.clone(), "PUT", "a/b/c", &[]), None);
        assert_eq!(go(rules, "PUT", "a/b", &[]), to(&["undefined"], &[("b", "b")]));
    }

    #[test]
    fn nobody_climbs_out_of_the_database() {
        let bad =
            |rule: Value| apply(&[rule], "GET", &[], &[], true).unwrap_err().info().1.to_owned();
        assert_eq!(bad(json!({"from": "", "to": "../../../x"})), "insecure_rewrite_rule");
        assert_eq!(bad(json!({"from": ""})), "error");
        assert!(apply(&[json!({"from": "", "to": "../../../x"})], "GET", &[], &[], false).is_ok());
    }
}
