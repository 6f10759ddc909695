//! Attacks: each ends in an error for its own call, in time, and the next call works.

use std::time::Instant;

use serde_json::json;

use super::*;

/// Runs a body as a map under tight limits; a good document has to work afterwards.
fn attack(body: &str) -> Result<Value, Error> {
    attack_within(body, tight())
}

fn attack_within(body: &str, limits: Limits) -> Result<Value, Error> {
    let lines = Lines::default();
    let source = format!("function(doc){{ if (doc.good) return emit('good'); {body} }}");
    let mut views = views_with(&[&source], None, limits, &lines);
    let start = Instant::now();
    let outcome = rows(&mut views, &json!({}));
    assert!(start.elapsed() < Duration::from_secs(8), "{body} took {:?}", start.elapsed());
    let good = rows(&mut views, &json!({"good": true}));
    assert_eq!(good, Ok(json!([[["good", null]]])), "after {body}");
    outcome
}

#[test]
fn endless_work_is_stopped() {
    for body in [
        "while(1){}",
        "for(;;){ try { while(1){} } catch(e) {} finally { continue } }",
        "while(1) { try { throw 1 } catch(e) {} }",
        "/(a+)+b/.test('a'.repeat(40))",
        "/^(([a-z])+.)+[A-Z]([a-z])+$/.test('a'.repeat(60))",
        "'a'.repeat(60).replace(/(a*)*b/g, '')",
        "var o={get toString(){while(1){}}}; ''+o",
        "emit({toJSON:function(){while(1){}}})",
        "throw {get name(){while(1){}}}",
        "throw {toString:function(){while(1){}}}",
        "[3,2,1].sort(function(){while(1){}})",
        "eval('while(1){}')",
        "(function*(){}).constructor('while(1){}')()",
        "Function('while(1){}')()",
        "(function*(){while(1) yield 1})().next(); for (var x of (function*(){while(1) yield 1})()) {}",
        "while(1) log('x')",
        "while(1) eval('1')",
        "while(1) /x/.test('y')",
        "while(1) JSON.parse('{}')",
    ] {
        assert_eq!(attack(body), Err(Error::Timeout), "{body}");
    }
}

#[test]
fn hoarded_memory_is_refused() {
    for body in [
        "var a=[]; while(1) a.push({a:1})",
        "var a='x'; while(1) a+=a+'y'",
        "var a=[]; while(1) a.push('x'.repeat(1000)+a.length)",
        "var a=[1]; while(1) a=[a,a,JSON.stringify(a)]",
        "while(1) emit(1,doc)",
        "new Array(1e8).fill(1)",
        "var m=new Map(); for(var i=0;;i++) m.set(i,{})",
        "var s=''; for(;;) { s+='xxxxxxxxxxxxxxxx'; s.charCodeAt(0) }",
        "var a=[]; while(1) a.push(function(){return a})",
        "var a=[]; while(1) a.push(/x+/)",
        "var a=[]; a[4e9]=1; while(1) a[Object.keys(a).length]={}",
    ] {
        let outcome = attack(body);
        let too_long = Err(thrown("InternalError", json!("string too long")));
        assert!(
            matches!(outcome, Err(Error::Memory | Error::Timeout))
                || outcome == Ok(json!([[]]))
                || outcome == too_long,
            "{body}: {outcome:?}"
        );
    }
    let patient = Limits { time: Duration::from_secs(7), ..tight() };
    let outcome = attack_within("var a=[]; while(1) a.push({a:1})", patient);
    assert_eq!(outcome, Err(Error::Memory));
}

#[test]
fn depth_is_refused() {
    for body in [
        "function f(){f()} f()",
        "function f(){return [1].map(f)} f()",
        "var o={get a(){return o.a}}; o.a",
        "var a=[]; for(var i=0;i<1e5;i++) a=[a]; emit(a)",
        "JSON.parse('['.repeat(1e5))",
        "eval('('.repeat(1e5))",
        "new RegExp('('.repeat(1e5))",
        "var f=function(){}; for(var i=0;i<1e5;i++) f=f.bind(); f()",
        "var o={toJSON:function(){return JSON.stringify(o)}}; JSON.stringify(o)",
        "var o={toString:function(){return ''+o}}; throw o",
    ] {
        let outcome = attack(body);
        assert!(
            matches!(outcome, Err(Error::Depth | Error::Memory | Error::Timeout))
                || outcome == Ok(json!([[]])),
            "{body}: {outcome:?}"
        );
    }
    assert_eq!(attack("function f(){f()} f()"), Err(Error::Depth));
    assert_eq!(
        attack("try { (function f(){f()})() } catch(e) { emit(e.name) }"),
        Ok(json!([[["RangeError", null]]]))
    );
}

