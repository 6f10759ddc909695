//! Where a reader stands in the changes of a copy, and where that is on another copy. Pure but for
//! reading what internal replication has left behind. Never guesses: what is not known is the
//! beginning.
//!
//! Copies number their changes each in its own order. When copy B pulls from copy A, A also says how
//! far it has come with B: everything that B had up to `ours` is in A's state as of `theirs`. So a
//! reader who has seen A's changes up to `theirs`, or further, has seen everything of B up to
//! `ours`, and goes on behind it. That is a [`Mark`]; B keeps some.

use bytes::Bytes;
use settee_engine::Snapshot;

use super::Fault;

/// Where a reader stands in the changes of a copy. The default stands at the beginning of any copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Point {
    /// The life of the copy: made anew it has another one, and other numbers.
    pub(crate) life: u64,
    /// Everything up to this sequence was seen.
    pub(crate) seq: u64,
}

/// What two copies knew of each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// A state of the other copy.
    pub(crate) theirs: u64,
    /// All changes of this copy up to here are in it.
    pub(crate) ours: u64,
}

/// Marks of one life of another copy, oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Marks(Vec<Mark>);

const VERSION: u8 = 1;
const PREFIX: &str = "marks/";
/// Marks that are kept; the older they are the further apart.
const MOST: usize = 24;

impl Point {
    /// Where a copy stands now.
    pub(crate) fn end_of(snapshot: &Snapshot) -> Point {
        Point { life: snapshot.epoch(), seq: snapshot.update_seq() }
    }

    /// The sequence behind which a reader that stands here goes on in a copy: nothing up to it is
    /// new to that reader.
    pub(crate) fn on(self, snapshot: &Snapshot) -> Result<u64, Fault> {
        if self.life == snapshot.epoch() {
            return Ok(self.seq);
        }
        if self == Point::default() {
            return Ok(0);
        }
        Ok(Marks::of(snapshot, &Marks::name(self.life))?.passed(self.seq))
    }
}

impl Marks {
    /// The name of the property for a life of another copy.
    pub(crate) fn name(life: u64) -> Bytes {
        format!("{PREFIX}{life:016x}").into()
    }

    /// The marks that a copy keeps under a name.
    pub(crate) fn of(snapshot: &Snapshot, name: &[u8]) -> Result<Marks, Fault> {
        let known = snapshot.property(name)?;
        Ok(known.and_then(|known| Marks::decode(&known)).unwrap_or_default())
    }

    /// Reads a property; what cannot be read is as good as none.
    fn decode(value: &[u8]) -> Option<Marks> {
        let (&VERSION, rest) = value.split_first()? else { return None };
        let (marks, []) = rest.as_chunks::<16>() else { return None };
        let mark = |bytes: &[u8; 16]| {
            let both = u128::from_be_bytes(*bytes);
            Mark { theirs: (both >> 64) as u64, ours: both as u64 }
        };
        Some(Marks(marks.iter().map(mark).collect()))
    }

    pub(crate) fn encode(&self) -> Bytes {
        let bytes =
            |mark: &Mark| (u128::from(mark.theirs) << 64 | u128::from(mark.ours)).to_be_bytes();
        [VERSION].into_iter().chain(self.0.iter().flat_map(bytes)).collect::<Vec<u8>>().into()
    }

    /// Adds what is known now; whether that is news.
    pub(crate) fn add(&mut self, mark: Mark) -> bool {
        // A copy that is behind what it once was has been put back: its numbers mean other changes.
        let before = self.0.len();
        self.0.retain(|known| known.theirs <= mark.theirs && known.ours <= mark.ours);
        if self.0.last().is_some_and(|last| last.ours == mark.ours) {
            return self.0.len() < before;
        }
        self.0.push(mark);
        if self.0.len() > MOST {
            self.thin();
        }
        true
    }

    /// Lets that one go whose neighbours are closest together for their age.
    fn thin(&mut self) {
        let Some(newest) = self.0.last().map(|mark| mark.theirs) else { return };
        let gaps = self.0.windows(3).enumerate().filter_map(|(before, marks)| match marks {
            [older, it, newer] => {
                let age = newest.saturating_sub(it.theirs) + 1;
                Some(((newer.theirs.saturating_sub(older.theirs)) as f64 / age as f64, before + 1))
            }
            _ => None,
        });
        if let Some((_, place)) = gaps.min_by(|one, other| one.0.total_cmp(&other.0)) {
            self.0.remove(place);
        }
    }

    /// What of this copy a reader has seen who has seen the other one up to a sequence.
    fn passed(&self, seq: u64) -> u64 {
        let seen = self.0.iter().take_while(|mark| mark.theirs <= seq);
        seen.last().map_or(0, |mark| mark.ours)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn marks(marks: &[(u64, u64)]) -> Marks {
        Marks(marks.iter().map(|(theirs, ours)| Mark { theirs: *theirs, ours: *ours }).collect())
    }

    #[test]
    fn a_reader_goes_on_behind_what_it_has_seen_and_never_further() {
        let known = marks(&[(10, 7), (20, 21)]);
        for (seq, passed) in [(0, 0), (9, 0), (10, 7), (19, 7), (20, 21), (u64::MAX, 21)] {
            assert_eq!(known.passed(seq), passed, "{seq}");
        }
    }

    #[test]
    fn a_copy_that_was_put_back_takes_its_marks_with_it() {
        let mut known = marks(&[(10, 7), (20, 21)]);
        assert!(known.add(Mark { theirs: 15, ours: 30 }));
        assert_eq!(known, marks(&[(10, 7), (15, 30)]));
        assert!(!known.add(Mark { theirs: 16, ours: 30 }));
        assert!(known.add(Mark { theirs: 14, ours: 7 }), "what is gone is news, too");
        assert_eq!(known, marks(&[(10, 7)]));
        assert!(known.add(Mark { theirs: 15, ours: 30 }));
        assert!(known.add(Mark { theirs: 16, ours: 5 }));
        assert_eq!(known, marks(&[(16, 5)]));
    }

    #[test]
    fn they_come_back_as_they_were_written() {
        let known = marks(&[(0, 1), (u64::MAX, u64::MAX)]);
        let bytes = known.encode();
        assert_eq!(Marks::decode(&bytes), Some(known));
        assert_eq!(Marks::decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(Marks::decode(&[&[9], &bytes[1..]].concat()), None);
        assert_eq!(Marks::decode(&[]), None);
    }

    proptest! {
        #[test]
        fn old_ones_get_rarer_and_few_are_enough(steps in prop::collection::vec(1_u64..1000, 1..300)) {
            let (mut known, mut at) = (Marks::default(), 0);
            for step in steps {
                at += step;
                let news = known.add(Mark { theirs: at, ours: at });
                prop_assert!(news);
                prop_assert!(known.0.len() <= MOST);
                prop_assert!(known.0.is_sorted_by(|one, other| one.ours < other.ours));
                prop_assert_eq!(known.passed(at), at);
            }
        }
    }
}
