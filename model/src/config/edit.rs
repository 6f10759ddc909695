//! Changes one value in the text of an ini file and leaves the rest as its owner wrote it,
//! comments included.

use super::ini::{lines, split};

/// The text with the value set, or taken out for `None`. A new key goes to the end of its section,
/// a new section to the end of the file. (What is set here was checked by `check_update`.)
#[must_use]
pub fn edit(text: &str, section: &str, key: &str, value: Option<&str>) -> String {
    let header = format!("[{section}]");
    let said = value.map(|value| format!("{key} = {value}"));
    let text = text.replace("\r\n", "\n");
    let mut out: Vec<&str> = Vec::new();
    let mut inside = false;
    let mut done = false;
    for line in lines(&text) {
        let trimmed = line.trim();
        if trimmed.starts_with('[') {
            if inside && !done {
                append(&mut out, said.as_deref(), true);
                done = true;
            }
            inside = trimmed == header;
        } else if inside && split(trimmed).is_some_and(|(found, _)| found == key) {
            if !done {
                out.extend(said.as_deref());
            }
            done = true;
            continue;
        }
        out.push(line);
    }
    if !done {
        if !inside && said.is_some() {
            append(&mut out, None, true);
            out.push(&header);
        }
        append(&mut out, said.as_deref(), false);
    }
    trim_end(&mut out);
    out.join("\n") + "\n"
}

/// Adds a line after the last that isn't empty, and an empty one if something follows.
fn append<'a>(out: &mut Vec<&'a str>, line: Option<&'a str>, more: bool) {
    trim_end(out);
    out.extend(line);
    if more && !out.is_empty() {
        out.push("");
    }
}

fn trim_end(out: &mut Vec<&str>) {
    while out.last().is_some_and(|line| line.trim().is_empty()) {
        out.pop();
    }
}
