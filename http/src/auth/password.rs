//! Passwords as CouchDB keeps them: derived with PBKDF2 (or, of old, hashed once), written into
//! `[admins]` or into documents of `_users`. Pure and slow on purpose; never call it on a thread
//! that serves requests.

use bytes::Bytes;
use serde_json::Value;
use settee_model::json::{Raw, push_member};
use sha1::{Digest, Sha1};
use subtle::ConstantTimeEq;

use crate::auth::prf::{Prf, hex};

/// Members that say how a password is kept, or how it is to be.
const KEPT: [&str; 8] = [
    "derived_key",
    "iterations",
    "password",
    "password_scheme",
    "password_sha",
    "preserve_salt",
    "pbkdf2_prf",
    "salt",
];

/// What a password is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verifier {
    scheme: Scheme,
    salt: String,
    /// Hexadecimal, as it is kept.
    key: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    /// SHA-1 of password and salt. Not made any more.
    Simple,
    Pbkdf2 {
        prf: Prf,
        iterations: u32,
    },
    /// PBKDF2 by a hash that is not known: no password is right.
    Unknown,
}

impl Verifier {
    /// Derives the verifier of a new password.
    #[must_use]
    pub fn derive(password: &str, salt: &str, prf: Prf, iterations: u32) -> Self {
        let key = prf.derive(password.as_bytes(), salt.as_bytes(), iterations);
        let scheme = Scheme::Pbkdf2 { prf, iterations };
        Verifier { scheme, salt: salt.to_owned(), key }
    }

    /// The verifier of a password in the old scheme.
    #[must_use]
    pub fn simple(password: &str, salt: &str) -> Self {
        Self::new(Scheme::Simple, salt, &simple(password, salt))
    }

    /// Reads a value of `[admins]`; `None` if it is a password in clear.
    #[must_use]
    pub fn from_admin(value: &str) -> Option<Self> {
        if let Some(rest) = value.strip_prefix("-hashed-") {
            let (key, salt) = rest.split_once(',')?;
            return Some(Self::new(Scheme::Simple, salt, key));
        }
        let rest = value.strip_prefix("-pbkdf2")?;
        let (prf, rest) = match rest.strip_prefix(':') {
            Some(rest) => rest.split_once('-')?,
            None => ("sha", rest.strip_prefix('-')?),
        };
        let prf = Prf::parse(prf)?;
        let mut parts = rest.split(',');
        let (key, salt) = (parts.next()?, parts.next()?);
        let iterations = parts.next()?.trim().parse().ok()?;
        Some(Self::new(Scheme::Pbkdf2 { prf, iterations }, salt, key))
    }

    /// Reads the members of a document of `_users`. A salt is enough to know a session by; where the
    /// rest makes no sense, no password is right.
    #[must_use]
    pub fn from_document(doc: &Value) -> Option<Self> {
        let text = |name: &str| doc.get(name).and_then(Value::as_str);
        let salt = text("salt")?;
        let key = |name: &str| text(name).unwrap_or_default();
        Some(match doc.get("password_scheme").map_or(Some("simple"), Value::as_str) {
            Some("simple") => Self::new(Scheme::Simple, salt, key("password_sha")),
            Some("pbkdf2") => Self::new(pbkdf2(doc), salt, key("derived_key")),
            _ => Self::new(Scheme::Simple, salt, ""),
        })
    }

    fn new(scheme: Scheme, salt: &str, key: &str) -> Self {
        Verifier { scheme, salt: salt.to_owned(), key: key.to_owned() }
    }

    /// How it is written into `[admins]`.
    #[must_use]
    pub fn to_admin(&self) -> String {
        let Verifier { scheme, salt, key } = self;
        match scheme {
            Scheme::Simple => format!("-hashed-{key},{salt}"),
            Scheme::Pbkdf2 { prf, iterations } => {
                format!("-pbkdf2:{}-{key},{salt},{iterations}", prf.name())
            }
            Scheme::Unknown => String::new(),
        }
    }

    /// The body of a document of `_users` that says how to check the password, in the place of whatever
    /// it said before.
    #[must_use]
    pub fn put_into(&self, body: &[u8]) -> Bytes {
        let mut out = Vec::with_capacity(body.len() + 256);
        out.push(b'{');
        for (name, value) in self.members() {
            push_member(&mut out, name, value.to_string().as_bytes());
        }
        let rest = Raw(body).members().into_iter().flatten();
        for (name, value) in rest.filter(|(name, _)| !KEPT.contains(&&**name)) {
            push_member(&mut out, &name, value.bytes());
        }
        out.push(b'}');
        out.into()
    }

    /// How it is written into a document of `_users`: names of members and their values.
    fn members(&self) -> Vec<(&'static str, Value)> {
        let Verifier { scheme, salt, key } = self;
        match scheme {
            Scheme::Simple => vec![
                ("password_scheme", "simple".into()),
                ("salt", salt.as_str().into()),
                ("password_sha", key.as_str().into()),
            ],
            Scheme::Pbkdf2 { prf, iterations } => vec![
                ("password_scheme", "pbkdf2".into()),
                ("pbkdf2_prf", prf.name().into()),
                ("salt", salt.as_str().into()),
                ("iterations", (*iterations).into()),
                ("derived_key", key.as_str().into()),
            ],
            Scheme::Unknown => Vec::new(),
        }
    }

    /// Whether this is the password. Takes as long as deriving it.
    #[must_use]
    pub fn matches(&self, password: &str) -> bool {
        let derived = match self.scheme {
            Scheme::Simple => simple(password, &self.salt),
            Scheme::Pbkdf2 { prf, iterations } => {
                prf.derive(password.as_bytes(), self.salt.as_bytes(), iterations)
            }
            Scheme::Unknown => return false,
        };
        derived.as_bytes().ct_eq(self.key.as_bytes()).into()
    }

