//! [`Lines`]: what is told, as lines of text in CouchDB's form or as JSON. Each event is one line,
//! whatever is in it. Never waits for a file (`sink` writes), and never chooses what is told.

use std::fmt::{self, Write};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};
use settee_http::{access, date};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::Context;

use super::sink::Sink;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `[level] time node <pid> id message`
    Plain,
    /// The same without the time, the level as the journal wants it.
    Journal,
    /// An object.
    Json,
}

/// Makes lines of events.
pub struct Lines {
    form: Form,
    node: String,
    longest: usize,
    sink: Sink,
}

impl Lines {
    /// Lines of this node, with messages of so many bytes at most.
    pub fn new(form: Form, node: String, longest: usize, sink: Sink) -> Self {
        Lines { form, node, longest, sink }
    }

    fn line(&self, level: Name, time: &str, fields: &Fields, access: bool) -> String {
        if self.form == Form::Json {
            return self.object(level, time, fields);
        }
        let mut line = String::with_capacity(256);
        let (node, pid) = (&self.node, process::id());
        let id = fields.id.as_deref().unwrap_or("--------");
        let _ = match self.form {
            Form::Journal => write!(line, "<{}>{node} <0.{pid}.0> {id} ", level.1),
            _ => write!(line, "[{}] {time} {node} <0.{pid}.0> {id} ", level.0),
        };
        let start = line.len();
        line.push_str(&fields.message);
        for (name, value) in &fields.more {
            if line.len() > start {
                line.push(' ');
            }
            let _ = if access { write!(line, "{value}") } else { write!(line, "{name}={value}") };
        }
        shorten(&mut line, start + self.longest);
        line.push('\n');
        line
    }

    fn object(&self, level: Name, time: &str, fields: &Fields) -> String {
        let mut object = Map::new();
        let fixed = [("time", time), ("level", level.0), ("node", &self.node)];
        object.extend(fixed.map(|(name, value)| (name.to_owned(), value.into())));
        object.extend(fields.id.as_ref().map(|id| ("id".to_owned(), id.as_str().into())));
        let mut message = fields.message.clone();
        shorten(&mut message, self.longest);
        if !message.is_empty() {
            object.insert("message".to_owned(), message.into());
        }
        for (name, value) in &fields.more {
            let mut text = value.clone();
            shorten(&mut text, self.longest);
            let number = fields.numbers.contains(name).then(|| text.parse::<u64>().ok()).flatten();
            object.insert((*name).to_owned(), number.map_or(text.into(), Value::from));
        }
        let mut line = Value::Object(object).to_string();
        line.push('\n');
        line
    }
}

impl<S: Subscriber> Layer<S> for Lines {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let level = name(event.metadata());
        let mut fields = Fields::default();
        event.record(&mut fields);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let time = date::log(since);
        let access = event.metadata().target() == access::TARGET;
        let urgent = *event.metadata().level() <= Level::WARN;
        self.sink.push(self.line(level, &time, &fields, access).as_bytes(), urgent);
    }
}

/// A level's name and its number in the journal.
type Name = (&'static str, u8);

fn name(of: &Metadata<'_>) -> Name {
    match *of.level() {
        _ if of.target() == access::TARGET => ("notice", 5),
        Level::ERROR => ("error", 3),
        Level::WARN => ("warning", 4),
        Level::INFO => ("info", 6),
        Level::DEBUG | Level::TRACE => ("debug", 7),
    }
}

/// An event's fields, as text that does not leave its line.
#[derive(Default)]
struct Fields {
    message: String,
    id: Option<String>,
    more: Vec<(&'static str, String)>,
    /// Those of them that are numbers.
    numbers: Vec<&'static str>,
}

impl Fields {
    fn take(&mut self, field: &Field, text: String) {
        match field.name() {
            "message" => self.message = text,
            "id" => self.id = Some(text),
            name => self.more.push((name, text)),
        }
    }
}

impl Visit for Fields {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, in_line(&format!("{value:?}")));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, in_line(value));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.numbers.push(field.name());
        self.take(field, value.to_string());
    }
}

/// Nothing that a stranger sent begins a line of its own.
fn in_line(text: &str) -> String {
    if !text.contains(char::is_control) {
        return text.to_owned();
    }
    let letters = text.chars().map(|letter| match letter.is_control() {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    });
    letters.collect()
}

fn shorten(text: &mut String, longest: usize) {
    if text.len() > longest {
        let end = (0..=longest).rev().find(|&at| text.is_char_boundary(at));
        text.truncate(end.unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::sink::Output;

    fn line(form: Form, longest: usize, fields: &Fields, access: bool) -> String {
        let sink = Sink::new(Output::Stderr).unwrap();
        let lines = Lines::new(form, "a@b".to_owned(), longest, sink);
        let level = if access { ("notice", 5) } else { ("info", 6) };
        lines.line(level, "T", fields, access).replace(&process::id().to_string(), "PID")
    }

    #[test]
    fn a_request_is_a_line() {
        let fields = Fields {
            id: Some("0123456789".to_owned()),
            more: vec![("host", "h:1".into()), ("user", "ann".into()), ("ms", "3".into())],
            numbers: vec!["ms"],
            ..Fields::default()
        };
        let plain = "[notice] T a@b <0.PID.0> 0123456789 h:1 ann 3\n";
        assert_eq!(line(Form::Plain, 100, &fields, true), plain);
        let journal = "<5>a@b <0.PID.0> 0123456789 h:1 ann 3\n";
        assert_eq!(line(Form::Journal, 100, &fields, true), journal);
        assert_eq!(
            line(Form::Json, 100, &fields, true),
            "{\"time\":\"T\",\"level\":\"notice\",\"node\":\"a@b\",\"id\":\"0123456789\",\
             \"host\":\"h:1\",\"user\":\"ann\",\"ms\":3}\n"
        );
    }

    #[test]
    fn other_messages_name_their_fields_and_stay_short() {
        let more = vec![("why", in_line("a\n[error] b"))];
        let fields = Fields { message: "closing".to_owned(), more, ..Fields::default() };
        let told = "[info] T a@b <0.PID.0> -------- closing why=a\\n[error] b\n";
        assert_eq!(line(Form::Plain, 100, &fields, false), told);
        let short = "[info] T a@b <0.PID.0> -------- closi\n";
        assert_eq!(line(Form::Plain, 5, &fields, false), short);
    }
}
