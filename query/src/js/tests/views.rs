//! Maps and reduces.

use serde_json::json;

use super::*;
use crate::js::Reduced;

#[test]
fn rows_come_by_view_in_the_order_of_emits() {
    let maps = [
        "function(doc){for (var i in doc.tags) emit([doc.tags[i], +i], {n: doc.a})}",
        "function(doc){}",
        "doc => { emit(doc._id); emit(); emit(1, 2, 3) }",
    ];
    let mut views = views_of(&maps);
    let docs: Vec<String> = (0..3)
        .map(|a| json!({"_id": format!("d{a}"), "a": a, "tags": ["x", "y"]}).to_string())
        .collect();
    let mut seen = Vec::new();
    views
        .map(docs.iter().map(|doc| doc.as_bytes()), |rows| {
            let views: Vec<Vec<(String, String)>> = rows
                .views()
                .map(|view| {
                    view.map(|(key, value)| {
                        let text = |raw: &[u8]| String::from_utf8(raw.to_vec()).unwrap();
                        (text(&key), text(&value))
                    })
                    .collect()
                })
                .collect();
            seen.push(views);
        })
        .unwrap();
    let row = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(seen.len(), 3);
    assert_eq!(
        seen[1],
        [
            vec![row(r#"["x",0]"#, r#"{"n":1}"#), row(r#"["y",1]"#, r#"{"n":1}"#)],
            vec![],
            vec![row(r#""d1""#, "null"), row("null", "null"), row("1", "2")],
        ]
    );
}

#[test]
fn what_is_no_json_is_written_as_couchdb_writes_it() {
    // Recorded.
    let source = r#"function(doc){emit(1,function(){});emit(undefined,NaN);emit(Infinity,new Error("q"));
        emit(new Date(0),{a:undefined,b:function(){}}); emit(/x/, Symbol("a")); emit(-0, 1e400);
        emit(new Date(NaN), new Map([[1,2]])); emit(new String("x"),[new Number(1),Object(true)]);
        emit({b:1,a:2,1:3}, [new Error("x")]); emit(1.0,[1e21,123456789012345678901,0.1,1e-7,-0.0]);
        emit(JSON.parse('{"__proto__":1}'), {toJSON:function(){return undefined}});
        var e={name:"n",stack:1,message:"m"}; emit(e,e)}"#;
    let mut views = views_of(&[source]);
    let mut text = String::new();
    views.map([b"{}".as_slice()], |rows| text = rows.json().to_owned()).unwrap();
    assert_eq!(
        text,
        concat!(
            r#"[[[1,null],[null,null],[null,{"error":"Error","message":"q"}],"#,
            r#"["1970-01-01T00:00:00.000Z",{}],[{},null],[0,null],[null,{}],["x",[1,true]],"#,
            r#"[{"1":3,"b":1,"a":2},[{}]],[1,[1e+21,123456789012345680000,0.1,1e-7,0]],"#,
            r#"[{"__proto__":1},null],"#,
            r#"[{"name":"n","stack":1,"message":"m"},{"error":"n","message":"m"}]]]"#
        )
    );
}

#[test]
fn a_view_that_throws_is_skipped_and_the_reason_logged() {
    let throws = [
        ("throw 'x'", "x"),
        ("throw undefined", "undefined"),
        ("throw ['error','k','r']", "error,k,r"),
        ("throw {forbidden: 'x'}", "[object Object]"),
        ("throw new Error('m')", "Error: m"),
    ];
    for (body, reason) in throws {
        let lines = Lines::default();
        let throwing = format!("function(doc){{ emit(0); if (doc.a==1) {{ {body} }} }}");
        let maps = [throwing.as_str(), "function(doc){emit(doc.a)}"];
        let mut views = views_with(&maps, None, Limits::default(), &lines);
        let skipped = rows(&mut views, &json!({"_id": "d1", "a": 1})).unwrap();
        assert_eq!(skipped, json!([[], [[1, null]]]));
        let line = format!("function raised exception {reason} with doc._id d1");
        assert_eq!(lines.take(), [line]);
        let kept = rows(&mut views, &json!({"_id": "d2", "a": 2})).unwrap();
        assert_eq!(kept, json!([[[0, null]], [[2, null]]]));
    }
}

#[test]
fn a_strict_function_may_not_write_to_documents() {
    let lines = Lines::default();
    let maps = ["function(doc){'use strict'; doc.a = 7; emit(1)}"];
    let mut views = views_with(&maps, None, Limits::default(), &lines);
    assert_eq!(rows(&mut views, &json!({"_id": "d", "a": 1})).unwrap(), json!([[]]));
    let line = "function raised exception TypeError: 'a' is read-only with doc._id d";
    assert_eq!(lines.take(), [line]);
}

#[test]
fn rows_that_cannot_be_written_skip_their_view_alone() {
    for body in ["emit(1n)", "var a={};a.a=a;emit(a)", "emit({toJSON:function(){throw 'x'}})"] {
        let lines = Lines::default();
        let bad = format!("function(doc){{ {body} }}");
        let maps = ["function(doc){emit(1)}", bad.as_str()];
        let mut views = views_with(&maps, None, Limits::default(), &lines);
        assert_eq!(rows(&mut views, &json!({"_id": "d"})).unwrap(), json!([[[1, null]], []]));
        assert_eq!(lines.take().len(), 1, "{body}");
    }
}

#[test]
fn a_map_may_ask_for_the_query_to_fail() {
    // Recorded.
    let fails = |body: &str| {
        let source = format!("function(doc){{ {body} }}");
        rows(&mut views_of(&[&source]), &json!({})).unwrap_err()
    };
    let words = json!("function raised 'fatal_error'");
    assert_eq!(fails("throw 'fatal_error'"), thrown("map_runtime_error", words));
    let fatal = fails("throw ['fatal','k','reason']");
    assert_eq!(fatal, thrown("k", json!("reason")));
    assert_eq!((fatal.status(), fatal.error(), fatal.reason().as_str()), (500, "k", "\"reason\""));
}

#[test]
fn documents_are_frozen_all_through() {
    let source = "function(doc){doc.a=7; doc.b.c[0]=9; delete doc.a; doc.new=1; \
        emit(doc.a, [doc.b.c[0], doc.new, Object.isFrozen(doc), Object.isFrozen(doc.b.c)])}";
    let doc = json!({"a": 1, "b": {"c": [5]}});
    assert_eq!(map(source, &doc), json!([[1, [5, null, true, true]]]));
}

#[test]
fn no_way_of_writing_changes_what_the_next_view_sees() {
    for write in [
        "d.a = 2",
        "d['a'] = 2",
        "d.a += 1",
        "d.é = 2",
        "++d.é",
        "d.a\n=\n2",
        "d.a /**/ = 2",
        "d.a // x\n = 2",
        "d.a ??= 2; d.a &&= 3",
        "d.a **= 2; d.n >>>= 1",
        "d.a++",
        "++d.a",
        "--d['a']",
        "++(d).a",
        "(d.a)++",
        "(d.a) = 2",
        "[d.a] = [2]",
        "({x: d.a} = {x: 2})",
        "for (d.a of [2]);",
        "for (d.a in {x: 1});",
        "for (d['a'] of [2]);",
        "for ([d.a] of [[2]]);",
        "for ({x: d.a} of [{x: 2}]);",
        "for ((d.a) of [2]);",
        "d.\\u0061 = 2",
        "delete d.a",
        "d.l.push(2)",
        "d.l['pu' + 'sh'](2)",
        "d.l?.['pu' + 'sh'](2)",
        "var f = d.l['pu' + 'sh']; f.call(d.l, 2)",
        "d.l['so' + 'rt']`x`",
        "with (d) { a = 2 }",
        "eval('d.a' + '=2')",
        "(0, eval)('1'); Object.assign(d, {a: 2})",
        "emit.constructor; (function(){}).constructor('d', 'd.a=2')(d)",
        "Reflect.set(d, 'a', 2)",
        "d.__proto__ = {}",
        "d.l.length = 0",
        "var {push} = d.l; push.apply(d.l, [2])",
        "[1].forEach(d.l.fill, d.l)",
        "for (var k in d) d[k] = 2",
        "d.o.p.q = 2",
        "var o = d.o; o.p = 2",
        "sum.z = 1; d.l.reverse()",
        "Object['as' + 'sign'](d, {a: 2})",
        "Object.keys(d); Object . assign(d, {a: 2})",
        "var o = Object; o.assign(d, {a: 2})",
        "'http://x'; d.a = 2",
        "var s = 'x\\\n // '; d.a = 2",
        "/* x\n // */ d.a = 2",
        "`x\n // ${d.a = 2}`",
        "/[//]/; d.a = 2",
        "1; // x\r d.a = 2",
        "1; // x\u{2028} d.a = 2",
    ] {
        let source = format!("function(d){{ try {{ {write} }} catch(e) {{}} }}");
        let maps = [source.as_str(), "function(d){emit(d)}"];
        let doc = json!({"_id": "d", "a": 1, "l": [2, 1], "é": 0, "n": -1, "o": {"p": {"q": 1}}});
        let found = rows(&mut views_of(&maps), &doc).unwrap();
        assert_eq!(found, json!([[], [[doc, null]]]), "{write}");
    }
}

/// Freezing shows in nothing but the time that it takes.
#[test]
fn documents_are_not_frozen_for_functions_that_only_read() {
    let frozen = |source: &str| {
        let mut views = views_of(&[source]);
        let doc = json!({"a": 1, "b": {"c": 1}, "l": [{"x": 1}]});
        rows(&mut views, &doc).unwrap();
        views.writes().unwrap()
    };
    for source in [
        "function(doc){ if (doc.a >= 1 && doc.b !== 2) emit([doc.a, doc.b.c], {n: doc.a + 1}); } // x",
        "// All keys.\nfunction(doc){\n  for (var k in doc) emit(k, doc[k]); // each = one row\n}",
        "(doc) => Object.keys(doc).forEach(k => emit(k))",
        "function(doc){ /* doc.a = 1; it's \"so\"\n*/ emit(doc.a, 'http://x/*'); } // y",
        "function(doc){ var n = 0; for (var i = 0; i < doc.l.length; i++) n += doc.l[i].x; emit(n); }",
    ] {
        assert!(!frozen(source), "{source}");
    }
    for source in [
        "d => d.l.pop()",
        "d => { /* \" */ d.l.pop() /* \" */ }",
        "d => { var s = '/*'; d.a = 1; s = '*/' }",
        "d => { var s = '\\'/*'; d.a = 1; s = '*/' }",
        "d => { var r = /\"/; d.a = 1; r = '/*\"*/' }",
        "d => { var r = /[/*]/; d.a = 1; r = '*/' }",
        "d => { var s = `'`; d.a = 1; s = `'` }",
        "d => { var s = 1 <!-- '\n; d.a = 1; s = '' }",
    ] {
        assert!(frozen(source), "{source}");
    }
}

#[test]
fn globals_belong_to_one_view() {
    let maps = ["function(doc){g=1;emit=null}", "function(doc){emit(typeof g)}"];
    let found = rows(&mut views_of(&maps), &json!({})).unwrap();
    assert_eq!(found, json!([[], [["undefined", null]]]));
}

#[test]
fn functions_find_what_couchdb_gives_them() {
    // Recorded, but for the names that search indexes use.
    let names = "Map Promise Proxy Uint8Array BigInt Symbol WeakRef Reflect globalThis print evalcx \
        eval Function console WeakMap Intl escape getRow InternalError require emit sum log toJSON \
        provides registerType start send isArray setTimeout performance queueMicrotask Iterator \
        SharedArrayBuffer Atomics fetch std os module exports settee host api";
    let source = "function(doc){emit(doc.names.filter(function(n){return n in globalThis}))}";
    let names: Vec<&str> = names.split_whitespace().collect();
    let found = map(source, &json!({ "names": names }));
    let expected = "Map BigInt Symbol Reflect globalThis eval Function WeakMap escape getRow \
        InternalError require emit sum log toJSON provides registerType start send isArray";
    let expected: Vec<&str> = expected.split_whitespace().collect();
    assert_eq!(found[0][0], json!(expected));
}

#[test]
fn helpers_do_what_couchdbs_do() {
    let lines = Lines::default();
    let source = r#"function(doc){emit([sum([1,2,"x"]), sum([]), sum({a:1,b:2}), isArray([]),
        isArray({length:0}), toJSON({a:1}), doc instanceof Object, isArray(doc.l)]);
        log("x"); log({a:1}); log(new Error("zz")); log(undefined); log("\ud800")}"#;
    let mut views = views_with(&[source], None, Limits::default(), &lines);
    let found = rows(&mut views, &json!({"l": []})).unwrap();
    let expected = json!(["3x", 0, 3, true, false, "{\"a\":1}", false, true]);
    assert_eq!(found[0][0][0], expected);
    let logged =
        ["x", r#"{"a":1}"#, r#"{"error":"Error","message":"zz"}"#, "undefined", "\u{fffd}"];
    assert_eq!(lines.take(), logged);
}

fn reducing(source: &str) -> Views {
    let source = ViewsSource {
        reduces: vec![source.to_owned()],
        reduce_limit: true,
        ..ViewsSource::default()
    };
    Views::new(source, Limits::default(), Lines::default().log())
}

const KVS: &[u8] = br#"[[[0,"d0"],"x"],[[1,"d1"],"x"]]"#;

fn reduced(source: &str) -> Reduced {
    reducing(source).reduce(0, KVS).unwrap()
}

#[test]
fn reduces_take_keys_with_ids_and_values() {
    let echo = "function(k,v,r){return [k,v,r]}";
    let value = |json: &str| Reduced::Value(json.to_owned());
    assert_eq!(reduced(echo), value(r#"[[[0,"d0"],[1,"d1"]],["x","x"],false]"#));
    assert_eq!(reducing(echo).rereduce(0, b"[1,[2]]"), Ok(value("[null,[1,[2]],true]")));
    for source in [
        "function(){return undefined}",
        "function(){return NaN}",
        "function(){return function(){}}",
        "function(){throw 'x'}",
        "function(){throw ['error','a','b']}",
    ] {
        assert_eq!(reduced(source), value("null"), "{source}");
    }
    assert_eq!(reduced("function(){return typeof require}"), value("\"undefined\""));
    assert_eq!(reduced("function(k,v){return sum(v)}"), value("\"0xx\""));
    assert_eq!(reduced("function(){return '\\ud800'}"), value("\"\u{fffd}\""));
    let fatal = reducing("function(){throw ['fatal','a','b']}").reduce(0, KVS);
    assert_eq!(fatal, Err(thrown("a", json!("b"))));
}

#[test]
fn a_reduce_that_does_not_shrink_overflows() {
    // Recorded.
    let words = |input, output| {
        Reduced::Overflow(format!(
            "Reduce output must shrink more rapidly: input size: {input} output size: {output}"
        ))
    };
    let twice = r#"function(k,v,r){var s="x";for(var i=0;i<13;i++)s+=s;return s}"#;
    assert_eq!(reduced(twice), words(49, 8196));
    let long = |n| format!(r#"function(k,v,r){{var s="";for(var i=0;i<{n};i++)s+="x";return s}}"#);
    assert_eq!(reduced(&long(4094)), words(51, 4098));
    assert!(matches!(reduced(&long(4092)), Reduced::Value(_)));
    let accents = r#"function(k,v,r){var s="é";for(var i=0;i<13;i++)s+=s;return s}"#;
    let rows = r#"[[[0,"d0"],"é"],[[1,"d1"],"é"]]"#.as_bytes();
    assert_eq!(reducing(accents).reduce(0, rows), Ok(words(49, 8196)));
    let mut input = vec![b'['];
    for n in 0..5000 {
        input.extend_from_slice(if n == 0 { b"1" } else { b",1" });
    }
    input.push(b']');
    let kept = reducing(&long(4990)).rereduce(0, &input);
    assert!(matches!(kept, Ok(Reduced::Value(_))), "half of what went in");
    let mut unlimited = reducing(twice);
    unlimited = Views::new(
        ViewsSource { reduce_limit: false, ..unlimited.source().clone() },
        Limits::default(),
        Lines::default().log(),
    );
    assert!(matches!(unlimited.reduce(0, KVS), Ok(Reduced::Value(_))));
}

#[test]
fn views_move_between_threads() {
    fn moves<T: Send>() {}
    moves::<Views>();
    moves::<Design>();
    let mut views = views_of(&["function(doc){emit(doc.a)}"]);
    assert_eq!(rows(&mut views, &json!({"a": 1})).unwrap(), json!([[[1, null]]]));
    let moved = std::thread::spawn(move || rows(&mut views, &json!({"a": 2})).unwrap());
    assert_eq!(moved.join().unwrap(), json!([[[2, null]]]));
}
