//! Differences on purpose: each with words of its row in `docs/compatibility.md`. This is the only
//! place that forgives; what is not here is a finding.

use serde_json::Value;

use super::met::{Met, part, place, revs_of};
use crate::client::Response;
use crate::script::Step;

/// A row, and whether it is the reason of a difference.
struct Known {
    row: &'static str,
    applies: fn(&Met) -> bool,
}

/// The signature of a design document without views.
const NO_VIEWS: &str = "da39a3ee5e6b4b0d3255bfef95601890";

/// The first that applies is the reason: what is said of one route stands before what is said of all.
const KNOWN: [Known; 44] = [
    Known {
        row: "an edit with a `_rev` of a document that does not exist",
        applies: |met| {
            let named = |part| met.asks(part) || met.says(part) || met.has(part);
            let named_rev = named("rev=") || named("_rev") || named("If-Match");
            // One that was captured was right once, unless its document was purged.
            let gone = |step: &Step| step.is("/_purge");
            let captured = match met.step.request.method.as_str() {
                "COPY" => met.has("{{r"),
                // What the query says of a revision counts for nothing there.
                "POST" => met.says("{{r"),
                _ => named("{{r"),
            };
            let refused = |line: &String| line.contains("Document update conflict.");
            let literal =
                met.lines.iter().filter(|line| refused(line)).all(|line| met.makes_up(line));
            let made_up = !captured
                || met.edits_a_stranger()
                || met.before.iter().any(gone)
                || met.step.is("/_bulk_docs") && literal;
            // One without an id has another on each side.
            let new_name = |line: &String| place(line).ends_with("/id");
            let only = match met.step.is("/_bulk_docs") {
                true => {
                    // What is written there is in the way of the next edit of it.
                    let follows = |line| refused(line) || new_name(line) || met.comes_again(line);
                    let any = met.lines.iter().any(refused) || met.lines.iter().all(new_name);
                    any && met.lines.iter().all(follows)
                }
                false => met.lines.iter().any(refused) && (200..300).contains(&met.theirs.status),
            };
            named_rev && made_up && only
        },
    },
    Known {
        row: "`_find` with `$in` and `$or` on indexed fields and on `_id`",
        applies: |met| {
            let examined = |line: &String| {
                line.starts_with("/execution_stats/") || line.starts_with("/warning")
            };
            let planned = met.asks("/_explain") || met.lines.iter().all(examined);
            let nested = ["$in", "$or", "$nor"];
            let fewer = !met.ours.text().contains("examined is high");
            let member = "were [\"docs\", \"bookmark\", \"warning\"], are [\"docs\", \"bookmark\"]";
            let warning = |line: &String| line.starts_with("/warning") || line.contains(member);
            let warned = met.lines.iter().all(warning) && fewer;
            // Conditions that exclude each other.
            let none = met.gives_no("docs") && met.lines.iter().all(examined) && fewer;
            warned || none || nested.iter().any(|operator| met.says(operator)) && planned
        },
    },
    Known {
        row: "a `_local` document with a revision that is no `0-N`",
        applies: |met| {
            let refused = |line: &String| line.ends_with("is \"bad_request\"");
            let among_many = met.says("\"_local/") && met.lines.iter().all(refused);
            among_many || met.asks("_local") && met.crash_that_is_refused()
        },
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
                || met.before.iter().chain([met.step]).any(Step::names_too_many)
        },
    },
    Known {
        row: "a path with an empty part (`a..b`) in a selector",
        applies: |met| met.ours.text().contains("Invalid field name: "),
    },
    Known {
        row: "a Mango index with a field `a..b`, or without fields",
        applies: |met| {
            let empty = |step: &Step| step.says("\"fields\":[]");
            let chosen = met.asks("/_find") && met.before.iter().any(empty);
            let crash = met.theirs.status == 500 && met.theirs.text().contains("function_clause");
            chosen || met.asks("/_find") && crash
        },
    },
    Known {
        row: "a refused edit of a document whose first ancestors are forgotten",
        applies: |met| {
            met.before.iter().any(Step::limits_revs) && met.lists_changes_in_another_order()
        },
    },
    Known {
        row: "a known ancestor that arrives with its body",
        applies: |met| {
            let design = |step: &Step| step.asks("/_design/") || step.says("\"_design/");
            let looked_at = |step: &Step| design(step) || step.says("\"_attachments\"");
            let now_there = "status: was \"missing\", is \"available\"";
            let available = |line: &String| line.ends_with(now_there);
            let given = |line: &String| line.contains("members were [\"error\"], are [\"ok\"]");
            let kept = |line: &String| available(line) || met.step.is("/_bulk_get") && given(line);
            let found = met.asks("rev=") && (met.theirs.status, met.ours.status) == (404, 200);
            met.before.iter().any(looked_at)
                && met.before.iter().any(Step::is_replicated)
                && (met.lists_changes_in_another_order() || met.lines.iter().all(kept) || found)
        },
    },
    Known {
        row: "`_conflicts` of a document without any in `_changes` with `filter=_selector`",
        applies: |met| {
            let member = |line: &String| line.contains("\"_conflicts\"");
            met.asks("filter=") && met.asks("conflicts=true") && met.lines.iter().all(member)
        },
    },
    Known {
        row: "one of the `queries` of a view or of `_all_docs` that cannot be answered",
        applies: |met| {
            let refused = met.theirs.status == 0 && met.ours.status == 400;
            refused && met.step.is("/queries")
        },
    },
    Known {
        row: "a filter that throws for a change beyond `limit`",
        applies: |met| {
            let beyond = (met.theirs.status, met.ours.status) == (500, 200);
            beyond && met.step.is("/_changes") && met.asks("filter=") && met.asks("limit=")
        },
    },
    Known {
        row: "a filter of `_changes` that throws",
        applies: |met| {
            let broke_off = met.theirs.status == 0 && met.ours.status == 500;
            // What was thrown, with a trace of Erlang's.
            let traced = met.theirs.text().contains("couch_query_servers,");
            (broke_off || traced) && met.step.is("/_changes") && met.asks("filter=")
        },
    },
    Known {
        row: "a bookmark of `_find` whose document has gone",
        applies: |met| {
            let gone = |step: &Step| {
                step.request.method == "DELETE" || step.is("/_purge") || step.says("_deleted")
            };
            let shown = |answer: &Response| part(answer, "docs").as_array().map(Vec::len);
            met.step.is("/_find")
                && met.says("\"bookmark\"")
                && met.before.iter().any(gone)
                && shown(met.ours) > shown(met.theirs)
        },
    },
    Known {
        row: "conditions of a selector with `$beginsWith` that no value can meet",
        applies: |met| {
            let met_by_none = met.theirs.status == 500 && met.ours.status == 200;
            met_by_none && met.says("$beginsWith") && met.gives_no("docs")
        },
    },
    Known {
        row: "`_info` of a design document without views",
        applies: |met| {
            let index = |line: &String| line.starts_with("/view_index/");
            let none = part(met.ours, "view_index");
            let none = none.get("signature").and_then(Value::as_str) == Some(NO_VIEWS);
            met.step.is("/_info") && none && met.lines.iter().all(index)
        },
    },
    Known {
        row: "`signature`, `waiting_commit` and `updates_pending` in `_info`",
        applies: |met| {
            let own = [
                "signature",
                "waiting_commit",
                "updates_pending/",
                "updater_running",
                "waiting_clients",
            ];
            let is_own = |line: &String| {
                let member = line.strip_prefix("/view_index/").unwrap_or_default();
                own.iter().any(|name| member.starts_with(name))
            };
            met.step.is("/_info") && met.lines.iter().all(is_own)
        },
    },
    Known {
        row: "`_find` with `limit` 0",
        applies: |met| {
            let warned = |line: &String| line.starts_with("/warning");
            met.says("\"limit\":0") && met.lines.iter().all(warned)
        },
    },
    Known {
        row: "a document that `_bulk_docs` deletes and makes anew, with attachments",
        applies: |met| {
            let made = |line: &String| line.contains("are [\"ok\", \"id\", \"rev\"]");
            let looked_at = met.says("\"_attachments\"") || met.says("\"_design/");
            let both = met.says("\"_deleted\":true") && looked_at;
            met.step.is("/_bulk_docs") && both && met.lines.iter().all(made)
        },
    },
    Known {
        row: "`offset` of a listing of a partition",
        applies: |met| {
            let offset = |line: &String| line.contains("/offset: ");
            let placed = met.asks("/_view/") || met.gives_no("rows");
            met.asks("/_partition/") && met.lines.iter().all(offset) && placed
        },
    },
    Known {
        row: "`_changes` with a negative `timeout`",
        applies: |met| met.asks("timeout=-") && met.ours.status == 400,
    },
    Known {
        row: "`_changes` with `filter=_doc_ids` that names a document twice",
        applies: |met| {
            let answered = (met.theirs.status, met.ours.status) == (200, 200);
            answered && met.asks("filter=_doc_ids") && met.names_twice()
        },
    },
    Known {
        row: "the order of members of `_purge` and `_revs_diff` where one is named twice",
        applies: |met| {
            let refused = (met.theirs.status, met.ours.status) == (400, 400);
            let by_first = refused && met.step.repeats_a_member();
            let of_ids = ["/_purge", "/_revs_diff", "/_missing_revs"];
            met.step.is("/_purge") && met.differs_in_order("purged")
                || of_ids.iter().any(|end| met.step.is(end)) && by_first
        },
    },
    Known {
        row: "the order of members of `_revs_diff` and `_missing_revs`",
        applies: |met| {
            (met.step.is("/_revs_diff") || met.step.is("/_missing_revs"))
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
            let replicated = met.says("_revisions") || met.step.is_replicated();
            let local = met.asks("_local/") || met.says("_local/");
            replicated && local && met.ours.text().contains("bad_request")
        },
    },
    Known {
        row: "a purge that finds nothing to purge",
        applies: |met| {
            let indexed = met.asks("/_view/") || met.asks("/_find");
            let fewer = met.theirs.body.len() <= met.ours.body.len();
            met.purged_in_vain() && (indexed && fewer || met.asks("/_changes"))
        },
    },
    Known {
        row: "numbers in documents",
        applies: |met| {
            let indexed = met.before.iter().any(|step| step.is("/_index") && step.says("-0"));
            let revision = |line: &String| place(line).ends_with("rev");
            indexed && met.lines.iter().all(revision)
        },
    },
    Known {
        row: "`revpos` of an attachment that is no number",
        applies: |met| met.lines.iter().all(|line| line.contains("/revpos: was \"")),
    },
    Known {
        row: "keys of `_all_docs` that are no strings, in a partitioned database",
        applies: |met| {
            let listing = met.asks("/_all_docs") || met.asks("/_design_docs");
            // Of several queries the answer may have begun.
            let broke_off = met.step.is("/queries") && met.theirs.status == 0;
            listing && (broke_off || met.theirs.status == 500) && met.ours.status == 200
        },
    },
    Known {
        row: "an attachment that was sent as `gzip` and is none",
        applies: |met| {
            let packed =
                |step: &Step| step.request.headers.iter().any(|(_, value)| value == "gzip");
            // Here the answer may have begun; there it fails in other words.
            let told = match met.ours.status {
                0 => met.theirs.text().contains("data_error"),
                _ => met.ours.text().contains("Attachment is not valid gzip."),
            };
            met.before.iter().any(packed) && [0, 200, 500].contains(&met.theirs.status) && told
        },
    },
    Known {
        row: "`$mod` with divisor 0",
        applies: |met| met.says("$mod") && met.theirs.text().contains("badarith"),
    },
    Known {
        row: "the order of leaves in `_bulk_get`",
        applies: |met| {
            let same = revs_of(met.theirs) == revs_of(met.ours);
            met.step.is("/_bulk_get") && same && met.before.iter().any(Step::limits_revs)
        },
    },
    Known {
        row: "a purge that leaves deleted revisions only",
        applies: |met| {
            let counts = ["/total_rows", "/offset", "/doc_count", "/doc_del_count"];
            let counted = |line: &String| counts.iter().any(|name| place(line).ends_with(name));
            let purged = met.before.iter().any(|step| step.is("/_purge"));
            purged && met.lines.iter().all(counted)
        },
    },
    Known {
        row: "`include_design` in a partitioned database",
        applies: |met| met.theirs.text().contains("inject_partition"),
    },
    Known {
        row: "a `_local` document that a `_bulk_docs` names twice",
        applies: |met| {
            let twice = |step: &Step| {
                let ids = step.text().matches("\"_id\":\"_local/").count();
                step.is("/_bulk_docs") && ids > 1
            };
            let read = met.step.is("/_local_docs") || met.asks("/_local/");
            read && met.before.iter().any(twice)
        },
    },
    Known {
        row: "an attachment whose `content_type` is no text",
        applies: |met| {
            let local = met.asks("/_local/") || met.says("\"_local/");
            let later = [400, 409].contains(&met.theirs.status);
            (local || later) && met.ours.text().contains("Invalid attachment data")
        },
    },
    Known {
        row: "a document that `_bulk_docs` names twice, the second time with a stub",
        applies: |met| {
            let stub = met.theirs.text().contains("missing_stub");
            met.step.is("/_bulk_docs") && stub && met.ours.text().contains("\"conflict\"")
        },
    },
    Known {
        row: "rows of a view with equal keys, asked for by `keys`, from several shards",
        applies: |met| {
            let asked = met.asks("/_view/") && (met.asks("keys=") || met.says("\"keys\""));
            asked && same_rows(met)
        },
    },
    Known {
        row: "text and nouveau indexes",
        applies: |met| met.says("\"type\":\"text\"") || met.says("$text"),
    },
    Known {
        row: "a `reduce` in JavaScript, in a partition",
        applies: |met| {
            let reduced = met.asks("/_partition/") && met.asks("/_view/");
            let silent = met.step.request.method == "HEAD";
            reduced
                && met.theirs.status == 500
                && (silent || met.theirs.text().contains("invalid_ejson"))
        },
    },
    Known {
        row: "requests that crash a handler there",
        applies: |met| {
            // A server of Erlang's that went away, or took too long.
            let gone = met.theirs.status == 500 && met.theirs.text().contains("{gen_server,call,");
            // It crashes with the first change only, and after the answer has begun.
            let style = met.ours.status == 400 && met.ours.text().contains("`style` must be");
            gone || style || met.crash_that_is_refused()
        },
    },
];

/// Whether both gave the same rows in another order, those with the same keys in the same places.
fn same_rows(met: &Met) -> bool {
    let rows = |answer: &Response| {
        let answer: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        answer.get("rows").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let keys = |rows: &[Value]| -> Vec<Option<Value>> {
        rows.iter().map(|row| row.get("key").cloned()).collect()
    };
    let (mut ours, mut theirs) = (rows(met.ours), rows(met.theirs));
    let same_keys = keys(&ours) == keys(&theirs);
    ours.sort_by_cached_key(Value::to_string);
    theirs.sort_by_cached_key(Value::to_string);
    same_keys && !ours.is_empty() && ours == theirs
}

/// The row that has the reason for this difference.
#[must_use]
pub fn row(met: &Met) -> Option<&'static str> {
    // Silence and faults have no reason, unless the other one fails, too.
    let fails = |answer: &Response| !(1..500).contains(&answer.status);
    let told = !fails(met.ours) || fails(met.theirs);
    KNOWN.iter().find(|known| told && (known.applies)(met)).map(|known| known.row)
}

/// All rows that are named here.
#[must_use]
pub fn rows() -> Vec<&'static str> {
    KNOWN.iter().map(|known| known.row).collect()
}
