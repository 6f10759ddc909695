//! The write-ahead log: what was written comes back, what a disk has damaged is refused, and what
//! stands behind a good checksum is read or refused whatever it is.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use settee_engine::log::format::{Batch, SegmentHeader, encode_batch, later_batch};

const SHARD: &str = "00000000-ffffffff/db.1";
const LSN: u64 = 7;

/// Bytes to flip: where, and which bits.
type Damage = Vec<(u16, u8)>;

fuzz_target!(|input: (u64, Vec<Vec<u8>>, Damage, Vec<u8>)| {
    let (salt, payloads, damage, absurd) = input;
    if !payloads.is_empty() {
        written_is_read(salt, &payloads, &damage);
    }
    let _ = SegmentHeader::decode(&absurd);
    // Frames that nobody wrote, behind checksums that hold.
    let mut segment = sealed(salt, &absurd);
    if let Ok(batch) = Batch::parse(&Bytes::from(segment.clone()), 0, salt)
        && let Ok(frames) = batch.frames()
    {
        let bytes: usize =
            frames.iter().map(|(shard, payload)| 6 + shard.len() + payload.len()).sum();
        assert_eq!(bytes, absurd.len());
    }
    segment.splice(0..0, damage.iter().map(|(_, byte)| *byte));
    assert!(later_batch(&Bytes::from(segment), 0, salt, LSN - 1));
});

fn written_is_read(salt: u64, payloads: &[Vec<u8>], damage: &[(u16, u8)]) {
    let mut bytes = Vec::new();
    encode_batch(&mut bytes, salt, LSN, payloads.iter().map(|payload| (SHARD, payload.as_slice())));
    let sound = Bytes::from(bytes.clone());
    let batch = Batch::parse(&sound, 0, salt).expect("a batch that was just written");
    assert_eq!((batch.first_lsn, batch.end), (LSN, sound.len()));
    let frames = batch.frames().expect("frames that were just written");
    let expected = payloads.iter().map(|payload| (SHARD, Bytes::from(payload.clone())));
    assert!(frames.into_iter().eq(expected));
    let Some((at, bits)) = damage.first().filter(|(_, bits)| *bits != 0) else { return };
    let at = usize::from(*at) % bytes.len();
    bytes[at] ^= bits;
    assert!(Batch::parse(&Bytes::from(bytes), 0, salt).is_err(), "a flipped byte went unnoticed");
}

/// A batch of these bytes as frames (docs/format.md section 1).
fn sealed(salt: u64, frames: &[u8]) -> Vec<u8> {
    let mut header = b"SBAT".to_vec();
    header.extend_from_slice(&(frames.len() as u32).to_le_bytes());
    header.extend_from_slice(&LSN.to_le_bytes());
    header.extend_from_slice(&1_u32.to_le_bytes());
    header.extend_from_slice(&crc32fast::hash(frames).to_le_bytes());
    let salted = [salt.to_le_bytes().as_slice(), &header].concat();
    header.extend_from_slice(&crc32fast::hash(&salted).to_le_bytes());
    [header.as_slice(), frames].concat()
}
