//! Many ordered streams become one, as soon as it is certain which row comes next. Never looks at
//! more of a row than its key.

use std::collections::VecDeque;

/// What rows are ordered by.
pub(crate) trait Keyed {
    /// Unique over all streams.
    fn key(&self) -> &[u8];
}

/// Rows of several streams that are on their way into one.
pub(crate) struct Merge<T> {
    streams: Vec<Stream<T>>,
    descending: bool,
}

struct Stream<T> {
    rows: VecDeque<T>,
    ended: bool,
}

impl<T: Keyed> Merge<T> {
    pub(crate) fn new(streams: usize, descending: bool) -> Self {
        let stream = || Stream { rows: VecDeque::new(), ended: false };
        Merge { streams: (0..streams).map(|_| stream()).collect(), descending }
    }

    /// A stream's next rows, in order, and whether they are its last.
    pub(crate) fn feed(&mut self, stream: usize, rows: Vec<T>, ended: bool) {
        let Some(stream) = self.streams.get_mut(stream) else { return };
        if stream.rows.is_empty() {
            stream.rows = rows.into();
        } else {
            stream.rows.extend(rows);
        }
        stream.ended |= ended;
    }

    /// The streams without which nothing more can be said.
    pub(crate) fn hungry(&self) -> Vec<usize> {
        let hungry = |stream: &Stream<T>| stream.rows.is_empty() && !stream.ended;
        let numbered = self.streams.iter().enumerate();
        numbered.filter(|(_, stream)| hungry(stream)).map(|(number, _)| number).collect()
    }

    /// All rows whose turn is certain; none if a stream is hungry, or at the end.
    pub(crate) fn drain(&mut self) -> Vec<T> {
        if let [only] = self.streams.as_mut_slice() {
            return std::mem::take(&mut only.rows).into();
        }
        let mut merged = Vec::new();
        while self.streams.iter().all(|stream| stream.ended || !stream.rows.is_empty()) {
            let Some(row) = self.next_stream().and_then(|stream| stream.rows.pop_front()) else {
                break;
            };
            merged.push(row);
        }
        merged
    }

    fn next_stream(&mut self) -> Option<&mut Stream<T>> {
        let descending = self.descending;
        let full = self.streams.iter_mut().filter(|stream| !stream.rows.is_empty());
        full.reduce(|best, other| {
            let order = best.front_key().cmp(other.front_key());
            if order.is_gt() != descending { other } else { best }
        })
    }
}

impl<T: Keyed> Stream<T> {
    fn front_key(&self) -> &[u8] {
        self.rows.front().map_or(&[], Keyed::key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Keyed for String {
        fn key(&self) -> &[u8] {
            self.as_bytes()
        }
    }

    fn rows(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn nothing_leaves_before_every_stream_has_spoken() {
        let mut merge = Merge::new(2, false);
        merge.feed(0, rows("a c"), false);
        assert_eq!(merge.drain(), Vec::<String>::new());
        assert_eq!(merge.hungry(), [1]);
        merge.feed(1, rows("b d"), false);
        assert_eq!(merge.drain(), ["a", "b", "c"]);
        assert_eq!(merge.hungry(), [0]);
        merge.feed(0, Vec::new(), true);
        assert_eq!(merge.drain(), ["d"]);
        assert_eq!(merge.hungry(), [1]);
        merge.feed(1, rows("e"), true);
        assert_eq!(merge.drain(), ["e"]);
        assert!(merge.hungry().is_empty() && merge.drain().is_empty());
    }

    #[test]
    fn descending_streams_merge_from_the_end() {
        let mut merge = Merge::new(3, true);
        merge.feed(0, rows("z b"), true);
        merge.feed(1, rows("y c a"), true);
        merge.feed(2, Vec::new(), true);
        assert_eq!(merge.drain(), ["z", "y", "c", "b", "a"]);
    }

    #[test]
    fn one_stream_passes_through() {
        let mut merge = Merge::new(1, false);
        merge.feed(0, rows("a b"), false);
        assert_eq!(merge.drain(), ["a", "b"]);
        assert_eq!(merge.hungry(), [0]);
    }
}
