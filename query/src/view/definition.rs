//! What a design document defines: its views, the maps that these share, the name of each map's index.
//! Pure.

use std::sync::Arc;

use settee_engine::index::Signature;
use settee_model::json::Raw;
use sha1::{Digest, Sha1};

use super::reduce::Reduce;
use crate::mango::Index as MangoIndex;

/// All views of a design document.
#[derive(Clone, Debug)]
pub struct Definition {
    /// By name, in the document's order.
    pub views: Vec<View>,
    /// The different maps, in the order in which views first name them.
    pub maps: Vec<MapDef>,
    /// What holds for all of them.
    pub options: Options,
}

/// Members of `options`, and the library: what decides about rows beside the map.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Whether design documents are mapped.
    pub include_design: bool,
    /// Whether documents have `_local_seq`.
    pub local_seq: bool,
    /// Whether rows are ordered by partition first.
    pub partitioned: bool,
    /// The member `views.lib`, as JSON.
    pub lib: Option<Vec<u8>>,
}

/// A view.
#[derive(Clone, Debug)]
pub struct View {
    /// Its name.
    pub name: String,
    /// Which of the maps makes its rows.
    pub map: usize,
    /// How they are reduced.
    pub reduce: Option<Reduce>,
}

/// A map, which has an index of its own.
#[derive(Clone, Debug)]
pub struct MapDef {
    /// Names the index.
    pub signature: Signature,
    /// What makes rows.
    pub source: MapSource,
    /// Whether keys are in the order of Erlang's terms (`collation: raw`).
    pub raw: bool,
    /// All reduces over it, each once.
    pub reduces: Vec<Reduce>,
}

/// What makes rows of a document.
#[derive(Clone, Debug)]
pub enum MapSource {
    /// A JavaScript function.
    Script(String),
    /// Fields of a Mango index; none if the view is no index that can be understood.
    Fields(Option<Arc<MangoIndex>>),
}

/// Why a design document has no views that can be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DefinitionError {
    /// Functions in a language that is not spoken here: 500 `unknown_query_language`, and this as the
    /// reason.
    #[error("{0}")]
    UnknownLanguage(String),
}

/// Signatures of another form are other signatures.
const FORM: &[u8] = b"view 1";

impl Definition {
    /// Reads a design document's body, in stored form. `partitioned`: whether the database is; `id`
    /// the document's, with `_design/`.
    ///
    /// # Errors
    /// See [`DefinitionError`]. Members of another type than they should have are left out.
    pub fn of(id: &str, body: &[u8], partitioned: bool) -> Result<Definition, DefinitionError> {
        let [language, options, views] = Raw(body).pick(["language", "options", "views"]);
        let language = language.and_then(Raw::as_str).unwrap_or("javascript".into());
        let views = views.unwrap_or(Raw(b"{}"));
        let option = |name| options.and_then(|options| options.get(name)).and_then(Raw::as_bool);
        let options = Options {
            include_design: option("include_design").unwrap_or(false),
            local_seq: option("local_seq").unwrap_or(false),
            partitioned: option("partitioned").unwrap_or(partitioned),
            lib: views.get("lib").map(|lib| lib.to_vec()),
        };
        let fields = match &*language {
            "javascript" => None,
            "query" => Some(MangoIndex::of_ddoc(id, body, partitioned)),
            // Who defines nothing need not be understood.
            _ if views.members().into_iter().flatten().next().is_none() => None,
            other => return Err(DefinitionError::UnknownLanguage(other.to_owned())),
        };
        let mut definition = Definition { views: Vec::new(), maps: Vec::new(), options };
        for (name, view) in views.members().into_iter().flatten() {
            let [map, reduce, options] = view.pick(["map", "reduce", "options"]);
            let collation = options.and_then(|options| options.get("collation"));
            let raw = collation.and_then(Raw::as_str).is_some_and(|order| order == "raw");
            let source = match (map, &fields) {
                (Some(map), None) => map.as_str().map(|map| MapSource::Script(map.into_owned())),
                (Some(_), Some(indexes)) => {
                    let index = indexes.iter().find(|index| index.name() == name);
                    Some(MapSource::Fields(index.cloned().map(Arc::new)))
                }
                (None, _) => None,
            };
            let (Some(source), Some(map)) = (source, map) else { continue };
            let reduce = reduce.and_then(Raw::as_str).and_then(|reduce| Reduce::parse(&reduce));
            definition.add(&name, &language, (map, source, raw), reduce);
        }
        Ok(definition)
    }

