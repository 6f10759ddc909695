//! The `AuthSession` cookie: a name, a time and a keyed hash of both, as CouchDB makes it, so that
//! a session of one server is one of its peers too. Pure; knows no accounts.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use subtle::ConstantTimeEq;

use crate::auth::prf::Prf;
use crate::error::Error;

/// What a cookie claims; proven only by [`Claim::proven`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    /// Whose session it says to be.
    pub name: String,
    /// Hexadecimal, as written.
    time: String,
    mac: Vec<u8>,
}

impl Claim {
    /// Takes a cookie's value apart.
    ///
    /// # Errors
    /// 400 if it is none of ours.
    pub fn parse(cookie: &str) -> Result<Self, Error> {
        Self::split(cookie).ok_or_else(|| {
            Error::bad_request("Malformed AuthSession cookie. Please clear your cookies.")
        })
    }

    fn split(cookie: &str) -> Option<Self> {
        let plain = URL_SAFE_NO_PAD.decode(cookie).ok()?;
        let mut parts = plain.splitn(3, |&byte| byte == b':');
        let name = String::from_utf8(parts.next()?.to_vec()).ok()?;
        let time = String::from_utf8(parts.next()?.to_vec()).ok()?;
        Some(Claim { name, time, mac: parts.next()?.to_vec() })
    }

    /// When it was made, in seconds since 1970.
    #[must_use]
    pub fn made(&self) -> Option<u64> {
        u64::from_str_radix(&self.time, 16).ok()
    }

    /// Whether it was made with this key by one of these hashes.
    #[must_use]
    pub fn proven(&self, key: &[u8], hashes: &[Prf]) -> bool {
        let message = format!("{}:{}", self.name, self.time);
        hashes.iter().any(|&hash| hash.mac(key, message.as_bytes()).ct_eq(&self.mac).into())
    }
}

/// Makes a cookie's value. `now` in seconds since 1970; `key` is the secret and the user's salt.
#[must_use]
pub fn make(name: &str, now: u64, key: &[u8], hash: Prf) -> String {
    let mut plain = format!("{name}:{now:X}").into_bytes();
    let mac = hash.mac(key, &plain);
    plain.push(b':');
    plain.extend_from_slice(&mac);
    URL_SAFE_NO_PAD.encode(plain)
}

/// How cookies are dressed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dress {
    /// Seconds for which it lasts, if the browser shall keep it.
    pub max_age: Option<u64>,
    /// `[chttpd_auth] cookie_domain`
    pub domain: Option<String>,
    /// `[chttpd_auth] same_site`
    pub same_site: Option<&'static str>,
}

/// The value of `Set-Cookie`; an empty `cookie` ends the session. One that was asked for over TLS is
/// sent over TLS only.
#[must_use]
pub fn set_cookie(cookie: &str, now: u64, dress: &Dress, secure: bool) -> String {
    let mut out = format!("AuthSession={cookie}; Version=1");
    if let Some(age) = dress.max_age {
        out.push_str(&format!("; Expires={}; Max-Age={age}", crate::date::cookie(now + age)));
    }
    if secure {
        out.push_str("; Secure");
    }
    if let Some(domain) = &dress.domain {
        out.push_str(&format!("; Domain={domain}"));
    }
    out.push_str("; Path=/; HttpOnly");
    if let Some(same_site) = dress.same_site {
        out.push_str(&format!("; SameSite={same_site}"));
    }
    out
}

/// The value of the first `AuthSession` in a `Cookie` header; `None` if there is none or it is empty.
#[must_use]
pub fn find(header: &str) -> Option<String> {
    let mut rest = header;
    while !rest.is_empty() {
        let (name, behind) = split(rest.trim_start_matches(BLANK), |letter| !ends_name(letter));
        let (value, behind) = match behind.trim_start_matches(BLANK).strip_prefix('=') {
            Some(value) => read_value(value.trim_start_matches(BLANK)),
            None => (String::new(), behind),
        };
        if name == "AuthSession" {
            return Some(value).filter(|value| !value.is_empty());
        }
        rest = behind.split_once([';', ',']).map_or("", |(_, rest)| rest);
    }
    None
}

const BLANK: [char; 4] = [' ', '\t', '\r', '\n'];

fn ends_name(letter: char) -> bool {
    letter.is_ascii_control() || " ()<>@,;:\\\"/[]?={}".contains(letter)
}

