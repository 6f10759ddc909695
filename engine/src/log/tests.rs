//! Every acknowledged frame is replayed, in order, whatever happens in between.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
    mpsc,
};

use bytes::Bytes;
use proptest::prelude::*;

use super::{format::encode_batch, *};
use crate::io::{Crash, Fault, SimStorage};

fn options() -> Options {
    Options { segment_bytes: 600, ..Options::default() }
}

fn open(disk: &SimStorage) -> Result<(Log, Vec<Frame>), Error> {
    let mut frames = Vec::new();
    let log = Log::open(Arc::new(disk.clone()), options(), &mut |frame| {
        frames.push(frame);
        Ok(())
    })?;
    Ok((log, frames))
}

fn payload(lsn: u64) -> Bytes {
    let len = (lsn * 37 % 150) as usize;
    [lsn.to_string().into_bytes(), vec![b'.'; len]].concat().into()
}

/// Appends `count` frames at once and waits for all of them; the lsns that are durable.
fn append(log: &Log, count: u64) -> Result<Vec<u64>, Error> {
    let (tx, rx) = mpsc::channel();
    for _ in 0..count {
        let lsn = log.next_lsn();
        let tx = tx.clone();
        let done = Box::new(move |result: Result<(), Error>| {
            let _ = tx.send(result.map(|()| lsn));
        });
        let shard = format!("0-f/db.{}", lsn % 3).into();
        assert_eq!(log.append(&shard, payload(lsn), done)?, lsn);
    }
    drop(tx);
    rx.into_iter().collect()
}

/// The frames are 1, 2, 3, … (or begin later, after a trim) with their payloads.
fn assert_frames(frames: &[Frame]) {
    let first = frames.first().map_or(1, |frame| frame.lsn);
    for (frame, lsn) in frames.iter().zip(first..) {
        assert_eq!(frame.lsn, lsn);
        assert_eq!(*frame.shard, *format!("0-f/db.{}", lsn % 3));
        assert_eq!(frame.payload, payload(lsn));
    }
}

fn last(frames: &[Frame]) -> u64 {
    frames.last().map_or(0, |frame| frame.lsn)
}

/// What a node does: batches of several sizes, and a trim now and then.
fn work(disk: &SimStorage, acknowledged: &mut u64, trimmed: &mut u64) -> Result<(), Error> {
    let (log, frames) = open(disk)?;
    assert_frames(&frames);
    assert!(last(&frames) >= *acknowledged);
    for round in 0..12 {
        if let Some(lsn) = append(&log, 1 + round % 4)?.last() {
            *acknowledged = *lsn;
        }
        if round % 5 == 4 {
            *trimmed = *acknowledged - 1;
            log.trim(*trimmed)?;
        }
    }
    log.close()
}

#[test]
fn every_acknowledged_frame_survives_a_power_cut_at_any_operation() {
    let counting = SimStorage::new();
    work(&counting, &mut 0, &mut 0).unwrap();
    for cut in 0..counting.operations() {
        for (sector, seed) in [(512, 1), (4096, 2), (512, 3), (512, 4)] {
            let disk = SimStorage::new();
            disk.fail_at(cut, Fault::PowerCut);
            let (mut acknowledged, mut trimmed) = (0, 0);
            // It may also end before the cut: how frames share batches is the threads' business.
            let _ = work(&disk, &mut acknowledged, &mut trimmed);
            disk.crash(Crash::Tear { sector, seed: seed + cut });
            // Cut once more, during the recovery or soon after it.
            disk.fail_at(disk.operations() + cut % 9, Fault::PowerCut);
            let _ = work(&disk, &mut acknowledged, &mut trimmed);
            disk.crash(Crash::Tear { sector, seed: seed + cut + 1000 });
            let (log, frames) = open(&disk).unwrap();
            assert_frames(&frames);
            assert!(last(&frames) >= acknowledged, "{} < {acknowledged}", last(&frames));
            assert!(frames.is_empty() || frames[0].lsn <= trimmed.max(1));
            assert_eq!(append(&log, 2).unwrap().len(), 2);
            log.close().unwrap();
            let (_, again) = open(&disk).unwrap();
            assert_eq!(again.len(), frames.len() + 2);
        }
    }
}

#[test]
fn what_replay_has_shown_cannot_be_lost_any_more() {
    let disk = SimStorage::new();
    let (log, _) = open(&disk).unwrap();
    append(&log, 3).unwrap();
    // A batch that was written but not synced when the process was killed.
    disk.fail_at(disk.operations() + 1, Fault::PowerCut);
    append(&log, 1).unwrap_err();
    drop(log);
    disk.crash(Crash::KeepAll);
    let (log, frames) = open(&disk).unwrap();
    assert_eq!(frames.len(), 4);
    drop(log);
    disk.crash(Crash::LoseAll);
    assert_eq!(open(&disk).unwrap().1.len(), 4);
}

#[test]
fn a_failed_sync_stops_the_log_until_it_recovers() {
    for fault in 0..2 {
        let disk = SimStorage::new();
        let (log, _) = open(&disk).unwrap();
        append(&log, 3).unwrap();
        disk.fail_at(disk.operations() + fault, Fault::Fail);
        assert!(matches!(append(&log, 1), Err(Error::Io { .. })));
        assert!(matches!(append(&log, 1), Err(Error::Io { .. })));
        assert!(log.poisoned().is_some());
        log.recover().unwrap();
        assert_eq!(log.next_lsn(), 4);
        append(&log, 30).unwrap();
        log.close().unwrap();
        disk.crash(Crash::LoseAll);
        let (_, frames) = open(&disk).unwrap();
        assert_frames(&frames);
        assert_eq!(frames.len(), 33);
    }
}

