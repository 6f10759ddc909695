//! What a client asks of `_changes`: parameters in the query string, some in the body, one in a
//! header, with CouchDB's errors. Opens design documents where a filter names one; reads no change.

use std::time::Duration;

use serde_json::Value;
use settee_cluster::Db;
use settee_cluster::changes::{ChangesQuery, Since, Style};
use settee_model::selector::FieldPath;

use super::filter;
use crate::context::Ctx;
use crate::error::Error;
use crate::feed::Feed;
use crate::handlers::follow::Waiting;
use crate::query;
use crate::render::doc::{Atts, View};

/// A question that was understood.
pub struct Question {
    /// How it is to be answered.
    pub feed: Feed,
    /// Which changes.
    pub query: ChangesQuery,
    /// How documents are shown.
    pub view: View,
    /// Paths of the members to show of a document, for `_selector` with `fields`.
    pub fields: Option<Vec<FieldPath>>,
    /// What to do while there is nothing to give.
    pub waiting: Waiting,
}

/// Parameters as they are collected.
struct Given {
    /// Nothing if there is none of that name.
    feed: Option<Feed>,
    style: Option<Style>,
    query: ChangesQuery,
    view: View,
    filter: String,
    heartbeat: Option<Option<Duration>>,
    timeout: Option<Duration>,
}

impl Question {
    /// Reads a request whose body, if any, is already parsed.
    ///
    /// # Errors
    /// 400 for wrong values, 404 for a design document that is not there.
    pub async fn read(ctx: &Ctx, db: &Db, body: &Value) -> Result<Self, Error> {
        let mut given = Given::default();
        for (name, value) in ctx.query.iter() {
            given.set(&name.to_ascii_lowercase(), value)?;
        }
        if given.feed == Some(Feed::EventSource)
            && let Some(seq) = ctx.headers.get("last-event-id").and_then(|seq| seq.to_str().ok())
        {
            // A browser that reconnects says where it was.
            given.query.since = since(seq);
        }
        let chosen = filter::choose(ctx, db, &given.filter, body).await?;
        given.query.filter = chosen.filter;
        let waiting = given.waiting(ctx.settings.changes_timeout);
        let feed = given.named()?;
        Ok(Question { feed, query: given.query, view: given.view, fields: chosen.fields, waiting })
    }
}

impl Default for Given {
    fn default() -> Self {
        Given {
            feed: Some(Feed::Normal),
            style: Some(Style::MainOnly),
            query: ChangesQuery::default(),
            view: View::default(),
            filter: String::new(),
            heartbeat: None,
            timeout: None,
        }
    }
}

impl Given {
    fn set(&mut self, name: &str, value: &str) -> Result<(), Error> {
        match name {
            "feed" => self.feed = Feed::parse(value),
            "descending" => self.query.descending = value == "true",
            "since" | "last-event-id" => self.query.since = since(value),
            // Below nothing there is no limit.
            "limit" if query::integer(value).is_ok_and(|limit| limit < 0) => {
                self.query.limit = None;
            }
            "limit" => self.query.limit = Some(number(name, value)?),
            "style" => self.style = style(value),
            "heartbeat" if value == "true" => self.heartbeat = Some(None),
            "heartbeat" => self.heartbeat = Some(Some(heartbeat(value)?)),
            "timeout" => self.timeout = Some(Duration::from_millis(number(name, value)?)),
            "include_docs" => self.query.include_docs = value == "true",
            "conflicts" => self.query.conflicts = value == "true",
            "attachments" if value == "true" => self.view.atts = Atts::Inline,
            "att_encoding_info" => self.view.encoding_info = value == "true",
            "filter" => value.clone_into(&mut self.filter),
            "seq_interval" => match value.parse() {
                Ok(interval) if interval > 0 => self.query.seq_interval = Some(interval),
                _ => return Err(Error::bad_request("invalid_seq_interval")),
            },
            _ => {}
        }
        Ok(())
    }

    /// The feed, and the style into the query: what is wrong with anything else is said before.
    fn named(&mut self) -> Result<Feed, Error> {
        self.query.style = self.style.ok_or_else(unknown_style)?;
        self.feed.ok_or_else(unknown_feed)
    }

    /// A client may shorten the server's own limit, never lengthen it: proxies on the way close
    /// connections that are silent for long.
    fn waiting(&self, longest: Duration) -> Waiting {
        match (self.heartbeat, self.timeout) {
            (Some(pause), _) => Waiting::Heartbeat(pause.map_or(longest, |p| p.min(longest))),
            (None, Some(limit)) => Waiting::Timeout(limit.min(longest)),
            (None, None) => Waiting::Timeout(longest),
        }
    }
}

fn since(text: &str) -> Since {
    match text {
        "0" => Since::Start,
        "now" => Since::Now,
        seq => Since::Seq(seq.to_owned()),
    }
}

fn style(text: &str) -> Option<Style> {
    match text {
        "main_only" => Some(Style::MainOnly),
        "all_docs" => Some(Style::AllDocs),
        _ => None,
    }
}

fn unknown_style() -> Error {
    Error::bad_request("`style` must be `main_only` or `all_docs`.")
}

fn number(name: &str, text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| {
        Error::BadRequest(format!("`{name}` must be an integer that is not negative.").into())
    })
}

fn heartbeat(text: &str) -> Result<Duration, Error> {
    match text.parse::<i64>().map(u64::try_from) {
        Ok(Ok(millis @ 1..)) => Ok(Duration::from_millis(millis)),
        Ok(_) => {
            let reason = "The heartbeat value should be a positive integer (in milliseconds).";
            Err(Error::bad_request(reason))
        }
        Err(_) => Err(Error::bad_request(
            "Invalid heartbeat value. Expecting a positive integer value (in milliseconds).",
        )),
    }
}

fn unknown_feed() -> Error {
    let reason = "Supported `feed` types: normal, continuous, live, longpoll, eventsource";
    Error::bad_request(reason)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(pairs: &[(&str, &str)]) -> Result<Given, Error> {
        let mut given = Given::default();
        pairs.iter().try_for_each(|(name, value)| given.set(name, value))?;
        Ok(given)
    }

    #[test]
    fn a_client_can_shorten_the_wait_but_not_lengthen_it() {
        let minute = Duration::from_secs(60);
        for (pairs, waiting) in [
            (vec![], Waiting::Timeout(minute)),
            (vec![("timeout", "500")], Waiting::Timeout(Duration::from_millis(500))),
            (vec![("timeout", "900000")], Waiting::Timeout(minute)),
            (vec![("heartbeat", "true")], Waiting::Heartbeat(minute)),
            (vec![("heartbeat", "10")], Waiting::Heartbeat(Duration::from_millis(10))),
            (vec![("heartbeat", "900000"), ("timeout", "5")], Waiting::Heartbeat(minute)),
        ] {
            assert_eq!(given(&pairs).unwrap().waiting(minute), waiting, "{pairs:?}");
        }
    }

    #[test]
    fn wrong_values_are_refused() {
        for pair in [
            ("limit", "abc"),
            ("limit", "1.5"),
            ("heartbeat", "0"),
            ("heartbeat", "abc"),
            ("timeout", "abc"),
            ("seq_interval", "0"),
        ] {
            assert_eq!(given(&[pair]).err().map(|e| e.info().0.as_u16()), Some(400), "{pair:?}");
        }
        for pair in [("feed", "nonsense"), ("style", "nonsense")] {
            let named = given(&[pair]).unwrap().named();
            assert_eq!(named.err().map(|e| e.info().0.as_u16()), Some(400), "{pair:?}");
        }
    }
}
