//! Settings that hold on all nodes: each is a key of the store with its text as value. What they mean
//! is not known here. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::raft::Stored;

/// Begins the keys of settings.
pub(crate) const SETTINGS: &str = "config/";

/// Texts by section and key. An empty one says that there is to be none, whatever the files of a
/// node say.
pub type CommonSettings = BTreeMap<(String, String), String>;

/// The key of a setting; none if its section would make it that of another.
pub(crate) fn setting_key(section: &str, key: &str) -> Option<String> {
    (!section.contains('/')).then(|| format!("{SETTINGS}{section}/{key}"))
}

/// The settings among keys and values of the store.
pub(crate) fn settings_of(keys: &[(Arc<str>, Stored)]) -> CommonSettings {
    let setting = |(key, stored): &(Arc<str>, Stored)| {
        let (section, key) = key.strip_prefix(SETTINGS)?.split_once('/')?;
        let text = String::from_utf8_lossy(&stored.value).into_owned();
        Some(((section.to_owned(), key.to_owned()), text))
    };
    keys.iter().filter_map(setting).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn settings_are_found_by_section_and_key() {
        let key = setting_key("admins", "a/b").unwrap();
        let stored = Stored { value: Bytes::from_static(b"x"), created: 1, modified: 1 };
        let other = ("db/config/a".into(), stored.clone());
        let settings = settings_of(&[(key.as_str().into(), stored), other]);
        let expected = (("admins".to_owned(), "a/b".to_owned()), "x".to_owned());
        assert_eq!(settings.into_iter().collect::<Vec<_>>(), [expected]);
        assert_eq!(setting_key("a/b", "c"), None);
    }
}
