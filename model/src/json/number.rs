//! Numbers of JSON: which texts are numbers, and what Erlang makes of them. The text is what we
//! keep; the value is needed for the hash of a revision and to refuse what has no value there.

/// A number as Erlang has it after CouchDB's parser read it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Number<'a> {
    /// An integer that fits.
    Small(i64),
    /// An integer that doesn't: its digits, with leading zeros possible in none.
    Big {
        /// Whether it is below zero.
        negative: bool,
        /// Decimal digits.
        digits: &'a [u8],
    },
    /// Anything with a point or an exponent; always finite.
    Float(f64),
}

/// Longer texts than this, and those out of range for a `double`, are read by another, coarser
/// way in CouchDB's parser.
const SHORT: usize = 31;

/// The parts of a number at the start of a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// Bytes that belong to the number.
    pub length: usize,
    /// Bytes before the exponent, if it has one, else all.
    pub mantissa: usize,
    /// Whether there is a point.
    pub fraction: bool,
    /// Whether the exponent is a sign without digits, as CouchDB's parser lets pass.
    pub hollow: bool,
}

/// Finds where the number at the start of `text` ends; `None` if there is none.
pub(super) fn shape(text: &[u8]) -> Option<Shape> {
    let digits = |from: usize| {
        let rest = text.get(from..).unwrap_or_default();
        rest.iter().take_while(|byte| byte.is_ascii_digit()).count()
    };
    let mut at = usize::from(text.first() == Some(&b'-'));
    at += match text.get(at)? {
        b'0' => 1,
        b'1'..=b'9' => digits(at),
        _ => return None,
    };
    let fraction = text.get(at) == Some(&b'.');
    if fraction {
        let count = digits(at + 1);
        if count == 0 {
            return None;
        }
        at += 1 + count;
    }
    let mantissa = at;
    let mut hollow = false;
    if matches!(text.get(at), Some(b'e' | b'E')) {
        let signed = matches!(text.get(at + 1), Some(b'+' | b'-'));
        let count = digits(at + 1 + usize::from(signed));
        if count == 0 && !signed {
            return None;
        }
        hollow = count == 0;
        at += 1 + usize::from(signed) + count;
    }
    Some(Shape { length: at, mantissa, fraction, hollow })
}

impl Shape {
    /// Whether CouchDB's parser finds a value for the number, of which `text` holds the bytes.
    pub(super) fn has_value(&self, text: &[u8]) -> bool {
        if self.hollow {
            return self.length <= SHORT;
        }
        // Neither an integer nor a moderate number of digits can be out of range.
        let exponent = self.mantissa < self.length;
        let surely = !exponent && (!self.fraction || self.length < 300);
        surely || value(text).is_some()
    }
}

/// What Erlang has for a number in stored form; `None` if it is out of range (or no number).
pub(crate) fn value(text: &[u8]) -> Option<Number<'_>> {
    let Shape { length, mantissa, fraction, .. } = shape(text)?;
    let exponent = mantissa < length;
    if !fraction && !exponent {
        return Some(integer(text.get(..length)?));
    }
    let float: f64 = std::str::from_utf8(text.get(..length)?).ok()?.parse().ok()?;
    let nonzero = text.iter().take(mantissa).any(|byte| matches!(byte, b'1'..=b'9'));
    let in_range = float.is_finite() && (float.abs() > f64::MIN_POSITIVE || !nonzero);
    if !fraction && (!in_range || length > SHORT) {
        return scaled(text.get(..mantissa)?, text.get(mantissa + 1..length)?);
    }
    float.is_finite().then_some(Number::Float(float))
}

fn integer(text: &[u8]) -> Number<'_> {
    let parsed = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok());
    match (parsed, text.split_first()) {
        (Some(small), _) => Number::Small(small),
        (None, Some((b'-', digits))) => Number::Big { negative: true, digits },
        _ => Number::Big { negative: false, digits: text },
    }
}