/// A value and what is behind it. In quotes it may hold anything.
fn read_value(text: &str) -> (String, &str) {
    let Some(mut rest) = text.strip_prefix('"') else {
        let plain = |letter: char| letter.is_ascii_graphic() && !"\",;\\".contains(letter);
        let (value, behind) = split(text, plain);
        return (value.to_owned(), behind);
    };
    let mut value = String::new();
    loop {
        let (part, behind) = split(rest, |letter| !matches!(letter, '"' | '\\'));
        value.push_str(part);
        let Some(quoted) = behind.strip_prefix('\\') else {
            return (value, behind.strip_prefix('"').unwrap_or_default());
        };
        let mut letters = quoted.chars();
        value.extend(letters.next());
        rest = letters.as_str();
    }
}

/// Splits before the first letter that does not belong.
fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|letter| !belongs(letter)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    // Made by Apache CouchDB 3.4.2.
    const COOKIE: &str = "YWRtaW46NkIwMTc5Qzc6zarLYokRjG-tGB2zHKM0g4v6GSQQdReLboUqd4PCwJc";
    const KEY: &[u8] = b"58e4d81e6c704c98559d62aab88b4a9d5713ffca303dab3065f3163074fb3ea4";

    #[test]
    fn couchdbs_own_cookie_is_proven_and_made_again() {
        let claim = Claim::parse(COOKIE).unwrap();
        assert_eq!(claim.name, "admin");
        assert_eq!(claim.made(), Some(0x6B01_79C7));
        assert!(claim.proven(KEY, &[Prf::Sha1, Prf::Sha256]));
        assert!(!claim.proven(KEY, &[Prf::Sha1]));
        assert!(!claim.proven(b"other", &[Prf::Sha256]));
        assert_eq!(make("admin", 0x6B01_79C7, KEY, Prf::Sha256), COOKIE);
    }

    #[test]
    fn a_changed_name_or_time_is_not_proven() {
        for (name, time) in [("bob", "6B0179C7"), ("admin", "6B0179C8")] {
            let claim =
                Claim { name: name.into(), time: time.into(), ..Claim::parse(COOKIE).unwrap() };
            assert!(!claim.proven(KEY, &[Prf::Sha256]));
        }
    }

    #[test]
    fn malformed_cookies() {
        for bad in ["abc", "!!!", "YWJj", "YTpi", "YTpiOmM="] {
            assert_eq!(Claim::parse(bad).unwrap_err().info().0, 400, "{bad}");
        }
        assert!(Claim::parse("YTpiOmM").is_ok());
    }

    #[test]
    fn the_cookie_is_found_among_others() {
        for found in [
            "AuthSession=x",
            "a=b; AuthSession=x; c=d",
            "a=b,AuthSession=x",
            " AuthSession = x ;",
            "AuthSession=\"x\"y; a=b",
            "AuthSession=\"x",
            "AuthSession=x\"",
            "AuthSession=\"\\x\"",
            "a=\"b;c\"; AuthSession=x",
            "a=\"b\\\"c\"; AuthSession=x",
            "é=ü; AuthSession=x; AuthSession=y",
            "a b=c; {d}; =; ;;AuthSession=x",
        ] {
            assert_eq!(find(found).as_deref(), Some("x"), "{found}");
        }
        for none in [
            "",
            ";",
            "AuthSession",
            "AuthSession=",
            "AuthSession; AuthSession=x",
            "AuthSession=\"\"; AuthSession=x",
            "AuthSession=é",
            "NotAuthSession=x",
            "authsession=x",
            "a=\"b; AuthSession=x",
            "a=\"\\",
        ] {
            assert_eq!(find(none), None, "{none}");
        }
        assert_eq!(find("AuthSession=a b").as_deref(), Some("a"));
        assert_eq!(find("AuthSession=\" a;b\"").as_deref(), Some(" a;b"));
    }

    #[test]
    fn the_header_is_dressed() {
        let dress = Dress { max_age: Some(600), ..Dress::default() };
        assert_eq!(
            set_cookie("", 1_795_258_823 - 600, &dress, false),
            "AuthSession=; Version=1; Expires=Sat, 21-Nov-2026 11:00:23 GMT; Max-Age=600; Path=/; \
             HttpOnly"
        );
        let dress =
            Dress { max_age: None, domain: Some("example.com".into()), same_site: Some("Strict") };
        assert_eq!(
            set_cookie("x", 0, &dress, true),
            "AuthSession=x; Version=1; Secure; Domain=example.com; Path=/; HttpOnly; \
             SameSite=Strict"
        );
    }
}
