//! What should exist in the database of a conversation: a guess that makes most requests hit
//! something. Nobody is told if it is wrong.

use crate::dice::Dice;

/// A document.
#[derive(Clone, Debug, Default)]
pub(super) struct Doc {
    pub id: String,
    /// Its revisions as requests name them, the latest last.
    pub revs: Vec<String>,
    /// Names of its attachments.
    pub attachments: Vec<String>,
    pub deleted: bool,
}

/// A view or an index: its design document without `_design/`, and its name.
#[derive(Clone, Debug, Default)]
pub(super) struct View {
    pub ddoc: String,
    pub name: String,
}

/// A database.
#[derive(Clone, Debug, Default)]
pub(super) struct World {
    pub path: String,
    pub partitioned: bool,
    /// Whether there are several shards, so that some orders mean nothing.
    pub spread: bool,
    pub docs: Vec<Doc>,
    pub views: Vec<View>,
    pub indexes: Vec<View>,
    pub sequences: Vec<String>,
    pub bookmarks: Vec<String>,
    named: usize,
}

impl World {
    pub fn at(path: &str) -> World {
        World { path: path.to_owned(), ..World::default() }
    }

    /// A name for a captured value.
    pub fn name(&mut self, kind: char) -> String {
        self.named += 1;
        format!("{kind}{}", self.named)
    }

    /// Where a document stands; it is made if nothing is known of it.
    pub fn place(&mut self, id: &str) -> usize {
        if let Some(at) = self.docs.iter().position(|doc| doc.id == id) {
            return at;
        }
        self.docs.push(Doc { id: id.to_owned(), ..Doc::default() });
        self.docs.len() - 1
    }

    /// What is known of a document.
    pub fn doc(&self, id: &str) -> Doc {
        let known = self.docs.iter().find(|doc| doc.id == id);
        known.cloned().unwrap_or_else(|| Doc { id: id.to_owned(), ..Doc::default() })
    }

    /// Remembers an edit.
    pub fn edited(&mut self, id: &str, rev: String, attachments: Vec<String>, deleted: bool) {
        let at = self.place(id);
        if let Some(doc) = self.docs.get_mut(at) {
            doc.revs.push(rev);
            doc.attachments = attachments;
            doc.deleted = deleted;
        }
    }

    /// Some document with whose name `begins` agrees.
    pub fn some(&self, dice: &mut Dice, begins: impl Fn(&str) -> bool) -> Option<Doc> {
        let fitting: Vec<&Doc> = self.docs.iter().filter(|doc| begins(&doc.id)).collect();
        fitting.get(dice.below(fitting.len())).map(|doc| (*doc).clone())
    }
}

impl Doc {
    /// The revision that an edit should name.
    pub fn latest(&self) -> Option<String> {
        self.revs.last().filter(|_| !self.deleted).cloned()
    }

    /// Whether it is an ordinary document.
    pub fn is_plain(id: &str) -> bool {
        !id.starts_with('_')
    }
}