/// The engine asks for the time once in ten thousand steps; these make each step a long one.
#[test]
fn steps_that_are_long_are_counted_as_such() {
    for body in [
        "var s='a'.repeat(1e6); while(1) s.indexOf('b')",
        "var s='a'.repeat(1e6); while(1) try { s.split('').join('b') } catch(e) {}",
        "var s='a'.repeat(1e6); while(1) s.replace(/b/g,'c')",
        "var s='[' + '1,'.repeat(1e5) + '1]'; while(1) JSON.parse(s)",
        "var a=new Array(1e5).fill(1); while(1) JSON.stringify(a)",
        "var a=new Array(1e5).fill(1); while(1) a.slice().reverse().sort()",
        "var a=new Array(1e5).fill(1); while(1) try { a.concat(a).indexOf(2) } catch(e) {}",
        "var o={}; for(var i=0;i<1e4;i++) o['k'+i]=i; while(1) Object.keys(o)",
        "var o={}; for(var i=0;i<1e4;i++) o['k'+i]=i; while(1) toJSON(o)",
        "var a=new Array(1e5).fill(1); while(1) sum(a)",
        "var a=new Array(1e5).fill({}); while(1) log(a)",
        "while(1) 'x'.repeat(1e6)",
        "var s='9'.repeat(1e5); while(1) parseInt(s)",
    ] {
        assert_eq!(attack(body), Err(Error::Timeout), "{body}");
    }
}

