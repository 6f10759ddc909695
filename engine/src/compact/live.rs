//! A set of numbers that lie close together, in a bit each: which bodies are live. Never finds out
//! itself which those are (see `copy`).

use std::collections::BTreeMap;

const WORDS: usize = 512;
const BITS: u64 = WORDS as u64 * 64;

/// See the module's description.
#[derive(Default)]
pub(super) struct NumberSet {
    blocks: BTreeMap<u64, Box<[u64; WORDS]>>,
}

impl NumberSet {
    pub(super) fn insert(&mut self, number: u64) {
        let block = self.blocks.entry(number / BITS).or_insert_with(|| Box::new([0; WORDS]));
        if let Some(word) = block.get_mut(word(number)) {
            *word |= bit(number);
        }
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        let block = self.blocks.get(&(number / BITS));
        let word = block.and_then(|block| block.get(word(number)));
        word.is_some_and(|word| word & bit(number) != 0)
    }
}

fn word(number: u64) -> usize {
    (number % BITS / 64) as usize
}

fn bit(number: u64) -> u64 {
    1 << (number % 64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_what_was_put_in() {
        let numbers = [0, 1, 63, 64, BITS - 1, BITS, 7 * BITS + 5, u64::MAX];
        let mut set = NumberSet::default();
        numbers.iter().for_each(|number| set.insert(*number));
        for number in numbers {
            assert!(set.contains(number));
            assert_eq!(set.contains(number ^ 2), numbers.contains(&(number ^ 2)));
        }
    }
}
