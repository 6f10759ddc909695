//! Pages that a disk gives back behind a good checksum, made up or real ones with damage: what is taken
//! is searched, and each entry is found where it is.
#![no_main]

use std::sync::LazyLock;

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use settee_engine::page::{Page, PageBuilder};

const PAGE: usize = 4 << 10;

/// A leaf and an inner node as a shard has them.
static REAL: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| [real(0, 60), real(1, 40)]);

fn real(level: u8, value: usize) -> Vec<u8> {
    let mut builder = PageBuilder::new(level, 64, PAGE);
    for number in 0..64_usize {
        // The first child's key is empty.
        let key = if level > 0 && number == 0 { String::new() } else { format!("doc-{number:04}") };
        builder.push(key.as_bytes(), &vec![number as u8; value + number % 7]);
    }
    builder.finish().bytes().to_vec()
}

fuzz_target!(|input: (bool, Vec<(u16, u8)>, Vec<u8>)| {
    let (inner, damage, absurd) = input;
    look(absurd);
    let mut page = REAL[usize::from(inner)].clone();
    let length = page.len();
    for (at, bits) in damage.iter().take(8) {
        page[usize::from(*at) % length] ^= bits;
    }
    assert!(look(page) || damage.iter().any(|(_, bits)| *bits != 0));
});

fn look(bytes: Vec<u8>) -> bool {
    let length = bytes.len();
    let Ok(page) = Page::parse(Bytes::from(bytes)) else { return false };
    for at in 0..page.len() {
        let (key, value) = page.entry(at);
        assert!(key.len() + value.len() <= length);
        assert_eq!(page.search(key), Ok(at));
    }
    true
}
