//! The configuration as CouchDB has it: sections of keys with texts as values, layered from files,
//! sections that moved answering under both names, and [`Key`]s that read a value as what it
//! means. Never reads files or the environment.

mod edit;
mod ini;
pub mod keys;

use std::collections::BTreeMap;

pub use ini::parse;
pub use keys::Key;

/// Sections that moved, the new one first. Whatever is said in one is seen in both.
const MOVED_SECTIONS: [(&str, &str); 2] =
    [("chttpd", "httpd"), ("chttpd_auth", "couch_httpd_auth")];

/// Keys that mean another thing in `[httpd]`, which was the server of a port of its own.
const NOT_MOVED: [&str; 5] =
    ["authentication_handlers", "bind_address", "port", "server_options", "socket_options"];

/// All values that somebody set; [`Key`]s know the defaults of the others.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    sections: BTreeMap<String, BTreeMap<String, String>>,
}

/// A change of the configuration was refused: 400 `bad_request`; the text is the `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadUpdate {
    /// Brackets, line ends or anything else that can't be seen.
    #[error("Invalid configuration section")]
    Section,
    /// The same in a key.
    #[error("Invalid configuration key")]
    Key,
    /// Line ends or anything else that can't be seen. Brackets may be.
    #[error("Invalid configuration value")]
    Value,
}

impl Config {
    /// Lays the text of an ini file over what is there.
    pub fn overlay(&mut self, ini: &str) {
        for (section, key, value) in parse(ini) {
            self.set(section, key, value);
        }
    }

    /// Sets a value, also under the section's other name.
    pub fn set(&mut self, section: &str, key: &str, value: &str) {
        self.remove(section, key);
        let keys = self.sections.entry(section.to_owned()).or_default();
        keys.insert(key.to_owned(), value.to_owned());
    }

    /// Takes a value back, also under the section's other name, and returns it.
    pub fn remove(&mut self, section: &str, key: &str) -> Option<String> {
        let own = remove_from(&mut self.sections, section, key);
        let moved = other_name(section, key)
            .and_then(|section| remove_from(&mut self.sections, section, key));
        own.or(moved)
    }

    /// What was set, under either name of the section.
    #[must_use]
    pub fn get(&self, section: &str, key: &str) -> Option<&str> {
        let get = |section: &str| self.sections.get(section)?.get(key).map(String::as_str);
        get(section).or_else(|| get(other_name(section, key)?))
    }

    /// What a section says, those that moved there included; in the order of keys.
    #[must_use]
    pub fn section(&self, section: &str) -> BTreeMap<&str, &str> {
        let mut keys = BTreeMap::new();
        for (name, set) in &self.sections {
            for (key, value) in set {
                if name == section || other_name(name, key) == Some(section) {
                    keys.insert(key.as_str(), value.as_str());
                }
            }
        }
        keys
    }

    /// The names of all sections that say something.
    #[must_use]
    pub fn sections(&self) -> Vec<&str> {
        let moved = MOVED_SECTIONS.iter().flat_map(|(new, old)| [*new, *old]);
        let mut names: Vec<&str> = self.sections.keys().map(String::as_str).chain(moved).collect();
        names.sort_unstable();
        names.dedup();
        names.retain(|name| !self.section(name).is_empty());
        names
    }

    /// What a key means now: the value that is set, or its default if there is none or if it
    /// can't be read.
    #[must_use]
    pub fn read<T: Clone>(&self, key: &Key<T>) -> T {
        let read = |text: &str| (key.read)(text);
        self.get(key.section, key.name).and_then(read).unwrap_or_else(|| key.default.clone())
    }
}

fn remove_from(
    sections: &mut BTreeMap<String, BTreeMap<String, String>>,
    section: &str,
    key: &str,
) -> Option<String> {
    let keys = sections.get_mut(section)?;
    let value = keys.remove(key);
    if keys.is_empty() {
        sections.remove(section);
    }
    value
}

/// The other section under which a key is known.
fn other_name(section: &str, key: &str) -> Option<&'static str> {
    let (new, old) = MOVED_SECTIONS.iter().find(|(new, old)| [*new, *old].contains(&section))?;
    if *old == "httpd" && NOT_MOVED.contains(&key) {
        return None;
    }
    Some(if section == *new { old } else { new })
}

/// Changes one value in the text of an ini file, whichever name of the section it has there, and
/// leaves the rest as its owner wrote it; `None` takes the value out.
#[must_use]
pub fn edit(ini: &str, section: &str, key: &str, value: Option<&str>) -> String {
    let text = edit::edit(ini, section, key, value);
    match other_name(section, key) {
        Some(other) => edit::edit(&text, other, key, None),
        None => text,
    }
}

/// Checks a change that came from outside before it gets into a file.
///
/// # Errors
/// When something in it could be taken for another line of the file.
pub fn check_update(section: &str, key: &str, value: &str) -> Result<(), BadUpdate> {
    let seen = |text: &str| text.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte));
    let named = |text: &str| seen(text) && !text.contains(['[', ']']);
    if !named(section) {
        Err(BadUpdate::Section)
    } else if !named(key) {
        Err(BadUpdate::Key)
    } else if !seen(value) {
        Err(BadUpdate::Value)
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
