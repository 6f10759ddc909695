//! Metrics as the JSON of `_stats`: an object for each part of a name. Pure; which part of it was asked
//! for, the handler knows.

use serde_json::{Map, Value as Json, json};

use super::histogram::{PERCENTILES, Summary};
use super::{Metric, Value};

/// All metrics as one tree.
#[must_use]
pub fn tree(metrics: &[Metric]) -> Json {
    let mut root = Map::new();
    for metric in metrics {
        let Some((name, rooms)) = metric.path.split_last() else { continue };
        let mut place = Some(&mut root);
        for room in rooms {
            let inner = place.map(|map| map.entry(*room).or_insert_with(|| json!({})));
            place = inner.and_then(Json::as_object_mut);
        }
        if let Some(map) = place {
            map.insert((*name).to_owned(), leaf(metric));
        }
    }
    Json::Object(root)
}

fn leaf(metric: &Metric) -> Json {
    let (value, kind) = match &metric.value {
        // What CouchDB tells as numbers that are open, it counts up and down.
        Value::Count(count) | Value::Now(count) => (json!(count), "counter"),
        Value::Distributed(summary) => (summary_of(summary), "histogram"),
    };
    json!({"value": value, "type": kind, "desc": metric.about})
}

fn summary_of(summary: &Summary) -> Json {
    let [arithmetic, geometric, harmonic] = summary.means;
    let names = PERCENTILES.iter().map(|(name, _)| name);
    let percentiles: Vec<_> =
        names.zip(&summary.percentiles).map(|(name, value)| json!([name, value])).collect();
    json!({
        "n": summary.n,
        "min": summary.min,
        "max": summary.max,
        "arithmetic_mean": arithmetic,
        "geometric_mean": geometric,
        "harmonic_mean": harmonic,
        "median": summary.percentiles.first(),
        "variance": summary.variance,
        "standard_deviation": summary.variance.sqrt(),
        "skewness": summary.skewness,
        "kurtosis": summary.kurtosis,
        "percentile": percentiles,
        "histogram": [[0, 0]],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_a_tree() {
        let metrics = [
            Metric { path: &["a", "b"], about: "x", value: Value::Count(1) },
            Metric { path: &["a", "c", "d"], about: "y", value: Value::Now(2) },
            Metric { path: &["a", "e"], about: "z", value: Value::Distributed(Box::default()) },
        ];
        let tree = tree(&metrics);
        assert_eq!(tree["a"]["b"], json!({"value": 1, "type": "counter", "desc": "x"}));
        assert_eq!(tree["a"]["c"]["d"]["value"], 2);
        assert_eq!(tree["a"]["e"]["value"]["percentile"][5], json!([999, 0.0]));
    }
}
