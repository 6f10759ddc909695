//! Reads the text of an ini file as CouchDB does. Lenient: a line that says nothing is skipped.

/// What a file says, in order: section, key, value.
#[must_use]
pub fn parse(text: &str) -> Vec<(&str, &str, &str)> {
    let mut section = "";
    let mut said = Vec::new();
    for line in lines(text) {
        let line = without_comment(line).trim();
        if let Some(header) = line.strip_prefix('[') {
            match header.split_once(']') {
                Some((name, "")) if !name.is_empty() => section = name,
                // A broken header leaves us where we are.
                _ => {}
            }
        } else if let (false, Some((key, value))) = (section.is_empty(), split(line)) {
            said.push((section, key, value));
        }
    }
    said
}

/// Lines end as on any system, and at the character that ended files on some.
pub(super) fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.split(['\n', '\r', '\u{1a}'])
}

/// A semicolon begins a comment at a line's start, or after a space or tab.
fn without_comment(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with(';') {
        return "";
    }
    let end = [" ;", "\t;"].iter().filter_map(|mark| line.find(mark)).min();
    end.and_then(|end| line.get(..end)).unwrap_or(line)
}

/// Splits at the first ` = `, else at the first `=`, so that a key may hold one.
pub(super) fn split(line: &str) -> Option<(&str, &str)> {
    let (key, value) = line.split_once(" = ").or_else(|| line.split_once('='))?;
    if key.is_empty() || value.is_empty() { None } else { Some((key.trim(), value.trim())) }
}
