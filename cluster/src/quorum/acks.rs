//! How many copies must have said yes before a client is told so.

use crate::Error;

/// The replies that a piece of work has got from the copies it went to.
pub(crate) struct Acks<T> {
    waiting: usize,
    good: usize,
    wanted: usize,
    answer: Option<T>,
    error: Option<Error>,
}

/// What a client is told.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Acked<T> {
    /// What the first good copy said; the owner's decision, which all others carry out.
    pub(crate) answer: T,
    /// Fewer copies than wanted have it.
    pub(crate) accepted: bool,
}

/// Acknowledgements that are wanted of `n` copies when a client doesn't say.
pub(crate) fn majority(n: usize) -> usize {
    n / 2 + 1
}

impl<T> Acks<T> {
    /// Work that went to `copies`; `wanted` may be more than there are, which makes every answer
    /// an accepted one.
    pub(crate) fn new(copies: usize, wanted: usize) -> Self {
        Acks { waiting: copies, good: 0, wanted, answer: None, error: None }
    }

    /// Takes a reply; says what to tell the client as soon as that is certain. To be dropped
    /// after that.
    pub(crate) fn reply(&mut self, reply: Result<T, Error>) -> Option<Result<Acked<T>, Error>> {
        self.waiting = self.waiting.saturating_sub(1);
        match reply {
            Ok(answer) => {
                self.good += 1;
                self.answer.get_or_insert(answer);
            }
            Err(error) => self.error = Some(error),
        }
        if self.good < self.wanted.max(1) && self.waiting > 0 {
            return None;
        }
        let accepted = self.good < self.wanted;
        match self.answer.take() {
            Some(answer) => Some(Ok(Acked { answer, accepted })),
            None => Some(Err(self.error.take().unwrap_or(Error::Timeout))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(wanted: usize, replies: &[Result<u8, Error>]) -> Vec<Option<Result<Acked<u8>, Error>>> {
        let mut acks = Acks::new(replies.len(), wanted);
        replies.iter().map(|reply| acks.reply(reply.clone())).collect()
    }

    #[test]
    fn good_as_soon_as_enough_say_so() {
        let replies = run(majority(3), &[Ok(1), Ok(2), Ok(3)]);
        assert_eq!(replies[0], None);
        assert_eq!(replies[1], Some(Ok(Acked { answer: 1, accepted: false })));
    }

    #[test]
    fn one_of_three_is_accepted_when_the_others_fail() {
        let replies = run(2, &[Err(Error::Timeout), Ok(1), Err(Error::Full)]);
        assert_eq!(replies[1], None);
        assert_eq!(replies[2], Some(Ok(Acked { answer: 1, accepted: true })));
    }

    #[test]
    fn nobody_has_it() {
        let replies = run(2, &[Err(Error::Timeout), Err(Error::Full)]);
        assert_eq!(replies[1], Some(Err(Error::Full)));
    }

    #[test]
    fn more_wanted_than_there_are() {
        assert_eq!(run(3, &[Ok(1)])[0], Some(Ok(Acked { answer: 1, accepted: true })));
        assert_eq!(run(0, &[Ok(1)])[0], Some(Ok(Acked { answer: 1, accepted: false })));
    }
}
