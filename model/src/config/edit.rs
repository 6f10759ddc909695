//! Changes of ini texts: one value, and nothing else that is read or written there. Never touches files.

use super::{ENDS, header, setting};

/// An ini text in which a value is set, or removed if there is none; all else stays as it is,
/// comments too. What is set in several places is set in the last of them only.
#[must_use]
pub fn edit(text: &str, section: &str, key: &str, value: Option<&str>) -> String {
    let mut lines = lines(text);
    let sections = sections(&lines);
    let sets = |line: &str| setting(bare(line)).is_some_and(|(own, _)| own == key);
    let places = lines.iter().zip(&sections).enumerate();
    let set = places.filter(|(_, (line, own))| **own == Some(section) && sets(line));
    let set: Vec<usize> = set.map(|(at, _)| at).collect();
    let Some(value) = value else { return without(&lines, &set) };
    let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
    let line = format!("{key} = {value}{end}");
    if let Some((last, others)) = set.split_last() {
        lines.iter_mut().skip(*last).take(1).for_each(|old| *old = &line);
        return without(&lines, others);
    }
    let kept = lines.iter().rposition(|line| !is_blank(line)).map_or(0, |last| last + 1);
    lines.truncate(kept);
    // The last line may have no end yet.
    let open = lines.last().is_some_and(|last| !last.ends_with(ENDS));
    let inside = |(line, own): (&&str, &Option<&str>)| *own == Some(section) && !is_blank(line);
    let Some(last) = lines.iter().zip(&sections).rposition(inside) else {
        let mut out = lines.concat();
        let gap = if out.is_empty() { "" } else { end };
        out.extend([if open { end } else { "" }, gap, "[", section, "]", end, &line]);
        return out;
    };
    let (before, after) = lines.split_at_checked(last + 1).unwrap_or((&lines, &[]));
    let gap = after.first().is_some_and(|next| !is_blank(next));
    let mut out = before.concat();
    out.extend([if open && after.is_empty() { end } else { "" }, &line]);
    out.extend(gap.then_some(end));
    out.extend(after.iter().copied());
    out
}

/// A text without some of its lines.
fn without(lines: &[&str], gone: &[usize]) -> String {
    let kept = lines.iter().enumerate().filter(|(at, _)| !gone.contains(at));
    kept.map(|(_, line)| *line).collect()
}

fn is_blank(line: &str) -> bool {
    line.trim_matches(|letter: char| letter.is_whitespace() || ENDS.contains(&letter)).is_empty()
}

/// The lines of a text with their ends.
fn lines(text: &str) -> Vec<&str> {
    let (mut lines, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let ends =
            |at| if rest.get(at..).is_some_and(|end| end.starts_with("\r\n")) { 2 } else { 1 };
        let length = rest.find(ENDS).map_or(rest.len(), |at| at + ends(at));
        let (line, more) = rest.split_at_checked(length).unwrap_or((rest, ""));
        lines.push(line);
        rest = more;
    }
    lines
}

fn bare(line: &str) -> &str {
    line.trim_end_matches(ENDS)
}

/// The section that each line is in, its header too.
fn sections<'a>(lines: &[&'a str]) -> Vec<Option<&'a str>> {
    let mut inside = None;
    let section = |line: &&'a str| {
        inside = header(bare(line)).or(inside);
        inside
    };
    lines.iter().map(section).collect()
}
