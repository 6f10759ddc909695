//! The text of an answer to `_find`, piece by piece, as CouchDB lays it out. Never holds more
//! than a piece.

use settee_model::json::escape_into;

use super::cursor::Summary;

/// An answer that is being written.
#[derive(Debug, Default)]
pub struct Response {
    rows: bool,
}

impl Response {
    /// What it begins with.
    pub fn begin(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"docs\":[");
    }

    /// A document, as it is shown.
    pub fn row(&mut self, out: &mut Vec<u8>, shown: &[u8]) {
        out.extend_from_slice(if self.rows { b",\r\n" } else { b"\r\n" });
        out.extend_from_slice(shown);
        self.rows = true;
    }

    /// What it ends with, but for the line feed after every streamed answer. `milliseconds`: how
    /// long it took.
    pub fn end(&self, out: &mut Vec<u8>, summary: &Summary, milliseconds: f64) {
        out.extend_from_slice(b"\r\n]");
        if let Some(bookmark) = &summary.bookmark {
            member(out, "bookmark");
            escape_into(out, bookmark);
        }
        if let Some(stats) = summary.stats {
            member(out, "execution_stats");
            out.extend_from_slice(stats.to_json(milliseconds).as_bytes());
        }
        if let Some(warning) = &summary.warning {
            member(out, "warning");
            escape_into(out, warning);
        }
        out.extend_from_slice(b"}\r\n");
    }
}

fn member(out: &mut Vec<u8>, name: &str) {
    out.extend_from_slice(b",\r\n");
    escape_into(out, name);
    out.extend_from_slice(b": ");
}
