//! How many copies must have a write before a client is told so, and what it is told. Asks no copy:
//! `coord::spread` does.

use settee_engine::shard::Outcome;

use crate::Error;

/// What is known of the writes of a batch that went to the copies of a range.
pub(crate) struct Acks {
    wanted: usize,
    writes: Vec<Tally>,
    error: Option<Error>,
}

/// What became of one write: its outcome, or why no copy could do it; and whether it is written, but
/// by fewer copies than wanted.
pub(crate) type Acked = (Result<Outcome, Error>, bool);

/// What is known of one write.
#[derive(Default)]
struct Tally {
    /// What the client will be told.
    outcome: Option<Outcome>,
    /// It was told by the one copy that decides, and counts once that copy has it synced.
    decided: bool,
    /// Copies that have done as the outcome says.
    good: usize,
    /// Copies that refused.
    refused: usize,
}

/// Acknowledgements that are wanted of `n` copies when a client doesn't say.
pub(crate) fn majority(n: usize) -> usize {
    n / 2 + 1
}

impl Acks {
    /// So many writes that every copy may carry out by itself. `wanted` may be more than there are
    /// copies, which makes every answer an accepted one.
    pub(crate) fn new(writes: usize, wanted: usize) -> Acks {
        let writes = (0..writes).map(|_| Tally::default()).collect();
        Acks { wanted, writes, error: None }
    }

    /// Writes that one copy has decided; what it refused no other copy hears of.
    pub(crate) fn decided(outcomes: Vec<Outcome>, wanted: usize) -> Acks {
        let tally = |outcome| Tally { outcome: Some(outcome), decided: true, ..Tally::default() };
        Acks { wanted, writes: outcomes.into_iter().map(tally).collect(), error: None }
    }

    /// Takes the reply of a copy: what became of the writes that it was sent, by their places.
    pub(crate) fn reply(&mut self, reply: Result<Vec<(usize, Outcome)>, Error>) {
        match reply {
            Ok(outcomes) => {
                for (place, outcome) in outcomes {
                    if let Some(tally) = self.writes.get_mut(place) {
                        tally.reply(outcome);
                    }
                }
            }
            Err(error) => self.error = Some(error),
        }
    }

    /// The copy that decided has synced its decision.
    pub(crate) fn durable(&mut self) {
        self.writes.iter_mut().for_each(|tally| tally.good += 1);
    }

    /// Whether the client can be told, whatever the copies say that have not replied yet.
    pub(crate) fn is_certain(&self) -> bool {
        self.writes.iter().all(|tally| tally.is_certain(self.wanted.max(1)))
    }

    /// What to tell the client, one verdict for each write. Errs if there is not one write of which
    /// anything is known.
    pub(crate) fn verdict(self) -> Result<Vec<Acked>, Error> {
        let error = self.error.unwrap_or(Error::Timeout);
        if self.writes.iter().all(|tally| tally.good + tally.refused == 0) {
            return Err(error);
        }
        let verdict = |tally: Tally| match tally.outcome {
            Some(outcome) if tally.good > 0 || !tally.decided => {
                let accepted = tally.good < self.wanted && !outcome.is_refusal();
                (Ok(outcome), accepted)
            }
            _ => (Err(error.clone()), false),
        };
        Ok(self.writes.into_iter().map(verdict).collect())
    }
}

impl Tally {
    fn reply(&mut self, outcome: Outcome) {
        if outcome.is_refusal() {
            self.refused += 1;
            self.outcome.get_or_insert(outcome);
            return;
        }
        self.good += 1;
        // A copy that could do it knows better than one that could not, and of copies that purged
        // the one that had most to remove.
        let better = match (&self.outcome, &outcome) {
            (None | Some(Outcome::Failed(_)), _) => true,
            (Some(Outcome::Purged(before)), Outcome::Purged(now)) => now.len() > before.len(),
            _ => false,
        };
        if better && !self.decided {
            self.outcome = Some(outcome);
        }
    }

