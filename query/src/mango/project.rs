//! The fields of documents that a client wants to see: parts of stored documents, spliced into
//! new ones. Never parses what it does not need.

use settee_model::json::{Raw, escape_into};
use settee_model::selector::FieldPath;

use super::error::MangoError;

/// Fields to show, in the client's order.
#[derive(Clone, Debug)]
pub struct Projection(Vec<FieldPath>);

impl Projection {
    /// Reads names of fields, with dots between the parts.
    ///
    /// # Errors
    /// `invalid_field_name` if a part is empty.
    pub fn new(fields: &[String]) -> Result<Projection, MangoError> {
        let paths = fields.iter().map(|field| match FieldPath::parse(field) {
            Ok(path) if !path.names().is_empty() => Ok(path),
            _ => Err(MangoError::bad("invalid_field_name", format!("Invalid field name: {field}"))),
        });
        Ok(Projection(paths.collect::<Result<_, _>>()?))
    }

    /// What is shown of a document, a JSON object in stored form.
    #[must_use]
    pub fn of(&self, document: &[u8]) -> Vec<u8> {
        let mut shown = Shown::default();
        for path in &self.0 {
            if let Some(value) = path.find(Raw(document)) {
                shown.set(path.names(), value.bytes());
            }
        }
        shown.into_bytes(document.len())
    }

    /// The document that an index row stands for: its id, and the values of the columns.
    pub(super) fn of_row(&self, id: &[u8], key: &[u8]) -> Vec<u8> {
        let mut shown = Shown::default();
        let id_name = ["_id".to_owned()];
        shown.set(&id_name, id);
        let values: Vec<Raw<'_>> = Raw(key).elements().into_iter().flatten().collect();
        for (path, value) in self.0.iter().zip(values).rev() {
            shown.set(path.names(), value.bytes());
        }
        shown.into_bytes(id.len() + key.len() + 32 * self.0.len())
    }
}

/// An object that is being put together out of parts of stored ones.
#[derive(Default)]
struct Shown<'a> {
    members: Vec<(&'a str, Part<'a>)>,
}

enum Part<'a> {
    /// A value as it is stored.
    Stored(&'a [u8]),
    Made(Shown<'a>),
}

impl<'a> Shown<'a> {
    fn set(&mut self, path: &'a [String], value: &'a [u8]) {
        let Some((name, rest)) = path.split_first() else { return };
        match self.members.iter_mut().find(|(found, _)| found == name) {
            Some((_, part)) if rest.is_empty() => *part = Part::Stored(value),
            Some((_, Part::Made(inner))) => inner.set(rest, value),
            // All of it is there already.
            Some((_, Part::Stored(_))) => {}
            None => self.members.push((name, Part::new(rest, value))),
        }
    }

    fn into_bytes(self, capacity: usize) -> Vec<u8> {
        let mut out = Vec::with_capacity(capacity.min(4096));
        self.write(&mut out);
        out
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.push(b'{');
        for (index, (name, part)) in self.members.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            escape_into(out, name);
            out.push(b':');
            match part {
                Part::Stored(value) => out.extend_from_slice(value),
                Part::Made(inner) => inner.write(out),
            }
        }
        out.push(b'}');
    }
}

impl<'a> Part<'a> {
    fn new(path: &'a [String], value: &'a [u8]) -> Self {
        if path.is_empty() {
            return Part::Stored(value);
        }
        let mut inner = Shown::default();
        inner.set(path, value);
        Part::Made(inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(fields: &[&str], document: &str) -> String {
        let fields: Vec<String> = fields.iter().map(|field| (*field).to_owned()).collect();
        let projection = Projection::new(&fields).unwrap();
        String::from_utf8(projection.of(document.as_bytes())).unwrap()
    }

    #[test]
    fn fields_stand_in_the_clients_order() {
        let document = r#"{"_id":"x","a":{"b":1.50,"c":[1,{"d":"é"}]},"e.f":2,"g":null}"#;
        assert_eq!(shown(&["g", "_id"], document), r#"{"g":null,"_id":"x"}"#);
        assert_eq!(shown(&["a.c", "a.b"], document), r#"{"a":{"c":[1,{"d":"é"}],"b":1.50}}"#);
        assert_eq!(shown(&["a.b", "nope", "a.x"], document), r#"{"a":{"b":1.50}}"#);
        assert_eq!(shown(&["a.c.1.d", "a.c.0"], document), r#"{"a":{"c":{"1":{"d":"é"},"0":1}}}"#);
        let whole = r#"{"a":{"b":1.50,"c":[1,{"d":"é"}]}}"#;
        assert_eq!(shown(&["a", "a.b"], document), whole);
        assert_eq!(shown(&["a.b", "a"], document), whole);
        assert_eq!(shown(&["e\\.f"], document), r#"{"e.f":2}"#);
        assert_eq!(shown(&["z"], document), "{}");
    }

    #[test]
    fn rows_stand_for_documents() {
        let columns = ["a".to_owned(), "b.c".to_owned()];
        let row = Projection::new(&columns).unwrap().of_row(br#""x""#, br#"[1,"y"]"#);
        assert_eq!(row, br#"{"_id":"x","b":{"c":"y"},"a":1}"#);
    }
}
