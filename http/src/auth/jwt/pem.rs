//! Public keys in PEM: text armour around DER. Reads just enough of both to find out what kind of key
//! it is and where its bytes are; whether these are a key is found out when it is used. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// A public key, by its kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PublicKey {
    /// `RSAPublicKey` of PKCS #1, in DER.
    Rsa(Vec<u8>),
    /// An uncompressed point on P-256.
    P256(Vec<u8>),
    /// An uncompressed point on P-384.
    P384(Vec<u8>),
    /// 32 bytes.
    Ed25519(Vec<u8>),
    /// Something else.
    Other,
}

const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01];
const EC: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01];
const P256: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
const P384: &[u8] = &[0x2b, 0x81, 0x04, 0x00, 0x22];
const ED25519: &[u8] = &[0x2b, 0x65, 0x70];

const SEQUENCE: u8 = 0x30;
const OBJECT_ID: u8 = 0x06;
const BIT_STRING: u8 = 0x03;

/// Reads the one key of a text; line breaks may be written as `\n`. `None` if there is none.
#[must_use]
pub fn read(text: &str) -> Option<PublicKey> {
    let text = text.replace("\\n", "\n");
    let (_, rest) = text.split_once("-----BEGIN ")?;
    let (label, rest) = rest.split_once("-----")?;
    let (body, rest) = rest.split_once("-----END ")?;
    let rest = rest.strip_prefix(label)?.strip_prefix("-----")?;
    if rest.contains("-----BEGIN ") {
        return None;
    }
    let body: String = body.split_whitespace().collect();
    let der = STANDARD.decode(body).ok()?;
    match label {
        "PUBLIC KEY" => subject_public_key(&der),
        "RSA PUBLIC KEY" => Some(PublicKey::Rsa(der)),
        _ => Some(PublicKey::Other),
    }
}

/// `SubjectPublicKeyInfo` of X.509.
fn subject_public_key(der: &[u8]) -> Option<PublicKey> {
    let (info, []) = element(der, SEQUENCE)? else { return None };
    let (algorithm, rest) = element(info, SEQUENCE)?;
    let (bits, []) = element(rest, BIT_STRING)? else { return None };
    let key = bits.strip_prefix(&[0])?.to_vec();
    let (object_id, parameters) = element(algorithm, OBJECT_ID)?;
    Some(match object_id {
        RSA => PublicKey::Rsa(key),
        ED25519 => PublicKey::Ed25519(key),
        EC => match element(parameters, OBJECT_ID) {
            Some((P256, [])) => PublicKey::P256(key),
            Some((P384, [])) => PublicKey::P384(key),
            _ => PublicKey::Other,
        },
        _ => PublicKey::Other,
    })
}

/// The content of an element that must be of this kind, and what follows it.
fn element(der: &[u8], kind: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    let (length, rest) = match length {
        short @ 0..0x80 => (usize::from(short), rest),
        long => {
            // Four bytes of length are more than any key has.
            let count = usize::from(long & 0x7f);
            let (digits, rest) =
                rest.split_at_checked(count).filter(|_| (1..=4).contains(&count))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
    };
    (first == kind).then(|| rest.split_at_checked(length))?
}

#[cfg(test)]
mod tests {
    use super::*;

    const ED: &str = "-----BEGIN PUBLIC KEY-----\\n\
        MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\\n-----END PUBLIC KEY-----\\n";

    #[test]
    fn kinds_of_keys() {
        let Some(PublicKey::Ed25519(key)) = read(ED) else { panic!("{:?}", read(ED)) };
        assert_eq!((key.len(), key[0]), (32, 0x19));
        let certificate = ED.replace("PUBLIC KEY", "CERTIFICATE");
        assert_eq!(read(&certificate), Some(PublicKey::Other));
        // X25519, which signs nothing.
        assert_eq!(read(&ED.replace("MCowBQYDK2Vw", "MCowBQYDK2Vu")), Some(PublicKey::Other));
    }

    #[test]
    fn what_is_no_key() {
        let twice = format!("{ED}{ED}");
        let cut = ED.replace("ZuE=", "ZuE");
        let long = ED.replace("MCow", "MP8w");
        for text in ["", "-----BEGIN PUBLIC KEY-----", "abc", &twice, &cut, &long] {
            assert_eq!(read(text), None, "{text}");
        }
        let der = STANDARD.decode("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=");
        let der = der.unwrap();
        for end in 0..der.len() {
            assert_eq!(subject_public_key(&der[..end]), None, "{end}");
        }
    }
}
