//! Configuration as CouchDB has it: values by section and key, read from ini texts that override
//! each other. What settings there are stands in [`table`]. Never touches files.

use std::collections::BTreeMap;
use std::str::FromStr;

pub use edit::edit;
pub use moved::{alias, newest};

mod edit;
mod moved;
pub mod table;
#[cfg(test)]
mod tests;

/// Values by section and key. A later text or [`Config::set`] wins over an earlier one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

impl Config {
    /// Takes the values of an ini text over those that are there. Lines that mean nothing are
    /// skipped, as CouchDB skips them.
    pub fn merge_ini(&mut self, text: &str) {
        let mut section = "";
        for line in text.split(ENDS) {
            if let Some(name) = header(line) {
                section = name;
            } else if !section.is_empty()
                && let Some((key, value)) = setting(line)
            {
                self.insert(section, key, value);
            }
        }
    }

    /// The value of a setting, there or in the section's other name. An empty value is none. What is
    /// read must stand in the table, which says whether it can be set over HTTP.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        debug_assert!(
            table::is_heeded(section, key),
            "{section}/{key} is missing in model/src/config/default.ini"
        );
        self.shown(section, key)
    }

    /// The value of any key, there or in the section's other name. An empty value is none.
    #[must_use]
    pub fn shown(&self, section: &str, key: &str) -> Option<&str> {
        self.told(section, key).filter(|value| !value.is_empty())
    }

    /// The same, even if it is empty.
    #[must_use]
    pub fn told(&self, section: &str, key: &str) -> Option<&str> {
        self.raw(section, key).or_else(|| self.raw(alias(section, key)?, key))
    }

    /// The value that stands in exactly this section, even if it is empty.
    #[must_use]
    pub fn raw(&self, section: &str, key: &str) -> Option<&str> {
        self.sections.get(section)?.get(key).map(String::as_str)
    }

    /// Sets a value; one in the section's other name follows, so that both tell the same.
    pub fn set(&mut self, section: &str, key: &str, value: &str) {
        self.insert(section, key, value);
        if let Some(other) = alias(section, key).filter(|other| self.raw(other, key).is_some()) {
            self.insert(other, key, value);
        }
    }

    /// Removes a value from exactly this section.
    pub fn remove(&mut self, section: &str, key: &str) {
        if let Some(keys) = self.sections.get_mut(section) {
            keys.remove(key);
            if keys.is_empty() {
                self.sections.remove(section);
            }
        }
    }

    /// Sets a value in exactly this section.
    pub fn insert(&mut self, section: &str, key: &str, value: &str) {
        let keys = self.sections.entry(section.to_owned()).or_default();
        keys.insert(key.to_owned(), value.to_owned());
    }

    /// All keys and values of exactly this section, in order.
    pub fn section(&self, section: &str) -> impl Iterator<Item = (&str, &str)> {
        let keys = self.sections.get(section).into_iter().flatten();
        keys.map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The names of all sections, in order.
    pub fn sections(&self) -> impl Iterator<Item = &str> {
        self.sections.keys().map(String::as_str)
    }

    /// A value that parses, else the default: a typing error must not stop a running server.
    #[must_use]
    pub fn parsed<T: FromStr>(&self, section: &str, key: &str, default: T) -> T {
        self.get(section, key).and_then(|value| value.trim().parse().ok()).unwrap_or(default)
    }

    /// A size or count that may be `infinity`, which is `None`.
    #[must_use]
    pub fn limit(&self, section: &str, key: &str, default: Option<u64>) -> Option<u64> {
        match self.get(section, key).map(str::trim) {
            Some("infinity") => None,
            Some(value) => value.parse().ok().or(default),
            None => default,
        }
    }

    /// `true` or `false`.
    #[must_use]
    pub fn boolean(&self, section: &str, key: &str, default: bool) -> bool {
        self.parsed(section, key, default)
    }

    /// A list separated by commas, without blanks around its items.
    #[must_use]
    pub fn list(&self, section: &str, key: &str, default: &str) -> Vec<String> {
        let text = self.get(section, key).unwrap_or(default);
        let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
        items.map(str::to_owned).collect()
    }
}

fn strip_comment(line: &str) -> &str {
    let line = line.trim();
    if line.starts_with(';') {
        return "";
    }
    let comment = [" ;", "\t;"].iter().filter_map(|mark| line.find(mark)).min();
    comment.and_then(|at| line.get(..at)).unwrap_or(line).trim()
}

/// Where lines end.
const ENDS: [char; 3] = ['\n', '\r', '\u{1a}'];

/// The section that a line opens, if it opens one.
fn header(line: &str) -> Option<&str> {
    let (name, rest) = strip_comment(line).strip_prefix('[')?.split_once(']')?;
    (!name.is_empty() && rest.is_empty()).then_some(name)
}

/// The key and the value that a line sets, if it sets one.
fn setting(line: &str) -> Option<(&str, &str)> {
    key_and_value(strip_comment(line)).filter(|_| !line.trim().starts_with('['))
}

/// Splits at the first ` = `, so that a key may hold `=`, or else at the first `=`.
fn key_and_value(line: &str) -> Option<(&str, &str)> {
    let spaced = line.split_once(" = ").filter(|(_, value)| !value.is_empty());
    let (key, value) = match spaced {
        Some(pair) => pair,
        None => line.split_once('=')?,
    };
    let filled = !key.is_empty() && !value.is_empty();
    filled.then(|| (key.trim(), value.trim()))
}

/// Why a value may not be set over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// The section's name.
    #[error("Invalid configuration section")]
    Section,
    /// The key.
    #[error("Invalid configuration key")]
    Key,
    /// The value.
    #[error("Invalid configuration value")]
    Value,
}

/// Whether section, key and value may be written to an ini file: they are printable, and what is read
/// back is exactly they.
///
/// # Errors
/// What is wrong.
pub fn check(section: &str, key: &str, value: &str) -> Result<(), Unfit> {
    // CouchDB looks at the bytes of UTF-8 as if each were a letter of Latin-1, among which 0x80 to 0x9f
    // are control characters.
    let printable =
        |text: &str| text.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~' | 0xa0..));
    let name = |text: &str| printable(text) && !text.contains(['[', ']']);
    let survives = |section: &str, key: &str, value: &str| {
        let mut read = Config::default();
        read.merge_ini(&edit("", section, key, Some(value)));
        let mut alone = Config::default();
        alone.insert(section, key, value);
        read == alone
    };
    match () {
        () if !name(section) || !survives(section, "key", "value") => Err(Unfit::Section),
        () if !name(key) || !survives(section, key, "value") => Err(Unfit::Key),
        () if !printable(value) => Err(Unfit::Value),
        () if value.is_empty() || survives(section, key, value) => Ok(()),
        () => Err(Unfit::Value),
    }
}