#[test]
fn a_full_disk_loses_nothing_that_was_acknowledged() {
    let disk = SimStorage::new();
    let (log, _) = open(&disk).unwrap();
    let mut count = append(&log, 3).unwrap().len();
    disk.set_capacity(Some(disk.used() + 1000));
    let error = loop {
        match append(&log, 1) {
            Ok(lsns) => count += lsns.len(),
            Err(error) => break error,
        }
    };
    assert!(matches!(error, Error::DiskFull { .. }), "{error}");
    disk.set_capacity(None);
    log.recover().unwrap();
    count += append(&log, 1).unwrap().len();
    log.close().unwrap();
    let (_, frames) = open(&disk).unwrap();
    assert_frames(&frames);
    assert_eq!(frames.len(), count);
}

#[test]
fn a_trim_removes_whole_segments_and_lsns_go_on() {
    let disk = SimStorage::new();
    let (log, _) = open(&disk).unwrap();
    for _ in 0..30 {
        append(&log, 1).unwrap();
    }
    let size = log.size();
    log.trim(15).unwrap();
    assert!(log.size() < size);
    log.close().unwrap();
    let (log, frames) = open(&disk).unwrap();
    assert_frames(&frames);
    assert!(frames[0].lsn <= 15 && frames[0].lsn > 5, "{}", frames[0].lsn);
    log.trim(u64::MAX).unwrap();
    drop(log);
    assert_eq!(open(&disk).unwrap().0.next_lsn(), 31);
}

#[test]
fn bytes_that_a_client_chose_are_not_taken_for_a_batch() {
    let disk = SimStorage::new();
    let (log, _) = open(&disk).unwrap();
    append(&log, 1).unwrap();
    let mut image = vec![0; 600];
    let mut batch = Vec::new();
    encode_batch(&mut batch, 12345, 99, [("0-f/db.0", &b"forged"[..])].into_iter());
    image.extend_from_slice(&batch);
    disk.fail_at(disk.operations() + 1, Fault::PowerCut);
    let done = Box::new(|_: Result<(), Error>| {});
    log.append(&"0-f/db.2".into(), image.into(), done).unwrap();
    drop(log);
    // The write is there but for a bit of its beginning, as if its first sector had been torn.
    disk.crash(Crash::KeepAll);
    disk.flip_bit("log/00000000000000000001.log", 230 * 8);
    let (_, frames) = open(&disk).unwrap();
    assert_eq!(frames.len(), 1);
}

#[test]
fn appends_wait_while_the_queue_is_full() {
    let disk = SimStorage::new();
    let options = Options { queue_bytes: 1, ..options() };
    let log = Arc::new(Log::open(Arc::new(disk), options, &mut |_| Ok(())).unwrap());
    let done = Arc::new(AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..50 {
                    let done = done.clone();
                    let count = move |result: Result<(), Error>| {
                        result.unwrap();
                        done.fetch_add(1, Ordering::Relaxed);
                    };
                    log.append(&"s".into(), Bytes::from_static(b"p"), Box::new(count)).unwrap();
                }
            });
        }
    });
    log.close().unwrap();
    assert_eq!(done.load(Ordering::Relaxed), 200);
    assert!(matches!(append(&log, 1), Err(Error::Closed)));
}

#[test]
fn a_completion_that_panics_does_not_leave_others_waiting() {
    let (log, _) = open(&SimStorage::new()).unwrap();
    let panics = Box::new(|_: Result<(), Error>| panic!("on purpose"));
    log.append(&"s".into(), Bytes::new(), panics).unwrap();
    while log.append(&"s".into(), Bytes::new(), Box::new(|_| {})).is_ok() {
        std::thread::yield_now();
    }
    // Nobody writes any more: who took frames again would wait for ever.
    assert!(matches!(log.recover(), Err(Error::Closed)));
    assert!(log.append(&"s".into(), Bytes::new(), Box::new(|_| {})).is_err());
}

proptest! {
    #[test]
    fn a_flipped_bit_is_noticed(position in any::<prop::sample::Index>()) {
        let disk = SimStorage::new();
        let (log, _) = open(&disk).unwrap();
        for _ in 0..10 {
            append(&log, 2).unwrap();
        }
        log.close().unwrap();
        let names = disk.list("log").unwrap();
        prop_assert!(names.len() > 2);
        for entry in &names {
            let path = format!("log/{}", entry.name);
            let len = disk.open(&path).unwrap().len().unwrap();
            disk.flip_bit(&path, position.index(len as usize * 8) as u64);
            match open(&disk) {
                Err(Error::Corrupt { file, .. }) => prop_assert_eq!(&*file, &*path),
                Err(other) => prop_assert!(false, "{}", other),
                // The unused bytes of a header, or the last batch, which looks torn.
                Ok((_, frames)) => {
                    assert_frames(&frames);
                    let is_last = Some(entry) == names.last();
                    prop_assert!(frames.len() == 20 || (frames.len() >= 18 && is_last));
                    return Ok(());
                }
            }
            disk.flip_bit(&path, position.index(len as usize * 8) as u64);
        }
    }
}
