//! Validation and filters.

use serde_json::json;

use super::*;

fn validated(body: &str) -> Result<(), Error> {
    let source = format!("function(doc,old,user,sec){{ {body} }}");
    let mut design = design_of(json!({"_id": "_design/v", "validate_doc_update": source}));
    design.validate(br#"{"_id":"t","z":1}"#, None, br#"{"name":null}"#, b"{}")
}

#[test]
fn a_validation_says_no_with_any_reason() {
    // Recorded.
    let no = validated("throw {forbidden:'no'}").unwrap_err();
    assert_eq!(no, Error::Forbidden("\"no\"".to_owned()));
    assert_eq!((no.status(), no.error(), no.reason().as_str()), (403, "forbidden", "\"no\""));
    let no = validated("throw {unauthorized:{a:1}}").unwrap_err();
    assert_eq!((no.status(), no.error(), no.reason().as_str()), (401, "unauthorized", "{\"a\":1}"));
    assert_eq!(validated("throw {forbidden:5}"), Err(Error::Forbidden("5".to_owned())));
    assert_eq!(
        validated("throw {forbidden:new Error('x')}"),
        Err(Error::Forbidden("{}".to_owned()))
    );
}

#[test]
fn a_validation_that_fails_is_named_as_couchdb_names_it() {
    // Recorded.
    for (body, error, reason) in [
        ("throw {foo:'bar'}", "unknown_error", "\"bar\""),
        ("throw 'str'", "unknown_error", "\"str\""),
        ("throw new Error('e')", "Error", "\"{[]}\""),
        ("throw {a:1,forbidden:'z'}", "unknown_error", "\"function_clause\""),
        ("throw {}", "unknown_error", "\"function_clause\""),
        ("throw ['error','k','r']", "k", "\"r\""),
        ("throw ['fatal','k','r']", "k", "\"r\""),
        ("x.y.z", "ReferenceError", "\"{[]}\""),
        ("throw {error:'n',reason:'s'}", "unknown_error", "\"function_clause\""),
    ] {
        let no = validated(body).unwrap_err();
        assert_eq!((no.status(), no.error(), no.reason().as_str()), (500, error, reason), "{body}");
    }
    for body in ["throw 42", "throw null", "throw undefined", "throw [1,2]", "throw function(){}"] {
        assert_eq!(validated(body).unwrap_err().status(), 500, "{body}");
    }
}

#[test]
fn a_validation_that_ends_says_yes() {
    for body in ["", "return 5", "return {forbidden:'x'}", "doc.q=1", "throw 1", "throw true"] {
        assert_eq!(validated(body), Ok(()), "{body}");
    }
}

#[test]
fn a_validation_sees_documents_user_and_security() {
    let source = "function(doc,old,user,sec){ throw {forbidden: toJSON([doc, old, user, sec, \
        Object.isFrozen(doc), this._id, arguments.length, typeof require, \
        typeof this.validate_doc_update, isArray(user.roles)])} }";
    let mut design = design_of(json!({"_id": "_design/v", "validate_doc_update": source}));
    let user = br#"{"db":"d","name":"u","roles":["r"]}"#;
    let told = design.validate(br#"{"a":1}"#, Some(br#"{"a":0}"#), user, br#"{"admins":{}}"#);
    let expected = json!([{"a":1}, {"a":0}, {"db":"d","name":"u","roles":["r"]}, {"admins":{}},
        false, "_design/v", 4, "function", "function", true]);
    let Err(Error::Forbidden(reason)) = told else { panic!("{told:?}") };
    let words: String = serde_json::from_str(&reason).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&words).unwrap(), expected);
}

#[test]
fn a_function_that_is_none_fails_when_it_is_called() {
    let mut design = design_of(json!({
        "_id": "_design/f", "validate_doc_update": "5",
        "filters": {"named": "function f(){}", "deep": {"a": "function(){}"}},
    }));
    let words = "Expression does not eval to a function. (5)";
    let refused = design.validate(b"{}", None, b"{}", b"{}").unwrap_err();
    assert_eq!(refused, Error::Compilation(words.to_owned()));
    assert_eq!((refused.status(), refused.error()), (500, "compilation_error"));
    let docs = || [b"{}".as_slice()];
    assert!(matches!(design.filter("named", b"{}", docs()), Err(Error::Compilation(_))));
    assert!(matches!(design.filter("deep", b"{}", docs()), Err(Error::Compilation(_))));
    let missing = design.filter("none", b"{}", docs()).unwrap_err();
    assert_eq!((missing.status(), missing.error()), (404, "not_found"));
    assert_eq!(missing.reason(), "\"missing json key: none\"");
    for inherited in ["constructor", "__proto__", "toString"] {
        assert_eq!(
            design.filter(inherited, b"{}", docs()),
            Err(Error::Missing(inherited.to_owned()))
        );
    }
}

#[test]
fn filters_pass_documents_by_truth() {
    let mut design = design_of(json!({
        "_id": "_design/f",
        "filters": {
            "ok": "function(doc,req){return doc.a==req.query.a}",
            "count": "function(doc,req){req.n = (req.n||0)+1; return req.n == 1 && 'yes'}",
            "this": "function(doc,req){return this.filters && this.views && typeof require=='function'}",
            "err": "function(doc,req){doc.x.y}",
            "thre": "function(doc,req){throw ['error','k','r']}",
            "late": "function(doc,req){if(doc.a==2) throw 'x'; return doc.a==1}",
        },
        "views": {
            "v": {"map": "function(d){if(d.a==1) emit(1)}"},
            "s": {"map": "function(d){emit(sum([1]),typeof require)}"},
            "t": {"map": "function(d){throw 'x'}"},
        },
    }));
    let docs: Vec<String> = (0..3).map(|a| json!({ "a": a }).to_string()).collect();
    let docs = || docs.iter().map(|doc| doc.as_bytes());
    let req = br#"{"query":{"a":"1"}}"#;
    assert_eq!(design.filter("ok", req, docs()), Ok(vec![false, true, false]));
    assert_eq!(design.filter("count", req, docs()), Ok(vec![true, false, false]));
    assert_eq!(design.filter("this", req, docs()), Ok(vec![true; 3]));
    assert_eq!(design.filter("err", req, docs()).unwrap_err().error(), "TypeError");
    assert_eq!(design.filter("thre", req, docs()), Err(thrown("k", json!("r"))));
    assert_eq!(design.filter("late", req, docs()), Ok(vec![false, true]));
    assert_eq!(design.filter("late", req, docs().skip(2)).unwrap_err().error(), "unknown_error");
    assert_eq!(design.filter_view("v", docs()), Ok(vec![false, true, false]));
    assert_eq!(design.filter_view("s", docs()), Ok(vec![true; 3]));
    let view = design.filter_view("t", docs()).unwrap_err();
    assert_eq!((view.status(), view.error()), (500, "unknown_error"));
    assert_eq!(view.reason(), "\"unnamed_error\"");
    assert_eq!(design.filter_view("none", docs()), Err(Error::Missing("none".to_owned())));
}
