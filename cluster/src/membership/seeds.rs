//! Addresses of nodes as operators write them, and what a node without a cluster does next. Pure.

use crate::mesh::PORT;

/// A node that is known by its address only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seed {
    /// `host:port`.
    pub(crate) address: String,
}

/// Neither `name@host` nor `host:port`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no node: write name@host or host:port")]
pub struct BadSeed(pub String);

impl Seed {
    /// Reads `name@host` (at the usual port), `name@host:port`, `host:port` or `host`.
    pub(crate) fn parse(text: &str) -> Result<Seed, BadSeed> {
        let text = text.trim();
        let (name, place) = match text.split_once('@') {
            Some((name, place)) => (Some(name), place),
            None => (None, text),
        };
        let (host, port) = match place.rsplit_once(':') {
            // Without brackets, all of an IPv6 address is the host.
            Some((host, port)) if !host.contains(':') || host.ends_with(']') => {
                (host, port.parse().ok())
            }
            _ => (place, Some(PORT)),
        };
        let bad = || BadSeed(text.to_owned());
        let port: u16 = port.filter(|port| *port != 0).ok_or_else(bad)?;
        let odd = |c: char| c.is_whitespace() || "/@,?#".contains(c);
        if host.is_empty() || host.contains(odd) || name.is_some_and(str::is_empty) {
            return Err(bad());
        }
        let host = match host.contains(':') && !host.starts_with('[') {
            true => format!("[{host}]"),
            false => host.to_owned(),
        };
        Ok(Seed { address: format!("{host}:{port}") })
    }

    /// Reads a list: entries between commas.
    pub(crate) fn parse_list(texts: &[String]) -> Result<Vec<Seed>, BadSeed> {
        let entries = texts.iter().flat_map(|text| text.split(','));
        entries.filter(|entry| !entry.trim().is_empty()).map(Seed::parse).collect()
    }
}

/// The host of a node's name.
pub(crate) fn host_of(name: &str) -> &str {
    name.split_once('@').map_or("127.0.0.1", |(_, host)| host)
}

/// What became of asking a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Heard {
    /// As the list has it: all lists spell a node alike, in whatever order.
    pub(crate) address: String,
    pub(crate) state: State,
}

/// What a seed answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It is this node itself.
    Itself,
    /// It belongs to a cluster.
    Grouped,
    /// It looks for one, too.
    Groupless,
    /// It did not answer.
    Silent,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Ask the seed of this number to be taken in.
    Join(usize),
    /// Begin the cluster.
    Found,
    /// Ask again later.
    Wait,
}

/// Decides from what became of all seeds: the one whose address comes first in the alphabet begins
/// the cluster, however the list is ordered, and only if no other belongs to one already. Of more than
/// half it must hear that: it may be a replacement, and those that are silent a cluster.
pub(crate) fn next(heard: &[Heard]) -> Next {
    if let Some(seed) = heard.iter().position(|heard| heard.state == State::Grouped) {
        return Next::Join(seed);
    }
    let answered = heard.iter().filter(|heard| heard.state != State::Silent).count();
    match heard.iter().min_by_key(|heard| &heard.address) {
        Some(Heard { state: State::Itself, .. }) if answered * 2 > heard.len() => Next::Found,
        _ => Next::Wait,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_read_as_they_are_written() {
        for (text, address) in [
            ("couchdb@a.example", "a.example:9100"),
            (" couchdb@127.0.0.1:9101 ", "127.0.0.1:9101"),
            ("a:9102", "a:9102"),
            ("a", "a:9100"),
            ("[::1]:7", "[::1]:7"),
            ("x@::1", "[::1]:9100"),
        ] {
            assert_eq!(Seed::parse(text), Ok(Seed { address: address.to_owned() }), "{text}");
        }
        for text in ["", "@a", "x@", "a:0", "a:x", "a b", "a/b:1", "a@b@c", ":9100"] {
            assert_eq!(Seed::parse(text), Err(BadSeed(text.to_owned())), "{text}");
        }
        let list = Seed::parse_list(&["a:1, b:2,".into(), "c:3".into()]).unwrap();
        assert_eq!(
            list.iter().map(|seed| &*seed.address).collect::<Vec<_>>(),
            ["a:1", "b:2", "c:3"]
        );
    }

    #[test]
    fn only_the_seed_of_the_first_address_begins_a_cluster() {
        use State::*;
        for (heard, expected) in [
            (&[("a", Itself), ("b", Silent), ("c", Groupless)][..], Next::Found),
            (&[("c", Groupless), ("b", Silent), ("a", Itself)], Next::Found),
            (&[("a", Itself), ("b", Silent), ("c", Grouped)], Next::Join(2)),
            (&[("a", Itself)], Next::Found),
            // Who was given an empty disk does not begin a second cluster while the first is silent.
            (&[("a", Itself), ("b", Silent), ("c", Silent)], Next::Wait),
            (&[("a", Itself), ("b", Silent)], Next::Wait),
            (&[("a", Groupless), ("b", Itself)], Next::Wait),
            (&[("b", Itself), ("a", Groupless)], Next::Wait),
            // Who cannot hear the others does not begin a cluster of its own, whatever its own address.
            (&[("b", Itself), ("a", Silent)], Next::Wait),
            (&[("a", Silent), ("b", Itself), ("c", Silent)], Next::Wait),
            (&[("a", Silent), ("b", Grouped), ("c", Itself)], Next::Join(1)),
            (&[("a", Silent)], Next::Wait),
            (&[], Next::Wait),
        ] {
            let heard: Vec<_> = heard
                .iter()
                .map(|(address, state)| Heard { address: (*address).to_owned(), state: *state })
                .collect();
            assert_eq!(next(&heard), expected, "{heard:?}");
        }
    }
}