    fn add(
        &mut self,
        name: &str,
        language: &str,
        (map, source, raw): (Raw<'_>, MapSource, bool),
        reduce: Option<Reduce>,
    ) {
        let signature = self.options.signature(language, &map, raw);
        let known = self.maps.iter().position(|map| map.signature == signature);
        let at = known.unwrap_or(self.maps.len());
        if known.is_none() {
            self.maps.push(MapDef { signature, source, raw, reduces: Vec::new() });
        }
        if let (Some(map), Some(reduce)) = (self.maps.get_mut(at), &reduce)
            && !map.reduces.contains(reduce)
        {
            map.reduces.push(reduce.clone());
        }
        self.views.push(View { name: name.to_owned(), map: at, reduce });
    }

    /// Names all that is defined, apart from the order and names of views.
    #[must_use]
    pub fn signature(&self) -> String {
        let mut hash = Sha1::new();
        for map in &self.maps {
            hash.update(map.signature.0);
            map.reduces.iter().for_each(|reduce| hash.update(reduce.source()));
        }
        let bytes = hash.finalize();
        bytes.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
    }

    /// A view by its name.
    #[must_use]
    pub fn view(&self, name: &str) -> Option<&View> {
        self.views.iter().find(|view| view.name == name)
    }

    /// The map of a view.
    #[must_use]
    pub fn map_of(&self, view: &View) -> Option<&MapDef> {
        self.maps.get(view.map)
    }
}

impl Options {
    fn signature(&self, language: &str, map: &[u8], raw: bool) -> Signature {
        let [design, seq, partitioned, raw_order] =
            [self.include_design, self.local_seq, self.partitioned, raw].map(u8::from);
        // With 1 for partitioned these ended with a byte 0, which their names may hold.
        let flags = [design, seq, 2 * partitioned, raw_order];
        // Without the last one signatures are what they were before there was one.
        let flags = flags.get(..if raw { 4 } else { 3 }).unwrap_or_default();
        let lib = self.lib.as_deref().unwrap_or(b"{}");
        let mut hash = Sha1::new();
        for part in [FORM, language.as_bytes(), flags, map, lib] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut signature = [0; 16];
        signature.iter_mut().zip(hash.finalize()).for_each(|(to, byte)| *to = byte);
        Signature(signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signatures(body: &str) -> Vec<Signature> {
        let definition = Definition::of("_design/d", body.as_bytes(), false).unwrap();
        definition.maps.iter().map(|map| map.signature).collect()
    }

    #[test]
    fn views_with_the_same_map_share_an_index() {
        let body = r#"{"views":{"lib":{"x":"1"},"a":{"map":"M"},"b":{"map":"N","reduce":"_sum"},
            "c":{"map":"M","reduce":"_count"},"d":{"map":"M","reduce":"_sum"},"e":{"map":3}}}"#;
        let body: String = body.split_whitespace().collect();
        let definition = Definition::of("_design/d", body.as_bytes(), false).unwrap();
        let views: Vec<_> =
            definition.views.iter().map(|view| (view.name.as_str(), view.map)).collect();
        assert_eq!(views, [("a", 0), ("b", 1), ("c", 0), ("d", 0)]);
        assert_eq!(definition.maps[0].reduces, [Reduce::Count, Reduce::Sum]);
        assert_eq!(definition.options.lib.as_deref(), Some(&br#"{"x":"1"}"#[..]));
        assert!(definition.view("lib").is_none());
    }

    #[test]
    fn only_what_decides_about_rows_is_in_the_signature() {
        let base = signatures(r#"{"views":{"a":{"map":"M"}}}"#);
        let more = r#"{"_id":"x","views":{"b":{"map":"N","reduce":"_sum"},"z":{"map":"M","reduce":"_count"}}}"#;
        assert!(signatures(more).contains(&base[0]));
        for other in [
            r#"{"views":{"a":{"map":"M "}}}"#,
            r#"{"views":{"a":{"map":"M"},"lib":{"a":"b"}}}"#,
            r#"{"views":{"a":{"map":"M"}},"options":{"local_seq":true}}"#,
            r#"{"views":{"a":{"map":"M"}},"options":{"include_design":true}}"#,
            r#"{"views":{"a":{"map":"M"}},"options":{"partitioned":true}}"#,
            r#"{"language":"query","views":{"a":{"map":{"fields":{"a":"asc"}},"options":{}}}}"#,
        ] {
            assert_ne!(signatures(other), base, "{other}");
        }
        let erlang = |views| {
            let body = format!(r#"{{"language":"erlang","views":{views}}}"#);
            Definition::of("_design/d", body.as_bytes(), false)
        };
        let unknown = DefinitionError::UnknownLanguage("erlang".into());
        assert_eq!(erlang(r#"{"a":{"map":"M"}}"#).unwrap_err(), unknown);
        assert!(erlang("{}").unwrap().views.is_empty());
    }
}