    fn is_certain(&self, wanted: usize) -> bool {
        let refused = self.outcome.as_ref().is_some_and(Outcome::is_refusal);
        match (self.decided, refused) {
            (true, true) => self.good > 0,
            (false, true) => self.refused >= wanted,
            (_, false) => self.good >= wanted,
        }
    }
}

#[cfg(test)]
mod tests {
    use settee_model::edit::EditError;

    use super::*;

    fn written() -> Outcome {
        Outcome::Written("1-aa".parse().unwrap())
    }

    fn conflict() -> Outcome {
        Outcome::Failed(EditError::Conflict)
    }

    /// What one write's copies say, and after how many of them the client can be told.
    fn run(mut acks: Acks, replies: &[Result<Outcome, Error>]) -> (usize, Result<Acked, Error>) {
        let mut certain = replies.len();
        for (count, reply) in replies.iter().enumerate() {
            acks.reply(reply.clone().map(|outcome| vec![(0, outcome)]));
            if acks.is_certain() {
                certain = count + 1;
                break;
            }
        }
        (certain, acks.verdict().map(|mut all| all.remove(0)))
    }

    fn full() -> Error {
        Error::Full("no room".into())
    }

    #[test]
    fn good_as_soon_as_enough_say_so() {
        let replies = [Ok(written()), Ok(written()), Ok(written())];
        assert_eq!(run(Acks::new(1, majority(3)), &replies), (2, Ok((Ok(written()), false))));
    }

    #[test]
    fn one_of_three_is_accepted_when_the_others_fail() {
        let replies = [Err(Error::Timeout), Ok(written()), Err(full())];
        assert_eq!(run(Acks::new(1, 2), &replies), (3, Ok((Ok(written()), true))));
    }

    #[test]
    fn nobody_has_it() {
        let replies = [Err(Error::Timeout), Err(full())];
        assert_eq!(run(Acks::new(1, 2), &replies), (2, Err(full())));
    }

    #[test]
    fn more_wanted_than_there_are() {
        assert_eq!(run(Acks::new(1, 3), &[Ok(written())]), (1, Ok((Ok(written()), true))));
        assert_eq!(run(Acks::new(1, 0), &[Ok(written())]), (1, Ok((Ok(written()), false))));
    }

    #[test]
    fn a_copy_that_can_do_it_outweighs_those_that_cannot() {
        let stub = Outcome::Failed(EditError::RevRequired);
        let replies = [Ok(stub.clone()), Ok(written()), Ok(stub.clone())];
        assert_eq!(run(Acks::new(1, 2), &replies).1, Ok((Ok(written()), true)));
        assert_eq!(
            run(Acks::new(1, 2), &[Ok(stub.clone()), Ok(stub.clone())]),
            (2, Ok((Ok(stub), false)))
        );
    }

    #[test]
    fn a_decision_stands_once_somebody_has_it() {
        let decided = || Acks::decided(vec![written(), conflict()], 2);
        let mut acks = decided();
        acks.reply(Ok(vec![(0, written())]));
        acks.reply(Ok(vec![(0, Outcome::Unchanged("1-aa".parse().unwrap()))]));
        // The refusal is the decider's alone, and may rest on what it has not synced yet.
        assert!(!acks.is_certain());
        acks.durable();
        assert!(acks.is_certain());
        let expected = vec![(Ok(written()), false), (Ok(conflict()), false)];
        assert_eq!(acks.verdict(), Ok(expected));
        let mut acks = decided();
        acks.reply(Err(full()));
        acks.reply(Ok(vec![(0, written())]));
        let expected = vec![(Ok(written()), true), (Err(full()), false)];
        assert_eq!(acks.verdict(), Ok(expected));
        assert_eq!(decided().verdict(), Err(Error::Timeout));
    }

    #[test]
    fn the_copy_that_purged_most_is_told() {
        let revs = vec!["1-aa".parse().unwrap()];
        let replies = [Ok(Outcome::Purged(Vec::new())), Ok(Outcome::Purged(revs.clone()))];
        let (_, verdict) = run(Acks::new(1, 2), &replies);
        assert_eq!(verdict, Ok((Ok(Outcome::Purged(revs)), false)));
    }
}
