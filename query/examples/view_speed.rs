//! How many documents a second of processor time are mapped: parse, two maps, and the rows of a
//! document of 460 bytes. Prints; asserts nothing.
#![allow(clippy::print_stdout)]

mod order;

use std::sync::Arc;
use std::time::{Duration, Instant};

use settee_query::js::{Error, Limits, Views, ViewsSource};

/// Seconds that this thread was on a processor; what else the machine does is not counted.
fn processor_time() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(stat.split(' ').next()?.parse::<f64>().ok()? / 1e9)
}

const MAPS: [&str; 2] = [
    "function(doc) { if (doc.type === 'order') emit([doc.customer, doc.date], doc.total); }",
    "function(doc) { doc.lines.forEach(function(line) { emit(line.sku, line.count); }); }",
];

fn document(n: usize) -> String {
    let members = order::members(n);
    format!(r#"{{"_id":"order-{n:08}","_rev":"1-967a00dff5e02add41819138abb3284d",{members}}}"#)
}

fn measure(name: &str, maps: &[&str], docs: &[String]) -> Result<(), Error> {
    let source = ViewsSource {
        maps: maps.iter().map(|&map| map.to_owned()).collect(),
        ..ViewsSource::default()
    };
    let mut views = Views::new(source, Limits::default(), Arc::new(|_: &str| {}));
    let start = Instant::now();
    views.prepare()?;
    let prepared = start.elapsed();
    let before = processor_time();
    let (start, mut done, mut rows, mut bytes) = (Instant::now(), 0, 0, 0);
    while start.elapsed() < Duration::from_secs(2) {
        views.map(docs.iter().map(String::as_bytes), |found| {
            for (key, value) in found.views().flatten() {
                rows += 1;
                bytes += key.len() + value.len();
            }
        })?;
        done += docs.len();
    }
    let spent = before.and_then(|before| Some(processor_time()? - before));
    let rate = done as f64 / spent.unwrap_or(start.elapsed().as_secs_f64());
    println!(
        "{name:>16}: {rate:>9.0} documents/s, {rows} rows of {bytes} bytes, ready in {prepared:?}"
    );
    Ok(())
}

/// Bytes of memory that the process has.
fn resident() -> Option<usize> {
    let stat = std::fs::read_to_string("/proc/self/statm").ok()?;
    Some(stat.split(' ').nth(1)?.parse::<usize>().ok()? * 4096)
}

fn measure_memory() -> Result<(), Error> {
    let before = resident();
    let mut kept = Vec::new();
    for _ in 0..100 {
        let maps = MAPS.iter().map(|&map| map.to_owned()).collect();
        let source = ViewsSource { maps, ..ViewsSource::default() };
        let mut views = Views::new(source, Limits::default(), Arc::new(|_: &str| {}));
        views.prepare()?;
        kept.push(views);
    }
    if let (Some(before), Some(after)) = (before, resident()) {
        println!("{} bytes for each engine with two maps", (after - before) / kept.len());
    }
    Ok(())
}

fn main() -> Result<(), Error> {
    let docs: Vec<String> = (0..1000).map(document).collect();
    let size: usize = docs.iter().map(String::len).sum();
    println!("{} bytes a document", size / docs.len());
    measure("no views", &[], &docs)?;
    measure("nothing emitted", &["function(doc){}"], &docs)?;
    measure("two maps", &MAPS, &docs)?;
    measure("maps that write", &["function(doc) { doc.x = 1; emit(doc.date, 1); }"], &docs)?;
    measure_memory()
}
