//! Sort keys of view keys (docs/format.md section 5): bytes that compare as [`super::compare`] compares
//! the values. No sort key is the beginning of another one. Never turns one back into its value.

use super::{ROOT, token_length};
use crate::json::Raw;
use crate::json::number::{Number, big_to_words, value};

const END: u8 = 0;
const NULL: u8 = 16;
const FALSE: u8 = 17;
const TRUE: u8 = 18;
const NEGATIVE: u8 = 32;
const ZERO: u8 = 33;
const POSITIVE: u8 = 34;
const STRING: u8 = 48;
const ARRAY: u8 = 64;
const OBJECT: u8 = 80;
// In the order of Erlang's terms (`collation: raw`) numbers are first, which have the tags above.
const RAW_FALSE: u8 = 40;
const RAW_NULL: u8 = 41;
const RAW_TRUE: u8 = 42;
const RAW_OBJECT: u8 = 56;
const RAW_STRING: u8 = 96;

/// Exponents near zero take one byte.
const NEAR: std::ops::Range<i64> = -64..64;
const BELOW: u8 = 63;
const ABOVE: u8 = 192;

/// What tells two orders apart: the tags of what is no number and no array, and how strings are put.
struct Order {
    null: u8,
    r#false: u8,
    r#true: u8,
    object: u8,
    put_string: fn(&mut Vec<u8>, &[u8]),
}

