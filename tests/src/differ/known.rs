//! Differences on purpose: each with words of its row in `docs/compatibility.md`. This is the only
//! place that forgives; what is not here is a finding.

use crate::client::Response;
use crate::script::Step;

/// One exchange with both servers.
pub struct Met<'a> {
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
const KNOWN: [Known; 14] = [
    Known {
        row: "an edit with a `_rev` of a document that does not exist",
        applies: |met| {
            let named = |part| met.asks(part) || met.says(part) || met.has(part);
            let made_up = (named("rev=") || named("_rev") || named("If-Match")) && !named("{{r");
            made_up && met.ours.text().contains("Document update conflict.")
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
        row: "the order of members of `_revs_diff` and `_missing_revs`",
        applies: |met| {
            let members = |answer: &Response| {
                let body = answer.json().unwrap_or_default();
                let body = body.get("missing_revs").unwrap_or(&body).clone();
                let mut members: Vec<String> =
                    body.as_object().into_iter().flatten().map(|one| format!("{one:?}")).collect();
                members.sort();
                members
            };
            (met.asks("/_revs_diff") || met.asks("/_missing_revs"))
                && members(met.theirs) == members(met.ours)
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
        row: "a `_local` document with `_revisions`",
        applies: |met| met.says("_revisions") && (met.asks("_local/") || met.says("_local/")),
    },
    Known {
        row: "text and nouveau indexes",
        applies: |met| met.says("\"type\":\"text\"") || met.says("$text"),
    },
    Known {
        row: "requests that crash a handler there",
        applies: |met| met.crash_that_is_refused(),
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

    /// A crash there, a refusal with a reason here.
    fn crash_that_is_refused(&self) -> bool {
        self.theirs.status == 500 && (400..500).contains(&self.ours.status)
    }
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
