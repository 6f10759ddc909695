//! The lines of a `_bulk_get` request: what each asks for, or why it gets nothing.

use settee_cluster::docs::Revs;
use settee_model::docid::{DocId, DocIdError};
use settee_model::json::{Elements, Limits, Raw};
use settee_model::partition;
use settee_model::rev::Rev;

use super::super::doc_query::rev_of_json;
use crate::error::Error;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The id that the client gave, as JSON.
    pub id: Vec<u8>,
    /// What it asks for.
    pub want: Want,
}

/// What a line asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Want {
    /// Revisions of a document.
    Revs {
        /// The document.
        id: DocId,
        /// All leaves, or one revision.
        revs: Revs,
        /// If given, attachments that came later than these are sent along.
        atts_since: Option<Vec<Rev>>,
    },
    /// Nothing that could be given.
    Nothing {
        /// What the client gave in the place of a revision, as JSON.
        rev: Vec<u8>,
        /// The name of the error.
        error: &'static str,
        /// What is wrong.
        reason: String,
    },
}

/// The lines of a request.
///
/// # Errors
/// 400 if there are none.
pub fn array(request: Raw<'_>) -> Result<Elements<'_>, Error> {
    if !request.is_object() {
        return Err(Error::bad_request("Request body must be a JSON object"));
    }
    let docs = request.get("docs");
    let docs = docs.ok_or_else(|| Error::bad_request("Missing JSON list of 'docs'."))?;
    docs.elements().ok_or_else(|| Error::bad_request("`docs` parameter must be an array."))
}

impl Line {
    /// Reads a line. One that makes no sense does not spoil the others, unless its id is none.
    ///
    /// # Errors
    /// 400 for an id that is no string.
    pub fn parse(raw: Raw<'_>, limits: &Limits, partitioned: bool) -> Result<Self, Error> {
        if raw.get("id").is_some_and(|id| id.as_str().is_none()) {
            return Err(Error::bad_request(DocIdError::NotString.to_string()));
        }
        Ok(Self::read(raw, limits, partitioned))
    }

    fn read(raw: Raw<'_>, limits: &Limits, partitioned: bool) -> Self {
        let null = || b"null".to_vec();
        let nothing =
            |id, rev, (error, reason)| Line { id, want: Want::Nothing { rev, error, reason } };
        if raw.members().is_none_or(|mut members| members.next().is_none()) {
            return nothing(null(), null(), bad_request("document must be a JSON object"));
        }
        let Some(given) = raw.get("id") else {
            return nothing(null(), null(), bad_request("document id missed"));
        };
        let id = match check_id(given, limits, partitioned) {
            Ok(id) => id,
            Err(refusal) => return nothing(given.to_vec(), null(), refusal),
        };
        let revs = match raw.get("rev") {
            None => Revs::All,
            Some(rev) => match rev_of_json(rev) {
                Ok(rev) => Revs::Some(vec![rev]),
                Err(_) => {
                    return nothing(
                        given.to_vec(),
                        rev.to_vec(),
                        bad_request("Invalid rev format"),
                    );
                }
            },
        };
        match atts_since(raw) {
            Ok(atts_since) => {
                Line { id: given.to_vec(), want: Want::Revs { id, revs, atts_since } }
            }
            Err((rev, refusal)) => nothing(given.to_vec(), rev.to_vec(), refusal),
        }
    }
}

type Refusal = (&'static str, String);

fn bad_request(reason: &str) -> Refusal {
    ("bad_request", reason.to_owned())
}

fn check_id(given: Raw<'_>, limits: &Limits, partitioned: bool) -> Result<DocId, Refusal> {
    let text = given.as_str().unwrap_or_default();
    let id = DocId::parse(&text, limits.id_length);
    let id = id.map_err(|error| ("illegal_docid", error.to_string()))?;
    if partitioned {
        let checked = partition::check_doc_id(&id, limits.id_length);
        checked.map_err(|error| (error.error(), error.to_string()))?;
    }
    Ok(id)
}

/// An empty list is as good as none.
fn atts_since(raw: Raw<'_>) -> Result<Option<Vec<Rev>>, (Raw<'_>, Refusal)> {
    let Some(given) = raw.get("atts_since") else { return Ok(None) };
    let Some(elements) = given.elements() else {
        return Err((given, bad_request("att_since value must be array of revs.")));
    };
    let read = |rev| rev_of_json(rev).map_err(|_| (rev, bad_request("Invalid rev format")));
    let revs = elements.map(read).collect::<Result<Vec<Rev>, _>>()?;
    Ok((!revs.is_empty()).then_some(revs))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Line {
        Line::parse(Raw(text.as_bytes()), &Limits::default(), false).unwrap()
    }

    fn refused(text: &str) -> (String, String, &'static str, String) {
        let line = parse(text);
        let Want::Nothing { rev, error, reason } = line.want else { panic!("{text} is fine") };
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (text(line.id), text(rev), error, reason)
    }

    #[test]
    fn lines_that_ask_for_something() {
        let id = DocId::trusted("a");
        let want = |revs, atts_since| Line {
            id: b"\"a\"".to_vec(),
            want: Want::Revs { id: id.clone(), revs, atts_since },
        };
        let rev: Rev = "1-x".parse().unwrap();
        assert_eq!(parse(r#"{"id":"a"}"#), want(Revs::All, None));
        assert_eq!(parse(r#"{"id":"a","rev":"1-x"}"#), want(Revs::Some(vec![rev.clone()]), None));
        assert_eq!(parse(r#"{"id":"a","atts_since":[]}"#), want(Revs::All, None));
        let since = r#"{"id":"a","atts_since":["1-x"]}"#;
        assert_eq!(parse(since), want(Revs::All, Some(vec![rev])));
    }

    #[test]
    fn lines_that_make_no_sense() {
        let is = |text: &str, id: &str, rev: &str, error, reason: &str| {
            assert_eq!(refused(text), (id.to_owned(), rev.to_owned(), error, reason.to_owned()));
        };
        for text in ["[]", "{}", "3"] {
            is(text, "null", "null", "bad_request", "document must be a JSON object");
        }
        is(r#"{"rev":"1-a"}"#, "null", "null", "bad_request", "document id missed");
        let underscore = "Only reserved document ids may start with underscore.";
        is(r#"{"id":"_x"}"#, "\"_x\"", "null", "illegal_docid", underscore);
        let format = "Invalid rev format";
        is(r#"{"id":"c","rev":"zz"}"#, "\"c\"", "\"zz\"", "bad_request", format);
        is(r#"{"id":"c","rev":null}"#, "\"c\"", "null", "bad_request", format);
        is(r#"{"id":"c","atts_since":["1-a",3]}"#, "\"c\"", "3", "bad_request", format);
        let array = "att_since value must be array of revs.";
        is(r#"{"id":"c","atts_since":"zz"}"#, "\"c\"", "\"zz\"", "bad_request", array);
    }

    #[test]
    fn an_id_that_is_no_string_spoils_all() {
        for text in [r#"{"id":3}"#, r#"{"id":null,"rev":"1-a"}"#] {
            assert!(Line::parse(Raw(text.as_bytes()), &Limits::default(), false).is_err());
        }
    }

    #[test]
    fn partitioned_databases_want_a_partition() {
        let line = Line::read(Raw(br#"{"id":"zz"}"#), &Limits::default(), true);
        let Want::Nothing { reason, .. } = line.want else { panic!() };
        assert_eq!(reason, "Doc id must be of form partition:id");
    }
}
