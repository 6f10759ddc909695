//! [`Answer`]: how the lines of a `_bulk_get` look in JSON and in multipart. Pure.

use http::header::CONTENT_TYPE;
use settee_cluster::docs::{RevResult, Revs};
use settee_model::json::escape_into;
use settee_model::rev::Rev;

use super::line::{Line, Want};
use crate::error::Error;
use crate::random::hex_32;
use crate::render::Script;
use crate::render::doc::{self, Atts, View, write_rev};
use crate::render::multipart::{self, Boundaries};
use crate::reply::Reply;

/// An answer that is being written.
pub struct Answer {
    view: View,
    format: Format,
    lines: usize,
}

enum Format {
    Json,
    Multipart { media: &'static str, outer: String, inner: String },
}

/// A media type that is not JSON.
pub struct Media(String);

impl Media {
    /// Sets it on an answer.
    pub fn on(&self, reply: Reply) -> Reply {
        reply.header(CONTENT_TYPE, &self.0)
    }
}

impl Answer {
    /// An answer in JSON.
    pub fn json(view: View) -> Self {
        Answer { view, format: Format::Json, lines: 0 }
    }

    /// An answer in parts.
    pub fn multipart(media: &'static str, view: View) -> Self {
        let [outer, inner] = [(); 2].map(|()| format!("--{}", hex_32()));
        Answer { view, format: Format::Multipart { media, outer, inner }, lines: 0 }
    }

    /// Its media type, unless it is JSON.
    pub fn content_type(&self) -> Option<Media> {
        match &self.format {
            Format::Json => None,
            Format::Multipart { media, outer, .. } => {
                Some(Media(format!("{media}; boundary=\"{outer}\"")))
            }
        }
    }

    /// Appends the answer to a line.
    pub fn line(
        &mut self,
        script: &mut Script,
        line: &Line,
        result: Result<Vec<RevResult>, Error>,
    ) {
        let refusal = refusal(line, &result);
        let results = result.unwrap_or_default();
        let view = self.view_of(line);
        self.lines += 1;
        match &self.format {
            Format::Json => {
                script.push(if self.lines == 1 { "{\"results\":[{\"id\":" } else { ",{\"id\":" });
                script.push(&line.id);
                script.push(",\"docs\":[");
                if let Some(refusal) = refusal {
                    script.push("{\"error\":");
                    script.push(refusal);
                    script.push("}");
                }
                for (index, result) in results.iter().enumerate() {
                    if index > 0 {
                        script.push(",");
                    }
                    json_result(script, &line.id, result, &view);
                }
                script.push("]}");
            }
            Format::Multipart { outer, inner, .. } => {
                let marks = Boundaries { outer, inner };
                let view = multipart::following(&view);
                if let Some(refusal) = refusal {
                    multipart::bulk_error(script, outer, &refusal);
                }
                for result in &results {
                    part(script, marks, result, &view);
                }
            }
        }
    }

    /// Appends what comes after the last line.
    pub fn end(&self, script: &mut Script) {
        match &self.format {
            Format::Json if self.lines == 0 => script.push("{\"results\":[]}"),
            Format::Json => script.push("]}"),
            Format::Multipart { .. } if self.lines == 0 => {}
            Format::Multipart { outer, .. } => multipart::bulk_end(script, outer),
        }
    }

