//! JSON as Erlang prints it for people (`~p`), for the errors that quote a client's values so:
//! what could be text is shown as text. Never breaks lines.

use std::fmt::{self, Display};

use serde_json::Value;
use settee_model::selector::Term;

/// Displays a value as `io_lib:format("~p", …)` does its EJSON form.
pub(super) struct Pretty<'a>(pub &'a Value);

impl Display for Pretty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::String(text) => binary(f, text),
            Value::Array(items) => match printable(items) {
                Some(text) => quoted(f, &text),
                None => list(f, items, |f, item| Pretty(item).fmt(f)),
            },
            Value::Object(members) => {
                f.write_str("{")?;
                list(f, members, |f, (name, value)| {
                    f.write_str("{")?;
                    binary(f, name)?;
                    write!(f, ",{}}}", Pretty(value))
                })?;
                f.write_str("}")
            }
            other => Term(other).fmt(f),
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: impl IntoIterator<Item = T>,
    item: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("[")?;
    for (index, value) in items.into_iter().enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        item(f, value)?;
    }
    f.write_str("]")
}

fn binary(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    if text.is_empty() || !text.bytes().all(is_printable) {
        return Term(&Value::from(text)).fmt(f);
    }
    f.write_str("<<")?;
    quoted(f, text)?;
    f.write_str(">>")
}

/// Whether Latin-1 has a printable character of that number.
fn is_printable(byte: u8) -> bool {
    matches!(byte, 8..=13 | 27 | 32..=126 | 160..=255)
}

/// The text of a list that Erlang takes for a string.
fn printable(items: &[Value]) -> Option<String> {
    let char = |item: &Value| {
        let byte = item.as_u64().and_then(|code| u8::try_from(code).ok())?;
        is_printable(byte).then_some(char::from(byte))
    };
    if items.is_empty() { None } else { items.iter().map(char).collect() }
}

fn quoted(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for char in text.chars() {
        match char {
            '"' | '\\' => write!(f, "\\{char}")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{b}' => f.write_str("\\v")?,
            '\u{c}' => f.write_str("\\f")?,
            '\u{1b}' => f.write_str("\\e")?,
            char => write!(f, "{char}")?,
        }
    }
    f.write_str("\"")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_print_as_for_people() {
        for (value, text) in [
            (json!("a\"b"), r#"<<"a\"b">>"#),
            (json!(""), "<<>>"),
            (json!("\u{1}"), "<<1>>"),
            (json!([97, 98]), r#""ab""#),
            (json!([]), "[]"),
            (json!([1, "a", null]), r#"[1,<<"a">>,null]"#),
            (json!({"b": "up", "c": {}}), r#"{[{<<"b">>,<<"up">>},{<<"c">>,{[]}}]}"#),
            (json!(1.5), "1.5"),
        ] {
            assert_eq!(Pretty(&value).to_string(), text);
        }
    }
}
