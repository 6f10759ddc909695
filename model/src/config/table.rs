//! What is known of settings: [`DEFAULTS`], the one list of them, and what may become of each over
//! HTTP. Never looks at what is set.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::{alias, key_and_value, strip_comment};

/// The list as an ini text: what holds before any file says otherwise.
pub const DEFAULTS: &str = include_str!("default.ini");

/// One setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    default: &'static str,
    /// Whether it means something here.
    heeded: bool,
    /// Whether it is left to files and the command line.
    files_only: bool,
}

/// The settings of one section.
#[derive(Debug, Default)]
struct Section {
    keys: BTreeMap<&'static str, Key>,
    /// Whether keys are names of who or what is meant, so that there may be any.
    any_key: bool,
}

static TABLE: LazyLock<BTreeMap<&'static str, Section>> = LazyLock::new(|| read(DEFAULTS));

/// Sections that CouchDB does not let anybody change over HTTP, because they once named programs.
const CLOSED: [&str; 9] = [
    "daemons",
    "external",
    "httpd_design_handlers",
    "httpd_db_handlers",
    "httpd_global_handlers",
    "native_query_servers",
    "os_daemons",
    "query_servers",
    "feature_flags",
];

/// Why a setting cannot be changed over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Closed {
    /// The whole section, in CouchDB's words.
    #[error("Config section blacklisted for modification over HTTP API.")]
    Section,
    /// The key is left to files.
    #[error("Config key blacklisted for modification over HTTP API.")]
    Key,
    /// The section means something, this key of it does not.
    #[error("Config key unknown, and not open to modification over HTTP API.")]
    Unknown,
}

/// Whether a value may be set over HTTP: keys of the list that are open, keys that are names, and
/// whatever lies in sections that mean nothing, which nothing here reads.
///
/// # Errors
/// Why it may not.
pub fn may_set(section: &str, key: &str) -> Result<(), Closed> {
    match may_remove(section, key) {
        Ok(()) if !known_section(section) => Ok(()),
        Ok(()) if takes_any(section) || find(section, key).is_some() => Ok(()),
        Ok(()) => Err(Closed::Unknown),
        refused => refused,
    }
}

/// Whether a value may be removed over HTTP, so that a default holds again.
///
/// # Errors
/// Why it may not.
pub fn may_remove(section: &str, key: &str) -> Result<(), Closed> {
    if CLOSED.contains(&section) || section == "settee" || section.starts_with("settee.") {
        return Err(Closed::Section);
    }
    match find(section, key) {
        Some(key) if key.files_only => Err(Closed::Key),
        _ => Ok(()),
    }
}

/// Whether a setting may be read: it means something, so that its default and whether it can be set
/// stand in the list.
#[must_use]
pub fn is_heeded(section: &str, key: &str) -> bool {
    takes_any(section) || find(section, key).is_some_and(|key| key.heeded)
}

/// All settings: section and key.
pub fn keys() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().flat_map(|(section, known)| known.keys.keys().map(|key| (*section, *key)))
}

/// All settings that mean something and have a default: section, key and default.
pub fn defaults() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    let heeded = |key: &Key| key.heeded && !key.default.is_empty();
    TABLE.iter().flat_map(move |(section, known)| {
        let keys = known.keys.iter().filter(move |(_, key)| heeded(key));
        keys.map(|(name, key)| (*section, *name, key.default))
    })
}

fn find(section: &str, key: &str) -> Option<Key> {
    let own = |section: &str| TABLE.get(general(section))?.keys.get(key).copied();
    own(section).or_else(|| own(alias(section, key)?))
}

fn known_section(section: &str) -> bool {
    TABLE.contains_key(general(section))
}

fn takes_any(section: &str) -> bool {
    TABLE.get(section).is_some_and(|section| section.any_key)
}

/// `[cors:http://origin]` has the keys of `[cors]`.
fn general(section: &str) -> &str {
    if section.starts_with("cors:") { "cors" } else { section }
}

fn read(text: &'static str) -> BTreeMap<&'static str, Section> {
    let mut table = BTreeMap::<_, Section>::new();
    let mut section = "";
    for line in text.lines() {
        if let Some((name, remark)) = line.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            section = name;
            table.entry(name).or_default().any_key = remark.trim() == "; any key";
        } else if let Some((name, key)) = read_key(line) {
            table.entry(section).or_default().keys.insert(name, key);
        }
    }
    table
}

fn read_key(line: &'static str) -> Option<(&'static str, Key)> {
    let bare = line.trim_start_matches(';');
    let marks = line.len() - bare.len();
    if bare.starts_with(' ') {
        return None;
    }
    let set = strip_comment(bare);
    let files_only = bare.get(set.len()..)?.trim_start().starts_with("; files only");
    let (name, default) =
        key_and_value(set).or_else(|| Some((set.strip_suffix('=')?.trim(), "")))?;
    Some((name, Key { default, heeded: marks < 2, files_only }))
}
