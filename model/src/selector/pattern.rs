//! Patterns that texts are searched for. What can be found in time that grows with the text alone
//! is found so; for the rest there is a limit to the attempts. Sees texts as CouchDB does: as
//! Latin-1, byte by byte. How a pattern is to be read is known to `pcre`.

use std::borrow::Cow;

use super::pcre::rewrite;

/// Bytes that a pattern may take once it is made ready, about.
const SIZE: usize = 1 << 20;

/// Attempts to match one text, before it counts as one without a match.
const ATTEMPTS: usize = 100_000;

/// A pattern made ready.
#[derive(Clone, Debug)]
pub struct Pattern(Searched);

/// How.
#[derive(Clone, Debug)]
enum Searched {
    Linear(regex::Regex),
    Backtracking(Box<fancy_regex::Regex>),
}

impl Pattern {
    /// Reads a pattern; `None` if it is none, or too large.
    #[must_use]
    pub fn new(pattern: &str) -> Option<Pattern> {
        let rewritten = rewrite(pattern)?;
        if rewritten.backtracks {
            let mut builder = fancy_regex::RegexBuilder::new(&rewritten.text);
            builder.backtrack_limit(ATTEMPTS).delegate_size_limit(SIZE);
            return builder
                .build()
                .ok()
                .map(|regex| Pattern(Searched::Backtracking(Box::new(regex))));
        }
        let mut builder = regex::RegexBuilder::new(&rewritten.text);
        let regex = builder.size_limit(SIZE).dfa_size_limit(SIZE).build().ok()?;
        Some(Pattern(Searched::Linear(regex)))
    }

    /// Whether it is found in a text.
    #[must_use]
    pub fn is_in(&self, text: &str) -> bool {
        let text = latin1(text);
        match &self.0 {
            Searched::Linear(regex) => regex.is_match(&text),
            Searched::Backtracking(regex) => regex.is_match(&*text).unwrap_or(false),
        }
    }
}

/// A character for each byte.
fn latin1(text: &str) -> Cow<'_, str> {
    match text.is_ascii() {
        true => Cow::Borrowed(text),
        false => Cow::Owned(text.bytes().map(char::from).collect()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn patterns_find_what_they_find_there() {
        let mut lines = include_str!("patterns.jsonl").lines();
        let mut read = || lines.next().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let texts = read().unwrap();
        let texts: Vec<&str> =
            texts.as_array().unwrap().iter().map(|t| t.as_str().unwrap()).collect();
        while let Some(line) = read() {
            let pattern = line[0].as_str().unwrap();
            let found = Pattern::new(pattern).map(|pattern| {
                let found = (0..texts.len()).filter(|at| pattern.is_in(texts[*at]));
                found.collect::<Vec<usize>>()
            });
            assert_eq!(json!(found), line[1], "{pattern}");
        }
    }

    #[test]
    fn large_patterns_are_refused() {
        for pattern in
            ["(a{1000}){1000}", "(?=(a{1000}){1000})b", "(((((((((a{9}){9}){9}){9}){9}){9}){9})))"]
        {
            assert!(Pattern::new(pattern).is_none(), "{pattern}");
        }
        for repeated in ["(", "(?=", "[", "(?:a|", "a{2}", "\\Q", "[["] {
            let _ = Pattern::new(&repeated.repeat(20_000));
        }
    }

    proptest! {
        #[test]
        fn no_pattern_does_harm(
            pattern in r"([a-c(){}\[\]?*+|^$\\:<>=!,0-9dwQEKx\n-]|\(\?|\[:alpha:\]|é){0,12}",
            text in "[a-cé\n]{0,5}",
        ) {
            if let Some(pattern) = Pattern::new(&pattern) {
                let _ = pattern.is_in(&text);
            }
        }
    }

    #[test]
    fn attempts_are_limited() {
        let evil = Pattern::new("^(?=(a+)+$)").unwrap();
        assert!(!evil.is_in(&format!("{}!", "a".repeat(10_000))));
        assert!(evil.is_in("aaa"));
    }
}
