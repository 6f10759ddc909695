//! `_approx_count_distinct`: HyperLogLog over the emitted keys with 2^11 registers, hashed as CouchDB
//! hashes them, so that the estimates are the same. A partial result is the list of registers that are
//! not 0 (three bytes each: number, value), or the values of all. Pure.

use bytes::Bytes;
use settee_model::hash::term::Terms;
use sha1::{Digest, Sha1};

use super::bias::{BIASES, ESTIMATES};
use super::{Input, Partial};

const PRECISION: u32 = 11;
const REGISTERS: usize = 1 << PRECISION;
/// Below this the empty registers tell more than the others.
const THRESHOLD: f64 = 1800.0;
/// Known estimates whose bias is averaged.
const NEIGHBOURS: usize = 6;

struct Registers(Vec<u8>);

impl Registers {
    fn new() -> Registers {
        Registers(vec![0; REGISTERS])
    }

    fn insert(&mut self, key: &[u8]) {
        let mut terms = Terms::new(key.len() + 16);
        terms.json(key);
        let hash = Sha1::digest(terms.bytes());
        let head = hash.iter().take(8).fold(0_u64, |head, byte| head << 8 | u64::from(*byte));
        let at = (head >> (64 - PRECISION)) as usize;
        let zeros = (head << PRECISION).leading_zeros().min(64 - PRECISION);
        self.raise(at, zeros as u8 + 1);
    }

    fn raise(&mut self, at: usize, to: u8) {
        if let Some(register) = self.0.get_mut(at) {
            *register = to.max(*register);
        }
    }

    fn merge(&mut self, partial: &[u8]) {
        if partial.len() == REGISTERS {
            partial.iter().enumerate().for_each(|(at, value)| self.raise(at, *value));
            return;
        }
        for entry in partial.chunks_exact(3) {
            if let [low, high, value] = entry {
                self.raise(usize::from(u16::from_le_bytes([*low, *high])), *value);
            }
        }
    }

    fn finish(self) -> Partial {
        let set = self.0.iter().filter(|register| **register > 0).count();
        if 3 * set >= REGISTERS {
            return Partial::Value(self.0.into());
        }
        let mut out = Vec::with_capacity(3 * set);
        for (at, value) in self.0.iter().enumerate().filter(|(_, value)| **value > 0) {
            out.extend_from_slice(&(at as u16).to_le_bytes());
            out.push(*value);
        }
        Partial::Value(out.into())
    }
}

pub(super) fn rows(rows: &[Input<'_>]) -> Partial {
    let mut registers = Registers::new();
    rows.iter().for_each(|row| registers.insert(row.key));
    registers.finish()
}

pub(super) fn union(partials: &[Bytes]) -> Partial {
    let mut registers = Registers::new();
    partials.iter().for_each(|partial| registers.merge(partial));
    registers.finish()
}

pub(super) fn estimate(partial: &[u8]) -> u64 {
    let mut registers = Registers::new();
    registers.merge(partial);
    let count = REGISTERS as f64;
    let sum: f64 = registers.0.iter().map(|value| 0.5_f64.powi(i32::from(*value))).sum();
    let alpha = 0.7213 / (1.0 + 1.079 / count);
    let raw = alpha * count * count / sum;
    let corrected = if raw <= 5.0 * count { raw - bias(raw) } else { raw };
    let empty = registers.0.iter().filter(|value| **value == 0).count();
    let linear = if empty == 0 { corrected } else { count * (count / empty as f64).ln() };
    let best = if linear <= THRESHOLD { linear } else { corrected };
    best.round() as u64
}

/// The mean bias of those known estimates that come nearest.
fn bias(raw: f64) -> f64 {
    let mut known: Vec<(f64, f64)> =
        ESTIMATES.iter().zip(BIASES).map(|(known, bias)| ((raw - known).powi(2), bias)).collect();
    known.sort_by(|(a, _), (b, _)| a.total_cmp(b));
    known.iter().take(NEIGHBOURS).map(|(_, bias)| bias).sum::<f64>() / NEIGHBOURS as f64
}
