//! Tokens that OpenSSL signed, and what becomes of them. `tokens.json` also holds the keys; those who
//! signed are not kept.

use serde_json::Value;

use super::*;
use crate::auth::unix_time;

const TOKENS: &str = include_str!("tokens.json");

fn tokens() -> (Config, Value) {
    let tokens: Value = serde_json::from_str(TOKENS).unwrap();
    let mut config = Config::default();
    for (name, key) in tokens["keys"].as_object().unwrap() {
        config.set("jwt_keys", name, key.as_str().unwrap());
    }
    (config, tokens)
}

#[test]
fn signed_tokens_are_believed() {
    let (config, tokens) = tokens();
    let jwt = Jwt::from_config(&config);
    for good in tokens["good"].as_array().unwrap() {
        let user = jwt.user(good["token"].as_str().unwrap(), unix_time()).unwrap();
        let (name, roles) = (Some("ann".to_owned()), vec!["dev".to_owned()]);
        assert_eq!(user, User { name, roles, handler: Some("jwt") }, "{}", good["algorithm"]);
    }
    assert!(jwt.user(tokens["admin"].as_str().unwrap(), unix_time()).unwrap().is_admin());
}

#[test]
fn others_are_not() {
    let (config, tokens) = tokens();
    let jwt = Jwt::from_config(&config);
    for bad in tokens["bad"].as_array().unwrap() {
        let error = jwt.user(bad["token"].as_str().unwrap(), unix_time()).unwrap_err();
        let (status, error, reason) = error.info();
        let said = (u64::from(status.as_u16()), error, &*reason);
        let text = |name: &str| bad[name].as_str().unwrap();
        let expected = (bad["status"].as_u64().unwrap(), text("error"), text("reason"));
        assert_eq!(said, expected, "{}", bad["what"]);
    }
}

#[test]
fn a_key_and_a_type_can_be_required() {
    let (mut config, tokens) = tokens();
    config.set("jwt_auth", "required_claims", "exp, kid, typ");
    let jwt = Jwt::from_config(&config);
    let said = |index: usize| {
        let token = tokens["good"][index]["token"].as_str().unwrap();
        jwt.user(token, unix_time()).map(drop)
    };
    assert_eq!(said(0), Err(Error::bad_request("Missing kid claim")));
    assert_eq!(said(3), Ok(()));
    config.set("jwt_auth", "required_claims", "EXP");
    let token = tokens["good"][0]["token"].as_str().unwrap();
    let error = Jwt::from_config(&config).user(token, unix_time()).unwrap_err();
    assert_eq!(error.info().1, "misconfigured_server");
}

#[test]
fn no_byte_of_a_token_can_be_changed() {
    let (config, tokens) = tokens();
    let jwt = Jwt::from_config(&config);
    for good in tokens["good"].as_array().unwrap() {
        let token = good["token"].as_str().unwrap();
        for at in 0..token.len() {
            let mut changed = token.as_bytes().to_vec();
            changed[at] = if changed[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(changed).unwrap();
            assert!(jwt.user(&changed, unix_time()).is_err(), "{changed}");
        }
    }
}
