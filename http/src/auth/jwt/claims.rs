//! What a token must claim to be believed, and which of its claims holds roles: `[jwt_auth]`. Pure.

use serde_json::Value;
use settee_model::config::Config;

use crate::error::Error;

/// Claims that a token must have, `required_claims`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Required {
    /// The name of a key, in the token's head.
    pub kid: bool,
    /// The token's type, in its head.
    pub typ: bool,
    iat: bool,
    nbf: bool,
    exp: bool,
    iss: Option<Issuer>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Issuer {
    /// None is the right one: there has to be one, and it was not said which.
    Unsaid,
    Named(String),
}

impl Required {
    /// Reads what is configured; `None` if nobody can make sense of it.
    #[must_use]
    pub fn from_config(config: &Config) -> Option<Self> {
        // What is empty asks for nothing, what is not there for an end.
        let text = config.raw("jwt_auth", "required_claims").unwrap_or("exp");
        let required = Self::parse(text);
        if required.is_none() {
            tracing::error!("[jwt_auth] required_claims is set to an invalid value.");
        }
        required
    }

    /// Names, and tuples of a name and a value in quotes; what is between them does not matter.
    fn parse(text: &str) -> Option<Self> {
        let mut required = Required::default();
        let (mut rest, mut any) = (text, false);
        while let Some(first) = rest.chars().next() {
            let found = if first == '{' { tuple(rest) } else { name(rest) };
            let Some((claim, behind)) = found else {
                rest = rest.get(first.len_utf8()..)?;
                continue;
            };
            (rest, any) = (behind, true);
            match claim {
                ("alg" | "sig", None) => {}
                ("kid", None) => required.kid = true,
                ("typ", None) => required.typ = true,
                ("iat", None) => required.iat = true,
                ("nbf", None) => required.nbf = true,
                ("exp", None) => required.exp = true,
                ("iss", None) => drop(required.iss.get_or_insert(Issuer::Unsaid)),
                ("iss", Some(issuer)) => required.iss = Some(Issuer::Named(issuer.to_owned())),
                _ => return None,
            }
        }
        (any || text.is_empty()).then_some(required)
    }

    /// Checks a token's claims. `now` in seconds since 1970.
    ///
    /// # Errors
    /// 400 for claims that are not there or not what they should be, 401 for times that are over or
    /// not there yet.
    pub fn check(&self, claims: &Value, now: u64) -> Result<(), Error> {
        if let Some(issuer) = &self.iss {
            let issued = claim(claims, "iss", "Missing iss claim")?;
            let known = matches!(issuer, Issuer::Named(name) if issued.as_str() == Some(name));
            if !known {
                return Err(Error::bad_request("Invalid iss claim"));
            }
        }
        if self.iat {
            let issued = claim(claims, "iat", "Missing iat claim")?;
            if !issued.is_i64() && !issued.is_u64() {
                return Err(Error::bad_request("Invalid iat claim"));
            }
        }
        // What is no number is neither before nor after now.
        let now = now as f64;
        if self.nbf {
            let from = claim(claims, "nbf", "Missing nbf claim")?;
            if !from.as_f64().is_some_and(|from| from < now) {
                return Err(Error::Unauthorized("nbf not in past".into()));
            }
        }
        if self.exp {
            let until = claim(claims, "exp", "Missing exp claim")?;
            if !until.as_f64().is_some_and(|until| until > now) {
                return Err(Error::Unauthorized("exp not in future".into()));
            }
        }
        Ok(())
    }
}

fn claim<'a>(claims: &'a Value, name: &str, missing: &'static str) -> Result<&'a Value, Error> {
    claims.get(name).ok_or_else(|| Error::bad_request(missing))
}

/// A claim, its value if there is one, and what follows.
type Claim<'a> = ((&'a str, Option<&'a str>), &'a str);

/// A name at the beginning of a text.
fn name(text: &str) -> Option<Claim<'_>> {
    let end = text.find(|letter: char| !letter.is_ascii_lowercase()).unwrap_or(text.len());
    let (name, rest) = text.split_at_checked(end).filter(|(name, _)| !name.is_empty())?;
    Some(((name, None), rest))
}

/// A tuple at the beginning of a text.
fn tuple(text: &str) -> Option<Claim<'_>> {
    let ((name, _), rest) = name(text.strip_prefix('{')?)?;
    let rest = rest.trim_start_matches(' ').strip_prefix(',')?.trim_start_matches(' ');
    let (value, rest) = rest.strip_prefix('"')?.split_once('"').filter(|(v, _)| !v.is_empty())?;
    Some(((name, Some(value)), rest.strip_prefix('}')?))
}

/// Which claim holds roles.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RolesClaim {
    /// `roles_claim_name`: one that may be missing.
    Name(String),
    /// `roles_claim_path`: where it lies inside of others.
    Path(Vec<String>),
}

impl RolesClaim {
    /// Reads what is configured.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        match config.get("jwt_auth", "roles_claim_path") {
            Some(path) => RolesClaim::Path(segments(path)),
            None => {
                let name = config.get("jwt_auth", "roles_claim_name").unwrap_or("_couchdb.roles");
                RolesClaim::Name(name.to_owned())
            }
        }
    }

    /// The roles of a token: a list, or a text with commas.
    ///
    /// # Errors
    /// 404 if the path leads nowhere, 400 if what it leads to are no roles.
    pub fn roles(&self, claims: &Value) -> Result<Vec<String>, Error> {
        let roles = match self {
            RolesClaim::Name(name) => match claims.get(name) {
                Some(roles) => roles,
                None => return Ok(Vec::new()),
            },
            RolesClaim::Path(path) => path.iter().try_fold(claims, inside)?,
        };
        let text = |role: &Value| role.as_str().map(str::to_owned).ok_or_else(malformed);
        match roles {
            Value::Array(roles) => roles.iter().map(text).collect(),
            Value::String(roles) => Ok(list(roles)),
            _ => Err(malformed()),
        }
    }
}

