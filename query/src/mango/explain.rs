//! The answer to `_explain`: what would be done, and why nothing else. The same members as
//! CouchDB's; `ranges` is added where settee looks into less than the range from `start_key` to
//! `end_key`. Never answers the question itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::bound::{Bound, Span};
use super::catalog::{Catalog, Reference};
use super::choose::Choice;
use super::error::MangoError;
use super::find::Find;
use super::plan::{Outline, Plan, Scan, Source, covers};
use super::shape;

/// Explains how a question would be answered.
///
/// # Errors
/// `invalid_index`. That no index gives the order asked for is no error here.
pub fn explain(find: &Find, catalog: &Catalog, db_name: &str) -> Result<Value, MangoError> {
    let choice = Choice::make(find, catalog);
    choice.allowed(find, catalog)?;
    let winner = choice.winner();
    let mut answer = json!({
        "dbname": db_name,
        "index": winner.map(|winner| catalog.show(winner)),
        "partitioned": catalog.is_partitioned(),
        "selector": find.selector.normal_form(),
        "opts": find.options(),
        "limit": find.limit,
        "skip": find.skip,
        "fields": find.fields.as_deref().unwrap_or_default(),
        "index_candidates": candidates(find, catalog, &choice),
        "selector_hints": [hints(find.selector.normal_form())],
    });
    if let (Some(winner), Some(members)) = (winner, answer.as_object_mut()) {
        describe(members, find, catalog, &choice, winner);
    }
    Ok(answer)
}

/// Adds how the index would be used.
fn describe(
    members: &mut Map<String, Value>,
    find: &Find,
    catalog: &Catalog,
    choice: &Choice<'_>,
    winner: Reference,
) {
    let plan = Plan::with(find, catalog, choice, winner);
    let outline = plan.source.outline(find, &choice.ranges);
    let (low, high) = match &outline {
        None => (Value::Null, Value::Null),
        Some(outline) => ends(&plan.source, outline, choice.ranges.get("_id").is_some()),
    };
    let (start, end) = if plan.descending { (high, low) } else { (low, high) };
    let args = json!({
        "include_docs": plan.include_docs,
        "view_type": "map",
        "reduce": false,
        "partition": find.partition,
        "start_key": start,
        "end_key": end,
        "direction": if plan.descending { "rev" } else { "fwd" },
        "stable": plan.stable,
        "update": plan.update,
        "conflicts": if find.conflicts { json!(true) } else { json!("undefined") },
    });
    members.insert("mrargs".into(), args);
    members.insert("covering".into(), plan.covering.into());
    if let (Some(outline), Scan::Spans(spans)) = (outline, &plan.scan)
        && is_shorter(spans, &outline.span())
    {
        members.insert("ranges".into(), spans.iter().map(show_span).collect());
    }
}

const MAX: &str = "<MAX>";

fn ends(source: &Source, outline: &Outline, about_ids: bool) -> (Value, Value) {
    match source {
        Source::Index(_) => {
            let end = outline.end.iter().cloned().chain([MAX.into()]).collect();
            (outline.start.clone().into(), end)
        }
        Source::AllDocs => {
            let first = || if about_ids { "".into() } else { Value::Null };
            let start = outline.start.first().cloned().unwrap_or_else(first);
            let end = outline.end.first().cloned().unwrap_or_else(|| MAX.into());
            (start, end)
        }
    }
}

/// Whether spans are about other values than the range is.
fn is_shorter(spans: &[Span], range: &Span) -> bool {
    match spans {
        [only] => only.low.values != range.low.values || only.high.values != range.high.values,
        _ => true,
    }
}

fn show_span(span: &Span) -> Value {
    let values = |bound: &Bound| {
        let read = |text: &Vec<u8>| serde_json::from_slice(text).unwrap_or(Value::Null);
        bound.values.iter().map(read).collect::<Vec<Value>>()
    };
    let end = |bound: &Bound| {
        let mut values = values(bound);
        values.extend(bound.after.then(|| MAX.into()));
        values
    };
    json!({"start_key": end(&span.low), "end_key": end(&span.high)})
}

