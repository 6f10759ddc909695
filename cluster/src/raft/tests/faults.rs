//! Parts, losses, delays and restarts under load: nothing acknowledged is lost, nothing is seen out
//! of order, watches tell everything once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::linear::{Act, Seen, Ticks, check};
use super::net::{Group, PATIENCE, id, put, until};
use crate::raft::{Error, MetaStore, Txn, Update};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_breaks_at_once_is_not_tried_without_rest() {
    let group = Group::of(3).await;
    let leader = group.leader().await;
    let other = (leader + 1) % 3;
    group.net.fray(id(leader), id(other));
    let before = group.net.calls();
    put(group.store(leader), "a", "1").await;
    sleep(group.timing.heartbeat * 10).await;
    let calls = group.net.calls() - before;
    assert!(calls < 200, "{calls} calls in ten heartbeats");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_minority_reads_and_does_not_write() {
    let group = Group::of(5).await;
    put(group.store(0), "a", "1").await;
    group.until_equal().await;
    let leader = group.leader().await;
    let few = [leader, (leader + 1) % 5];
    let many: Vec<_> = (0..5).filter(|number| !few.contains(number)).collect();
    let ids = |numbers: &[usize]| numbers.iter().map(|number| id(*number)).collect::<Vec<_>>();
    group.net.part(&ids(&few), &ids(&many));
    put(group.store(many[0]), "a", "2").await;
    let short = Duration::from_millis(400);
    for number in few {
        let store = group.store(number);
        let refused = store.txn(Txn::new().put("b", "lost"), short).await;
        assert!(matches!(refused, Err(Error::NoLeader | Error::Timeout)), "{refused:?}");
        assert!(store.barrier(short).await.is_err());
        assert_eq!(store.get("a").unwrap().value, "1", "its own copy is served");
    }
    // A leader that is cut off comes to know it.
    let deadline = Instant::now() + PATIENCE;
    loop {
        match group.store(leader).txn(Txn::new().put("b", "lost"), short).await {
            Err(Error::NoLeader) => break,
            refused => assert_eq!(refused, Err(Error::Timeout)),
        }
        assert!(Instant::now() < deadline, "it still believes that it leads");
    }
    group.net.heal();
    for store in group.stores() {
        store.barrier(PATIENCE).await.unwrap();
        assert_eq!(store.get("a").unwrap().value, "2");
    }
    group.until_equal().await;
}

/// Clients that increment a register and read it, through one node.
async fn client(
    store: MetaStore,
    number: u64,
    ticks: Arc<Ticks>,
    history: Arc<Mutex<Vec<Seen>>>,
    stop: Arc<AtomicBool>,
) {
    let patience = Duration::from_millis(1500);
    let mut value = number << 32;
    while !stop.load(Ordering::Relaxed) {
        let began = ticks.next();
        if store.barrier(patience).await.is_err() {
            continue;
        }
        let stored = store.get("register");
        let over = stored.as_ref().map_or(0, |stored| stored.modified);
        let read = stored.map_or(0, |s| std::str::from_utf8(&s.value).unwrap().parse().unwrap());
        let seen = |began, act| Seen { began, ended: ticks.next(), act };
        history.lock().push(seen(began, Act::Read { value: read, made: over }));
        value += 1;
        let began = ticks.next();
        let txn = Txn::new().expect("register", over).put("register", value.to_string());
        let act = match store.txn(txn, patience).await {
            Ok(made) => Act::Write { over, value, made: Some(made) },
            Err(Error::Conflict { modified, .. }) => Act::Refused { over, holds: modified },
            Err(Error::Timeout) => Act::Write { over, value, made: None },
            Err(_) => continue,
        };
        history.lock().push(seen(began, act));
    }
}

/// Follows everything from the beginning; gives the revisions and what they left.
async fn follow(store: MetaStore, until: Arc<Mutex<Option<u64>>>) -> Vec<(u64, String)> {
    let (mut watch, mut told) = (store.watch("reg", 0), Vec::new());
    loop {
        let wanted = *until.lock();
        if wanted.is_some_and(|wanted| told.last().is_some_and(|(last, _)| *last >= wanted)) {
            return told;
        }
        let next = tokio::time::timeout(Duration::from_millis(50), watch.next()).await;
        let Ok(update) = next else { continue };
        let Update::Changes(revisions) = update.unwrap() else { panic!("history was long enough") };
        for revision in revisions {
            let value = revision.changes[0].stored.clone().unwrap().value;
            told.push((revision.revision, String::from_utf8_lossy(&value).into_owned()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writes_of_many_clients_are_linearizable() {
    // A snapshot would end what watches know.
    let group = Group::keeping(3, 100_000).await;
    let (ticks, history) = (Arc::<Ticks>::default(), Arc::<Mutex<Vec<Seen>>>::default());
    let (stop, end) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Option<u64>>>::default());
    let (mut clients, mut watches) = (JoinSet::new(), JoinSet::new());
    for number in 0..9 {
        let store = group.store(number % 3).clone();
        let (ticks, history, stop) = (ticks.clone(), history.clone(), stop.clone());
        clients.spawn(client(store, number as u64 + 1, ticks, history, stop));
    }
    for store in group.stores() {
        watches.spawn(follow(store.clone(), end.clone()));
    }
    let pause = |millis| sleep(Duration::from_millis(millis));
    for round in 0..3 {
        pause(300).await;
        let leader = group.store(round % 3).leader().unwrap_or_else(|| id(0));
        let others: Vec<_> = (0..3).map(id).filter(|node| *node != leader).collect();
        match round {
            0 => group.net.trouble(60, 8),
            1 => group.net.part(&[leader], &others),
            _ => group.net.deafen(others[0], leader),
        }
        pause(1200).await;
        group.net.heal();
    }
    let made = |seen: &&Seen| matches!(seen.act, Act::Write { made: Some(_), .. });
    until("some writes", || history.lock().iter().filter(made).count() > 20).await;
    stop.store(true, Ordering::Relaxed);
    while clients.join_next().await.transpose().unwrap().is_some() {}
    let last = group.store(0).txn(Txn::new().put("register", "end"), PATIENCE).await.unwrap();
    group.until_equal().await;
    *end.lock() = Some(last);

    let history = std::mem::take(&mut *history.lock());
    check(&history).unwrap();
    while let Some(told) = watches.join_next().await.transpose().unwrap() {
        let revisions: Vec<_> = told.iter().map(|(revision, _)| *revision).collect();
        assert_eq!(revisions, (1..=last).collect::<Vec<_>>(), "each once, in order");
        for seen in &history {
            let Act::Write { value, made: Some(made), .. } = seen.act else { continue };
            assert_eq!(told[usize::try_from(made).unwrap() - 1].1, value.to_string());
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn restarts_under_load_lose_nothing() {
    let mut group = Group::of(3).await;
    let written = Arc::<Mutex<Vec<String>>>::default();
    for round in 0..4usize {
        let away = match round % 2 {
            0 => group.leader().await,
            _ => (group.leader().await + 1) % 3,
        };
        let store = group.store((away + 1) % 3).clone();
        let (keep, stop) = (written.clone(), Arc::<AtomicBool>::default());
        let stopping = stop.clone();
        let writer = tokio::spawn(async move {
            let mut n = 0;
            while !stopping.load(Ordering::Relaxed) {
                let key = format!("w/{round}/{n}");
                let txn = Txn::new().expect_absent(&*key).put(&*key, key.clone());
                if store.txn(txn, Duration::from_secs(3)).await.is_ok() {
                    keep.lock().push(key);
                }
                n += 1;
            }
        });
        let before = written.lock().len();
        group.stop(away).await;
        until("writes without the node", || written.lock().len() > before + 3).await;
        group.start(away).await;
        stop.store(true, Ordering::Relaxed);
        writer.await.unwrap();
    }
    for store in group.stores() {
        store.barrier(PATIENCE).await.unwrap();
        for key in written.lock().iter() {
            assert!(store.get(key).is_some(), "{key} was lost");
        }
    }
    group.until_equal().await;
}
