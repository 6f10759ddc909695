//! What is counted, by the names and in the words by which CouchDB tells of it. Data, and nothing
//! else.

/// A metric's name, part by part, and what it is about.
pub type Described = (&'static [&'static str], &'static str);

macro_rules! described {
    ($(#[$doc:meta])* $kind:ident { $($name:ident: [$($part:literal),+] $about:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[expect(missing_docs, reason = "the table says what each is about")]
        pub enum $kind { $($name,)+ }

        impl $kind {
            /// All of them, in the order of their numbers.
            pub const ALL: &[Described] = &[$((&[$($part),+], $about),)+];
        }
    };
}

described! {
    /// Counts that only grow; what each is about says the table.
    Counter {
        AuthCacheHits: ["couchdb", "auth_cache_hits"] "number of authentication cache hits",
        AuthCacheMisses: ["couchdb", "auth_cache_misses"] "number of authentication cache misses",
        DatabaseReads: ["couchdb", "database_reads"]
            "number of times a document was read from a database",
        DatabaseWrites: ["couchdb", "database_writes"] "number of times a database was changed",
        DatabasePurges: ["couchdb", "database_purges"] "number of times a database was purged",
        DocumentPurges: ["couchdb", "document_purges", "total"]
            "number of total document purge operations",
        DocumentPurged: ["couchdb", "document_purges", "success"]
            "number of successful document purge operations",
        DocumentNotPurged: ["couchdb", "document_purges", "failure"]
            "number of failed document purge operations",
        DocumentWrites: ["couchdb", "document_writes"] "number of document write operations",
        LocalWrites: ["couchdb", "local_document_writes"]
            "number of _local document write operations",
        AbortedRequests: ["couchdb", "httpd", "aborted_requests"] "number of aborted requests",
        Requests: ["couchdb", "httpd", "requests"] "number of HTTP requests",
        BulkRequests: ["couchdb", "httpd", "bulk_requests"] "number of bulk requests",
        HashedFast: ["couchdb", "password_hashing_fast"]
            "number of fast password hashing operations",
        HashedSlow: ["couchdb", "password_hashing_slow"]
            "number of slow password hashing operations",
        DocsExamined: ["mango", "docs_examined"]
            "number of documents examined by mango queries coordinated by this node",
        KeysExamined: ["mango", "keys_examined"]
            "number of keys examined by mango queries coordinated by this node",
        QuorumDocsExamined: ["mango", "quorum_docs_examined"]
            "number of documents examined by mango queries, using cluster quorum",
        ResultsReturned: ["mango", "results_returned"] "number of rows returned by mango queries",
        PurgeRequests: ["couchdb", "httpd", "purge_requests"] "number of purge requests",
        ViewReads: ["couchdb", "httpd", "view_reads"] "number of view reads",
        PartitionAllDocs: ["couchdb", "httpd", "partition_all_docs_requests"]
            "number of partition HTTP _all_docs requests",
        PartitionExplain: ["couchdb", "httpd", "partition_explain_requests"]
            "number of partition HTTP _explain requests",
        PartitionFind: ["couchdb", "httpd", "partition_find_requests"]
            "number of partition HTTP _find requests",
        PartitionView: ["couchdb", "httpd", "partition_view_requests"]
            "number of partition HTTP view requests",
        Copy: ["couchdb", "httpd_request_methods", "COPY"] "number of HTTP COPY requests",
        Delete: ["couchdb", "httpd_request_methods", "DELETE"] "number of HTTP DELETE requests",
        Get: ["couchdb", "httpd_request_methods", "GET"] "number of HTTP GET requests",
        Head: ["couchdb", "httpd_request_methods", "HEAD"] "number of HTTP HEAD requests",
        Options: ["couchdb", "httpd_request_methods", "OPTIONS"] "number of HTTP OPTIONS requests",
        Post: ["couchdb", "httpd_request_methods", "POST"] "number of HTTP POST requests",
        Put: ["couchdb", "httpd_request_methods", "PUT"] "number of HTTP PUT requests",
        Status200: ["couchdb", "httpd_status_codes", "200"] "number of HTTP 200 OK responses",
        Status201: ["couchdb", "httpd_status_codes", "201"] "number of HTTP 201 Created responses",
        Status202: ["couchdb", "httpd_status_codes", "202"]
            "number of HTTP 202 Accepted responses",
        Status204: ["couchdb", "httpd_status_codes", "204"]
            "number of HTTP 204 No Content responses",
        Status206: ["couchdb", "httpd_status_codes", "206"] "number of HTTP 206 Partial Content",
        Status301: ["couchdb", "httpd_status_codes", "301"]
            "number of HTTP 301 Moved Permanently responses",
        Status302: ["couchdb", "httpd_status_codes", "302"] "number of HTTP 302 Found responses",
        Status304: ["couchdb", "httpd_status_codes", "304"]
            "number of HTTP 304 Not Modified responses",
        Status400: ["couchdb", "httpd_status_codes", "400"]
            "number of HTTP 400 Bad Request responses",
        Status401: ["couchdb", "httpd_status_codes", "401"]
            "number of HTTP 401 Unauthorized responses",
        Status403: ["couchdb", "httpd_status_codes", "403"]
            "number of HTTP 403 Forbidden responses",
        Status404: ["couchdb", "httpd_status_codes", "404"]
            "number of HTTP 404 Not Found responses",
        Status405: ["couchdb", "httpd_status_codes", "405"]
            "number of HTTP 405 Method Not Allowed responses",
        Status406: ["couchdb", "httpd_status_codes", "406"]
            "number of HTTP 406 Not Acceptable responses",
        Status409: ["couchdb", "httpd_status_codes", "409"] "number of HTTP 409 Conflict responses",
        Status412: ["couchdb", "httpd_status_codes", "412"]
            "number of HTTP 412 Precondition Failed responses",
        Status413: ["couchdb", "httpd_status_codes", "413"]
            "number of HTTP 413 Request Entity Too Long responses",
        Status414: ["couchdb", "httpd_status_codes", "414"]
            "number of HTTP 414 Request URI Too Long responses",
        Status415: ["couchdb", "httpd_status_codes", "415"]
            "number of HTTP 415 Unsupported Media Type responses",
        Status416: ["couchdb", "httpd_status_codes", "416"]
            "number of HTTP 416 Requested Range Not Satisfiable responses",
        Status417: ["couchdb", "httpd_status_codes", "417"]
            "number of HTTP 417 Expectation Failed responses",
        Status500: ["couchdb", "httpd_status_codes", "500"]
            "number of HTTP 500 Internal Server Error responses",
        Status501: ["couchdb", "httpd_status_codes", "501"]
            "number of HTTP 501 Not Implemented responses",
        Status503: ["couchdb", "httpd_status_codes", "503"]
            "number of HTTP 503 Service unavailable responses",
        Status507: ["couchdb", "httpd_status_codes", "507"]
            "number of HTTP 507 Insufficient Storage responses",
    }
}

described! {
    /// What is told as a distribution.
    Distribution {
        RequestTime: ["couchdb", "request_time"]
            "length of a request inside CouchDB without MochiWeb",
        BulkDocs: ["couchdb", "httpd", "bulk_docs"]
            "distribution of the number of docs in _bulk_docs requests",
        DbInfo: ["couchdb", "dbinfo"]
            "distribution of latencies for calls to retrieve DB info",
        QueryTime: ["mango", "query_time"] "length of time processing a mango query",
    }
}

/// How many there are of something at a moment, which somebody has to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gauge {
    /// Shards that are open.
    OpenDatabases,
    /// File descriptors of the process.
    OpenFiles,
    /// Clients that wait for changes.
    Followers,
}

