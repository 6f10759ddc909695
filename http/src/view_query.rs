//! From the parameters of a view to the question that the coordinator is asked, with CouchDB's rules
//! about what goes together, in its order. Pure.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use settee_cluster::DesignDoc;
use settee_cluster::views::ViewQuery;
use settee_model::partition;
use settee_query::view::{Definition, Grouping, RowRange};

use crate::error::Error;
use crate::listing::Listing;
use crate::settings::Settings;

/// The view of that name, asked so. For [`check_order`] it is still to be looked at.
///
/// # Errors
/// 404 if there is none, else `query_parse_error`.
pub fn of(
    ddoc: &Arc<DesignDoc>,
    definition: &Definition,
    name: &str,
    listing: Listing,
    settings: &Settings,
) -> Result<ViewQuery, Error> {
    let missing = || Error::NotFound("missing_named_view".into());
    let view = definition.view(name).ok_or_else(missing)?;
    let reduced = view.reduce.is_some() && listing.reduce != Some(false);
    let partitioned = definition.options.partitioned;
    let most = if partitioned { settings.partition_query_limit } else { settings.query_limit };
    let limit = capped(listing.limit, most, LIMIT)?;
    let grouping = listing.grouping()?;
    check_kind(&listing, reduced, grouping)?;
    if let Some(partition) = &listing.partition {
        partition::check(partition)?;
    }
    match (partitioned, &listing.partition) {
        (true, None) => {
            return Err(refusal("`partition` parameter is mandatory for queries to this view."));
        }
        (false, Some(_)) => {
            return Err(refusal("`partition` parameter is not supported in this design doc"));
        }
        _ => {}
    }
    let json = |key: Value| Bytes::from(key.to_string());
    let (mut start, mut end) = (listing.start.map(json), listing.end.map(json));
    if listing.partition.is_some() {
        // In a partition the walk does not begin below all keys, but at the least: ids count there, too.
        let least = if listing.descending { &mut end } else { &mut start };
        least.get_or_insert(Bytes::from_static(b"null"));
    }
    let range = RowRange {
        start,
        start_id: listing.start_id,
        end,
        end_id: listing.end_id,
        exclusive_end: !listing.inclusive_end,
        descending: listing.descending,
        partition: listing.partition,
        raw: definition.map_of(view).is_some_and(|map| map.raw),
        behind: None,
    };
    Ok(ViewQuery {
        ddoc: ddoc.clone(),
        view: name.to_owned(),
        reduce: reduced.then_some(grouping),
        range,
        keys: listing.keys.map(|keys| keys.into_iter().map(json).collect()),
        skip: listing.skip,
        limit,
        include_docs: listing.include_docs,
        conflicts: listing.conflicts,
        update: listing.update,
        update_seq: listing.update_seq,
        sorted: listing.sorted,
    })
}

/// What nobody may ask for; who asks for nothing gets all.
const LIMIT: u64 = 0x1000_0000;

fn refusal(reason: &'static str) -> Error {
    Error::QueryParse(reason.into())
}

/// The limit that was asked for, or the most there may be. Where that is not said, nobody may ask for
/// more than `highest`.
///
/// # Errors
/// For one that is larger.
pub fn capped(asked: Option<u64>, most: Option<u64>, highest: u64) -> Result<Option<u64>, Error> {
    let highest = most.unwrap_or(highest);
    match asked {
        Some(asked) if asked > highest => {
            Err(Error::QueryParse(format!("Limit is too large, must not exceed {highest}").into()))
        }
        asked => Ok(asked.or(most)),
    }
}

/// What goes with rows, and what with reduced ones.
fn check_kind(listing: &Listing, reduced: bool, grouping: Grouping) -> Result<(), Error> {
    if !reduced && listing.reduce == Some(true) {
        return Err(refusal("Reduce is invalid for map-only views."));
    }
    if reduced && listing.keys.is_some() && grouping != Grouping::Exact {
        return Err(refusal("Multi-key fetches for reduce views must use `group=true`"));
    }
    if listing.bad_keys {
        return Err(refusal("`keys` must be an array of strings."));
    }
    let many = listing.keys.as_ref().filter(|keys| !keys.is_empty());
    if many.is_some() && (listing.start.is_some() || listing.end.is_some()) {
        return Err(refusal("`keys` is incompatible with `key`, `start_key` and `end_key`"));
    }
    if !reduced && grouping != Grouping::Whole {
        return Err(refusal("Invalid use of grouping on a map view."));
    }
    if reduced && listing.include_docs {
        return Err(refusal("`include_docs` is invalid for reduce"));
    }
    if reduced && listing.conflicts_said {
        return Err(refusal("`conflicts` is invalid for reduce views."));
    }
    Ok(())
}

/// A range that ends before it begins is taken for a mistake.
///
/// # Errors
/// `query_parse_error`.
pub fn check_order(query: &ViewQuery) -> Result<(), Error> {
    let range = &query.range;
    if range.start == range.end || !range.is_reversed() {
        return Ok(());
    }
    let reason = match range.descending {
        false => {
            "No rows can match your key range, reverse your start_key and end_key or set \
             descending=true"
        }
        true => {
            "No rows can match your key range, reverse your start_key and end_key or set \
             descending=false"
        }
    };
    Err(refusal(reason))
}
