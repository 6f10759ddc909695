//! Differences on purpose: each with words of its row in `docs/compatibility.md`. This is the only
//! place that forgives; what is not here is a finding.

use serde_json::Value;

use crate::client::Response;
use crate::script::Step;

/// One exchange with both servers.
pub struct Met<'a> {
    /// What was asked before in the conversation.
    pub before: &'a [Step],
    /// What was asked.
    pub step: &'a Step,
    /// What CouchDB answered.
    pub theirs: &'a Response,
    /// What the server under test answered.
    pub ours: &'a Response,
    /// How that differs.
    pub lines: &'a [String],
}

/// A row, and whether it is the reason of a difference.
struct Known {
    row: &'static str,
    applies: fn(&Met) -> bool,
}

/// The first that applies is the reason: what is said of one route stands before what is said of all.
const KNOWN: [Known; 22] = [
    Known {
        row: "an edit with a `_rev` of a document that does not exist",
        applies: |met| {
            let named = |part| met.asks(part) || met.says(part) || met.has(part);
            let named = named("rev=") || named("_rev") || named("If-Match");
            named && met.ours.text().contains("Document update conflict.")
        },
    },
    Known {
        row: "`_find` with `$in` and `$or` on indexed fields and on `_id`",
        applies: |met| {
            let examined = |line: &String| line.starts_with("/execution_stats/");
            let planned = met.asks("/_explain") || met.lines.iter().all(examined);
            (met.says("$in") || met.says("$or")) && planned
        },
    },
    Known {
        row: "a `_local` document with a revision that is no `0-N`",
        applies: |met| met.step.request.path.contains("_local") && met.crash_that_is_refused(),
    },
    Known {
        row: "`_security` with values of the wrong type",
        applies: |met| met.asks("/_security") && met.crash_that_is_refused(),
    },
    Known {
        row: "`use_index`, `_explain` and the names of design documents in `_index`",
        applies: |met| met.asks("/_explain") || met.says("use_index") && met.asks("/_find"),
    },
    Known {
        row: "revisions with numbers above 64 bits; `_revisions` with more ids than `start` allows, or a negative `start`",
        applies: |met| {
            let anywhere = |part| met.asks(part) || met.says(part) || met.has(part);
            anywhere("99999999999999999999-")
                || met.says("\"start\":-")
                || met.says("\"start\":0,")
                || met.says("\"start\":1,")
        },
    },
    Known {
        row: "a path with an empty part (`a..b`) in a selector",
        applies: |met| met.ours.text().contains("Invalid field name: "),
    },
    Known {
        row: "a Mango index with a field `a..b`, or without fields",
        applies: |met| {
            met.theirs.status == 500
                && met.asks("/_find")
                && met.theirs.text().contains("function_clause")
        },
    },
    Known {
        row: "a refused edit of a document whose first ancestors are forgotten",
        applies: |met| {
            let limited = |step: &Step| step.request.path.ends_with("/_revs_limit");
            met.asks("/_changes") && met.before.iter().any(limited)
        },
    },
    Known {
        row: "conditions of a selector with `$beginsWith` that no value can meet",
        applies: |met| {
            let met_by_none = met.theirs.status == 500 && met.ours.status == 200;
            met_by_none && met.asks("/_find") && met.says("$beginsWith")
        },
    },
    Known {
        row: "`_info` of a design document without views",
        applies: |met| {
            let index = |line: &String| line.starts_with("/view_index/");
            met.asks("/_info") && met.lines.iter().all(index)
        },
    },
    Known {
        row: "`offset` of a listing of a partition that has no rows to show",
        applies: |met| {
            let offset = |line: &String| line.contains("/offset: ");
            let empty =
                met.ours.text().split_whitespace().collect::<String>().contains("\"rows\":[]");
            met.asks("/_partition/") && met.lines.iter().all(offset) && empty
        },
    },
    Known {
        row: "`_changes` with a negative `timeout`",
        applies: |met| met.asks("timeout=-") && met.ours.status == 400,
    },
    Known {
        row: "`_changes` with `filter=_doc_ids` that names a document twice",
        applies: |met| met.asks("filter=_doc_ids") && met.names_twice(),
    },
    Known {
        row: "the order of members of `_purge` where one is named twice",
        applies: |met| met.asks("/_purge") && met.differs_in_order("purged"),
    },
    Known {
        row: "the order of members of `_revs_diff` and `_missing_revs`",
        applies: |met| {
            (met.asks("/_revs_diff") || met.asks("/_missing_revs"))
                && met.differs_in_order("missing_revs")
        },
    },
    Known {
        row: "`pending` and `last_seq` of `_changes` with a filter and a `limit`",
        applies: |met| {
            let filtered = met.asks("/_changes") && met.asks("filter=") && met.asks("limit=");
            filtered && met.lines.iter().all(|line| line.starts_with("/pending"))
        },
    },
    Known {
        row: "`_local_docs` of a database with indexes",
        applies: |met| {
            met.asks("/_local_docs") && met.theirs.text().contains("_local/purge-mrview-")
        },
    },
    Known {
        row: "a `_local` document with `_revisions`, and `new_edits=false`",
        applies: |met| {
            let replicated = met.says("_revisions") || met.asks("new_edits=false");
            replicated && (met.asks("_local/") || met.says("_local/"))
        },
    },
    Known {
        row: "text and nouveau indexes",
        applies: |met| met.says("\"type\":\"text\"") || met.says("$text"),
    },
    Known {
        row: "a stub without its attachment in `_bulk_docs` (412)",
        applies: |met| {
            let stubs = |step: &Step| {
                let body = step.request.body.as_deref().unwrap_or_default();
                step.request.path.contains("/_bulk_docs")
                    && String::from_utf8_lossy(body).contains("\"stub\":true")
            };
            met.before.iter().any(stubs)
        },
    },
    Known {
        row: "requests that crash a handler there",
        applies: |met| {
            // A server of Erlang's that went away, or took too long.
            let gone = met.theirs.status == 500 && met.theirs.text().contains("{gen_server,call,");
            gone || met.crash_that_is_refused()
        },
    },
];

