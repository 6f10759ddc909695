//! [`Totp`]: a second factor, numbers that change with time (RFC 6238), as `totp` in a user's document
//! says. Pure; never tells which of two factors was wrong.

use serde_json::Value;
use subtle::{Choice, ConstantTimeEq};

use crate::auth::prf::Prf;

/// Seconds for which a number holds.
const STEP: u64 = 30;

/// How the numbers of a user are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totp {
    key: Vec<u8>,
    hash: Prf,
    /// How many digits a number has: 6 to 8.
    digits: u32,
}

/// What has to be shown beside a password.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SecondFactor {
    /// Nothing.
    #[default]
    None,
    /// A number.
    Totp(Totp),
    /// Something that nobody can show: the document does not say it right.
    Unknown,
}

impl SecondFactor {
    /// What the member `totp` of a user's document says: an object with the `key` in base 32, and an
    /// `algorithm` (`sha`) and a `length` (6) if they are others.
    #[must_use]
    pub fn from_document(doc: &Value) -> Self {
        match doc.get("totp") {
            None => SecondFactor::None,
            Some(said) => read(said).map_or(SecondFactor::Unknown, SecondFactor::Totp),
        }
    }

    /// Whether somebody who logs in at that time, in seconds of Unix, shows what is wanted. `None`
    /// comes with ways to log in that have no place for it.
    #[must_use]
    pub fn is_shown(&self, token: Option<&str>, now: u64) -> bool {
        match (self, token) {
            (SecondFactor::None, _) => true,
            (SecondFactor::Totp(totp), Some(token)) => totp.accepts(token, now),
            (SecondFactor::Totp(_), None) | (SecondFactor::Unknown, _) => false,
        }
    }
}

fn read(said: &Value) -> Option<Totp> {
    let hash = match said.get("algorithm") {
        None => Prf::Sha1,
        Some(name) => Prf::parse(name.as_str()?)?,
    };
    let digits = match said.get("length") {
        None => 6,
        Some(length) => u32::try_from(length.as_u64()?).ok().filter(|n| (6..=8).contains(n))?,
    };
    Some(Totp { key: base32(said.get("key")?.as_str()?)?, hash, digits })
}

impl Totp {
    /// Clocks differ: the number before holds, too, and so does the one after.
    fn accepts(&self, token: &str, now: u64) -> bool {
        let times = [now.saturating_sub(STEP), now, now.saturating_add(STEP)];
        let same = times.map(|time| self.number(time).as_bytes().ct_eq(token.as_bytes()));
        same.into_iter().fold(Choice::from(0), |any, one| any | one).into()
    }

    /// RFC 4226, 5.3, with the steps since 1970 as counter.
    fn number(&self, time: u64) -> String {
        let mac = self.hash.mac(&self.key, &(time / STEP).to_be_bytes());
        let offset = usize::from(mac.last().copied().unwrap_or_default() & 0xf);
        let four = mac.get(offset..offset + 4).and_then(|four| four.try_into().ok());
        let number = u32::from_be_bytes(four.unwrap_or_default()) & 0x7fff_ffff;
        format!("{:0width$}", number % 10_u32.pow(self.digits), width = self.digits as usize)
    }
}

/// Base 32 of RFC 4648, with its padding or without.
fn base32(text: &str) -> Option<Vec<u8>> {
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0_u32);
    for letter in text.trim_end_matches('=').bytes() {
        let five = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'2'..=b'7' => letter - b'2' + 26,
            _ => return None,
        };
        (bits, held) = ((bits << 5 | u32::from(five)) & 0xfff, held + 5);
        if held >= 8 {
            held -= 8;
            out.push((bits >> held & 0xff) as u8);
        }
    }
    (!out.is_empty()).then_some(out)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    // Keys and numbers of RFC 6238, appendix B.
    const SHA1: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
    const SHA256: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA====";

    fn of(key: &str, algorithm: &str) -> SecondFactor {
        let said = json!({"key": key, "algorithm": algorithm, "length": 8});
        SecondFactor::from_document(&json!({ "totp": said }))
    }

    #[test]
    fn numbers_are_those_of_the_standard() {
        for (time, sha1, sha256) in [
            (59, "94287082", "46119246"),
            (1_111_111_109, "07081804", "68084774"),
            (1_234_567_890, "89005924", "91819424"),
            (20_000_000_000, "65353130", "77737706"),
        ] {
            for (factor, number) in [(of(SHA1, "sha"), sha1), (of(SHA256, "sha256"), sha256)] {
                assert!(factor.is_shown(Some(number), time), "{time} {number}");
                assert!(factor.is_shown(Some(number), time + STEP));
                assert!(factor.is_shown(Some(number), time - STEP));
                assert!(!factor.is_shown(Some(number), time + 3 * STEP));
                assert!(!factor.is_shown(None, time));
                assert!(!factor.is_shown(Some(""), time));
                assert!(!factor.is_shown(number.get(2..), time));
            }
        }
        let six = SecondFactor::from_document(&json!({"totp": {"key": SHA1}}));
        assert!(six.is_shown(Some("287082"), 59));
    }

    #[test]
    fn what_is_not_understood_lets_nobody_in() {
        assert!(SecondFactor::from_document(&json!({})).is_shown(None, 0));
        for said in [
            json!(null),
            json!("x"),
            json!({}),
            json!({"key": ""}),
            json!({"key": "A"}),
            json!({"key": "ABC1"}),
            json!({"key": 7}),
            json!({"key": SHA1, "length": 5}),
            json!({"key": SHA1, "length": "6"}),
            json!({"key": SHA1, "algorithm": "md5"}),
        ] {
            let factor = SecondFactor::from_document(&json!({ "totp": said }));
            assert_eq!(factor, SecondFactor::Unknown, "{said}");
            assert!(!factor.is_shown(Some(""), 0) && !factor.is_shown(Some("000000"), 0));
        }
    }
}
