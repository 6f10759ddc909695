//! Request targets: any text is routed or refused, and decoding never makes more of it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settee_http::percent::{Plus, decode};
use settee_http::query::Query;
use settee_http::route::{Method, route};

fuzz_target!(|input: &str| {
    let (path, query) = input.split_once('?').unwrap_or((input, ""));
    for method in [Method::Get, Method::Put, Method::Other] {
        assert!(!route(method, path, Plus::Space).allow().is_empty());
    }
    if let Ok(text) = decode(path, Plus::Itself) {
        assert!(text.len() <= path.len());
    }
    if let Ok(query) = Query::parse(query) {
        assert!(query.iter().count() <= input.len());
    }
});
