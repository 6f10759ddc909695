//! Frames and pages: what was written comes back, and what a disk has damaged does not.

use std::sync::{Arc, atomic::AtomicU64};

use bytes::Bytes;
use proptest::prelude::*;

use super::{slots::entry_size, *};
use crate::{
    Error,
    io::{Fault, SimStorage, Storage},
};

fn pages() -> (SimStorage, Pages) {
    let disk = SimStorage::new();
    let file = disk.create("shards/a.shard").unwrap();
    (disk, Pages::new(file, Cache::new(1 << 20)))
}

fn build(entries: &[(Vec<u8>, Vec<u8>)]) -> Page {
    let size = entries.iter().map(|(key, value)| entry_size(key, value)).sum();
    let mut builder = PageBuilder::new(0, entries.len(), size);
    for (key, value) in entries {
        builder.push(key, value);
    }
    builder.finish()
}

#[test]
fn a_flipped_bit_anywhere_in_a_frame_is_noticed() {
    let (disk, pages) = pages();
    let mut writer = PageWriter::new(&pages, Arc::new(AtomicU64::new(100)));
    let ptr = writer.put(7, b"some payload some payload some payload").unwrap();
    writer.finish().unwrap();
    assert_eq!(pages.read(ptr, 7).unwrap(), "some payload some payload some payload".as_bytes());
    assert!(matches!(pages.read(ptr, 8), Err(Error::Corrupt { offset: 100, .. })));
    for bit in 0..u64::from(ptr.len) * 8 {
        disk.flip_bit("shards/a.shard", ptr.offset * 8 + bit);
        assert!(matches!(pages.read(ptr, 7), Err(Error::Corrupt { offset: 100, .. })), "{bit}");
        disk.flip_bit("shards/a.shard", ptr.offset * 8 + bit);
    }
    pages.read(ptr, 7).unwrap();
}

#[test]
fn a_frame_at_another_place_is_not_taken_for_the_right_one() {
    let (_, pages) = pages();
    let mut writer = PageWriter::new(&pages, Arc::new(AtomicU64::new(0)));
    let ptr = writer.put(7, b"payload").unwrap();
    writer.finish().unwrap();
    let mut frame = vec![0; ptr.len as usize];
    pages.file().read_at(&mut frame, ptr.offset).unwrap();
    pages.file().write_at(&frame, 500).unwrap();
    let moved = PagePtr { offset: 500, ..ptr };
    assert!(matches!(pages.read(moved, 7), Err(Error::Corrupt { .. })));
}

#[test]
fn a_failed_sync_fails_for_all_who_wrote_to_the_file() {
    let (disk, pages) = pages();
    let tail = Arc::new(AtomicU64::new(0));
    let mut writers = [(); 2].map(|()| PageWriter::new(&pages, tail.clone()));
    for writer in &mut writers {
        writer.put(7, b"payload").unwrap();
        writer.write_out().unwrap();
    }
    // The system tells the first one only: the second sync would succeed.
    disk.fail_at(disk.operations(), Fault::Fail);
    for writer in writers {
        assert!(writer.finish().is_err());
    }
    assert!(pages.has_failed());
}

#[test]
fn writers_that_share_a_tail_do_not_overlap() {
    let (_, pages) = pages();
    let tail = Arc::new(AtomicU64::new(0));
    let mut writers = [PageWriter::new(&pages, tail.clone()), PageWriter::new(&pages, tail)];
    let mut put = Vec::new();
    for i in 0..200_usize {
        let payload = vec![i as u8; i * 37];
        let ptr = writers[i * i % 3 % 2].put(9, &payload).unwrap();
        put.push((ptr, payload));
    }
    for writer in writers {
        writer.finish().unwrap();
    }
    for (ptr, payload) in put {
        assert_eq!(pages.read(ptr, 9).unwrap(), payload);
    }
}

#[test]
fn resident_only_never_reads_the_disk() {
    let (_, pages) = pages();
    let page = build(&[(b"k".to_vec(), b"v".to_vec())]);
    let mut writer = PageWriter::new(&pages, Arc::new(AtomicU64::new(0)));
    let ptr = writer.put(LEAF, page.bytes()).unwrap();
    writer.finish().unwrap();
    let resident = pages.resident_only();
    assert!(matches!(resident.page(ptr, 0), Err(Error::NotResident)));
    assert!(matches!(pages.page(ptr, 1), Err(Error::Corrupt { .. })));
    pages.page(ptr, 0).unwrap();
    assert_eq!(resident.page(ptr, 0).unwrap().entry(0), (&b"k"[..], &b"v"[..]));
    pages.evict();
    assert!(matches!(resident.page(ptr, 0), Err(Error::NotResident)));
}

#[test]
fn the_cache_stays_within_its_budget() {
    let disk = SimStorage::new();
    let cache = Cache::new(100_000);
    for name in ["a", "b", "c"] {
        let pages = Pages::new(disk.create(name).unwrap(), cache.clone());
        let mut writer = PageWriter::new(&pages, Arc::new(AtomicU64::new(0)));
        let ptrs: Vec<_> = (0..100_u8)
            .map(|i| {
                let page = build(&[(vec![i], vec![i; 1000])]);
                writer.put(LEAF, page.bytes()).unwrap()
            })
            .collect();
        writer.finish().unwrap();
        for (i, ptr) in ptrs.iter().enumerate() {
            assert_eq!(pages.page(*ptr, 0).unwrap().value(0), [i as u8; 1000]);
            assert!(cache.used() <= 100_000);
        }
    }
    assert!(cache.used() > 50_000);
    cache.set_budget(10_000);
    assert!(cache.used() <= 10_000);
}

proptest! {
    #[test]
    fn a_page_gives_back_what_was_pushed(
        entries in prop::collection::btree_map(
            prop::collection::vec(any::<u8>(), 0..300),
            prop::collection::vec(any::<u8>(), 0..50),
            1..60,
        ),
        cut in any::<prop::sample::Index>(),
        probe in prop::collection::vec(any::<u8>(), 0..3),
    ) {
        let entries: Vec<_> = entries.into_iter().collect();
        let page = Page::parse(build(&entries).bytes().clone()).unwrap();
        prop_assert_eq!(page.len(), entries.len());
        for (i, (key, value)) in entries.iter().enumerate() {
            prop_assert_eq!(page.entry(i), (&key[..], &value[..]));
            prop_assert_eq!(page.search(key), Ok(i));
            prop_assert_eq!(page.size_of(i, i + 1), entry_size(key, value));
        }
        prop_assert_eq!(page.search(&probe), entries.binary_search_by(|(key, _)| key.cmp(&probe)));

        let cut = cut.index(entries.len());
        let size = page.size_of(cut, entries.len());
        let mut builder = PageBuilder::new(0, 0, size);
        builder.push_run(&page, cut, entries.len());
        prop_assert_eq!(builder.size(), 8 + size);
        let part = Page::parse(builder.finish().bytes().clone()).unwrap();
        let rebuilt = build(&entries[cut..]);
        prop_assert_eq!(part.bytes(), rebuilt.bytes());
    }

    #[test]
    fn any_bytes_are_a_page_or_an_error(
        mut bytes in prop::collection::vec(any::<u8>(), 0..40),
        header in any::<bool>(),
        count in 0..4_u8,
    ) {
        if header && bytes.len() >= 8 {
            bytes[1..8].copy_from_slice(&[0, 0, 0, count, 0, 0, 0]);
        }
        if let Ok(page) = Page::parse(Bytes::from(bytes)) {
            for i in 0..=page.len() {
                page.entry(i);
            }
        }
    }
}
