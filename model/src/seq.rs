//! Sequences of a database as clients see them: one position for each range, packed into an
//! opaque text with a number in front that grows as the database does. Never decides what a
//! position means on another copy than the one that gave it.

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::range::HashRange;
use crate::varint;

/// How far a reader has come in one range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The range.
    pub range: HashRange,
    /// The node of the shard copy that counted; numbers of other copies don't compare.
    pub node: u64,
    /// The life of that copy: made anew it counts anew.
    pub life: u64,
    /// The copy's update sequence: everything up to it was seen.
    pub seq: u64,
}

/// How far a reader has come in a database. Without positions: nowhere yet, which is `0`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seq {
    /// At most one for each range, in the order of ranges.
    pub positions: Vec<Position>,
}

/// A text that no server of ours gave: 400 `bad_request`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("Malformed sequence supplied in 'since' parameter.")]
pub struct BadSeq;

/// First byte of the packed form.
const VERSION: u8 = 2;

impl Seq {
    /// The number in front: the sum over the ranges.
    #[must_use]
    pub fn number(&self) -> u64 {
        self.positions.iter().fold(0, |sum, position| sum.saturating_add(position.seq))
    }

    /// The position of a range.
    #[must_use]
    pub fn position(&self, range: HashRange) -> Option<&Position> {
        self.positions.iter().find(|position| position.range == range)
    }

    /// Version; then for each range the gap before it, its length less one, the node, the life, the
    /// number.
    fn pack(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + 28 * self.positions.len());
        out.push(VERSION);
        let mut next = 0_u64;
        for Position { range, node, life, seq } in &self.positions {
            varint::put(&mut out, u64::from(range.start).wrapping_sub(next));
            varint::put(&mut out, u64::from(range.end - range.start));
            out.extend_from_slice(&node.to_le_bytes());
            out.extend_from_slice(&life.to_le_bytes());
            varint::put(&mut out, *seq);
            next = u64::from(range.end) + 1;
        }
        out
    }

    fn unpack(packed: &[u8]) -> Option<Self> {
        let mut rest = packed.strip_prefix(&[VERSION])?;
        let mut positions = Vec::new();
        let mut next = 0_u64;
        while !rest.is_empty() {
            let start = u32::try_from(next.wrapping_add(varint::take(&mut rest)?)).ok()?;
            let end = u32::try_from(u64::from(start) + varint::take(&mut rest)?).ok()?;
            let (node, life) = (take_u64(&mut rest)?, take_u64(&mut rest)?);
            let seq = varint::take(&mut rest)?;
            positions.push(Position { range: HashRange { start, end }, node, life, seq });
            next = u64::from(end) + 1;
        }
        Some(Seq { positions })
    }
}

fn take_u64(rest: &mut &[u8]) -> Option<u64> {
    let (number, after) = rest.split_first_chunk()?;
    *rest = after;
    Some(u64::from_le_bytes(*number))
}

impl fmt::Display for Seq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.positions.is_empty() {
            return f.write_str("0");
        }
        write!(f, "{}-{}", self.number(), URL_SAFE_NO_PAD.encode(self.pack()))
    }
}

/// Takes what [`Seq`] prints, also in quotation marks and without the number, and `0`.
impl FromStr for Seq {
    type Err = BadSeq;

    fn from_str(text: &str) -> Result<Self, BadSeq> {
        if text == "0" {
            return Ok(Seq::default());
        }
        let text = text.strip_prefix('"').unwrap_or(text);
        let text = text.strip_suffix('"').unwrap_or(text);
        let opaque = match text.split_once('-') {
            Some((number, rest))
                if !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit()) =>
            {
                rest
            }
            _ => text,
        };
        let packed = URL_SAFE_NO_PAD.decode(opaque).map_err(|_| BadSeq)?;
        Seq::unpack(&packed).ok_or(BadSeq)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(start: u32, end: u32, node: u64, seq: u64) -> Position {
        Position { range: HashRange { start, end }, node, life: !node, seq }
    }

    #[test]
    fn texts_begin_with_a_number_that_grows() {
        let seq = Seq {
            positions: vec![
                position(0, 0x7fff_ffff, 7, 300),
                position(0x8000_0000, u32::MAX, u64::MAX, 2),
            ],
        };
        let text = seq.to_string();
        assert!(text.starts_with("302-"), "{text}");
        assert_eq!(text.parse(), Ok(seq.clone()));
        assert_eq!(format!("\"{text}\"").parse(), Ok(seq.clone()));
        assert_eq!(text.trim_start_matches("302-").parse(), Ok(seq));
    }

    #[test]
    fn nowhere_is_zero() {
        assert_eq!(Seq::default().to_string(), "0");
        assert_eq!("0".parse(), Ok(Seq::default()));
    }

    #[test]
    fn what_we_did_not_give_is_refused() {
        for bad in ["", "5", "00", "0-", "abc", "1-zzzz", "\"", "null", "-1", "1-g1AAAACLeJzLYWBg"]
        {
            assert_eq!(bad.parse::<Seq>(), Err(BadSeq), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn texts_are_read_back(parts in prop::collection::vec(
            (any::<u32>(), any::<u32>(), any::<u64>(), any::<u64>()), 0..10
        )) {
            let positions = parts
                .into_iter()
                .map(|(a, b, node, seq)| position(a.min(b), a.max(b), node, seq))
                .collect();
            let seq = Seq { positions };
            prop_assert_eq!(seq.to_string().parse(), Ok(seq));
        }

        #[test]
        fn nothing_makes_it_panic(packed in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = URL_SAFE_NO_PAD.encode(&packed).parse::<Seq>();
            let _ = URL_SAFE_NO_PAD.encode([&[VERSION], packed.as_slice()].concat()).parse::<Seq>();
        }
    }
}
