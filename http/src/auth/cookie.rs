//! The `AuthSession` cookie: a name, a time and a keyed hash of both, as CouchDB makes it, so that
//! a session of one server is one of its peers too. Pure; knows no accounts.

use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, URL_SAFE_NO_PAD};
use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use subtle::ConstantTimeEq;

use crate::auth::prf::Prf;
use crate::error::Error;

/// Reads with and without padding.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

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
        let plain = LENIENT.decode(cookie).ok()?;
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

/// The value of `AuthSession` in a `Cookie` header; `None` if there is none or it is empty.
#[must_use]
pub fn find(header: &str) -> Option<&str> {
    let mut pairs = header.split([';', ',']).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(name, _)| *name == "AuthSession")?;
    let value = value.trim_matches('"');
    (!value.is_empty()).then_some(value)
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
        for bad in ["abc", "!!!", "YWJj", "YTpi"] {
            assert_eq!(Claim::parse(bad).unwrap_err().info().0, 400, "{bad}");
        }
        assert!(Claim::parse("YTpiOmM").is_ok());
        assert!(Claim::parse("YTpiOmM=").is_ok());
    }

    #[test]
    fn the_header_is_found_and_dressed() {
        assert_eq!(find("a=b; AuthSession=xyz; c=d"), Some("xyz"));
        assert_eq!(find("AuthSession="), None);
        assert_eq!(find("NotAuthSession=x"), None);
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
