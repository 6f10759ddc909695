//! Pages that a disk gives back behind a good checksum: they are searched or refused.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use settee_engine::page::Page;

fuzz_target!(|input: &[u8]| {
    if let Ok(page) = Page::parse(Bytes::copy_from_slice(input)) {
        for at in 0..page.len() {
            let (key, value) = page.entry(at);
            assert!(key.len() + value.len() <= input.len());
            let _ = page.search(key);
        }
    }
});
