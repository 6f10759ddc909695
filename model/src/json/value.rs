//! JSON as a tree of values, for the few places that need one. Takes what was nested as deep as
//! stored text may be, and never more: the tree is walked by recursion.

use serde_json::Value;

use super::JsonError;

/// Arrays and objects inside each other, at most, in whatever settee takes.
pub const DEPTH_MAX: usize = 1000;

/// Reads a value.
///
/// # Errors
/// When the text is no JSON, or is nested deeper than [`DEPTH_MAX`].
pub fn value(text: &[u8]) -> Result<Value, JsonError> {
    if depth(text) > DEPTH_MAX {
        return Err(JsonError);
    }
    let mut reader = serde_json::Deserializer::from_slice(text);
    // Its own limit is far below ours, which was looked at.
    reader.disable_recursion_limit();
    let mut values = reader.into_iter();
    match (values.next(), values.next()) {
        (Some(Ok(value)), None) => Ok(value),
        _ => Err(JsonError),
    }
}

/// How deep a text is nested, if it is JSON; at least as deep as a reader gets, if it is none.
fn depth(text: &[u8]) -> usize {
    let (mut depth, mut deepest) = (0_usize, 0);
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => skip_string(&mut bytes),
            b'[' | b'{' => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

fn skip_string(bytes: &mut std::slice::Iter<'_, u8>) {
    while let Some(byte) = bytes.next() {
        match byte {
            b'"' => return,
            b'\\' => drop(bytes.next()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_is_taken_up_to_the_limit() {
        for (levels, fits) in [(1, true), (200, true), (DEPTH_MAX, true), (DEPTH_MAX + 1, false)] {
            let text = format!("{}{}", "[".repeat(levels), "]".repeat(levels));
            assert_eq!(value(text.as_bytes()).is_ok(), fits, "{levels}");
            assert_eq!(value(&text.as_bytes()[..levels]), Err(JsonError));
        }
    }

    #[test]
    fn brackets_in_strings_nest_nothing() {
        let text = format!("\"{}\\\"{}\"", "[".repeat(2000), "{".repeat(2000));
        assert!(value(text.as_bytes()).is_ok());
        assert_eq!(value(b"{} x"), Err(JsonError));
    }
}
