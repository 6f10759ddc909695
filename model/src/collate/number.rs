//! The order of numbers: exact, however large they are and however they are written. What number a
//! text stands for is said by `json::number`.

use std::cmp::Ordering;

use crate::json::number::{Number, value};

/// The first double beyond the integers that fit.
const BEYOND: f64 = 9_223_372_036_854_775_808.0;

/// Compares two numbers in stored form by value.
pub(super) fn compare(a: &[u8], b: &[u8]) -> Ordering {
    match (value(a), value(b)) {
        (Some(a), Some(b)) => compare_values(&a, &b),
        _ => a.cmp(b),
    }
}

fn compare_values(a: &Number<'_>, b: &Number<'_>) -> Ordering {
    use Number::{Big, Float, Small};
    match (a, b) {
        (Small(a), Small(b)) => a.cmp(b),
        (Float(a), Float(b)) => a.partial_cmp(b).unwrap_or(Ordering::Equal),
        (Small(a), Float(b)) => small_to_float(*a, *b),
        (Big { negative, .. }, Small(_)) => sign(*negative),
        (Big { negative, digits }, Big { negative: other, digits: others }) => {
            if negative == other {
                flip(*negative, magnitude(digits, others))
            } else {
                sign(*negative)
            }
        }
        (Big { negative, digits }, Float(float)) => big_to_float(*negative, digits, *float),
        (Small(_) | Float(_), Big { .. }) | (Float(_), Small(_)) => compare_values(b, a).reverse(),
    }
}

fn sign(negative: bool) -> Ordering {
    if negative { Ordering::Less } else { Ordering::Greater }
}

fn flip(negative: bool, ordering: Ordering) -> Ordering {
    if negative { ordering.reverse() } else { ordering }
}

fn magnitude(digits: &[u8], others: &[u8]) -> Ordering {
    digits.len().cmp(&others.len()).then_with(|| digits.cmp(others))
}

fn small_to_float(small: i64, float: f64) -> Ordering {
    if float.abs() >= BEYOND {
        return sign(float > 0.0);
    }
    let fraction = || 0.0.partial_cmp(&float.fract()).unwrap_or(Ordering::Equal);
    small.cmp(&(float.trunc() as i64)).then_with(fraction)
}

fn big_to_float(negative: bool, digits: &[u8], float: f64) -> Ordering {
    if float.abs() < BEYOND || negative != (float < 0.0) {
        return sign(negative);
    }
    // Doubles of this size are integers, and are written out exactly.
    flip(negative, magnitude(digits, format!("{:.0}", float.abs()).as_bytes()))
}