const COLLATED: Order =
    Order { null: NULL, r#false: FALSE, r#true: TRUE, object: OBJECT, put_string };
const RAW: Order = Order {
    null: RAW_NULL,
    r#false: RAW_FALSE,
    r#true: RAW_TRUE,
    object: RAW_OBJECT,
    put_string: put_raw_string,
};

/// Appends the sort key of a JSON value in stored form.
pub fn sort_key_into(out: &mut Vec<u8>, json: &[u8]) {
    put(out, json, &COLLATED);
}

/// Appends what orders a JSON value in stored form as Erlang orders its terms: numbers, `false`, `null`,
/// `true`, objects, arrays, strings by their bytes. It is read as other sort keys are.
pub fn raw_sort_key_into(out: &mut Vec<u8>, json: &[u8]) {
    put(out, json, &RAW);
}

/// Inlined, so that each order's tags are constants of its own loop.
#[inline(always)]
fn put(out: &mut Vec<u8>, json: &[u8], order: &Order) {
    let mut rest = json;
    while let Some(first) = rest.first() {
        let (token, after) = rest.split_at_checked(token_length(rest)).unwrap_or((rest, &[]));
        match first {
            b'n' => out.push(order.null),
            b'f' => out.push(order.r#false),
            b't' => out.push(order.r#true),
            b'"' => (order.put_string)(out, token),
            b'[' => out.push(ARRAY),
            b'{' => out.push(order.object),
            b']' | b'}' => out.push(END),
            b',' | b':' => {}
            _ => put_number(out, token),
        }
        rest = after;
    }
}

/// Appends what the sort keys of all arrays begin with whose first elements are these, in stored
/// form. What follows in such a key is below 255.
pub fn array_prefix_into(out: &mut Vec<u8>, elements: &[Vec<u8>]) {
    out.push(ARRAY);
    for element in elements {
        sort_key_into(out, element);
    }
}

/// The sort key of a JSON value in stored form.
#[must_use]
pub fn sort_key(json: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(json.len() + 8);
    sort_key_into(&mut out, json);
    out
}

/// Length of the sort key that `bytes` begin with; all of them if none does.
#[must_use]
pub fn sort_key_length(bytes: &[u8]) -> usize {
    walk(bytes, usize::MAX).unwrap_or(bytes.len())
}

/// Length of what the sort keys of all arrays have in common that agree in their first `elements`
/// elements (1 at least) with the array whose sort key `bytes` begin with; of a value that is no
/// array, or a shorter one, the length of its sort key.
#[must_use]
pub fn group_length(bytes: &[u8], elements: usize) -> usize {
    walk(bytes, elements).unwrap_or(bytes.len())
}

/// Where the first value ends, or the given number of elements if it is an array.
fn walk(bytes: &[u8], elements: usize) -> Option<usize> {
    let is_array = bytes.first() == Some(&ARRAY);
    let (mut at, mut depth, mut seen) = (0, 0_usize, 0);
    loop {
        let rest = bytes.get(at..)?;
        let tag = *rest.first()?;
        match tag {
            ARRAY | OBJECT | RAW_OBJECT => depth += 1,
            END => depth = depth.checked_sub(1)?,
            _ => {}
        }
        at += match tag {
            STRING | RAW_STRING => 1 + rest.iter().skip(1).position(|byte| *byte == END)? + 1,
            POSITIVE => 1 + number_length(rest.get(1..)?, 0)?,
            NEGATIVE => 1 + number_length(rest.get(1..)?, u8::MAX)?,
            _ => 1,
        };
        if depth == 0 {
            return Some(at);
        }
        if depth == 1 && is_array && at > 1 {
            seen += 1;
            if seen == elements {
                return Some(at);
            }
        }
    }
}

/// Length of exponent and digits; `flip` is what they were combined with.
fn number_length(bytes: &[u8], flip: u8) -> Option<usize> {
    let exponent = match bytes.first()? ^ flip {
        BELOW | ABOVE => 5,
        _ => 1,
    };
    let digits = bytes.iter().skip(exponent).position(|byte| (byte ^ flip) & 1 == 0)?;
    Some(exponent + digits + 1)
}

fn put_string(out: &mut Vec<u8>, token: &[u8]) {
    out.push(STRING);
    match (Raw(token).as_str(), &*ROOT) {
        (Some(text), Some(collator)) => {
            let Ok(()) = collator.write_sort_key_to(&text, out);
        }
        (Some(text), None) => out.extend_from_slice(text.as_bytes()),
        (None, _) => {}
    }
    out.push(END);
}

/// Bytes 0 and 1 take two, so that no string holds its own end.
fn put_raw_string(out: &mut Vec<u8>, token: &[u8]) {
    out.push(RAW_STRING);
    for byte in Raw(token).as_str().unwrap_or_default().bytes() {
        match byte {
            0 | 1 => out.extend_from_slice(&[1, byte + 1]),
            byte => out.push(byte),
        }
    }
    out.push(END);
}

fn put_number(out: &mut Vec<u8>, token: &[u8]) {
    match value(token) {
        Some(Number::Small(0)) | None => out.push(ZERO),
        Some(Number::Small(small)) => put_binary(out, small < 0, &[small.unsigned_abs()], 0),
        Some(Number::Float(float)) => put_float(out, float),
        Some(Number::Big { negative, digits }) => {
            put_binary(out, negative, &big_to_words(digits), 0);
        }
    }
}

fn put_float(out: &mut Vec<u8>, float: f64) {
    if float == 0.0 {
        return out.push(ZERO);
    }
    let bits = float.to_bits();
    let (exponent, fraction) = ((bits >> 52) & 0x7ff, bits & ((1 << 52) - 1));
    let (mantissa, scale) = if exponent == 0 {
        (fraction, -1074)
    } else {
        (fraction | 1 << 52, exponent as i64 - 1075)
    };
    put_binary(out, float < 0.0, &[mantissa], scale);
}

/// Appends the number `words` (lowest first, not all zero) times two to the power of `scale`.
fn put_binary(out: &mut Vec<u8>, negative: bool, words: &[u64], scale: i64) {
    out.push(if negative { NEGATIVE } else { POSITIVE });
    let start = out.len();
    let top = words.iter().rposition(|word| *word != 0).unwrap_or(0);
    let highest = words.get(top).map_or(0, |word| 63 - i64::from(word.leading_zeros()));
    let highest = highest + 64 * top as i64;
    put_exponent(out, highest + scale);
    let trailing = words.iter().position(|word| *word != 0).unwrap_or(0);
    let lowest = words.get(trailing).map_or(0, |word| i64::from(word.trailing_zeros()));
    let lowest = lowest + 64 * trailing as i64;
    let bit = |at: i64| {
        let word = usize::try_from(at / 64).ok().and_then(|word| words.get(word));
        word.map_or(0, |word| (word >> (at % 64)) & 1) as u8
    };
    let mut at = highest - 1;
    loop {
        let mut byte = 0;
        for place in 0..7 {
            byte = byte << 1 | if at - place >= 0 { bit(at - place) } else { 0 };
        }
        at -= 7;
        let more = at >= lowest;
        out.push(byte << 1 | u8::from(more));
        if !more {
            break;
        }
    }
    if negative {
        out.iter_mut().skip(start).for_each(|byte| *byte = !*byte);
    }
}

fn put_exponent(out: &mut Vec<u8>, exponent: i64) {
    if NEAR.contains(&exponent) {
        return out.push((exponent + 128) as u8);
    }
    out.push(if exponent < 0 { BELOW } else { ABOVE });
    out.extend_from_slice(&((exponent + (1 << 31)) as u32).to_be_bytes());
}
