//! The body of a design document while views are put in and taken out: everything else stays as
//! it was, in its order. Never decides what a view is.

use settee_model::json::{Raw, escape_into};

/// Members of a design document, and those of its `views`: names, and values in stored form.
pub(super) struct Ddoc {
    members: Vec<Member>,
}

struct Member {
    name: String,
    value: Vec<u8>,
}

impl Ddoc {
    /// One for indexes, without any.
    pub fn new() -> Self {
        Ddoc { members: vec![Member { name: "language".into(), value: br#""query""#.to_vec() }] }
    }

    /// One that exists.
    pub fn read(body: &[u8]) -> Self {
        Ddoc { members: split(body) }
    }

    /// Whether nothing is in it that is worth keeping.
    pub fn is_bare(&self) -> bool {
        matches!(self.members.as_slice(), [only] if only.name == "language")
    }

    pub fn set(&mut self, name: &str, value: &str) {
        put(&mut self.members, name, value.as_bytes().to_vec());
    }

    pub fn set_view(&mut self, name: &str, view: &str) {
        let mut views = self.views();
        put(&mut views, name, view.as_bytes().to_vec());
        put(&mut self.members, "views", join(&views));
    }

    /// Takes a view out, if it is there. The last one takes `views` with it.
    pub fn remove_view(&mut self, name: &str) -> bool {
        let mut views = self.views();
        let Some(at) = views.iter().position(|view| view.name == name) else { return false };
        views.remove(at);
        if views.is_empty() {
            self.members.retain(|member| member.name != "views");
        } else {
            put(&mut self.members, "views", join(&views));
        }
        true
    }

    pub fn into_bytes(self) -> Vec<u8> {
        join(&self.members)
    }

    fn views(&self) -> Vec<Member> {
        let views = self.members.iter().find(|member| member.name == "views");
        views.map_or_else(Vec::new, |views| split(&views.value))
    }
}

fn split(object: &[u8]) -> Vec<Member> {
    let members = Raw(object).members().into_iter().flatten();
    members.map(|(name, value)| Member { name: name.into_owned(), value: value.to_vec() }).collect()
}

/// Replaces a member where it stands, or adds it at the end.
fn put(members: &mut Vec<Member>, name: &str, value: Vec<u8>) {
    match members.iter_mut().find(|member| member.name == name) {
        Some(member) => member.value = value,
        None => members.push(Member { name: name.to_owned(), value }),
    }
}

fn join(members: &[Member]) -> Vec<u8> {
    let mut object = vec![b'{'];
    for member in members {
        if object.len() > 1 {
            object.push(b',');
        }
        escape_into(&mut object, &member.name);
        object.push(b':');
        object.extend_from_slice(&member.value);
    }
    object.push(b'}');
    object
}
