//! CVE-2010-0009: proofs were compared byte by byte, so that the time told how much of a guess was
//! right. Times over a network are too noisy to test, so this looks at the sources, and that no part
//! of a proof is taken for the whole.

use std::fs;

use serde_json::Value;
use settee_tests::ask::{as_nobody, configure};
use settee_tests::base64;
use settee_tests::client::{ANONYMOUS, Client, Request};

use super::send;
use crate::{repository, with_server};

/// Where something is compared that proves who one is, and how.
const COMPARED: [(&str, &str); 5] = [
    ("http/src/auth/cookie.rs", ".ct_eq("),
    ("http/src/auth/password.rs", ".ct_eq("),
    ("http/src/auth/proxy.rs", ".ct_eq("),
    ("http/src/auth/jwt/keys.rs", "hmac::verify("),
    ("cluster/src/mesh/secret.rs", ".ct_eq("),
];

/// What proofs are called in these files.
const PROOFS: [&str; 8] =
    ["mac", "token", "derived", "signature", "proof", "expected", "password", "self.key"];

/// Lines of code, without comments and tests.
fn code(path: &str) -> Vec<String> {
    let text = fs::read_to_string(repository(path)).expect("a source file");
    let code = text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    code.filter(|line| !line.trim_start().starts_with("//")).map(str::to_owned).collect()
}

#[test]
fn cve_2010_0009_no_guess_is_told_how_right_it_is() {
    for (path, way) in COMPARED {
        let code = code(path);
        assert!(code.iter().any(|line| line.contains(way)), "{path} does not use {way}");
        let plainly = code.iter().filter(|line| {
            let compares = [" == ", " != ", "starts_with("].iter().any(|way| line.contains(way));
            // The name of a header is no secret.
            let of_proof = PROOFS.iter().any(|name| line.contains(name));
            compares && of_proof && !line.contains("*header")
        });
        let plainly: Vec<_> = plainly.collect();
        assert!(plainly.is_empty(), "{path}: {plainly:?}");
    }
    with_server(|_, client| {
        configure(client, "chttpd_auth_lockout/mode", "off");
        let body = r#"{"name":"admin","password":"pass"}"#;
        let login = Request::new("POST", "/_session").header("Authorization", ANONYMOUS).json(body);
        let set = send(client, &login).header("set-cookie").expect("a cookie").to_owned();
        let whole = set.split(';').next().expect("a cookie").to_owned();
        assert_eq!(who(client, &whole), "admin");
        for length in "AuthSession=".len()..whole.len() {
            assert_eq!(who(client, &whole[..length]), Value::Null, "{length} of {whole}");
        }
        // Of the last character only some bits count.
        for at in whole.len() - 30..whole.len() - 1 {
            let other = if &whole[at..=at] == "A" { "B" } else { "A" };
            let guess = format!("{}{other}{}", &whole[..at], &whole[at + 1..]);
            assert_eq!(who(client, &guess), Value::Null, "{guess} for {whole}");
        }
        for password in ["", "p", "pas", "passs", "PASS"] {
            let basic = format!("Basic {}", base64(format!("admin:{password}").as_bytes()));
            let answer = as_nobody(client, "GET", "/_session", &[("Authorization", &basic)]);
            assert_eq!(answer.status, 401, "{password:?}");
        }
    });
}

/// Whose cookie it is; nobody's if it is refused, too.
fn who(client: &mut Client, cookie: &str) -> Value {
    let answer = as_nobody(client, "GET", "/_session", &[("Cookie", cookie)]);
    assert!(matches!(answer.status, 200 | 400), "{cookie}: {}", answer.text());
    answer.json().expect("JSON")["userCtx"]["name"].take()
}