impl Gauge {
    /// All of them, with names and what they are about.
    pub const ALL: &[(Gauge, &[&str], &str)] = &[
        (Gauge::OpenDatabases, &["couchdb", "open_databases"], "number of open databases"),
        (
            Gauge::OpenFiles,
            &["couchdb", "open_os_files"],
            "number of file descriptors CouchDB has open",
        ),
        (
            Gauge::Followers,
            &["couchdb", "httpd", "clients_requesting_changes"],
            "number of clients for continuous _changes",
        ),
    ];
}

impl Counter {
    /// Answers of a status, if CouchDB counts them.
    #[must_use]
    pub fn of_status(status: u16) -> Option<Counter> {
        use Counter as C;
        Some(match status {
            200 => C::Status200,
            201 => C::Status201,
            202 => C::Status202,
            204 => C::Status204,
            206 => C::Status206,
            301 => C::Status301,
            302 => C::Status302,
            304 => C::Status304,
            400 => C::Status400,
            401 => C::Status401,
            403 => C::Status403,
            404 => C::Status404,
            405 => C::Status405,
            406 => C::Status406,
            409 => C::Status409,
            412 => C::Status412,
            413 => C::Status413,
            414 => C::Status414,
            415 => C::Status415,
            416 => C::Status416,
            417 => C::Status417,
            500 => C::Status500,
            501 => C::Status501,
            503 => C::Status503,
            507 => C::Status507,
            _ => return None,
        })
    }

    /// Requests of a method, if CouchDB counts them.
    #[must_use]
    pub fn of_method(method: &str) -> Option<Counter> {
        use Counter as C;
        Some(match method {
            "GET" => C::Get,
            "PUT" => C::Put,
            "POST" => C::Post,
            "HEAD" => C::Head,
            "DELETE" => C::Delete,
            "COPY" => C::Copy,
            "OPTIONS" => C::Options,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_and_methods_are_counted_by_their_names() {
        let name = |counter: Counter| Counter::ALL[counter as usize].0[2];
        for status in 100..600 {
            if let Some(counter) = Counter::of_status(status) {
                assert_eq!(name(counter), status.to_string());
            }
        }
        for method in ["GET", "PUT", "POST", "HEAD", "DELETE", "COPY", "OPTIONS"] {
            assert_eq!(Counter::of_method(method).map(name), Some(method));
        }
        assert_eq!(Counter::of_method("PATCH"), None);
    }
}