/// Native code that could run long without asking whether time is up.
#[test]
fn native_code_ends_in_time() {
    for body in [
        "'a'.repeat(7e6).indexOf('a'.repeat(3e6)+'b')",
        "'a'.repeat(7e6).lastIndexOf('b'+'a'.repeat(3e6))",
        "'a'.repeat(7e6).includes('a'.repeat(3e6)+'b')",
        "'a'.repeat(7e6).split('a'.repeat(3e6)+'b')",
        "'a'.repeat(7e6).replace('a'.repeat(3e6)+'b','')",
        "'a'.repeat(7e6).replaceAll('a'.repeat(3e6)+'b','')",
        "('\\u0315\\u0300'.repeat(1e6)).normalize()",
        "('\\u0315\\u0300'.repeat(1e6)).localeCompare('\\u0315\\u0300'.repeat(1e6))",
        "new Array(4294967295).join('')",
        "new Array(4294967295).indexOf(1)",
        "new Array(4294967295).reverse()",
        "new Array(4294967295).sort()",
        "Array.prototype.concat.call(new Array(4294967295), new Array(4294967295))",
        "Array.prototype.includes.call({length:Math.pow(2,53)-1}, 1)",
        "Array.prototype.lastIndexOf.call({length:Math.pow(2,53)-1}, 1)",
        "Array.prototype.fill.call({length:Math.pow(2,53)-1}, 1, 1e9)",
        "Array.prototype.copyWithin.call({length:Math.pow(2,53)-1}, 0, 5)",
        "Array.prototype.splice.call({length:Math.pow(2,53)-1}, 0, 5)",
        "Array.prototype.slice.call({length:4294967295})",
        "Array.prototype.shift.call({length:Math.pow(2,53)-1})",
        "Array.prototype.unshift.call({length:Math.pow(2,53)-2}, 1)",
        "Array.prototype.every.call({length:Math.pow(2,53)-1}, Boolean)",
        "Array.prototype.flat.call({length:Math.pow(2,53)-1})",
        "Array.prototype.at.call({length:Math.pow(2,53)-1}, -1)",
        "Array.prototype.findLast.call({length:Math.pow(2,53)-1}, Boolean)",
        "Array.prototype.reduce.call({length:Math.pow(2,53)-1}, Boolean)",
        "Array.prototype.reduceRight.call({length:Math.pow(2,53)-1}, Boolean)",
        "Array.prototype.join.call({length:Math.pow(2,53)-1}, '')",
        "Array.prototype.toReversed.call({length:4294967295})",
        "Array.prototype.with.call({length:4294967295}, 1, 1)",
        "new Set(Array.prototype.values.call({length:Math.pow(2,53)-1}))",
        "new Map(Array.prototype.entries.call({length:Math.pow(2,53)-1}))",
        "Array.from({length:Math.pow(2,53)-1})",
        "Math.max.apply(null, {length:4294967295})",
        "String.raw({raw:{length:Math.pow(2,53)-1}})",
        "Object.fromEntries(Array.prototype.entries.call({length:Math.pow(2,53)-1}))",
        "Object.groupBy(Array.prototype.values.call({length:Math.pow(2,53)-1}), Boolean)",
        "new Set([1]).union({size:1,has:Boolean,keys:function(){return Array.prototype.values.call({length:Math.pow(2,53)-1})}})",
        "new Set([1]).isSupersetOf({size:1,has:Boolean,keys:function(){return {next:function(){return {value:1}}}}})",
        "var it=[].values().__proto__.__proto__; if (it.drop) it.drop.call(Array.prototype.values.call({length:Math.pow(2,53)-1}),1e15).next()",
        "var it=[].values().__proto__.__proto__; if (it.some) it.some.call(Array.prototype.values.call({length:Math.pow(2,53)-1}),Boolean)",
        "var it=[].values().__proto__.__proto__; if (it.filter) it.filter.call(Array.prototype.values.call({length:Math.pow(2,53)-1}),Boolean).next()",
        "var w='a'.repeat(3e6)+'b'; 'a'.repeat(7e6).indexOf({toString:function(){return w}})",
        "var w='a'.repeat(3e6)+'b'; 'a'.repeat(7e6).split({toString:function(){return w}})",
        "var t='a'.repeat(7e6); ''.indexOf.call({toString:function(){return t}}, 'a'.repeat(3e6)+'b')",
        "var t='\\u0315\\u0300'.repeat(1e6); 'a'.localeCompare({toString:function(){return t}})",
        "var n=0; [].join.call({get length(){return n++?Math.pow(2,53)-1:1}})",
        "[].join.call(Object.create({length:Math.pow(2,53)-1}))",
        "var n=0; String.raw({get raw(){return n++?{length:Math.pow(2,53)-1}:[]}})",
        "var o={length:Math.pow(2,53)-1}; o[Symbol.isConcatSpreadable]=true; [].concat(Object.create(o))",
        "var n=0,o={length:Math.pow(2,53)-1}; Object.defineProperty(o,Symbol.isConcatSpreadable,{get:function(){return n++}}); [].concat(o)",
        "var w='a'.repeat(3e6)+'b',r=/x/; r[Symbol.replace]=undefined; r.toString=function(){return w}; 'a'.repeat(7e6).replace(r,'')",
        "var w='a'.repeat(3e6)+'b',n=0,o={toString:function(){return w}}; Object.defineProperty(o,Symbol.split,{get:function(){return n++?undefined:Boolean}}); 'a'.repeat(7e6).split(o)",
        "[new Array(4294967295)].flat()",
        "[[new Array(4294967295)]].flat(Infinity)",
        "var a=[0]; Object.defineProperty(a,0,{get:function(){return new Array(4294967295)}}); a.flat()",
        "[1].flatMap(function(){return new Array(4294967295)})",
        "[new Array(4294967295)].join()",
        "''+[new Array(4294967295)]",
        "JSON.stringify({}, new Array(4294967295))",
        "[].map.call({length:4294967295}, Boolean)",
        "[].filter.call({length:4294967295}, Boolean)",
        "[].forEach.call({length:Math.pow(2,53)-1}, Boolean)",
        "[].findIndex.call({length:Math.pow(2,53)-1}, Boolean)",
        "(async function(){})().constructor.all([].values.call({length:Math.pow(2,53)-1}))",
        "for (var k in new Array(4294967295));",
        "var [a,...b]=Array.prototype.values.call({length:Math.pow(2,53)-1})",
        "2n**1000000n",
        "var a=2n**1000000n-1n; a*a",
        "(2n**1000000n-1n).toString()",
        "(10n**60000n)/(10n**30000n+1n)",
        "BigInt('9'.repeat(5e6))",
        "BigInt('9'.repeat(3e5))",
        "Number('9'.repeat(5e6))",
        "parseFloat('0.'+'9'.repeat(5e6))",
        "parseInt('z'.repeat(5e6),36)",
        "JSON.parse('9'.repeat(5e6))",
        "(1e300).toFixed(100)",
        "new RegExp('(?:a|b)'.repeat(1e5))",
        "new RegExp('a{1,1000}'.repeat(1e3))",
        "new RegExp('(?:(?:a{1,1000}){1,1000}){1,1000}').test('a'.repeat(1e5))",
        "new RegExp('['+'a-z'.repeat(1e6)+']')",
        "/[^]*x/u.test('a'.repeat(1e6))",
        "/(?=(a+))\\1b/.test('a'.repeat(1e4))",
        "'a'.repeat(1e5).replace(/a/g, 'a'.repeat(1000))",
        "'a'.repeat(1e6).split('').sort()",
        "'a,'.repeat(1e5).split(',').join('b').toUpperCase().trim()",
        "var s='a'; for(var i=0;i<1e6;i++) s='b'+s+'c'; s.length; s.indexOf('x')",
        "escape('é'.repeat(1e6)); encodeURIComponent('é'.repeat(5e5))",
        "decodeURIComponent('%41'.repeat(2e6))",
        "Date.parse('1'.repeat(5e6))",
        "var o={}; for(var i=0;i<1e5;i++) o['k'+i]=i; for(var k in o) delete o[k]",
        "var a=[]; a.length=4294967295; a.length=0; a[4294967294]=1; a.length=0",
        "var a=new Array(4294967295); for (var x in a); JSON.stringify(Object.keys(a))",
        "JSON.stringify(new Array(4294967295))",
        "new Array(4294967295).toString()",
        "Error.stackTraceLimit=1e9; (function f(n){ if(n) f(n-1); else new Error().stack })(300)",
        "Error.prepareStackTrace=function(){while(1){}}; null.x",
        "for(var i=0;i<1e4;i++) new Error()",
        "sum(new Array(4294967295))",
        "sum({length:4294967295})",
        "log(new Array(4294967295))",
        "isArray(new Array(4294967295))",
        "registerType.apply(null, new Array(60000)); registerType('x','a'.repeat(5e6))",
        "require('a/'.repeat(1e6))",
        "require('views/'+'../'.repeat(1e6))",
    ] {
        let outcome = attack(body);
        assert!(
            matches!(outcome, Ok(_) | Err(Error::Timeout | Error::Memory | Error::Depth)),
            "{body}: {outcome:?}"
        );
    }
}

