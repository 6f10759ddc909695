//! [`DocQuery`]: the parameters of requests about one document, read as CouchDB reads them: an
//! option counts if it is literally `true`, the last of a repeated parameter wins, unknown ones
//! mean nothing.

use settee_cluster::docs::{EditMode, OpenOptions, Revs};
use settee_model::json::{Limits, Raw, normalise};
use settee_model::rev::Rev;

use crate::error::Error;
use crate::query::Query;
use crate::render::doc::{Atts, Shown, View};

/// What a request about a document asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DocQuery {
    /// `rev`
    pub rev: Option<Rev>,
    /// `open_revs`, if it names any.
    pub open_revs: Option<Revs>,
    /// `latest`
    pub latest: bool,
    /// `deleted`: show a tombstone where there is nothing else.
    pub deleted: bool,
    /// `attachments`, `revs`, `att_encoding_info`, `atts_since`
    pub view: View,
    /// `meta`, `conflicts`, `deleted_conflicts`, `revs_info`, `local_seq`
    pub shown: Shown,
    /// `new_edits`
    pub mode: EditMode,
    /// `r`
    pub r: Option<u32>,
}

impl DocQuery {
    /// Reads the parameters.
    ///
    /// # Errors
    /// 400 for revisions that are none.
    pub fn parse(query: &Query) -> Result<Self, Error> {
        let mut parsed = DocQuery {
            rev: None,
            open_revs: None,
            latest: false,
            deleted: false,
            view: View::default(),
            shown: Shown::default(),
            mode: EditMode::Interactive,
            r: None,
        };
        for (name, value) in query.iter() {
            if value == "true" {
                parsed.flag(name);
            }
            match (name, value) {
                ("rev", rev) => parsed.rev = Some(rev.parse()?),
                ("open_revs", "all") => parsed.open_revs = Some(Revs::All),
                ("open_revs", list) => {
                    let revs = rev_list(list)?;
                    parsed.open_revs = (!revs.is_empty()).then_some(Revs::Some(revs));
                }
                ("atts_since", list) => parsed.view.atts_since = Some(rev_list(list)?),
                ("new_edits", "false") => parsed.mode = EditMode::Replicated,
                ("new_edits", "true") => parsed.mode = EditMode::Interactive,
                ("r", count) => parsed.r = Some(copies("r", count)?),
                _ => {}
            }
        }
        Ok(parsed)
    }

    fn flag(&mut self, name: &str) {
        match name {
            "attachments" => self.view.atts = Atts::Inline,
            "revs" => self.view.revs = true,
            "att_encoding_info" => self.view.encoding_info = true,
            "latest" => self.latest = true,
            "deleted" => self.deleted = true,
            "meta" => {
                self.shown.revs_info = true;
                self.shown.conflicts = true;
                self.shown.deleted_conflicts = true;
            }
            "revs_info" => self.shown.revs_info = true,
            "conflicts" => self.shown.conflicts = true,
            "deleted_conflicts" => self.shown.deleted_conflicts = true,
            "local_seq" => self.shown.local_seq = true,
            _ => {}
        }
    }

    /// How to open the one revision that is asked for. `latest` means the winner, whatever `rev`
    /// says.
    #[must_use]
    pub fn open_options(&self) -> OpenOptions {
        OpenOptions {
            rev: if self.latest { None } else { self.rev.clone() },
            latest: false,
            deleted: self.deleted,
            history: self.view.revs || self.view.atts_since.is_some(),
            facts: self.shown.any(),
            r: self.r,
        }
    }

    /// How to show the one revision: `atts_since` brings attachments with it.
    #[must_use]
    pub fn single_view(&self) -> View {
        let mut view = self.view.clone();
        if view.atts_since.is_some() {
            view.atts = Atts::Inline;
        }
        view
    }

    /// How to show several revisions: `atts_since` is not for them.
    #[must_use]
    pub fn multi_view(&self) -> View {
        View { atts_since: None, ..self.view.clone() }
    }
}

