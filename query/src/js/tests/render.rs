//! Shows, updates, lists, rewrites.

use serde_json::json;

use super::*;
use crate::js::{Gone, ListPeer, Piece};

const REQ: &str =
    r#"{"method":"GET","path":["db","_design","f","_show","s"],"query":{},"headers":{}}"#;

fn show(body: &str) -> Result<Value, Error> {
    show_to(body, REQ, Some(br#"{"_id":"d1","a":1}"#))
}

fn show_to(body: &str, req: &str, doc: Option<&[u8]>) -> Result<Value, Error> {
    let source = format!("function(doc,req){{ {body} }}");
    let mut design = design_of(json!({"_id": "_design/f", "shows": {"s": source}}));
    let response = design.show("s", doc, req.as_bytes())?;
    Ok(serde_json::from_str(&response).unwrap())
}

fn error_of(result: Result<Value, Error>) -> (u16, String, String) {
    let error = result.unwrap_err();
    let reason: String = serde_json::from_str(&error.reason()).unwrap();
    (error.status(), error.error().to_owned(), reason)
}

#[test]
fn shows_respond_with_text_or_objects() {
    // Recorded.
    assert_eq!(show("return 'x'"), Ok(json!({"body": "x"})));
    let whole = json!({"body": "b", "code": 202, "headers": {"X-A": "b"}});
    assert_eq!(show("return {body:'b',code:202,headers:{'X-A':'b'}}"), Ok(whole));
    assert_eq!(show("return"), Ok(json!({})));
    assert_eq!(show("return {json:{a:doc.a}}"), Ok(json!({"json": {"a": 1}})));
    let sent = "start({'X-Q':'1'}); send('a'); send(5); return {body:'b'}";
    assert_eq!(show(sent), Ok(json!({"body": "a5b", "headers": {"X-Q": "1"}})));
    for body in ["return 5", "return true", "return [1]"] {
        let words = "undefined response from show function";
        assert_eq!(show(body), Err(thrown("render_error", json!(words))), "{body}");
    }
    assert_eq!(show("return '\\ud800'"), Ok(json!({"body": "\u{fffd}"})));
}

#[test]
fn shows_that_throw_are_named() {
    // Recorded.
    let words = "function raised error: x \nstacktrace: undefined";
    assert_eq!(error_of(show("throw 'x'")), (500, "render_error".into(), words.into()));
    let (status, error, reason) = error_of(show("nothing.here"));
    assert_eq!((status, error.as_str()), (500, "render_error"));
    let words = "function raised error: ReferenceError: 'nothing' is not defined \n\
        stacktrace:     at ";
    assert!(reason.starts_with(words), "{reason}");
    assert_eq!(error_of(show("throw ['error','kk','rr']")), (500, "kk".into(), "rr".into()));
    assert_eq!(
        error_of(show("throw {error:'not_found',reason:'r1'}")),
        (404, "not_found".into(), "r1".into())
    );
    let gone = (404, "not_found".to_owned(), "document not found".to_owned());
    let long = REQ.replace("\"s\"]", "\"s\",\"nodoc\"]");
    assert_eq!(error_of(show_to("return doc.x", &long, None)), gone);
    assert_eq!(error_of(show_to("return doc.x", REQ, None)).1, "render_error");
    assert_eq!(show_to("return 'x'", &long, None), Ok(json!({"body": "x"})));
}

fn provided(accept: Option<&str>, format: Option<&str>) -> Result<Value, Error> {
    let body = r#"provides("html",function(){return "<h>"}); provides("json",function(){send("{"); return "}"});
        provides("text",function(){return {body:"txt"}}); return "first "#.to_owned() + "\"";
    let mut req = json!({"method": "GET", "path": [], "query": {}, "headers": {}});
    if let Some(accept) = accept {
        req["headers"]["Accept"] = accept.into();
    }
    if let Some(format) = format {
        req["query"]["format"] = format.into();
    }
    show_to(&body, &req.to_string(), None)
}

#[test]
fn shows_provide_the_format_that_is_wanted() {
    // Recorded.
    let response = |body: &str, kind: &str| {
        Ok(json!({"body": format!("first {body}"), "headers": {"Content-Type": kind}}))
    };
    let html = || response("<h>", "text/html; charset=utf-8");
    let text = || response("txt", "text/plain; charset=utf-8");
    let json = || response("{}", "application/json");
    assert_eq!(provided(None, None), html());
    assert_eq!(provided(Some("text/html"), None), html());
    assert_eq!(provided(Some("application/json"), None), json());
    assert_eq!(provided(Some("text/x-json"), None), response("{}", "text/x-json"));
    assert_eq!(provided(Some("text/plain"), None), text());
    assert_eq!(provided(Some("*/*"), None), html());
    assert_eq!(provided(Some("text/*;q=0.3, application/json;q=0.5"), None), json());
    assert_eq!(provided(Some("text/html"), Some("text")), text());
    assert_eq!(
        error_of(provided(Some("image/png"), None)),
        (
            406,
            "not_acceptable".into(),
            "Content-Type image/png not supported, try one of: \
            text/plain; charset=utf-8, txt, application/json, text/x-json, text/html; charset=utf-8"
                .into()
        )
    );
    assert_eq!(
        error_of(provided(None, Some("xml"))),
        (
            406,
            "not_acceptable".into(),
            "Content-Type xml not supported, try one of: \
            text/html; charset=utf-8, application/json, text/x-json, text/plain; charset=utf-8, txt"
                .into()
        )
    );
    assert_eq!(error_of(provided(None, Some("foo"))).1, "render_error");
    assert_eq!(error_of(provided(Some("text/html;q=0"), None)).0, 406);
    let own = "registerType('foo','text/foo','text/foo2'); provides('foo',function(){send('q');return {body:'foo'}})";
    let req = r#"{"path":[],"headers":{"Accept":"text/foo2"}}"#;
    let made = json!({"body": "qfoo", "headers": {"Content-Type": "text/foo2"}});
    assert_eq!(show_to(own, req, None), Ok(made));
}

fn update(body: &str) -> Result<(Option<Value>, Value), Error> {
    let source = format!("function(doc,req){{ {body} }}");
    let mut design = design_of(json!({"_id": "_design/f", "updates": {"u": source}}));
    let updated = design.update("u", None, br#"{"method":"POST","path":[]}"#)?;
    let value = |json: &str| serde_json::from_str(json).unwrap();
    Ok((updated.doc.as_deref().map(value), value(&updated.response)))
}

#[test]
fn updates_give_a_document_and_a_response() {
    // Recorded.
    let body = |body: &str| json!({ "body": body });
    assert_eq!(update("return [null,'x']"), Ok((None, body("x"))));
    assert_eq!(update("return ['s','x']"), Ok((None, body("x"))));
    let made = Some(json!({"_id": "new", "q": 1}));
    assert_eq!(update("return [{_id:'new',q:1},'made']"), Ok((made, body("made"))));
    assert_eq!(update("return [null,{json:{a:1}}]"), Ok((None, json!({"json": {"a": 1}}))));
    let undefined = thrown("render_error", json!("undefined response from update function"));
    for source in ["return 'x'", "return [null,5]", "return [null,null]", "return [null]"] {
        assert_eq!(update(source), Err(undefined.clone()), "{source}");
    }
    for source in ["return", "throw {forbidden:'f'}", "throw undefined", "nothing.here"] {
        assert_eq!(update(source).unwrap_err().error(), "render_error", "{source}");
    }
    assert_eq!(update("throw ['fatal','kk','rr']"), Err(thrown("kk", json!("rr"))));
    let source = json!({"_id": "_design/f", "updates": {"u": "function(){return [null,'x']}"}});
    let error = design_of(source).update("u", None, br#"{"method":"GET"}"#).unwrap_err();
    assert_eq!((error.status(), error.error()), (405, "method_not_allowed"));
    assert_eq!(error.reason(), "\"Update functions do not allow GET\"");
}

/// Feeds three rows and keeps what comes.
#[derive(Clone, Default)]
struct Rows {
    left: usize,
    patience: usize,
    pieces: Arc<Mutex<Vec<Piece>>>,
}

impl ListPeer for Rows {
    fn send(&mut self, piece: Piece) -> Result<(), Gone> {
        self.pieces.lock().unwrap().push(piece);
        self.patience = self.patience.checked_sub(1).ok_or(Gone)?;
        Ok(())
    }

    fn next_row(&mut self) -> Result<Option<String>, Gone> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Ok(Some(json!({"id": format!("d{}", self.left), "key": self.left}).to_string()))
    }
}

fn listed(body: &str, accept: Option<&str>) -> (Result<(), Error>, Vec<Piece>) {
    let source = format!("function(head,req){{ {body} }}");
    let mut design = design_of(json!({"_id": "_design/f", "lists": {"l": source}}));
    let rows = Rows { left: 3, patience: 100, ..Rows::default() };
    let headers = accept.map_or(json!({}), |accept| json!({ "Accept": accept }));
    let req = json!({"path": [], "headers": headers}).to_string();
    let done = design.list("l", br#"{"total_rows":3}"#, req.as_bytes(), Box::new(rows.clone()));
    let pieces = std::mem::take(&mut *rows.pieces.lock().unwrap());
    (done, pieces)
}

/// The response and the body, of a list that ends well.
fn list(body: &str, accept: Option<&str>) -> (Value, String) {
    let (done, pieces) = listed(body, accept);
    assert_eq!(done, Ok(()), "{body}");
    let response = pieces[0].response.as_deref().expect("the first piece has a response");
    let body = pieces.iter().flat_map(|piece| &piece.chunks).map(String::as_str).collect();
    (serde_json::from_str(response).unwrap(), body)
}

#[test]
fn lists_stream_pieces_between_rows() {
    let body = "start({headers:{'X-Q':'1'}}); send('a'); var r; \
        while(r=getRow()){send(r.id); send(',')} return 'tail'";
    let (done, pieces) = listed(body, None);
    assert_eq!(done, Ok(()));
    let piece = |chunks: &[&str], response: Option<&str>| Piece {
        chunks: chunks.iter().map(|&chunk| chunk.to_owned()).collect(),
        response: response.map(str::to_owned),
    };
    assert_eq!(
        pieces,
        [
            piece(&["a"], Some(r#"{"headers":{"X-Q":"1"}}"#)),
            piece(&["d2", ","], None),
            piece(&["d1", ","], None),
            piece(&["d0", ","], None),
            piece(&["tail"], None),
        ]
    );
}

#[test]
fn lists_respond_as_couchdbs_do() {
    // Recorded.
    let plain = json!({"headers": {}});
    assert_eq!(list("return 'only'", None), (plain.clone(), "only".into()));
    assert_eq!(list("", None), (plain.clone(), String::new()));
    assert_eq!(list("return toJSON(head)", None).1, r#"{"total_rows":3}"#);
    let early = list("getRow(); send('x'); return 't'", None);
    assert_eq!(early, (plain.clone(), "xt".into()));
    let beyond = "while(getRow()); return toJSON([getRow(),getRow()])";
    assert_eq!(list(beyond, None).1, "[null,null]");
    let typed = list("start({code:202,headers:{'Content-Type':'text/x'}}); send('q')", None);
    assert_eq!(typed, (json!({"code": 202, "headers": {"Content-Type": "text/x"}}), "q".into()));
    assert_eq!(
        list("send({}); send(5); send([1,2]); send('\\ud800')", None).1,
        "[object Object]51,2\u{fffd}"
    );
    let late = "var r; send('h'); while(r=getRow()){start({headers:{'X-Z':'1'}}); send(r.id)}";
    let (_, pieces) = listed(late, None);
    assert_eq!(pieces[1].response.as_deref(), Some(r#"{"headers":{"X-Z":"1"}}"#));
    let both = "provides('html',function(){return 'p'}); send('z'); return 'dropped'";
    let html = json!({"headers": {"Content-Type": "text/html; charset=utf-8"}});
    assert_eq!(list(both, None), (html.clone(), "zp".into()));
    let rows = "provides('html',function(){var r; send('<'); while(r=getRow()) send(r.key); return '>'}); \
        provides('json',function(){send('[');return ']'})";
    assert_eq!(list(rows, None), (html, "<210>".into()));
    let typed = json!({"headers": {"Content-Type": "application/json"}});
    assert_eq!(list(rows, Some("application/json")), (typed, "[]".into()));
    let (none, pieces) = listed(rows, Some("image/png"));
    assert_eq!((none.unwrap_err().status(), pieces.len()), (406, 0));
}

#[test]
fn lists_that_throw_keep_what_they_sent() {
    let (done, pieces) = listed("throw 'x'", None);
    let words = "function raised error: x \nstacktrace: undefined";
    assert_eq!((done, pieces.len()), (Err(thrown("render_error", json!(words))), 0));
    let (done, pieces) = listed("getRow(); send('x'); throw ['error','kk','rr']", None);
    assert_eq!((done, pieces.len()), (Err(thrown("kk", json!("rr"))), 1));
    let (done, _) = listed("send(null)", None);
    assert_eq!(done.unwrap_err().error(), "render_error");
}

#[test]
fn a_list_whose_taker_has_gone_is_stopped() {
    for body in ["while(true) getRow()", "while(getRow()); while(true) send('x')"] {
        let source = format!("function(head,req){{ {body} }}");
        let mut design = design_of(json!({"_id": "_design/f", "lists": {"l": source}}));
        let rows = Rows { left: 3, patience: 2, ..Rows::default() };
        let done = design.list("l", b"{}", br#"{"headers":{}}"#, Box::new(rows.clone()));
        assert_eq!(done, Err(Error::Gone), "{body}");
    }
}

fn rewrite(body: &str) -> Result<Option<String>, Error> {
    let source = format!("function(req){{ {body} }}");
    design_of(json!({"_id": "_design/r", "rewrites": source})).rewrite(br#"{"method":"PUT"}"#)
}

#[test]
fn rewrites_give_a_way_or_a_response() {
    // Recorded.
    let way = |json: &str| Ok(Some(json.to_owned()));
    assert_eq!(rewrite("return '../../d1'"), way(r#"{"path":"../../d1","method":"PUT"}"#));
    assert_eq!(rewrite("return {code:200,body:'h'}"), way(r#"{"code":200,"body":"h"}"#));
    assert_eq!(rewrite("return null"), Ok(None));
    assert_eq!(rewrite("return ''"), Ok(None));
    for (body, words) in [
        ("return 5", "bad rewrite"),
        ("return [1]", "bad rewrite"),
        ("return {path:5}", "bad path"),
        ("return {code:99}", "bad code"),
        ("return {method:1}", "bad method"),
        ("return {query:{a:1}}", "object key/value must be strings <<\"a\">>=1"),
        ("throw 'x'", "function raised error: x \nstacktrace: undefined"),
    ] {
        assert_eq!(rewrite(body), Err(thrown("rewrite_error", json!(words))), "{body}");
    }
    assert_eq!(rewrite("throw ['error','k','r']"), Err(thrown("k", json!("r"))));
    let missing = design_of(json!({"_id": "_design/r"})).rewrite(b"{}");
    assert_eq!(missing, Err(Error::Missing("rewrites".to_owned())));
}