impl Met<'_> {
    /// Whether the path holds this.
    fn asks(&self, part: &str) -> bool {
        self.step.request.path.contains(part)
    }

    /// Whether the body holds this.
    fn says(&self, part: &str) -> bool {
        let body = self.step.request.body.as_deref().unwrap_or_default();
        String::from_utf8_lossy(body).contains(part)
    }

    /// Whether a header has this name, or this in its value.
    fn has(&self, part: &str) -> bool {
        let headers = &self.step.request.headers;
        headers.iter().any(|(name, value)| name == part || value.contains(part))
    }

    /// Whether the answers, or those members of them, have the same members.
    fn differs_in_order(&self, name: &str) -> bool {
        let members = |answer: &Response| {
            let body = match part(answer, name) {
                Value::Null => answer.json().unwrap_or_default(),
                part => part,
            };
            let members = body.as_object().into_iter().flatten();
            let mut members: Vec<String> = members.map(|one| format!("{one:?}")).collect();
            members.sort();
            members
        };
        members(self.theirs) == members(self.ours)
    }

    /// Whether `doc_ids`, of the body or the query, holds a document more than once.
    fn names_twice(&self) -> bool {
        let query = self.step.request.path.split(['?', '&']);
        let query = query.filter_map(|part| part.strip_prefix("doc_ids=")).map(decoded);
        let body = self.step.request.body.as_deref().unwrap_or_default();
        let body = serde_json::from_slice::<Value>(body).unwrap_or_default();
        let lists = query.chain(body.get("doc_ids").map(Value::to_string));
        lists.into_iter().any(|list| {
            let ids = serde_json::from_str::<Vec<Value>>(&list).unwrap_or_default();
            ids.iter().enumerate().any(|(at, id)| ids.iter().take(at).any(|other| other == id))
        })
    }

    /// A crash there, a refusal with a reason here.
    fn crash_that_is_refused(&self) -> bool {
        self.theirs.status == 500 && (400..500).contains(&self.ours.status)
    }
}

/// A member of an answer, `null` if it has none.
fn part(answer: &Response, name: &str) -> Value {
    answer.json().unwrap_or_default().get(name).cloned().unwrap_or_default()
}

/// A value of a query without its percent signs.
fn decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, more)) = rest.split_first() {
        let hex = more.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
        let code = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (byte, code) {
            (b'%', Some(code)) => {
                bytes.push(code);
                rest = more.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(*byte);
                rest = more;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// The row that has the reason for this difference.
#[must_use]
pub fn row(met: &Met) -> Option<&'static str> {
    KNOWN.iter().find(|known| (known.applies)(met)).map(|known| known.row)
}

/// All rows that are named here.
#[must_use]
pub fn rows() -> Vec<&'static str> {
    KNOWN.iter().map(|known| known.row).collect()
}