/// A JSON array of revisions.
///
/// # Errors
/// 400 for anything else.
pub fn rev_list(json: &str) -> Result<Vec<Rev>, Error> {
    let stored = normalise(json.as_bytes(), &Limits::default())?;
    let list = Raw(&stored).elements();
    let list = list.ok_or_else(|| Error::bad_request("Invalid list of revisions"))?;
    list.map(rev_of_json).collect()
}

/// A revision as a JSON string.
///
/// # Errors
/// 400 for anything else.
pub fn rev_of_json(value: Raw<'_>) -> Result<Rev, Error> {
    Ok(value.as_str().unwrap_or_default().parse()?)
}

/// A number of copies: `r` or `w`. More than there are is as good as all, less than one is one.
///
/// # Errors
/// 400 for what is no number.
pub fn copies(name: &str, value: &str) -> Result<u32, Error> {
    let count = crate::query::integer(value)
        .map_err(|_| Error::BadRequest(format!("`{name}` must be an integer").into()))?;
    Ok(u32::try_from(count.max(1)).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<DocQuery, Error> {
        DocQuery::parse(&Query::parse(text).unwrap())
    }

    fn rev(text: &str) -> Rev {
        text.parse().unwrap()
    }

    fn reason(text: &str) -> String {
        let error = parse(text).unwrap_err();
        assert_eq!(error.info().0, 400);
        error.info().2.into_owned()
    }

    #[test]
    fn options_must_be_literally_true() {
        let query = parse("revs=true&conflicts=TRUE&attachments=1&latest=true&foo=true").unwrap();
        assert!(query.view.revs && query.latest && !query.shown.any());
        assert_eq!(query.view.atts, Atts::Stubs);
    }

    #[test]
    fn meta_is_three_facts() {
        let shown = parse("meta=true").unwrap().shown;
        assert!(shown.revs_info && shown.conflicts && shown.deleted_conflicts && !shown.local_seq);
    }

    #[test]
    fn lists_of_revisions() {
        let query = parse("open_revs=[\"1-a\",\"2-b\"]&atts_since=[]").unwrap();
        assert_eq!(query.open_revs, Some(Revs::Some(vec![rev("1-a"), rev("2-b")])));
        assert_eq!(query.single_view().atts, Atts::Inline);
        assert_eq!(query.multi_view(), View::default());
        assert_eq!(parse("open_revs=[]").unwrap().open_revs, None);
        assert_eq!(parse("open_revs=all").unwrap().open_revs, Some(Revs::All));
        assert_eq!(reason("open_revs=x"), "invalid UTF-8 JSON");
        assert_eq!(reason("open_revs={}"), "Invalid list of revisions");
        assert_eq!(reason("open_revs=[3]"), "Invalid rev format");
        assert_eq!(reason("atts_since=[\"zz\"]"), "Invalid rev format");
        assert_eq!(reason("rev=x"), "Invalid rev format");
    }

    #[test]
    fn latest_opens_the_winner() {
        let options = parse("rev=1-a&latest=true&conflicts=true").unwrap().open_options();
        assert!(options.rev.is_none() && options.facts && !options.history);
        let options = parse("rev=1-a&revs=true&deleted=true&r=2").unwrap().open_options();
        assert_eq!((options.rev, options.r), (Some(rev("1-a")), Some(2)));
        assert!(options.history && options.deleted);
    }

    #[test]
    fn the_last_word_counts() {
        let query = parse("rev=1-a&rev=2-b&new_edits=false&new_edits=true").unwrap();
        assert_eq!((query.rev, query.mode), (Some(rev("2-b")), EditMode::Interactive));
        assert_eq!(parse("new_edits=false").unwrap().mode, EditMode::Replicated);
        assert_eq!(copies("w", "0"), Ok(1));
        assert_eq!(copies("w", "99999999999"), Ok(u32::MAX));
        assert!(copies("w", "x").is_err());
    }
}
