//! Numbers as built-in reduces add them up: integers are exact, as in Erlang, as long as they have no
//! more than 38 digits; anything else is a double. Pure.

use std::cmp::Ordering;

/// A number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Num {
    Int(i128),
    Float(f64),
}

impl Num {
    /// Reads a number in stored form.
    pub(super) fn parse(json: &[u8]) -> Option<Num> {
        let text = std::str::from_utf8(json).ok()?;
        let first = json.first()?;
        if !first.is_ascii_digit() && *first != b'-' {
            return None;
        }
        if let Ok(int) = text.parse::<i128>() {
            return Some(Num::Int(int));
        }
        text.parse().ok().filter(|float: &f64| float.is_finite()).map(Num::Float)
    }

    fn float(self) -> f64 {
        match self {
            Num::Int(int) => int as f64,
            Num::Float(float) => float,
        }
    }

    /// Whether it can be written: sums may be larger than any double.
    pub(super) fn is_finite(self) -> bool {
        matches!(self, Num::Int(_)) || self.float().is_finite()
    }

    pub(super) fn add(self, other: Num) -> Num {
        let sum = match (self, other) {
            (Num::Int(a), Num::Int(b)) => a.checked_add(b).map(Num::Int),
            _ => None,
        };
        sum.unwrap_or_else(|| Num::Float(self.float() + other.float()))
    }

    pub(super) fn square(self) -> Num {
        let square = match self {
            Num::Int(a) => a.checked_mul(a).map(Num::Int),
            Num::Float(_) => None,
        };
        square.unwrap_or_else(|| Num::Float(self.float() * self.float()))
    }

    pub(super) fn min(self, other: Num) -> Num {
        if other.compare(self).is_lt() { other } else { self }
    }

    pub(super) fn max(self, other: Num) -> Num {
        if other.compare(self).is_gt() { other } else { self }
    }

    fn compare(self, other: Num) -> Ordering {
        match (self, other) {
            (Num::Int(a), Num::Int(b)) => a.cmp(&b),
            _ => self.float().partial_cmp(&other.float()).unwrap_or(Ordering::Equal),
        }
    }

    /// Appends it as CouchDB 3.5 writes it: floats as JavaScript does, but with a point.
    pub(super) fn put(self, out: &mut Vec<u8>) {
        let text = match self {
            Num::Int(int) => int.to_string(),
            Num::Float(float) => float_text(float),
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// Floats from 1e-6 up to below 1e21 are written without an exponent.
fn float_text(float: f64) -> String {
    let plain = float == 0.0 || (1e-6..1e21).contains(&float.abs());
    if plain {
        let text = format!("{float}");
        return if text.contains('.') { text } else { text + ".0" };
    }
    let text = format!("{float:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_couchdb_writes_them() {
        let table = [
            (17.0, "17.0"),
            (8.5, "8.5"),
            (1e-7, "1e-7"),
            (1.1e21, "1.1e+21"),
            (9.999999999999998e-15, "9.999999999999998e-15"),
            (1e42, "1e+42"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e20, "100000000000000000000.0"),
            (-0.5, "-0.5"),
        ];
        for (float, text) in table {
            assert_eq!(float_text(float), text);
        }
    }

    #[test]
    fn integers_are_exact_and_floats_contagious() {
        let num = |text: &str| Num::parse(text.as_bytes()).unwrap();
        assert_eq!(num("9007199254740993").add(num("1")), Num::Int(9_007_199_254_740_994));
        assert_eq!(num("1").add(num("1.0")), Num::Float(2.0));
        assert_eq!(num("100000000000000000000").square(), Num::Float(1e40));
        assert_eq!(num("2").min(num("1.5")), Num::Float(1.5));
        assert_eq!(num("2").max(num("2.0")), Num::Int(2));
        for none in ["\"1\"", "null", "[1]", "", "inf"] {
            assert_eq!(Num::parse(none.as_bytes()), None, "{none}");
        }
    }
}
