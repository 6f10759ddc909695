//! Metrics as the text that Prometheus reads, by the names that CouchDB gives them. Two of those are
//! no names of counters by Prometheus' rules; they are told without a type, which leaves the name
//! and the use of it as they are. Pure: whoever calls brings the numbers.

use std::fmt::Write as _;

use super::histogram::{PERCENTILES, Summary};
use super::{Metric, Value};

/// A number about the process or the node, beside what is counted: name, type, what it is about,
/// and labels with values.
pub type Family<'a> = (&'a str, &'a str, &'a str, Vec<(Option<(&'a str, &'a str)>, f64)>);

/// The text of all metrics.
#[must_use]
pub fn text(metrics: &[Metric], more: &[Family<'_>]) -> String {
    let mut out = String::with_capacity(16 << 10);
    let mut labelled = "";
    for metric in metrics {
        let path = metric.path.strip_prefix(&["couchdb"]).unwrap_or(metric.path);
        let label = path.first().and_then(|family| label(family));
        match (path, &metric.value, label) {
            ([family, name], Value::Count(count), Some((label, about))) => {
                if labelled != *family {
                    header(&mut out, family, "untyped", about);
                    labelled = family;
                }
                line(&mut out, family, Some((label, name)), *count as f64);
            }
            (path, Value::Count(count), _) => counter(&mut out, metrics, path, metric, *count),
            (path, Value::Now(count), _) => {
                let name = path.join("_");
                header(&mut out, &name, "gauge", metric.about);
                line(&mut out, &name, None, *count as f64);
            }
            (path, Value::Distributed(summary), _) => {
                distribution(&mut out, path, metric.about, summary);
            }
        }
    }
    for (name, kind, about, values) in more {
        header(&mut out, name, kind, about);
        for (label, value) in values {
            line(&mut out, name, *label, *value);
        }
    }
    out
}

/// Families that are one name with a label.
fn label(family: &str) -> Option<(&'static str, &'static str)> {
    match family {
        "httpd_request_methods" => Some(("method", "number of HTTP requests by method")),
        "httpd_status_codes" => Some(("code", "number of HTTP responses by status code")),
        _ => None,
    }
}

fn counter(out: &mut String, all: &[Metric], path: &[&str], metric: &Metric, count: u64) {
    let (name, about, count) = match path {
        // Told as all requests and those that missed.
        ["auth_cache_hits"] => {
            let misses = all.iter().find(|metric| metric.path == ["couchdb", "auth_cache_misses"]);
            let misses = match misses.map(|metric| &metric.value) {
                Some(Value::Count(misses)) => *misses,
                _ => 0,
            };
            let about = "number of authentication cache requests";
            ("auth_cache_requests".to_owned(), about, count + misses)
        }
        path => (path.join("_"), metric.about, count),
    };
    let name = format!("{}_total", name.strip_suffix("_total").unwrap_or(&name));
    header(out, &name, "counter", about);
    line(out, &name, None, count as f64);
}

/// Times are told in seconds; sum and count are of all time, so that they can be rated.
fn distribution(out: &mut String, path: &[&str], about: &str, summary: &Summary) {
    let (name, unit) = match path {
        ["httpd", "bulk_docs"] => (path.join("_"), 1.0),
        path => (format!("{}_seconds", path.join("_")), 1000.0),
    };
    header(out, &name, "summary", about);
    for ((percentile, _), value) in PERCENTILES.iter().zip(&summary.percentiles) {
        let quantile = format!("0.{}", percentile.to_string().trim_end_matches('0'));
        line(out, &name, Some(("quantile", &quantile)), value / unit);
    }
    line(out, &format!("{name}_sum"), None, summary.sum / unit);
    line(out, &format!("{name}_count"), None, summary.all as f64);
}

fn header(out: &mut String, name: &str, kind: &str, about: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(out, "# HELP couchdb_{name} {about}\n# TYPE couchdb_{name} {kind}");
}

fn line(out: &mut String, name: &str, label: Option<(&str, &str)>, value: f64) {
    let _ = match label {
        Some((label, of)) => {
            let of = of.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
            writeln!(out, "couchdb_{name}{{{label}=\"{of}\"}} {value}")
        }
        None => writeln!(out, "couchdb_{name} {value}"),
    };
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::super::{Gauge, Stats};
    use super::*;

    #[test]
    fn names_are_couchdbs_and_none_is_there_twice() {
        let stats = Stats::new();
        stats.count(super::super::Counter::Status404);
        stats.count(super::super::Counter::AuthCacheMisses);
        let more = [("membership", "gauge", "nodes", vec![(Some(("nodes", "all\"")), 3.0)])];
        let text = text(&stats.metrics(|gauge| (gauge == Gauge::OpenFiles).then_some(5)), &more);
        for wanted in [
            "# TYPE couchdb_httpd_status_codes untyped",
            "couchdb_httpd_status_codes{code=\"404\"} 1",
            "couchdb_httpd_request_methods{method=\"GET\"} 0",
            "couchdb_auth_cache_requests_total 1",
            "couchdb_auth_cache_misses_total 1",
            "# TYPE couchdb_open_os_files gauge",
            "couchdb_open_os_files 5",
            "couchdb_httpd_requests_total 0",
            "# TYPE couchdb_request_time_seconds summary",
            "couchdb_request_time_seconds{quantile=\"0.999\"} 0",
            "couchdb_request_time_seconds_count 0",
            "couchdb_httpd_bulk_docs_sum 0",
            "couchdb_membership{nodes=\"all\\\"\"} 3",
        ] {
            assert!(text.lines().any(|line| line == wanted), "{wanted} in\n{text}");
        }
        let names: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(names.iter().all(|line| line.starts_with("couchdb_")));
        let keys = names.iter().filter_map(|line| line.rsplit_once(' ')).map(|(key, _)| key);
        assert_eq!(keys.collect::<HashSet<_>>().len(), names.len(), "a name is there twice");
    }
}