fn inside<'a>(value: &'a Value, key: &String) -> Result<&'a Value, Error> {
    let object = value.as_object().ok_or_else(|| Error::NotFound("json_mismatch".into()))?;
    object.get(key).ok_or_else(|| Error::NotFound(format!("missing json key: {key}").into()))
}

/// What is said of tokens that nobody can read.
pub fn malformed() -> Error {
    Error::bad_request("Malformed token")
}

/// Items with commas between them and blanks around these; empty ones at the end are none.
#[must_use]
pub fn list(text: &str) -> Vec<String> {
    let last = text.split(',').count() - 1;
    let trimmed = text.split(',').enumerate().map(|(index, item)| {
        let item = if index == 0 { item } else { item.trim_start() };
        if index == last { item } else { item.trim_end() }
    });
    let mut items: Vec<String> = trimmed.map(str::to_owned).collect();
    while items.last().is_some_and(String::is_empty) {
        items.pop();
    }
    items
}

/// The parts between dots; one with a backslash before it is part of a name.
fn segments(path: &str) -> Vec<String> {
    let mut segments = vec![String::new()];
    let mut escaped = false;
    for letter in path.chars() {
        match letter {
            '.' if !escaped => segments.push(String::new()),
            letter => segments.last_mut().into_iter().for_each(|segment| segment.push(letter)),
        }
        escaped = letter == '\\';
    }
    segments.into_iter().map(|segment| segment.replace("\\.", ".")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(outcome: Result<(), Error>) -> (u16, String) {
        outcome.map_or_else(
            |error| (error.info().0.as_u16(), error.info().2.into_owned()),
            |()| (200, String::new()),
        )
    }

    #[test]
    fn claims_that_are_required() {
        let table = [
            ("exp", json!({}), 400, "Missing exp claim"),
            ("exp", json!({"exp": 1000}), 401, "exp not in future"),
            ("exp", json!({"exp": "9999"}), 401, "exp not in future"),
            ("exp", json!({"exp": 1000.5}), 200, ""),
            ("", json!({}), 200, ""),
            ("alg, sig", json!({}), 200, ""),
            ("nbf", json!({}), 400, "Missing nbf claim"),
            ("nbf", json!({"nbf": 1000}), 401, "nbf not in past"),
            ("nbf", json!({"nbf": 999}), 200, ""),
            ("iat", json!({}), 400, "Missing iat claim"),
            ("iat", json!({"iat": 1.5}), 400, "Invalid iat claim"),
            ("iat", json!({"iat": 1}), 200, ""),
            ("iss", json!({"iss": "x"}), 400, "Invalid iss claim"),
            (r#"exp , {iss, "My, {Firm}"}"#, json!({"exp": 9999}), 400, "Missing iss claim"),
            (
                r#"exp , {iss, "My, {Firm}"}"#,
                json!({"exp": 1, "iss": "x"}),
                400,
                "Invalid iss claim",
            ),
            (r#"{iss,"x"},exp"#, json!({"exp": 1, "iss": "x"}), 401, "exp not in future"),
            (r#"{iss,"x"},exp"#, json!({"exp": 9999, "iss": "x"}), 200, ""),
        ];
        for (text, claims, expected, reason) in table {
            let required = Required::parse(text).unwrap();
            let outcome = status(required.check(&claims, 1000));
            assert_eq!(outcome, (expected, reason.to_owned()), "{text} {claims}");
        }
        let all = Required::parse("kid,typ").unwrap();
        assert!(all.kid && all.typ);
    }

    #[test]
    fn what_no_claims_are() {
        for text in ["1", "{}", "EXP", "sub", "exp, foo", r#"{iss, "Firm}"#, r#"{exp, "1"}"#] {
            assert_eq!(Required::parse(text), None, "{text}");
        }
    }

    #[test]
    fn roles_wherever_they_are() {
        let claims = json!({
            "_couchdb.roles": ["a", "b"], "my": {"nested": {"_couchdb.roles": "c , d,"}, "n": 1},
        });
        let config = |key: &str, value: &str| {
            let mut config = Config::default();
            config.set("jwt_auth", key, value);
            RolesClaim::from_config(&config).roles(&claims)
        };
        assert_eq!(config("x", "y").unwrap(), ["a", "b"]);
        assert_eq!(config("roles_claim_name", "none").unwrap(), [""; 0]);
        assert_eq!(config("roles_claim_path", "my.nested._couchdb\\.roles").unwrap(), ["c", "d"]);
        let missing = Error::NotFound("missing json key: other".into());
        assert_eq!(config("roles_claim_path", "my.other"), Err(missing));
        let mismatch = Error::NotFound("json_mismatch".into());
        assert_eq!(config("roles_claim_path", "my.n.x"), Err(mismatch));
        assert_eq!(config("roles_claim_path", "my.n"), Err(malformed()));
        assert_eq!(config("roles_claim_name", "my"), Err(malformed()));
    }

    #[test]
    fn texts_with_commas() {
        let table: [(&str, &[&str]); 6] = [
            ("", &[]),
            ("a", &["a"]),
            ("a,b", &["a", "b"]),
            (" a ,\tb , ", &[" a", "b"]),
            (",a", &["", "a"]),
            ("a,,", &["a"]),
        ];
        for (text, expected) in table {
            assert_eq!(list(text), expected, "{text}");
        }
    }
}