/// What is said about an index that is not used.
#[derive(Default)]
struct Verdict {
    unusable: bool,
    reason: Option<&'static str>,
    ranking: usize,
}

/// The indexes that are not used, and why; the last in order comes first.
fn candidates(find: &Find, catalog: &Catalog, choice: &Choice<'_>) -> Vec<Value> {
    let mut verdicts = verdicts(catalog, choice);
    if let Some(winner) = choice.winner() {
        verdicts.remove(&winner);
    }
    let shown = verdicts.into_iter().rev().map(|(reference, verdict)| {
        let covering = catalog.get(reference).map(|index| {
            let fields = find.fields.as_ref();
            fields.is_some_and(|fields| covers(index, fields.iter().map(String::as_str)))
        });
        json!({
            "index": catalog.show(reference),
            "analysis": {
                "usable": !verdict.unusable,
                "reasons": [{"name": verdict.reason}],
                "ranking": verdict.ranking,
                "covering": covering,
            },
        })
    });
    shown.collect()
}

fn verdicts(catalog: &Catalog, choice: &Choice<'_>) -> BTreeMap<Reference, Verdict> {
    let all: BTreeSet<Reference> = catalog.references().collect();
    let ranked: BTreeSet<Reference> =
        choice.ranked.iter().map(|(reference, _)| *reference).collect();
    let mut verdicts: BTreeMap<Reference, Verdict> =
        all.iter().map(|reference| (*reference, Verdict::default())).collect();
    // Who left the race later ranks higher. An index may have left it twice.
    let stages: [(BTreeSet<Reference>, bool, Option<&'static str>); 5] = [
        (&choice.wanted - &ranked, false, Some("unfavored_type")),
        (&choice.usable - &choice.wanted, false, Some("excluded_by_user")),
        (&choice.in_scope - &choice.usable, true, None),
        (&choice.global - &choice.in_scope, true, Some("scope_mismatch")),
        (&all - &choice.global, true, Some("is_partial")),
    ];
    let mut ranking = choice.ranked.len().max(1);
    for (stage, unusable, reason) in stages {
        for reference in &stage {
            let Some(verdict) = verdicts.get_mut(reference) else { continue };
            verdict.unusable |= unusable;
            verdict.reason = reason.or(verdict.reason);
            verdict.ranking += ranking;
        }
        ranking += usize::from(!stage.is_empty());
    }
    for (reference, reason) in &choice.misfits {
        if let Some(verdict) = verdicts.get_mut(reference) {
            verdict.reason = verdict.reason.or(Some(reason.name()));
        }
    }
    let width = |reference| catalog.get(reference).map_or(1, |index| index.columns().len());
    let narrowest = choice.winner().map_or(0, width);
    for (position, (reference, unused)) in choice.ranked.iter().enumerate() {
        let Some(verdict) = verdicts.get_mut(reference) else { continue };
        verdict.ranking += position;
        verdict.reason = verdict.reason.or(Some(match width(*reference) {
            _ if *unused > 0 => "less_overlap",
            width if width > narrowest => "too_many_fields",
            _ => "alphabetically_comes_after",
        }));
    }
    verdicts
}

/// Which fields an index could be about.
fn hints(selector: &Value) -> Value {
    // What follows a colon is the type, in indexes of another kind.
    let name = |field| str::split(field, ':').next().unwrap_or_default();
    let indexable: BTreeSet<&str> =
        shape::indexable_fields(selector).into_iter().map(name).collect();
    let all: BTreeSet<&str> = shape::fields(selector).into_iter().collect();
    json!({
        "type": "json",
        "indexable_fields": indexable,
        "unindexable_fields": &all - &indexable,
    })
}