/// Wherever memory runs out, while things are made, parsed or cleaned up: it is an error.
#[test]
fn memory_may_run_out_anywhere() {
    let body = "var a = [], r = /(b+)c/g; \
        function* g(n) { while (n--) yield {n: n} } \
        for (var x of g(50)) a.push(x, String(x.n) + 'é', [x.n / 3], new Date(x.n), new Map([[x, x]])); \
        try { a.map(function(v) { return JSON.stringify(v).replace(r, '$1') }).sort() } catch(e) { a = e } \
        var {length, ...rest} = a; class C { constructor() { this.rest = rest } }; \
        (async function() { await 1 })(); a.self = a; \
        eval('for (let x of [1]) { function q(){} } switch(1){case 1: default:} try{}finally{}'); \
        Function('a', 'for (x of y) for (z in x) { (() => z)() }'); emit(1, length); emit(new C())";
    let source = format!(
        "function(doc){{ var hog = [], spare = 'y'.repeat(doc.spare), n = 1e6; \
         for (; n > 10; n = n >> 1) try {{ while (1) hog.push('x'.repeat(n) + hog.length) }} catch (e) {{}} \
         try {{ while (1) hog = [hog] }} catch(e) {{}} spare = null; {body} }}"
    );
    let (mut fine, mut short) = (0, 0);
    let large = (8 << 20) + 40_000;
    for spare in (0..30_000).step_by(997).chain((large..large + 40_000).step_by(997)) {
        let limits = Limits { memory: 16 << 20, ..Limits::default() };
        let mut views = views_with(&[&source], None, limits, &Lines::default());
        match rows(&mut views, &json!({ "spare": spare })) {
            Ok(_) => fine += 1,
            Err(Error::Memory) => short += 1,
            Err(other) => panic!("{spare}: {other}"),
        }
    }
    assert!(fine > 0 && short > 20, "{fine} {short}");
}

