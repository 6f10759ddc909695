//! The shape that a design document must have before it may be stored: types of members, a map function
//! for each view, names of reduce functions that are built in. Whether code compiles is known to who
//! runs it.

use std::borrow::Cow;

use crate::json::Raw;

/// Why a design document is refused: 400 `invalid_design_doc`, and this as the reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct InvalidDesignDoc(pub String);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Array,
    Boolean,
    Object,
    Text,
}

impl Kind {
    fn of(value: Raw<'_>) -> Option<Kind> {
        match value.bytes().first()? {
            b'[' => Some(Kind::Array),
            b't' | b'f' => Some(Kind::Boolean),
            b'{' => Some(Kind::Object),
            b'"' => Some(Kind::Text),
            _ => None,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Kind::Array => "array",
            Kind::Boolean => "boolean",
            Kind::Object => "object",
            Kind::Text => "string",
        }
    }
}

/// A step from an object to members of it, and what these must be.
#[derive(Clone, Copy)]
enum Step {
    /// This member, if it is there.
    One(&'static str, &'static [Kind]),
    /// Every member.
    Each(&'static [Kind]),
}

const FUNCTIONS: &[Kind] = &[Kind::Text, Kind::Object];
const OBJECT: &[Kind] = &[Kind::Object];
const TEXT: &[Kind] = &[Kind::Text];
const BOOLEAN: &[Kind] = &[Kind::Boolean];

/// In CouchDB's order, which decides what is complained about first. Map functions come after.
const RULES: &[&[Step]] = &[
    &[Step::One("filters", OBJECT), Step::Each(FUNCTIONS)],
    &[Step::One("language", TEXT)],
    &[Step::One("lists", OBJECT), Step::Each(FUNCTIONS)],
    &[Step::One("options", OBJECT)],
    &[Step::One("options", OBJECT), Step::One("include_design", BOOLEAN)],
    &[Step::One("options", OBJECT), Step::One("local_seq", BOOLEAN)],
    &[Step::One("options", OBJECT), Step::One("partitioned", BOOLEAN)],
    &[Step::One("rewrites", &[Kind::Array, Kind::Text])],
    &[Step::One("shows", OBJECT), Step::Each(FUNCTIONS)],
    &[Step::One("updates", OBJECT), Step::Each(FUNCTIONS)],
];
const VALIDATE_IS_CODE: &[Step] = &[Step::One("validate_doc_update", TEXT)];
/// A function's text passes here too, as it did before there were selectors; it is never run.
const VALIDATE_IS_A_QUERY: &[Step] = &[Step::One("validate_doc_update", FUNCTIONS)];
const LIB: &[Step] = &[Step::One("views", OBJECT), Step::One("lib", OBJECT)];
const MAP_IS_CODE: &[Step] =
    &[Step::One("views", OBJECT), Step::Each(OBJECT), Step::One("map", TEXT)];
const MAP_IS_A_QUERY: &[Step] =
    &[Step::One("views", OBJECT), Step::Each(OBJECT), Step::One("map", OBJECT)];
const REDUCE: &[Step] =
    &[Step::One("views", OBJECT), Step::Each(OBJECT), Step::One("reduce", TEXT)];

/// Checks the body of a design document, in stored form.
///
/// # Errors
/// The first thing that is wrong with it.
pub fn check(body: &[u8], partitioned: bool) -> Result<(), InvalidDesignDoc> {
    let body = Raw(body);
    for rule in RULES {
        walk(body, rule, "")?;
    }
    let language = body.get("language").and_then(Raw::as_str);
    let language = language.unwrap_or(Cow::Borrowed("javascript"));
    let (validate, map) = match &*language {
        "query" => (VALIDATE_IS_A_QUERY, MAP_IS_A_QUERY),
        _ => (VALIDATE_IS_CODE, MAP_IS_CODE),
    };
    walk(body, validate, "")?;
    walk(body, LIB, "")?;
    walk(body, map, "")?;
    walk(body, REDUCE, "")?;
    check_maps(body)?;
    let option = body.get("options").and_then(|options| options.get("partitioned"));
    if !partitioned && option.and_then(Raw::as_bool) == Some(true) {
        let reason = "partitioned option cannot be true in a non-partitioned database.";
        return Err(InvalidDesignDoc(reason.to_owned()));
    }
    Ok(())
}

fn walk(object: Raw<'_>, steps: &[Step], path: &str) -> Result<(), InvalidDesignDoc> {
    let Some((step, rest)) = steps.split_first() else { return Ok(()) };
    let (only, kinds) = match step {
        Step::One(name, kinds) => (Some(*name), *kinds),
        Step::Each(kinds) => (None, *kinds),
    };
    for (name, value) in object.members().into_iter().flatten() {
        if only.is_some_and(|only| only != name) {
            continue;
        }
        let dot = if path.is_empty() { "" } else { "." };
        let path = format!("{path}{dot}{name}");
        if !Kind::of(value).is_some_and(|kind| kinds.contains(&kind)) {
            let names: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            let names = names.join(" or ");
            return Err(InvalidDesignDoc(format!("`{path}` field must have {names} type")));
        }
        walk(value, rest, &path)?;
    }
    Ok(())
}

/// Every view has a map function.
fn check_maps(body: Raw<'_>) -> Result<(), InvalidDesignDoc> {
    for (name, view) in body.get("views").and_then(Raw::members).into_iter().flatten() {
        if name != "lib" && view.get("map").is_none() {
            return Err(InvalidDesignDoc(format!("View `{name}` must contain map function")));
        }
    }
    Ok(())
}

/// Largest N of `_top_N` and `_bottom_N`.
const RANK_MAX: i64 = 100;

/// The name of a reduce function, which begins with `_`, is one that is built in, or begins like one.
/// CouchDB looks at it when it compiles the view, after [`check`].
///
/// # Errors
/// It only looks built in, or has a rank that there is not.
pub fn check_built_in(reduce: &str) -> Result<(), InvalidDesignDoc> {
    const BUILT_IN: [&str; 6] =
        ["_sum", "_count", "_stats", "_approx_count_distinct", "_first", "_last"];
    if BUILT_IN.iter().any(|known| reduce.starts_with(known)) {
        return Ok(());
    }
    let rank = reduce.strip_prefix("_top_").or_else(|| reduce.strip_prefix("_bottom_"));
    let reason = match rank.map(str::parse::<i64>) {
        Some(Ok(1..=RANK_MAX)) => return Ok(()),
        Some(Ok(_)) => format!("rank value must be between 1 and {RANK_MAX}"),
        Some(Err(_)) => "invalid rank reducer".to_owned(),
        None => format!("`{reduce}` is not a supported reduce function."),
    };
    Err(InvalidDesignDoc(reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(body: &str, reason: &str) {
        assert_eq!(
            check(body.as_bytes(), false),
            Err(InvalidDesignDoc(reason.to_owned())),
            "{body}"
        );
    }

    #[test]
    fn members_of_a_wrong_type() {
        let wrong = |body: &str, path: &str, kinds: &str| {
            refused(body, &format!("`{path}` field must have {kinds} type"));
        };
        wrong(r#"{"views":3}"#, "views", "object");
        wrong(r#"{"views":null}"#, "views", "object");
        wrong(r#"{"views":{"a":3}}"#, "views.a", "object");
        wrong(r#"{"views":{"lib":3}}"#, "views.lib", "object");
        wrong(r#"{"views":{"lib":{"map":3}}}"#, "views.lib.map", "string");
        wrong(r#"{"views":{"x":{"map":null}}}"#, "views.x.map", "string");
        wrong(r#"{"language":"query","views":{"x":{"map":"s"}}}"#, "views.x.map", "object");
        wrong(r#"{"views":{"x":{"map":"","reduce":3}}}"#, "views.x.reduce", "string");
        wrong(r#"{"language":3}"#, "language", "string");
        wrong(r#"{"options":{"partitioned":3}}"#, "options.partitioned", "boolean");
        wrong(r#"{"rewrites":{}}"#, "rewrites", "array or string");
        wrong(r#"{"filters":{"a":null}}"#, "filters.a", "string or object");
        wrong(r#"{"updates":{"a":3},"shows":3}"#, "shows", "object");
        wrong(r#"{"validate_doc_update":null}"#, "validate_doc_update", "string");
        wrong(r#"{"validate_doc_update":{}}"#, "validate_doc_update", "string");
        let rule = r#"{"language":"query","validate_doc_update":{"newDoc":{"a":1}}}"#;
        assert_eq!(check(rule.as_bytes(), false), Ok(()));
    }

    #[test]
    fn views_that_cannot_work() {
        refused(r#"{"views":{"x":{}}}"#, "View `x` must contain map function");
        let partitioned = r#"{"options":{"partitioned":true}}"#;
        refused(partitioned, "partitioned option cannot be true in a non-partitioned database.");
        assert!(check(partitioned.as_bytes(), true).is_ok());
    }

    #[test]
    fn functions_that_only_look_built_in() {
        for (wrong, reason) in [
            ("_foo", "`_foo` is not a supported reduce function."),
            ("_top", "`_top` is not a supported reduce function."),
            ("_top_0", "rank value must be between 1 and 100"),
            ("_bottom_101", "rank value must be between 1 and 100"),
            ("_top_x", "invalid rank reducer"),
        ] {
            assert_eq!(check_built_in(wrong), Err(InvalidDesignDoc(reason.to_owned())), "{wrong}");
        }
        for good in ["_top_100", "_bottom_1", "_first", "_lastx", "_sumx", "_count"] {
            assert_eq!(check_built_in(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_couchdb_stores() {
        for body in [
            "{}",
            r#"{"views":{"lib":{"a":"b"}}}"#,
            r#"{"language":"query","views":{"x":{"map":{},"reduce":"_count"}}}"#,
            r#"{"language":"foo","views":{"x":{"map":"","reduce":"_foo"}}}"#,
            r#"{"rewrites":"x","filters":{"a":{}},"nouveau":3,"autoupdate":3}"#,
        ] {
            assert_eq!(check(body.as_bytes(), false), Ok(()), "{body}");
        }
    }
}
