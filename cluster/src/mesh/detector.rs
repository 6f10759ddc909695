//! Whether a peer is alive, judged by its answers: some beats missed in a row make it down, some
//! answered in a row make it up again. Pure; who listens and when is the business of `peer`.

/// What is believed of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It answers, or nobody has asked it yet.
    Up,
    /// It does not answer: calls fail at once until it does again.
    Down,
}

/// How many beats change the belief.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// Missed in a row that make a peer down.
    pub(crate) down_after: u32,
    /// Answered in a row that make it up again.
    pub(crate) up_after: u32,
}

/// The belief about one peer.
#[derive(Clone, Debug)]
pub(crate) struct Detector {
    limits: Limits,
    liveness: Liveness,
    /// Beats in a row that speak against the belief.
    against: u32,
}

impl Detector {
    pub(crate) fn new(limits: Limits) -> Detector {
        Detector { limits, liveness: Liveness::Up, against: 0 }
    }

    pub(crate) fn liveness(&self) -> Liveness {
        self.liveness
    }

    /// Whether nothing speaks against the belief.
    pub(crate) fn is_sure(&self) -> bool {
        self.against == 0
    }

    /// The peer answered something.
    pub(crate) fn heard(&mut self) {
        self.beat(Liveness::Up, self.limits.up_after);
    }

    /// The peer did not answer in time.
    pub(crate) fn missed(&mut self) {
        self.beat(Liveness::Down, self.limits.down_after);
    }

    /// The peer is certainly not there.
    pub(crate) fn lost(&mut self) {
        (self.liveness, self.against) = (Liveness::Down, 0);
    }

    fn beat(&mut self, says: Liveness, enough: u32) {
        if says == self.liveness {
            self.against = 0;
        } else {
            self.against += 1;
            if self.against >= enough {
                (self.liveness, self.against) = (says, 0);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `+` is an answer, `-` a missed beat, `x` a loss; the belief after each is `U` or `D`.
    #[test]
    fn some_beats_in_a_row_change_the_belief() {
        let table = [
            ("", ""),
            ("+++", "UUU"),
            ("--", "UU"),
            ("---", "UUD"),
            ("--+---", "UUUUUD"),
            ("-+-+-+-+", "UUUUUUUU"),
            ("---+", "UUDD"),
            ("---++", "UUDDU"),
            ("---+-+-++", "UUDDDDDDU"),
            ("x+x++-", "DDDDUU"),
            ("---++--+---", "UUDDUUUUUUD"),
        ];
        for (beats, beliefs) in table {
            let mut detector = Detector::new(Limits { down_after: 3, up_after: 2 });
            let mut belief = |beat| {
                match beat {
                    '+' => detector.heard(),
                    '-' => detector.missed(),
                    _ => detector.lost(),
                }
                if detector.liveness() == Liveness::Up { 'U' } else { 'D' }
            };
            assert_eq!(beats.chars().map(&mut belief).collect::<String>(), beliefs, "{beats}");
        }
    }
}
