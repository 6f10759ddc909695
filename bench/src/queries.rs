//! What is measured of views, Mango and filters. Every build makes an index that was not there
//! before, of the database that is read, and ends with the first answer from it. Writes no documents but
//! design documents.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use settee_tests::client::{Request, Response};
use settee_tests::orders::id;

use crate::load::{Nodes, closed_loop, timed};
use crate::rows::{Bench, accept};

/// Keys of the row about a list of keys, and rows of the one about a range.
const KEYS: usize = 10_000;
/// How often a short query is asked for one figure, if the time for a row is enough for that.
const TIMES: usize = 20;

/// Where the views are that are only read.
const VIEWS: &str = "/bench_read/_design/bench";

impl Bench {
    /// Makes the indexes of the rows that only read, and waits until they are there.
    ///
    /// # Errors
    /// When the server refuses.
    pub fn prepare_queries(&mut self) -> io::Result<()> {
        let ddoc = json!({
            "views": {
                "number": {"map": "function (doc) { emit(doc.number, null); }"},
                "groups": {
                    "map": "function (doc) { emit([doc.customer.city, doc.customer.name, doc.number % 10], doc.total); }",
                    "reduce": "_sum"
                }
            },
            "filters": {"active": "function (doc, req) { return doc.customer && doc.customer.active; }"}
        });
        self.expect(&Request::new("PUT", VIEWS).json(&ddoc.to_string()), 201)?;
        let index = json!({"index": {"fields": ["number"]}, "ddoc": "bench-number", "name": "n"});
        self.expect(&Request::new("POST", "/bench_read/_index").json(&index.to_string()), 200)?;
        for view in ["number?limit=1", "groups"] {
            let path = format!("{VIEWS}/_view/{view}");
            once_built(&mut self.nodes, &Request::new("GET", &path))?;
        }
        once_built(&mut self.nodes, &find(&json!({"selector": {"number": 1}}))).map(drop)
    }

    /// Documents a second that get into the index of a view with that reduce.
    pub fn view_build(&mut self, reduce: Option<&str>) -> io::Result<Option<f64>> {
        let (path, ddoc) = self.new_view(reduce);
        let seconds = timed(|| {
            self.expect(&Request::new("PUT", &path).json(&ddoc), 201)?;
            once_built(&mut self.nodes, &first_row(&path)).map(drop)
        })?;
        self.forget(&path)?;
        Ok(Some(self.docs as f64 / seconds))
    }

    /// A design document with a view that nobody has asked for, and its path.
    fn new_view(&mut self, reduce: Option<&str>) -> (String, String) {
        self.turn += 1;
        // Another text is another index.
        let map = format!("function (doc) {{ emit(doc.number, doc.total); /* {} */ }}", self.turn);
        let view = match reduce {
            Some(reduce) => json!({"map": map, "reduce": reduce}),
            None => json!({"map": map}),
        };
        let path = format!("/bench_read/_design/build{}", self.turn);
        (path, json!({"views": {"v": view}}).to_string())
    }

