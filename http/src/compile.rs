//! Whether the functions of views in design documents compile, or are built in, before these are
//! stored. Runs none of them, and keeps nothing.

use bytes::Bytes;
use settee_model::ddoc;
use settee_model::doc::DocEdit;
use settee_model::json::Raw;
use settee_query::js::{self, Limits, ViewFunction, check_views};

use crate::error::Error;
use crate::handlers::edit::Settled;
use crate::off::off_thread;

/// The body of a design document with views whose functions are to be compiled.
fn wants_check(edit: &DocEdit) -> Option<Bytes> {
    if !edit.id.is_design() || edit.deleted {
        return None;
    }
    let [language, views] = Raw(&edit.body).pick(["language", "views"]);
    let language = language.and_then(Raw::as_str).unwrap_or("javascript".into());
    let mut views = views.and_then(Raw::members)?;
    (language == "javascript" && views.any(|(name, _)| name != "lib")).then(|| edit.body.clone())
}

/// Compiles the functions of each of these; why one must not be stored.
///
/// # Errors
/// The server is shutting down.
async fn check(bodies: Vec<Bytes>, limits: Limits) -> Result<Vec<Option<Error>>, Error> {
    let work = move || bodies.iter().map(|body| check_one(body, &limits).err()).collect();
    off_thread(work).await
}

fn check_one(body: &[u8], limits: &Limits) -> Result<(), Error> {
    let text =
        |view: Raw<'_>, name| view.get(name).and_then(Raw::as_str).map(|code| code.into_owned());
    let (mut functions, mut built_in) = (Vec::new(), Ok(()));
    let views = Raw(body).get("views").and_then(Raw::members).into_iter().flatten();
    for (name, view) in views.filter(|(name, _)| name != "lib") {
        let map = text(view, "map").map(|code| (ViewFunction::Map, name.to_string(), code));
        functions.extend(map);
        match text(view, "reduce") {
            Some(reduce) if reduce.starts_with('_') => built_in = ddoc::check_built_in(&reduce),
            Some(code) => functions.push((ViewFunction::Reduce, name.to_string(), code)),
            None => {}
        }
        // What does not compile before it is told first, what follows is not looked at.
        if built_in.is_err() {
            break;
        }
    }
    let functions = functions.iter().map(|(kind, name, code)| (*kind, &**name, &**code));
    check_views(functions, limits).map_err(|error| match error {
        js::Error::Compilation(reason) => {
            Error::BadRequestNamed("compilation_error", reason.into())
        }
        js::Error::Thrown { error, .. } if error == "not_found" => {
            Error::NotFound("missing function".into())
        }
        other => Error::Script(other),
    })?;
    Ok(built_in?)
}

/// Refuses the edits whose functions do not compile, of those that are not settled yet.
///
/// # Errors
/// The server is shutting down.
pub async fn judge(
    edits: &[DocEdit],
    settled: &mut [Settled],
    limits: &Limits,
) -> Result<(), Error> {
    let open = edits.iter().zip(settled).filter(|(_, settled)| settled.is_none());
    let wanted = open.filter_map(|(edit, settled)| Some((wants_check(edit)?, settled)));
    let (bodies, settled): (Vec<_>, Vec<_>) = wanted.unzip();
    if bodies.is_empty() {
        return Ok(());
    }
    let checked = check(bodies, limits.clone()).await?;
    settled.into_iter().zip(checked).for_each(|(settled, error)| *settled = error.map(Err));
    Ok(())
}