    fn view_of(&self, line: &Line) -> View {
        match &line.want {
            Want::Revs { atts_since: Some(revs), .. } => {
                View { atts: Atts::Inline, atts_since: Some(revs.clone()), ..self.view.clone() }
            }
            _ => self.view.clone(),
        }
    }
}

/// The error that stands for the whole line, if nothing can be given.
fn refusal(line: &Line, result: &Result<Vec<RevResult>, Error>) -> Option<Vec<u8>> {
    let mut asked = Vec::new();
    match (&line.want, result) {
        (Want::Nothing { rev, error, reason }, _) => Some(error_json(&line.id, rev, error, reason)),
        (Want::Revs { .. }, Ok(results)) if !results.is_empty() => None,
        (Want::Revs { revs, .. }, result) => {
            match revs {
                Revs::Some(revs) => revs.iter().take(1).for_each(|rev| write_rev(&mut asked, rev)),
                Revs::All => asked.extend_from_slice(b"\"undefined\""),
            }
            match result {
                Ok(_) => Some(error_json(&line.id, &asked, "not_found", "missing")),
                Err(error) => {
                    let (_, name, reason) = error.info();
                    Some(error_json(&line.id, &asked, name, &reason))
                }
            }
        }
    }
}

/// An error of a line; id and revision are JSON already. CouchDB has this order.
fn error_json(id: &[u8], rev: &[u8], error: &str, reason: &str) -> Vec<u8> {
    let mut out = [b"{\"rev\":", rev, b",\"reason\":"].concat();
    escape_into(&mut out, reason);
    out.extend_from_slice(b",\"id\":");
    out.extend_from_slice(id);
    out.extend_from_slice(b",\"error\":");
    escape_into(&mut out, error);
    out.push(b'}');
    out
}

fn json_result(script: &mut Script, id: &[u8], result: &RevResult, view: &View) {
    match result {
        RevResult::Found(found) => {
            script.push("{\"ok\":");
            doc::write(script, found, view, None);
        }
        RevResult::Missing(rev) => {
            script.push("{\"error\":");
            script.push(error_json(id, &rev_json(rev), "not_found", "missing"));
        }
    }
    script.push("}");
}

fn part(script: &mut Script, marks: Boundaries<'_>, result: &RevResult, view: &View) {
    match result {
        RevResult::Found(found) => multipart::bulk_doc(script, marks, found, view),
        RevResult::Missing(rev) => {
            let json = [b"{\"rev\":", rev_json(rev).as_slice(), MISSING].concat();
            multipart::bulk_error(script, marks.outer, &json);
        }
    }
}

const MISSING: &[u8] = b",\"error\":\"not_found\",\"reason\":\"missing\"}";

fn rev_json(rev: &Rev) -> Vec<u8> {
    let mut json = Vec::with_capacity(40);
    write_rev(&mut json, rev);
    json
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use settee_model::doc::{DocRecord, StoredDoc};
    use settee_model::docid::DocId;
    use settee_model::json::{Limits, Raw};
    use settee_model::rev::RevPath;

    use super::*;

    fn line(text: &str) -> Line {
        Line::parse(Raw(text.as_bytes()), &Limits::default(), false).unwrap()
    }

    fn found(id: &str, rev: &str) -> RevResult {
        RevResult::Found(StoredDoc {
            id: DocId::trusted(id),
            revs: RevPath::single(rev.parse().unwrap()),
            deleted: false,
            record: DocRecord { atts: vec![], body: Bytes::from_static(b"{}") },
        })
    }

    fn missing(rev: &str) -> RevResult {
        RevResult::Missing(rev.parse().unwrap())
    }

    fn whole(mut answer: Answer, lines: Vec<(&str, Result<Vec<RevResult>, Error>)>) -> String {
        let mut script = Script::default();
        for (text, result) in lines {
            answer.line(&mut script, &line(text), result);
        }
        answer.end(&mut script);
        let text = String::from_utf8(script.into_text().unwrap()).unwrap();
        match &answer.format {
            Format::Json => text,
            Format::Multipart { outer, .. } => text.replace(outer, "O"),
        }
    }

    fn lines() -> Vec<(&'static str, Result<Vec<RevResult>, Error>)> {
        vec![
            (r#"{"id":"c"}"#, Ok(vec![found("c", "2-b"), found("c", "2-c")])),
            (r#"{"id":"c","rev":"1-a"}"#, Ok(vec![missing("1-a")])),
            (r#"{"id":"nope"}"#, Ok(vec![])),
            (r#"{"id":"c","rev":"zz"}"#, Ok(vec![])),
            (r#"{"id":"c","rev":"1-a"}"#, Err(Error::Timeout)),
        ]
    }

    #[test]
    fn as_json() {
        let text = whole(Answer::json(View::default()), lines());
        let timeout = "The request could not be processed in a reasonable amount of time.";
        let expected = [
            r#"{"results":[{"id":"c","docs":[{"ok":{"_id":"c","_rev":"2-b"}},{"ok":{"_id":"c","_rev":"2-c"}}]}"#,
            r#",{"id":"c","docs":[{"error":{"rev":"1-a","reason":"missing","id":"c","error":"not_found"}}]}"#,
            r#",{"id":"nope","docs":[{"error":{"rev":"undefined","reason":"missing","id":"nope","error":"not_found"}}]}"#,
            r#",{"id":"c","docs":[{"error":{"rev":"zz","reason":"Invalid rev format","id":"c","error":"bad_request"}}]}"#,
            &format!(
                r#",{{"id":"c","docs":[{{"error":{{"rev":"1-a","reason":"{timeout}","id":"c","error":"timeout"}}}}]}}]}}"#
            ),
        ];
        assert_eq!(text, expected.concat());
        assert_eq!(whole(Answer::json(View::default()), vec![]), r#"{"results":[]}"#);
    }

    #[test]
    fn as_multipart() {
        let answer = || Answer::multipart("multipart/mixed", View::default());
        let text = whole(answer(), lines().into_iter().take(4).collect());
        let part = |json: &str| format!("\r\n--O\r\nContent-Type: application/json\r\n\r\n{json}");
        let error = |json: &str| {
            format!("\r\n--O\r\nContent-Type: application/json; error=\"true\"\r\n\r\n{json}")
        };
        let expected = [
            part(r#"{"_id":"c","_rev":"2-b"}"#),
            part(r#"{"_id":"c","_rev":"2-c"}"#),
            error(r#"{"rev":"1-a","error":"not_found","reason":"missing"}"#),
            error(r#"{"rev":"undefined","reason":"missing","id":"nope","error":"not_found"}"#),
            error(r#"{"rev":"zz","reason":"Invalid rev format","id":"c","error":"bad_request"}"#),
            "\r\n--O--\r\n".to_owned(),
        ];
        assert_eq!(text, expected.concat());
        assert_eq!(whole(answer(), vec![]), "");
    }
}
