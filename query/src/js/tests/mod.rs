//! Tests of the functions of design documents, by kind. Expectations marked as recorded are what
//! CouchDB 3.5.0 answered.

mod compile;
mod design;
mod documents;
mod render;
mod sandbox;
mod views;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::{Design, Error, Limits, Log, Views, ViewsSource};

/// Limits that an attack reaches soon, and that nothing else reaches on a slow machine.
fn tight() -> Limits {
    Limits { memory: 16 << 20, time: Duration::from_millis(400), ..Limits::default() }
}

/// Lines that were logged.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

impl Lines {
    fn log(&self) -> Log {
        let lines = Arc::clone(&self.0);
        Arc::new(move |line| lines.lock().unwrap().push(line.to_owned()))
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn views_of(maps: &[&str]) -> Views {
    views_with(maps, None, Limits::default(), &Lines::default())
}

fn views_with(maps: &[&str], lib: Option<Value>, limits: Limits, lines: &Lines) -> Views {
    let source = ViewsSource {
        maps: maps.iter().map(|&map| map.to_owned()).collect(),
        lib: lib.map(|lib| lib.to_string().into_bytes()),
        ..ViewsSource::default()
    };
    Views::new(source, limits, lines.log())
}

/// All rows of one document.
fn rows(views: &mut Views, doc: &Value) -> Result<Value, Error> {
    let doc = doc.to_string();
    let mut found = Value::Null;
    views.map([doc.as_bytes()], |rows| found = serde_json::from_str(rows.json()).unwrap())?;
    Ok(found)
}

/// Rows of one view for one document.
fn map(source: &str, doc: &Value) -> Value {
    rows(&mut views_of(&[source]), doc).unwrap()[0].take()
}

/// What a map emits as its first key.
fn emits(source: &str) -> Value {
    map(source, &json!({"_id": "d", "a": 1}))[0][0].take()
}

fn design_of(ddoc: Value) -> Design {
    design_with(ddoc, &Lines::default())
}

fn design_with(ddoc: Value, lines: &Lines) -> Design {
    Design::new(ddoc.to_string().into_bytes(), Limits::default(), lines.log())
}

fn thrown(error: &str, reason: Value) -> Error {
    Error::Thrown { error: error.to_owned(), reason: reason.to_string() }
}
