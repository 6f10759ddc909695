//! [`Requirements`]: what new passwords must match, as CouchDB writes it down: an Erlang list of
//! patterns, each by itself or in a tuple with a reason. Pure.

use settee_model::selector::Pattern;

/// Patterns that a password must match, all of them.
#[derive(Clone, Debug, Default)]
pub struct Requirements(Vec<Requirement>);

#[derive(Clone, Debug)]
struct Requirement {
    pattern: Pattern,
    /// What is said of passwords that do not match.
    refusal: String,
}

const REFUSAL: &str = "Password does not conform to requirements.";

impl Requirements {
    /// Reads a value of `password_regexp`; `None` if it makes no sense.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut rest = Rest(text.trim());
        if rest.0.is_empty() {
            return Some(Self::default());
        }
        let requirements = rest.enclosed('[', ']', Rest::requirement)?;
        rest.0.is_empty().then_some(Requirements(requirements))
    }

    /// Checks a password.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, password: &str) -> Result<(), String> {
        match self.0.iter().find(|required| !required.pattern.is_in(password)) {
            Some(missed) => Err(missed.refusal.clone()),
            None => Ok(()),
        }
    }
}

/// What is not read yet of a term; no blanks before it.
struct Rest<'a>(&'a str);

impl Rest<'_> {
    fn eat(&mut self, wanted: char) -> Option<()> {
        self.0 = self.0.strip_prefix(wanted)?.trim_start();
        Some(())
    }

    /// Items with commas between them, in brackets.
    fn enclosed<T>(
        &mut self,
        open: char,
        close: char,
        item: impl Fn(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let mut items = Vec::new();
        self.eat(open)?;
        while self.eat(close).is_none() {
            if !items.is_empty() {
                self.eat(',')?;
            }
            items.push(item(self)?);
        }
        Some(items)
    }

    fn requirement(&mut self) -> Option<Requirement> {
        let parts = match self.0.starts_with('{') {
            true => self.enclosed('{', '}', Rest::text)?,
            false => vec![self.text()?],
        };
        let (pattern, reason) = match parts.as_slice() {
            [pattern] => (pattern, ""),
            [pattern, reason] => (pattern, reason.as_str()),
            _ => return None,
        };
        let refusal = format!("{REFUSAL} {reason}").trim_end().to_owned();
        Some(Requirement { pattern: Pattern::new(pattern)?, refusal })
    }

    /// A text in quotes; a backslash takes a sign behind it as it is. Few letters mean something there.
    fn text(&mut self) -> Option<String> {
        let mut out = String::new();
        let mut chars = self.0.strip_prefix('"')?.chars();
        loop {
            match chars.next()? {
                '"' => break,
                '\\' => out.push(match chars.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    's' => ' ',
                    't' => '\t',
                    sign if !sign.is_alphanumeric() => sign,
                    _ => return None,
                }),
                other => out.push(other),
            }
        }
        self.0 = chars.as_str().trim_start();
        Some(out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_must_match_every_pattern() {
        let text =
            r#"[{".{10,}"}, {"[A-Z]+", "Use a capital."}, {"[a-z]+", ""}, "\\d+", "[!.,()]"]"#;
        let requirements = Requirements::parse(text).unwrap();
        for (password, refusal) in [
            ("funnybone", Err(REFUSAL)),
            ("funnnnnybone", Err("Password does not conform to requirements. Use a capital.")),
            ("FUNNNNNYBONE", Err(REFUSAL)),
            ("funnnnnyBONE!", Err(REFUSAL)),
            ("funnnnnyB0N3", Err(REFUSAL)),
            ("funnnnnyB0N3!", Ok(())),
        ] {
            assert_eq!(requirements.check(password), refusal.map_err(str::to_owned), "{password}");
        }
    }

    #[test]
    fn what_is_no_list_of_patterns_makes_no_sense() {
        for text in ["", " ", "[]", "[ ]"] {
            assert_eq!(Requirements::parse(text).unwrap().check("x"), Ok(()), "{text}");
        }
        for text in [
            r#"{{".{10,}"}}"#,
            "[",
            "[1]",
            r#"["a" "b"]"#,
            r#"["("]"#,
            r#"["a"] x"#,
            r#"[{"a", "b", "c"}]"#,
            r#"[{}]"#,
            r#"["a]"#,
            r#"["\d"]"#,
        ] {
            assert!(Requirements::parse(text).is_none(), "{text}");
        }
    }
}
