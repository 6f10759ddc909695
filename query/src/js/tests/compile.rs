//! How sources become functions, and `require`.

use serde_json::json;

use super::*;
use crate::js::{ViewFunction, check_views};

fn check(source: &str) -> Result<(), Error> {
    check_views([(ViewFunction::Map, "v", source)], &Limits::default())
}

#[test]
fn sources_that_couchdb_takes() {
    for source in [
        "function(doc){emit(1)}",
        "function(doc){emit(1)};",
        "function (doc) {emit(1)} ;\n",
        "// c\nfunction(doc){emit(1)}",
        "doc => emit(1)",
        "(doc) => {emit(1)};",
        "(function(doc){emit(1)})",
        "(function named(doc){emit(1)});",
        "var a=1; function(doc){emit(a)}",
        "function h(x){return x}\nfunction(doc){emit(h(1))}",
        "function h(x){return x} function(doc){emit(h(1))}",
        "function(doc){emit(1)}\nvar b=2;",
        " /* a */ function /*b*/ (doc) {emit(1)}",
        "var f = function(doc){emit(1)}; f",
        "'function (';/*é*/ function(doc){emit(1)}",
        "\u{feff}function(doc){emit(1)}",
    ] {
        assert_eq!(check(source), Ok(()), "{source}");
        assert_eq!(emits(source), 1, "{source}");
    }
}

#[test]
fn sources_that_couchdb_refuses() {
    for (source, words) in [
        ("function map(doc){emit(1)}", "Expression does not eval to a function."),
        ("1", "Expression does not eval to a function."),
        ("class A{}", "Expression does not eval to a function."),
        ("throw 1", "1"),
        ("throw {forbidden:\"x\"}", "[object Object]"),
        ("async function(doc){}", "SyntaxError: function name expected"),
        ("function*(doc){emit(1)}", "SyntaxError: function name expected"),
    ] {
        let words =
            format!("Compilation of the map function in the 'v' view failed: {words} ({source})");
        let error = check(source).unwrap_err();
        assert_eq!(error, Error::Compilation(words));
        assert_eq!(error.error(), "compilation_error");
    }
    assert!(matches!(check("function(doc){"), Err(Error::Compilation(words))
        if words.contains("failed: SyntaxError: ") && words.ends_with(" (function(doc){)")));
    let views = [(ViewFunction::Map, "a", "d => 1"), (ViewFunction::Reduce, "b", "5")];
    let words = "Compilation of the reduce function in the 'b' view failed: \
        Expression does not eval to a function. (5)";
    let refused = check_views(views, &Limits::default());
    assert_eq!(refused, Err(Error::Compilation(words.to_owned())));
    let empty = check("").unwrap_err();
    assert_eq!((empty.status(), empty.error()), (404, "not_found"));
    assert_eq!(empty.reason(), "\"missing function\"");
}

#[test]
fn a_source_that_never_ends_is_stopped() {
    let stopped = check_views([(ViewFunction::Reduce, "v", "while(1){}")], &tight());
    assert_eq!(stopped, Err(Error::Timeout));
}

fn library() -> Value {
    json!({
        "a": "exports.x=1; exports.id=module.id; exports.pid=module.parent&&module.parent.id; \
              exports.keys=Object.keys(module)",
        "b": "module.exports=function(){return 7} // with a comment at the end",
        "c": {
            "d": "exports.up=require('../a').x; exports.sib=require('./e').e; exports.id=module.id",
            "e": "exports.e='E'",
        },
        "circ1": "exports.a=1; exports.o=require('./circ2').b;",
        "circ2": "exports.b=2; exports.o=require('./circ1')",
        "bad": "syntax error here",
        "thr": "throw new Error('m')",
        "ret": "exports.t=[typeof emit, typeof log, typeof module.current, typeof module.exports]",
        "count": "exports.n=0",
        "n": 5,
    })
}

fn required(expression: &str) -> Value {
    let source = format!(
        "function(doc){{ var o; try {{ o={expression} }} \
         catch(x) {{ o=isArray(x)?x.slice(0,2).concat(x[2].slice(0,60)):String(x) }} emit(o)}}"
    );
    let lines = Lines::default();
    let mut views = views_with(&[&source], Some(library()), Limits::default(), &lines);
    rows(&mut views, &json!({"_id": "d"})).unwrap()[0][0][0].take()
}