/// An integer times a power of ten, with the rounding of both steps.
fn scaled<'a>(integer_text: &[u8], exponent: &[u8]) -> Option<Number<'a>> {
    let factor = match integer(integer_text) {
        Number::Small(small) => small as f64,
        Number::Big { negative, digits } => {
            let float = big_to_f64(digits);
            if negative { -float } else { float }
        }
        Number::Float(float) => float,
    };
    // One too large to parse is out of range either way.
    let exponent: f64 = std::str::from_utf8(exponent).ok()?.parse().ok()?;
    let float = factor * power_of_ten(exponent)?;
    float.is_finite().then_some(Number::Float(float))
}

fn power_of_ten(exponent: f64) -> Option<f64> {
    let power = 10_f64.powf(exponent);
    power.is_finite().then_some(power)
}

/// As Erlang does it: digit by digit of base 2^64 from the top, rounding each time.
fn big_to_f64(digits: &[u8]) -> f64 {
    let base = 2_f64.powi(64);
    big_to_words(digits).iter().rev().fold(0.0, |float, word| float * base + *word as f64)
}

/// Decimal digits as words of 64 bits, lowest first.
pub(crate) fn big_to_words(digits: &[u8]) -> Vec<u64> {
    const CHUNK: usize = 19;
    let mut words: Vec<u64> = Vec::with_capacity(digits.len() / CHUNK + 1);
    let (head, tail) = digits.split_at(digits.len() % CHUNK);
    for chunk in std::iter::once(head).chain(tail.chunks(CHUNK)) {
        let factor = 10_u64.pow(chunk.len() as u32);
        let value = chunk.iter().fold(0, |value, digit| value * 10 + u64::from(digit & 15));
        let mut carry = u128::from(value);
        for word in &mut words {
            carry += u128::from(*word) * u128::from(factor);
            *word = carry as u64;
            carry >>= 64;
        }
        if carry > 0 {
            words.push(carry as u64);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(text: &str) -> Option<usize> {
        shape(text.as_bytes()).map(|shape| shape.length)
    }

    #[test]
    fn numbers_end_where_couchdb_ends_them() {
        for whole in ["0", "-0", "12", "1.5", "-0.0", "1e5", "1E+5", "0.5e-7", "1e+", "2.5E-"] {
            assert_eq!(length(whole), Some(whole.len()), "{whole}");
        }
        for none in ["", "-", "+1", ".5", "1.", "1.e5", "1e", "-a", "1.x"] {
            assert_eq!(length(none), None, "{none}");
        }
        assert_eq!(length("01"), Some(1));
        assert_eq!(length("1e5.5"), Some(3));
        assert_eq!(length("1,2"), Some(1));
    }

    #[test]
    fn values_are_erlangs() {
        let float = |text: &str| match value(text.as_bytes()) {
            Some(Number::Float(float)) => Some(float),
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(value(b"-0"), Some(Number::Small(0)));
        assert_eq!(value(b"9223372036854775807"), Some(Number::Small(i64::MAX)));
        let big = Number::Big { negative: true, digits: b"9223372036854775809" };
        assert_eq!(value(b"-9223372036854775809"), Some(big));
        assert_eq!(float("1e5"), Some(1e5));
        assert!(float("-0.0").is_some_and(|zero| zero.is_sign_negative()));
        assert_eq!(float("1e-400"), Some(0.0));
        assert_eq!(float("4.9e-324"), Some(5e-324));
        assert_eq!(float("5e-324"), Some(0.0), "without a point a factor of ten is applied");
        assert_eq!(float("0e400"), Some(0.0));
        for none in ["1e400", "-1e400", "1.0e400", "1e999999999999999999999999999999999"] {
            assert_eq!(value(none.as_bytes()), None, "{none}");
        }
    }

    #[test]
    fn big_integers_are_converted() {
        assert_eq!(big_to_words(b"18446744073709551616"), [0, 1]);
        assert_eq!(big_to_words(b"18446744073709551615"), [u64::MAX]);
        assert_eq!(big_to_words(b"340282366920938463463374607431768211457"), [1, 0, 1]);
        let float = big_to_f64(b"100000000000000000000000000000000000000000");
        assert!((float / 1e41 - 1.0).abs() < 1e-15);
    }
}
