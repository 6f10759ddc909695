//! New ids for documents, by the algorithms that `[uuids] algorithm` names. Pure: the caller
//! brings the clock and the randomness. The algorithms are those of CouchDB's documentation
//! ("config/misc: UUIDs Configuration").

/// How ids are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// 128 random bits.
    Random,
    /// A random prefix of 26 digits and six digits that grow by random steps; a new prefix when
    /// they are used up. Ids made in a row lie beside each other in the tree.
    Sequential,
    /// Microseconds since 1970 as 14 digits, then 72 random bits.
    UtcRandom,
    /// Microseconds since 1970 as 14 digits, then this text.
    UtcId(String),
}

impl Algorithm {
    /// Reads the setting; unknown names mean the default, `sequential`.
    #[must_use]
    pub fn parse(name: &str, utc_id_suffix: &str) -> Self {
        match name {
            "random" => Algorithm::Random,
            "utc_random" => Algorithm::UtcRandom,
            "utc_id" => Algorithm::UtcId(utc_id_suffix.to_owned()),
            _ => Algorithm::Sequential,
        }
    }
}

/// Where the next id begins: what an algorithm remembers from one id to the next.
#[derive(Clone, Debug, Default)]
pub struct Generator {
    /// Of `sequential`: 13 random bytes and the digits after them.
    run: Option<([u8; 13], u32)>,
    /// Of the time-based ones: the last time used, in microseconds.
    last: u64,
}

/// The digits of a run end here; 16^6 ids less what the largest step could pass.
const RUN_END: u32 = 0xfff_000;

/// Steps of a run are from 1 to this.
const STEP_MAX: u32 = 0xffd;

impl Generator {
    /// A new id. `now` is in microseconds since 1970 and may stand still or go back; `random` is
    /// used up by one id.
    pub fn next(&mut self, algorithm: &Algorithm, now: u64, random: [u8; 20]) -> String {
        let [a, b, c, d, rest @ ..] = random;
        let step = u32::from_be_bytes([a, b, c, d]) % STEP_MAX + 1;
        match algorithm {
            Algorithm::Random => hex(&rest),
            Algorithm::Sequential => self.sequential(rest, step),
            Algorithm::UtcRandom => {
                let digits = hex(&rest);
                format!("{:014x}{}", self.later(now), digits.get(..18).unwrap_or(&digits))
            }
            Algorithm::UtcId(suffix) => format!("{:014x}{suffix}", self.later(now)),
        }
    }

    fn sequential(&mut self, random: [u8; 16], step: u32) -> String {
        let (prefix, at) = match self.run.take() {
            Some((prefix, at)) if at < RUN_END => (prefix, at + step),
            _ => {
                let [_, _, _, prefix @ ..] = random;
                (prefix, step)
            }
        };
        self.run = Some((prefix, at));
        format!("{}{at:06x}", hex(&prefix))
    }

    /// A time that was never used before, though the clock may not have moved.
    fn later(&mut self, now: u64) -> u64 {
        self.last = now.max(self.last + 1);
        self.last
    }
}

fn hex(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn many(algorithm: &Algorithm, count: u64, now: impl Fn(u64) -> u64) -> Vec<String> {
        let mut generator = Generator::default();
        (0..count)
            .map(|n| {
                let mut random = [0; 20];
                let mixed = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
                for (at, byte) in random.iter_mut().enumerate() {
                    *byte = (mixed >> (at % 8 * 8)) as u8 ^ at as u8;
                }
                generator.next(algorithm, now(n), random)
            })
            .collect()
    }

    #[test]
    fn sequential_ids_grow_within_a_run_and_runs_end() {
        let ids = many(&Algorithm::Sequential, 20_000, |_| 0);
        assert!(ids.iter().all(|id| id.len() == 32));
        let distinct: BTreeSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
        let prefixes: BTreeSet<_> = ids.iter().map(|id| &id[..26]).collect();
        assert!(prefixes.len() > 1, "a run of 16^6 must end");
        let falls = ids.windows(2).filter(|pair| pair[0][..26] == pair[1][..26]);
        assert!(falls.into_iter().all(|pair| pair[0] < pair[1]));
    }

    #[test]
    fn time_based_ids_grow_though_the_clock_stands_or_turns_back() {
        let clock = |n: u64| 1_700_000_000_000_000 - n;
        let suffixed = Algorithm::parse("utc_id", "-here");
        for (algorithm, length) in [(Algorithm::UtcRandom, 32), (suffixed, 19)] {
            let ids = many(&algorithm, 100, clock);
            assert!(ids.iter().all(|id| id.len() == length), "{ids:?}");
            assert!(ids.windows(2).all(|pair| pair[0][..14] < pair[1][..14]));
        }
        assert!(many(&Algorithm::UtcRandom, 1, clock)[0].starts_with("060a24181e4000"));
    }

    #[test]
    fn random_ids_have_all_their_digits() {
        let ids = many(&Algorithm::Random, 10, |_| 0);
        assert!(ids.iter().all(|id| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit())));
    }
}