#[test]
fn modules_are_found_as_couchdb_finds_them() {
    // Recorded.
    let a = json!({"x":1,"id":"views/lib/a","pid":"views/lib","keys":["current","parent","id","exports"]});
    assert_eq!(required("require('views/lib/a')"), a);
    assert_eq!(required("require('views/lib/b')()"), 7);
    let d = json!({"up":1,"sib":"E","id":"views/lib/c/d"});
    assert_eq!(required("require('views/lib/c/d')"), d);
    assert_eq!(required("require('views/lib/circ1')"), json!({"a":1,"o":2}));
    let t = json!({"t":["function","function","string","object"]});
    assert_eq!(required("require('views/lib/ret')"), t);
    let not_string =
        json!(["error", "invalid_require_path", "Must require a JavaScript string, not: object"]);
    assert_eq!(required("require('views/lib')"), not_string);
    assert_eq!(required("require('views/lib/c')"), not_string);
    assert_eq!(
        required("require('views/lib/n')")[2],
        "Must require a JavaScript string, not: number"
    );
    assert!(
        required("require('lib/a')")[2]
            .as_str()
            .unwrap()
            .starts_with("Object has no property \"lib\". {\"views\":{\"lib\":{\"a\":\"exports")
    );
    assert!(
        required("require('views/v/map')")[2]
            .as_str()
            .unwrap()
            .starts_with("Object has no property \"v\". {\"lib\":")
    );
    assert_eq!(
        required("require('views/lib/thr')")[2],
        "Module require('views/lib/thr') raised error Error: m"
    );
    assert!(
        required("require('views/lib/bad')")[2]
            .as_str()
            .unwrap()
            .starts_with("Module require('views/lib/bad') raised error SyntaxErr")
    );
    for wrong in ["require('./views/lib/a')", "require('../a')", "require(5)"] {
        assert!(required(wrong).as_str().unwrap().starts_with("TypeError: "), "{wrong}");
    }
}

#[test]
fn modules_are_kept_for_one_view_and_fail_each_time() {
    let lines = Lines::default();
    let counts = "function(doc){emit(++require('views/lib/count').n)}";
    let fails = "function(doc){require('views/lib/bad');emit(1)}";
    let maps = [counts, counts, fails];
    let mut views = views_with(&maps, Some(library()), Limits::default(), &lines);
    for n in 1..3 {
        assert_eq!(
            rows(&mut views, &json!({"_id": "d"})).unwrap(),
            json!([[[n, null]], [[n, null]], []])
        );
        assert_eq!(lines.take().len(), 1);
    }
}

#[test]
fn modules_that_require_each_other_for_ever_end() {
    let mut lib = serde_json::Map::new();
    for n in 0..5000 {
        lib.insert(format!("m{n}"), format!("exports.x = require('./m{}').x", n + 1).into());
    }
    let lines = Lines::default();
    let maps = ["function(doc){emit(require('views/lib/m0'))}"];
    let mut views = views_with(&maps, Some(lib.into()), Limits::default(), &lines);
    assert_eq!(rows(&mut views, &json!({})), Err(Error::Depth));
}

#[test]
fn functions_of_a_design_document_require_from_all_of_it() {
    let mut design = design_of(json!({
        "_id": "_design/s", "lib": library(), "n": 5,
        "shows": {
            "cd": "function(){ return toJSON(require('lib/c/d')) }",
            "n": "function(){ require('n') }",
            "bad": "function(){ require('lib/thr') }",
            "this": "function(){ return toJSON(Object.keys(this)) }",
            "count": "function(){ return ''+ ++require('lib/count').n }",
            "again": "function(){ return ''+ ++require('lib/count').n }",
        },
    }));
    let mut show = |name| design.show(name, None, br#"{"path":[]}"#);
    let body = |body: &str| Ok(json!({ "body": body }).to_string());
    assert_eq!(show("cd"), body(r#"{"up":1,"sib":"E","id":"lib/c/d"}"#));
    let words = "Must require a JavaScript string, not: number";
    assert_eq!(show("n"), Err(thrown("invalid_require_path", json!(words))));
    let words = "Module require('lib/thr') raised error Error: m";
    assert_eq!(show("bad"), Err(Error::Compilation(words.to_owned())));
    assert_eq!(show("this"), body(r#"["_id","lib","n","shows","_module_cache"]"#));
    assert_eq!(show("count"), body("1"));
    assert_eq!(show("again"), body("2"));
}
