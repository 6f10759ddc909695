//! JSON as Erlang prints it, for the errors that quote a client's values. Never read back, and not
//! the form that is hashed (see `hash::term`).

use std::fmt;

use serde_json::Value;

/// Displays a value as `io_lib:format("~w", …)` does its EJSON form.
pub struct Term<'a>(pub &'a Value);

impl fmt::Display for Term<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Value::Number(number) => match number.as_f64().filter(|_| number.is_f64()) {
                Some(float) => f.write_str(&float_text(float)),
                None => number.fmt(f),
            },
            Value::String(text) => binary(f, text),
            Value::Array(items) => list(f, items.iter(), |f, item| Term(item).fmt(f)),
            Value::Object(members) => {
                f.write_str("{")?;
                list(f, members.iter(), |f, (name, value)| {
                    f.write_str("{")?;
                    binary(f, name)?;
                    write!(f, ",{}}}", Term(value))
                })?;
                f.write_str("}")
            }
            Value::Null | Value::Bool(_) => self.0.fmt(f),
        }
    }
}

fn list<T>(
    f: &mut fmt::Formatter<'_>,
    items: impl Iterator<Item = T>,
    item: impl Fn(&mut fmt::Formatter<'_>, T) -> fmt::Result,
) -> fmt::Result {
    f.write_str("[")?;
    for (index, value) in items.enumerate() {
        if index > 0 {
            f.write_str(",")?;
        }
        item(f, value)?;
    }
    f.write_str("]")
}

fn binary(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    let bytes: Vec<String> = text.bytes().map(|byte| byte.to_string()).collect();
    write!(f, "<<{}>>", bytes.join(","))
}

const EXACT: f64 = 9_007_199_254_740_992.0;

/// The shortest text that reads back as the number, in whichever notation is shorter.
fn float_text(float: f64) -> String {
    let scientific = format!("{:e}", float.abs());
    let sign = if float.is_sign_negative() { "-" } else { "" };
    let Some((mantissa, exponent)) = scientific.split_once('e') else { return scientific };
    let (digits, exponent) = (mantissa.replace('.', ""), exponent.parse::<i64>().unwrap_or(0));
    let (count, point) = (digits.len() as i64, exponent + 1);
    let cost = exponent.to_string().len() as i64 + if count == 1 { 3 } else { 2 };
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    let plain = match point {
        // Beyond the integers that doubles have exactly, the digits would pretend too much.
        _ if float.abs() >= EXACT => None,
        _ if point < 0 && 2 - point <= cost => Some(format!("0.{}{digits}", zeros(-point))),
        _ if point < 0 => None,
        _ if point < count => {
            let (whole, fraction) = digits.split_at(usize::try_from(point).unwrap_or(0));
            Some(format!("{}.{fraction}", if whole.is_empty() { "0" } else { whole }))
        }
        _ if point - count + 2 <= cost => Some(format!("{digits}{}.0", zeros(point - count))),
        _ => None,
    };
    let dot = if count == 1 { ".0" } else { "" };
    format!("{sign}{}", plain.unwrap_or_else(|| format!("{mantissa}{dot}e{exponent}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_print_as_erlang_terms() {
        let value: Value = serde_json::from_str(
            r#"{"x":[1,"é",null,true,1.5,1e30,-2,12345678901234567890],"y":{}}"#,
        )
        .unwrap();
        let expected = "{[{<<120>>,[1,<<195,169>>,null,true,1.5,1.0e30,-2,12345678901234567890]},\
            {<<121>>,{[]}}]}";
        assert_eq!(Term(&value).to_string(), expected);
        assert_eq!(Term(&serde_json::json!(["", []])).to_string(), "[<<>>,[]]");
    }

    #[test]
    fn floats_print_as_erlang_has_them() {
        let expected = [
            (1.0e30, "1.0e30"),
            (1.5, "1.5"),
            (0.1, "0.1"),
            (0.01, "0.01"),
            (0.001, "0.001"),
            (0.0001, "0.0001"),
            (1.0e4, "1.0e4"),
            (123_456_700.0, "1.234567e8"),
            (1.0e-5, "1.0e-5"),
            (1.0e15, "1.0e15"),
            (1.0e5, "1.0e5"),
            (123_456.0, "123456.0"),
            (1.0e21, "1.0e21"),
            (12_345_678_901_234_567.0, "1.2345678901234568e16"),
            (-0.0, "-0.0"),
            (0.0, "0.0"),
            (1.5e300, "1.5e300"),
            (123.456e-7, "1.23456e-5"),
            (100.0, "100.0"),
            (9_007_199_254_740_991.0, "9007199254740991.0"),
            (9_007_199_254_740_992.0, "9.007199254740992e15"),
            (0.00015, "1.5e-4"),
            (-1.0, "-1.0"),
            (0.00123, "0.00123"),
            (1234567.0, "1234567.0"),
        ];
        for (float, text) in expected {
            assert_eq!(float_text(float), text);
        }
    }
}