    /// The salt, which also goes into the key of session cookies.
    #[must_use]
    pub fn salt(&self) -> &str {
        &self.salt
    }

    /// What tells this verifier from that of another password.
    #[must_use]
    pub fn key(&self) -> &str {
        &self.key
    }

    /// PBKDF2's hash; none for the old scheme.
    #[must_use]
    pub fn prf(&self) -> Option<Prf> {
        match self.scheme {
            Scheme::Simple | Scheme::Unknown => None,
            Scheme::Pbkdf2 { prf, .. } => Some(prf),
        }
    }

    /// Whether it is known how to check a password.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.scheme != Scheme::Unknown
    }

    /// PBKDF2's rounds; 1 for the old scheme.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        match self.scheme {
            Scheme::Simple | Scheme::Unknown => 1,
            Scheme::Pbkdf2 { iterations, .. } => iterations,
        }
    }
}

/// What a document of `_users` says of PBKDF2.
fn pbkdf2(doc: &Value) -> Scheme {
    let prf = doc.get("pbkdf2_prf").map_or(Some("sha"), Value::as_str).and_then(Prf::parse);
    let iterations = doc.get("iterations").and_then(Value::as_f64).unwrap_or(10_000.0);
    prf.map_or(Scheme::Unknown, |prf| Scheme::Pbkdf2 { prf, iterations: iterations as u32 })
}

fn simple(password: &str, salt: &str) -> String {
    hex(&Sha1::new().chain_update(password).chain_update(salt).finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_of_rfc_6070() {
        let verifier = Verifier::derive("password", "salt", Prf::Sha1, 2);
        assert_eq!(verifier.key(), "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957");
    }

    #[test]
    fn what_couchdb_wrote_is_understood() {
        // `pass`, as Apache CouchDB 3.4.2 wrote it into its local.ini.
        let written = "-pbkdf2:sha256-262e5098d7c130a02855f4dbd7641f698e33e2ab7cf7ffedb12547e93ec5e85e,\
                       5713ffca303dab3065f3163074fb3ea4,600000";
        let verifier = Verifier::from_admin(written).unwrap();
        assert_eq!(verifier.salt(), "5713ffca303dab3065f3163074fb3ea4");
        assert_eq!(verifier.to_admin(), written);
        assert!(verifier.matches("pass"));
        assert!(!verifier.matches("Pass"));
    }

    #[test]
    fn all_forms_of_admins() {
        let simple = hex(&Sha1::digest("secretsalt"));
        let verifier = Verifier::from_admin(&format!("-hashed-{simple},salt")).unwrap();
        assert!(verifier.matches("secret"));
        let key = Prf::Sha1.derive(b"secret", b"salt", 10);
        let verifier = Verifier::from_admin(&format!("-pbkdf2-{key},salt,10")).unwrap();
        assert!(verifier.matches("secret"));
        for clear in ["secret", "-pbkdf2:md5-a,b,1", "-hashed-a", ""] {
            assert_eq!(Verifier::from_admin(clear), None, "{clear}");
        }
    }

    #[test]
    fn documents_of_users() {
        let key = Prf::Sha512.derive(b"secret", b"salt", 3);
        let doc = serde_json::json!({
            "password_scheme": "pbkdf2", "pbkdf2_prf": "sha512", "iterations": 3,
            "salt": "salt", "derived_key": key,
        });
        assert!(Verifier::from_document(&doc).unwrap().matches("secret"));
        for none in [serde_json::json!({}), serde_json::json!({"salt": 5, "password_sha": ""})] {
            assert_eq!(Verifier::from_document(&none), None);
        }
        let changed = |name: &str, value: Value| {
            let mut doc = doc.clone();
            doc[name] = value;
            Verifier::from_document(&doc).unwrap()
        };
        for prf in [serde_json::json!("md5"), serde_json::json!(""), Value::Null] {
            let verifier = changed("pbkdf2_prf", prf);
            assert!(!verifier.is_known() && !verifier.matches("secret"));
            assert_eq!(verifier.salt(), "salt");
        }
        for scheme in [serde_json::json!("bcrypt"), serde_json::json!(""), Value::Null] {
            let verifier = changed("password_scheme", scheme);
            assert!(verifier.is_known() && !verifier.matches("secret"));
        }
        assert!(!changed("derived_key", Value::Null).matches("secret"));
        for (said, meant) in [(-1.0, 0), (0.0, 0), (10.5, 10), (1e300, u32::MAX)] {
            assert_eq!(changed("iterations", said.into()).iterations(), meant);
        }
    }

    #[test]
    fn what_was_derived_takes_the_place_of_what_was_said() {
        let verifier = Verifier::derive("secret", "salt", Prf::Sha1, 2);
        let body = br#"{"name":"ann","password":"secret","salt":"x","preserve_salt":true,"a":1}"#;
        let written = verifier.put_into(body);
        let expected = format!(
            "{{\"password_scheme\":\"pbkdf2\",\"pbkdf2_prf\":\"sha\",\"salt\":\"salt\",\
             \"iterations\":2,\"derived_key\":\"{}\",\"name\":\"ann\",\"a\":1}}",
            verifier.key()
        );
        assert_eq!(String::from_utf8(written.to_vec()).unwrap(), expected);
        let read = settee_model::json::value(&written).unwrap();
        assert_eq!(Verifier::from_document(&read), Some(verifier));
    }
}
