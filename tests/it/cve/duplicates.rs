//! CVE-2017-12635: two parsers understood one text differently, so that what was checked was not what
//! was stored. Here the last of members with equal names counts, for everybody who looks.

use serde_json::json;
use settee_tests::ask::get;
use settee_tests::base64;
use settee_tests::client::{Client, Request};

use super::{put, send};
use crate::users::with_users;
use crate::with_server;

/// Users that are administrators to who reads the first, the last, or any of the roles.
const USERS: [&str; 9] = [
    r#""roles":["_admin"],"roles":[]"#,
    r#""roles":[],"roles":["_admin"]"#,
    r#""roles":["_admin"],"roles":[],"roles":["_admin"],"roles":[]"#,
    r#""roles":["_admin"],"\u0072oles":[]"#,
    r#""\u0072oles":["_admin"],"roles":[]"#,
    r#""roles":[],"\u0072ole\u0073":["_admin"]"#,
    r#""roles":["_admin"],"x":{"roles":["_admin"]},"roles":[]"#,
    r#""x":{"roles":["_admin"],"roles":[]},"roles":[],"x":{"roles":["_admin"]}"#,
    r#""name":"admin","roles":[],"name":"NAME""#,
];

#[test]
fn cve_2017_12635_duplicate_keys_grant_nothing() {
    with_users(|client| {
        let ways = ["put", "post", "bulk", "bulks"];
        for (at, (member, way)) in
            USERS.iter().flat_map(|user| ways.map(|way| (user, way))).enumerate()
        {
            let name = format!("eve{at}");
            let id = format!("org.couchdb.user:{name}");
            let member = member.replace("NAME", &name);
            let head = format!(r#""_id":"{id}","name":"{name}","type":"user","password":"x""#);
            let doc = format!("{{{head},{member}}}");
            let request = match way {
                "put" => Request::new("PUT", &format!("/_users/{id}")).json(&doc),
                "post" => Request::new("POST", "/_users").json(&doc),
                "bulk" => Request::new("POST", "/_users/_bulk_docs")
                    .json(&format!(r#"{{"docs":[{doc}]}}"#)),
                _ => {
                    let fair = format!(r#"{{{head},"roles":[]}}"#);
                    let body = format!(
                        r#"{{"docs":[{fair}],"docs":[{doc}],"new_edits":false,"new_edits":true}}"#
                    );
                    Request::new("POST", "/_users/_bulk_docs").json(&body)
                }
            };
            let answer = send(client, &request.header("Authorization", "none"));
            assert!(answer.status < 500, "{doc}: {}", answer.text());
            let login = format!("Basic {}", base64(format!("{name}:x").as_bytes()));
            let ask = |client: &mut Client, path: &str| {
                send(client, &Request::new("GET", path).header("Authorization", &login))
            };
            let session = ask(client, "/_session");
            if session.status == 200 {
                let user = session.json().expect("JSON")["userCtx"].clone();
                assert_eq!(user, json!({"name": name, "roles": []}), "{way} {doc}");
            }
            assert_ne!(ask(client, "/_node/_local/_config").status, 200, "{way} {doc}");
            assert_ne!(ask(client, "/_users/_all_docs").status, 200, "{way} {doc}");
        }
        both_readers_agree(client);
        security_is_one(client);
    });
}

/// What a validation sees is what is stored, whichever way it comes.
fn both_readers_agree(client: &mut Client) {
    put(client, "/db", "");
    let refuse =
        "function(doc) { if (doc.evil || (doc.in && doc.in.evil)) throw {forbidden: 'evil'} }";
    put(
        client,
        "/db/_design/d",
        &json!({
            "validate_doc_update": refuse,
            "updates": {"u": "function(doc, req) { return [JSON.parse(req.body), 'x'] }"},
        })
        .to_string(),
    );
    let docs = [
        (r#""evil":true,"evil":false"#, true),
        (r#""evil":false,"evil":true"#, false),
        (r#""evil":false,"\u0065vil":true"#, false),
        (r#""\u0065vil":true,"evil":false"#, true),
        (r#""in":{"evil":true},"in":{"evil":false}"#, true),
        (r#""in":{"evil":true,"evil":false}"#, true),
        (r#""in":{"evil":false,"evil":true}"#, false),
        (r#""in":{"evil":false},"in":{"evil":false,"evi\u006c":true}"#, false),
    ];
    for (at, (members, fair)) in docs.into_iter().enumerate() {
        for (way, body, media) in [
            ("put", "{DOC}", "application/json"),
            ("bulk", r#"{"docs":[{"_id":"ID",DOC}]}"#, "application/json"),
            (
                "replicated",
                r#"{"new_edits":false,"docs":[{"_id":"ID","_rev":"1-a",DOC}]}"#,
                "application/json",
            ),
            ("update", r#"{"_id":"ID",DOC}"#, "application/json"),
            (
                "related",
                "--x\r\nContent-Type: application/json\r\n\r\n{DOC}\r\n--x--",
                "multipart/related; boundary=x",
            ),
        ] {
            let id = format!("{way}{at}");
            let (method, path) = match way {
                "bulk" | "replicated" => ("POST", "/db/_bulk_docs".to_owned()),
                "update" => ("POST", "/db/_design/d/_update/u".to_owned()),
                _ => ("PUT", format!("/db/{id}")),
            };
            let mut request = Request::new(method, &path).header("Content-Type", media);
            request.body = Some(body.replace("ID", &id).replace("DOC", members).into_bytes());
            let answer = send(client, &request);
            let stored = send(client, &Request::new("GET", &format!("/db/{id}")));
            assert_eq!(
                stored.status,
                if fair { 200 } else { 404 },
                "{way} {members}: {}",
                answer.text()
            );
            if fair {
                let text = stored.text();
                assert!(
                    text.contains("false") && !text.contains("true"),
                    "{way} {members}: {text}"
                );
            }
        }
    }
}

/// Who is let into a database is who its security object shows.
fn security_is_one(client: &mut Client) {
    put(client, "/closed", "");
    let ann = format!("Basic {}", base64(b"ann:x"));
    for (security, lets_in) in [
        (r#"{"members":{"names":["ann"]},"members":{"names":["bob"]}}"#, false),
        (r#"{"members":{"names":["bob"]},"members":{"names":["ann"]}}"#, true),
        (r#"{"members":{"names":["ann"],"names":["bob"]}}"#, false),
        (r#"{"members":{"names":["bob"],"n\u0061mes":["ann"]}}"#, true),
        (r#"{"admins":{"names":["ann"]},"members":{"names":["bob"]},"admins":{}}"#, false),
    ] {
        put(client, "/closed/_security", security);
        let shown = get(client, "/closed/_security").to_string();
        let request = Request::new("GET", "/closed").header("Authorization", &ann);
        assert_eq!(send(client, &request).status, if lets_in { 200 } else { 403 }, "{security}");
        assert_eq!(shown.contains("ann"), lets_in, "{security}: {shown}");
    }
}

#[test]
fn one_text_is_one_session_and_one_setting() {
    with_server(|_, client| {
        for (body, status) in [
            (r#"{"name":"admin","password":"wrong","password":"pass"}"#, 200),
            (r#"{"name":"admin","password":"pass","password":"wrong"}"#, 401),
            (r#"{"name":"nobody","name":"admin","password":"pass"}"#, 200),
        ] {
            let login = Request::new("POST", "/_session").header("Authorization", "none");
            let answer = send(client, &login.json(body));
            assert_eq!(answer.status, status, "{body}");
            let name = answer.json().expect("JSON")["name"].take();
            assert!(status != 200 || name == "admin", "{body}: {name}");
        }
    });
}