#[test]
fn limits_hold_for_every_kind_of_function() {
    let ddoc = json!({
        "_id": "_design/f",
        "validate_doc_update": "function(doc){while(doc.bad);}",
        "filters": {"f": "function(doc){while(doc.bad); return true}"},
        "views": {"v": {"map": "function(doc){while(doc.bad); emit(1)}"}},
        "shows": {"s": "function(doc){while(doc.bad); return 'x'}"},
        "updates": {"u": "function(doc){while(doc.bad); return [null,'x']}"},
        "lists": {"l": "function(head){getRow(); while(head.bad);}"},
        "rewrites": "function(req){while(req.bad);}",
    });
    let log = Lines::default().log();
    let mut design = Design::new(ddoc.to_string().into_bytes(), tight(), log);
    let (bad, good) =
        (br#"{"bad":1,"method":"PUT","path":[],"headers":{}}"#, br#"{"method":"PUT"}"#);
    assert_eq!(design.validate(bad, None, b"{}", b"{}"), Err(Error::Timeout));
    assert_eq!(design.validate(good, None, b"{}", b"{}"), Ok(()));
    assert_eq!(design.filter("f", b"{}", [bad.as_slice()]), Err(Error::Timeout));
    assert_eq!(design.filter("f", b"{}", [good.as_slice()]), Ok(vec![true]));
    assert_eq!(design.filter_view("v", [bad.as_slice()]), Err(Error::Timeout));
    assert_eq!(design.filter_view("v", [good.as_slice()]), Ok(vec![true]));
    assert_eq!(design.show("s", Some(bad), bad), Err(Error::Timeout));
    assert_eq!(design.update("u", Some(bad), bad), Err(Error::Timeout));
    assert_eq!(design.list("l", bad, bad, Box::new(NoRows)), Err(Error::Timeout));
    assert_eq!(design.rewrite(bad), Err(Error::Timeout));
    assert_eq!(design.rewrite(good), Ok(None));
    let source = ViewsSource {
        reduces: vec!["function(k,v){while(v[0]);}".to_owned()],
        ..ViewsSource::default()
    };
    let mut views = Views::new(source, tight(), Lines::default().log());
    assert_eq!(views.rereduce(0, b"[1]"), Err(Error::Timeout));
    assert!(views.rereduce(0, b"[0]").is_ok());
}

struct NoRows;

impl crate::js::ListPeer for NoRows {
    fn send(&mut self, _piece: crate::js::Piece) -> Result<(), crate::js::Gone> {
        Ok(())
    }

    fn next_row(&mut self) -> Result<Option<String>, crate::js::Gone> {
        Ok(None)
    }
}

#[test]
fn guards_change_no_results() {
    for (expression, expected) in [
        ("[1,[2,[3,[4]]],,5].flat()", json!([1, 2, [3, [4]], 5])),
        ("[1,[2,[3,[4]]]].flat(Infinity)", json!([1, 2, 3, 4])),
        ("[1,2].flatMap(function(n,i,a){return [n,[i],a.length]})", json!([1, [0], 2, 2, [1], 2])),
        ("String.raw`a${1}\\n${2}b`", json!("a1\\n2b")),
        ("'a-b-c'.split('-')", json!(["a", "b", "c"])),
        ("'a1b2'.split(/\\d/)", json!(["a", "b", ""])),
        ("'abc'.split()", json!(["abc"])),
        ("'abc'.indexOf('c', 1) + 'abc'.indexOf()", json!(1)),
        ("'null'.indexOf(null)", json!(0)),
        ("'a[object Object]'.indexOf({})", json!(1)),
        ("'aXbX'.replace('X', function(m, at){return m+at})", json!("aX1bX")),
        ("'aXbX'.replaceAll('X', '$&$&')", json!("aXXbXX")),
        ("'aXbX'.replace(/x/gi, '-') + 'aXbX'.replaceAll(/x/gi, '+')", json!("a-b-a+b+")),
        ("'a,b,c'.split(',', 2).concat('a,b'.split(/,/, 1))", json!(["a", "b", "a"])),
        ("'abc'.split('')", json!(["a", "b", "c"])),
        ("'undefined'.replace() + 'x'.replace('x')", json!("undefinedundefined")),
        ("[1,,2].concat([3,,4],{length:1},[]).length", json!(7)),
        ("[].concat([1]) instanceof Array && [[1]].flat() instanceof Array", json!(true)),
        ("[3,1,2].sort().concat([4],5,'x',[[6]])", json!([1, 2, 3, 4, 5, "x", [6]])),
        ("[3,1,2].sort(function(a,b){return b-a}).join('')", json!("321")),
        (
            "var a=[1,2,3,4]; [a.splice(1,2), a, a.splice(1), a.splice()]",
            json!([[2, 3], [1], [4], []]),
        ),
        ("[1,2,3].slice(-2).reverse()", json!([3, 2])),
        ("[].slice.call('abc', 1)", json!(["b", "c"])),
        ("(function(){return [].slice.call(arguments, 1)})(1,2,3)", json!([2, 3])),
        ("'Ä'.normalize('NFD').length + 'a'.localeCompare('b')", json!(1)),
        (
            "'ab'.repeat(2) + 'x'.padStart(3) + 'x'.padEnd(2,'-') + 'É'.toLowerCase()",
            json!("abab  xx-é"),
        ),
        ("JSON.parse('[1]', function(k,v){return k ? v+1 : v})", json!([2])),
        ("JSON.stringify({a:1,b:2}, ['b'])", json!("{\"b\":2}")),
        ("parseInt('ff', 16) + parseFloat('1.5')", json!(256.5)),
        ("Object.keys({a:1}).concat(Object.values({b:2}))", json!(["a", 2])),
        ("(255n).toString(16)", json!("ff")),
        ("Array.from(new Set([1,2]).union(new Set([3])))", json!([1, 2, 3])),
        ("String([1,[2,3]]) + [4]", json!("1,2,34")),
        ("new Function('a', 'b', 'return a+b')(1, 2)", json!(3)),
        (
            "(function(){}) instanceof Function && Function('return 1') instanceof Function",
            json!(true),
        ),
        ("eval('1+1') + eval(2)", json!(4)),
        (
            "typeof new Date('2020-01-01T00:00:00Z').getTime() + Date.parse('1970-01-01')",
            json!("number0"),
        ),
        ("decodeURIComponent(encodeURIComponent('é&'))", json!("é&")),
        ("'a,b'.match(/(.),(.)/).slice(1)", json!(["a", "b"])),
    ] {
        let (setup, value) = expression.rsplit_once("; ").unwrap_or(("", expression));
        let source = format!("function(doc){{ {setup}; emit([{value}]) }}");
        assert_eq!(map(&source, &json!({}))[0][0][0], expected, "{expression}");
    }
}

#[test]
fn time_is_counted_for_each_document() {
    let spin = "function(doc){var end=Date.now()+200; while(Date.now()<end); emit(1)}";
    let limits = Limits { time: Duration::from_secs(1), ..Limits::default() };
    let mut views = views_with(&[spin], None, limits, &Lines::default());
    let mut done = 0;
    views.map([b"{}".as_slice(); 8], |_| done += 1).unwrap();
    assert_eq!(done, 8);
}

#[test]
fn documents_before_the_one_that_fails_are_handed_over() {
    let maps = ["function(doc){while(doc.bad); emit(1)}"];
    let mut views = views_with(&maps, None, tight(), &Lines::default());
    let docs = [b"{}".as_slice(), b"{}", br#"{"bad":1}"#, b"{}"];
    let mut done = 0;
    assert_eq!(views.map(docs, |_| done += 1), Err(Error::Timeout));
    assert_eq!(done, 2);
}

/// What one design document does to the language stays with it.
#[test]
fn tricks_with_prototypes_stay_where_they_are() {
    let trick = "function(doc){ \
        Object.prototype.evil = Array.prototype.evil = 1; \
        Array.prototype.push = Array.prototype.map = JSON.stringify = null; \
        Object.prototype.toJSON = Array.prototype.toJSON = function() { return 'evil' }; \
        doc.__proto__.toJSON = doc.l.__proto__.toJSON = function() { return 'evil' }; \
        doc.__proto__.evil = emit.__proto__.evil = 1; \
        Object.defineProperty(Array.prototype, 0, {set: function() { throw 'evil' }}); \
        emit(doc.evil, Object.keys(doc)) }";
    let maps = [trick, "function(doc){emit(doc.evil, [({}).evil, [].evil])}"];
    let mut views = views_of(&maps);
    let doc = json!({"l": []});
    for _ in 0..2 {
        let found = rows(&mut views, &doc).unwrap();
        assert_eq!(found[1], json!([[null, [null, null]]]));
    }
    let other = map(maps[1], &doc);
    assert_eq!(other, json!([[null, [null, null]]]));
}

/// No way leads out of a function's realm to code of ours, or to the host.
#[test]
fn nothing_of_the_host_is_in_reach() {
    for expression in [
        "emit.constructor('return this')()",
        "doc.constructor.constructor('return this')()",
        "doc.l.map.constructor('return this')()",
        "require.constructor('return this')()",
        "(function(){ try { require(5) } catch(e) { return e.constructor.constructor('return this')() } })()",
        "Object.getPrototypeOf(emit).constructor('return this')()",
        "Function('return this')()",
        "eval('this')",
        "(0, eval)('this')",
        "(function(){ return this })()",
        "import('fs')",
    ] {
        let source = format!(
            "function(doc){{ var it; try {{ it = {expression} }} catch(e) {{}} it = it || {{}}; \
             emit(['settee', 'host', 'api', 'std', 'os', 'process', 'Deno'].filter(function(n) \
             {{ return n in Object(it) }})) }}"
        );
        assert_eq!(map(&source, &json!({"l": []})), json!([[[], null]]), "{expression}");
    }
}

/// Whenever time is up, whatever is under way: it is an error, and nothing is left behind.
#[test]
fn time_may_be_up_anywhere() {
    let body = "while (1) { var a = [], r = /(b+)c/g; \
        function* g(n) { try { while (n--) yield {n: n} } finally { a.push(1) } } \
        for (var x of g(20)) { a.push(x, String(x.n) + 'é', [x.n / 3], new Date(x.n), new Map([[x, x]])); \
          if (x.n % 7 == 3) try { throw new Error(x.n) } catch(e) { a.push(e) } finally { a.pop() } } \
        a.map(function(v) { return JSON.stringify(v).replace(r, '$1') }).sort(function(p, q) { return p < q }); \
        var {length, ...rest} = a; class C { constructor() { this.rest = rest } }; \
        (async function() { await 1; for await (var z of g(3)); })(); a.self = a; \
        (async function*() { yield* g(3) })().next(); new Set(g(5)); [...g(4)]; new Map([...g(2)].map(Object.entries)); \
        [1, 2, 3].reduce(function(s, v) { return s + eval('1+1') }); emit(new C(), sum([1, 2])); \
        Array.from(g(9), function(v) { return `${v.n}` }); JSON.parse('[1,{\"a\":2}]', function(k, v) { return v }) }";
    let source = format!("function(doc){{ {body} }}");
    for micros in (1..30_000).step_by(211) {
        let limits = Limits { time: Duration::from_micros(5000 + micros), ..Limits::default() };
        let lines = Lines::default();
        let mut views = views_with(&[&source], None, limits, &lines);
        let outcome = rows(&mut views, &json!({}));
        assert!(matches!(outcome, Err(Error::Timeout)), "{micros}: {outcome:?} {:?}", lines.take());
    }
}
