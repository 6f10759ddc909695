//! How a database is laid out, as texts say it: `q`, `n` and `placement`, of a query or of the
//! configuration. Never decides where copies go.

use crate::error::Error;

/// Most ranges of a database, which its creation costs in proportion.
const MOST: u32 = 1024;

/// A number of ranges or of copies.
///
/// # Errors
/// 400 for what is none.
pub fn count(name: &str, text: &str) -> Result<u32, Error> {
    match text.parse() {
        Ok(count) if count > MOST => {
            let reason = format!("The `{name}` value should be at most {MOST}.");
            Err(Error::BadRequest(reason.into()))
        }
        Ok(count) if count > 0 => Ok(count),
        _ => {
            let reason = format!("The `{name}` value should be a positive integer.");
            Err(Error::BadRequest(reason.into()))
        }
    }
}

/// `zone:n`, several of them separated by commas.
///
/// # Errors
/// 400 for anything else.
pub fn placement(text: &str) -> Result<&str, Error> {
    let is_rule = |rule: &str| {
        rule.split_once(':')
            .is_some_and(|(zone, n)| !zone.is_empty() && n.parse::<u32>().is_ok_and(|n| n > 0))
    };
    if text.split(',').all(is_rule) {
        return Ok(text);
    }
    Err(Error::bad_request("The `placement` value should be in a format `zone:n`."))
}

/// Checks a setting of how databases are laid out; an empty one says nothing, and others are none
/// of its business.
///
/// # Errors
/// 400.
pub fn check(section: &str, key: &str, value: &str) -> Result<(), Error> {
    match (section, key) {
        _ if value.is_empty() => Ok(()),
        ("cluster", "q" | "n") => count(key, value).map(drop),
        ("cluster", "placement") => placement(value).map(drop),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_checked_before_they_hold_everywhere() {
        for (key, value, fits) in [
            ("q", "2", true),
            ("q", "0", false),
            ("q", "abc", false),
            ("q", "4000000000", false),
            ("q", "1025", false),
            ("n", "3", true),
            ("n", "-1", false),
            ("placement", "", true),
            ("placement", "a:2,b:1", true),
            ("placement", "a", false),
            ("placement", "a:2,", false),
            ("seedlist", "a", true),
        ] {
            assert_eq!(check("cluster", key, value).is_ok(), fits, "{key} {value}");
        }
        assert!(check("couchdb", "q", "abc").is_ok());
    }
}