    /// Milliseconds that all but one of a hundred reads of a document take: for some time, or as long as
    /// a view is built.
    pub fn read_p99(&mut self, beside_build: bool) -> io::Result<Option<f64>> {
        let (path, ddoc) = self.new_view(None);
        if !beside_build {
            let limit = Duration::from_secs(self.seconds);
            return self.reads_until(|since| since >= limit).map(Some);
        }
        self.expect(&Request::new("PUT", &path).json(&ddoc), 201)?;
        let mut builder = Nodes::new(&self.addresses, 1);
        let building = thread::spawn({
            let first = first_row(&path);
            move || once_built(&mut builder, &first)
        });
        let figure = self.reads_until(|_| building.is_finished())?;
        let built = building.join().map_err(|_| io::Error::other("the build failed"))??;
        counted(&built, br#""id":"#, 1)?;
        self.forget(&path)?;
        Ok(Some(figure))
    }

    /// Reads one document after the other, and gives the 99th percentile of their milliseconds.
    fn reads_until(&mut self, end: impl Fn(Duration) -> bool) -> io::Result<f64> {
        let (started, mut taken) = (Instant::now(), Vec::new());
        while !end(started.elapsed()) {
            let number = taken.len().wrapping_mul(7919) % self.docs;
            let request = Request::new("GET", &format!("/bench_read/{}", id(number)));
            taken.push(timed(|| self.expect(&request, 200).map(drop))? * 1000.0);
        }
        taken.sort_by(f64::total_cmp);
        let p99 = taken.get(taken.len().saturating_sub(1) * 99 / 100);
        p99.copied().ok_or_else(|| io::Error::other("nothing was read"))
    }

    /// The same for a Mango index.
    pub fn mango_build(&mut self) -> io::Result<Option<f64>> {
        self.turn += 1;
        let name = format!("build{}", self.turn);
        let index = json!({
            // Another condition, which all meet, is another index.
            "index": {
                "fields": ["customer.name", "number"],
                "partial_filter_selector": {"number": {"$gt": -(self.turn as i64)}}
            },
            "ddoc": name,
            "name": name
        });
        let index = Request::new("POST", "/bench_read/_index").json(&index.to_string());
        let selector = json!({"customer.name": "Customer 1", "number": 1});
        let first = find(&json!({"selector": selector, "use_index": name}));
        let seconds = timed(|| {
            self.expect(&index, 200)?;
            once_built(&mut self.nodes, &first).map(drop)
        })?;
        self.forget(&format!("/bench_read/_design/{name}"))?;
        Ok(Some(self.docs as f64 / seconds))
    }

    fn forget(&mut self, ddoc: &str) -> io::Result<()> {
        let found = self.expect(&Request::new("GET", ddoc), 200)?;
        let rev = found.get("_rev").and_then(Value::as_str).unwrap_or_default();
        self.expect(&Request::new("DELETE", &format!("{ddoc}?rev={rev}")), 200)?;
        self.expect(&Request::new("POST", "/bench_read/_view_cleanup").json("{}"), 202).map(drop)
    }

    /// Rows of a view in the order of their keys.
    pub fn view_range(&mut self) -> io::Result<Option<f64>> {
        let path = format!("{VIEWS}/_view/number?startkey=0&limit={KEYS}");
        self.view_rows(&Request::new("GET", &path))
    }

    /// The same rows by a list of their keys.
    pub fn view_keys(&mut self) -> io::Result<Option<f64>> {
        let keys: Vec<usize> = (0..KEYS.min(self.docs)).collect();
        let body = json!({"keys": keys}).to_string();
        self.view_rows(&Request::new("POST", &format!("{VIEWS}/_view/number")).json(&body))
    }

    fn view_rows(&mut self, request: &Request) -> io::Result<Option<f64>> {
        let expected = KEYS.min(self.docs);
        let rate = self.again(request, br#""id":"#, expected)?;
        Ok(Some(expected as f64 * rate))
    }

    /// Queries a second that reduce all rows to that level.
    pub fn group_level(&mut self, level: usize) -> io::Result<Option<f64>> {
        let path = format!("{VIEWS}/_view/groups?group_level={level}");
        self.again(&Request::new("GET", &path), br#""key":"#, 1).map(Some)
    }

    /// How often a second a query is answered with at least so many of a text.
    fn again(&mut self, request: &Request, text: &[u8], least: usize) -> io::Result<f64> {
        let (began, limit) = (Instant::now(), Duration::from_secs(self.seconds));
        let mut times = 0;
        while times == 0 || times < TIMES && began.elapsed() < limit {
            counted(&self.nodes.send(request)?, text, least)?;
            times += 1;
        }
        Ok(times as f64 / began.elapsed().as_secs_f64())
    }

    /// Queries a second for one document by an indexed field.
    pub fn find_one(&mut self, clients: usize) -> io::Result<Option<f64>> {
        let docs = self.docs;
        let next = |worker: usize, n: usize| {
            let number = (n * clients + worker).wrapping_mul(7919) % docs;
            find(&json!({"selector": {"number": number}}))
        };
        closed_loop(&self.addresses, clients, self.seconds, next, |r| r.status == 200).map(Some)
    }

    /// Documents a second that a query finds in a stretch of an index.
    pub fn find_range(&mut self) -> io::Result<Option<f64>> {
        let found = KEYS.min(self.docs);
        let request = find(&json!({"selector": {"number": {"$lt": found}}, "limit": found}));
        let seconds = timed(|| counted(&self.nodes.send(&request)?, br#""_id":"#, found))?;
        Ok(Some(found as f64 / seconds))
    }

    /// Documents a second that a query looks at without an index.
    pub fn find_by_scan(&mut self) -> io::Result<Option<f64>> {
        let request = find(&json!({"selector": {"total": 1.75}, "limit": self.docs}));
        let seconds = timed(|| counted(&self.nodes.send(&request)?, br#""_id":"#, 1))?;
        Ok(Some(self.docs as f64 / seconds))
    }

    /// Changes a second that a filter function looks at.
    pub fn filtered_changes(&mut self) -> io::Result<Option<f64>> {
        let request = Request::new("GET", "/bench_read/_changes?filter=bench/active");
        let passing = self.docs / 2;
        let seconds = timed(|| counted(&self.nodes.send(&request)?, br#""seq":"#, passing))?;
        Ok(Some(self.docs as f64 / seconds))
    }
}

/// Asks until an index is there: a server may give up an answer that waits for a long build, and
/// goes on building.
fn once_built(nodes: &mut Nodes, request: &Request) -> io::Result<Response> {
    loop {
        let response = nodes.send(request)?;
        if response.status != 500 || !response.text().contains("timeout") {
            return accept(request, &response, 200).map(|()| response);
        }
    }
}

/// Waits for a view to be there.
fn first_row(ddoc: &str) -> Request {
    Request::new("GET", &format!("{ddoc}/_view/v?reduce=false&limit=1"))
}

fn find(question: &Value) -> Request {
    Request::new("POST", "/bench_read/_find").json(&question.to_string())
}

/// Errs unless an answer is good and has a text at least so often.
fn counted(response: &Response, text: &[u8], least: usize) -> io::Result<()> {
    let found = response.body.windows(text.len()).filter(|window| *window == text).count();
    if response.status == 200 && found >= least {
        return Ok(());
    }
    let start: String = response.text().chars().take(200).collect();
    Err(io::Error::other(format!("{} with {found} of {least}: {start}", response.status)))
}
