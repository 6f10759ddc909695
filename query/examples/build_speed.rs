//! How many documents a second get into indexes, from a shard on a real disk: two maps over documents of
//! 460 bytes, with a reduce each; then how fast rows and groups come out. Prints; asserts nothing.
#![allow(clippy::print_stdout)]

mod order;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use settee_engine::io::RealStorage;
use settee_engine::shard::{Batch, Write};
use settee_engine::{Engine, Options, Shard, ShardId};
use settee_model::doc::DocEdit;
use settee_model::docid::DocId;
use settee_model::rev::RevPath;
use settee_query::view::{
    Build, Definition, Grouping, Groups, Programs, Progress, RowRange, Rows, Setup, Target, carry,
    open_index,
};

type Failure = Box<dyn std::error::Error>;

const VIEWS: &str = r#"{"views":{"a":{"map":"function(doc) { if (doc.type === 'order') emit([doc.customer, doc.date], doc.total); }","reduce":"_sum"},"b":{"map":"function(doc) { doc.lines.forEach(function(line) { emit(line.sku, line.count); }); }","reduce":"_count"}}}"#;

fn fill(shard: &Arc<Shard>, docs: usize) -> Result<(), Failure> {
    for start in (0..docs).step_by(1000) {
        let write = |n: usize| {
            let (id, revs) = (DocId::trusted(&format!("order-{n:08}")), RevPath::default());
            let body = Bytes::from(format!("{{{}}}", order::members(n)));
            Write::Interactive(DocEdit { id, revs, deleted: false, body, atts: Vec::new() })
        };
        shard.write(Batch::of((start..docs.min(start + 1000)).map(write).collect()))?;
    }
    Ok(())
}

/// Seconds of processor time of this process so far, and of its threads by name.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split(' ').collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<f64>().ok());
    (ticks(12).unwrap_or(0.0) + ticks(13).unwrap_or(0.0)) / 100.0
}

fn timed<T>(name: &str, work: impl FnOnce() -> Result<T, Failure>) -> Result<T, Failure> {
    let (start, before) = (Instant::now(), processor_time());
    let done = work()?;
    println!("{name:>32}: {:?}, processor {:.2} s", start.elapsed(), processor_time() - before);
    Ok(done)
}

fn main() -> Result<(), Failure> {
    let mut args = std::env::args().skip(1);
    let folder = args.next().ok_or("which folder?")?;
    let docs: usize = args.next().map_or(Ok(200_000), |docs| docs.parse())?;
    let options = Options { cache_bytes: 256 << 20, ..Options::default() };
    let engine = Engine::open(Arc::new(RealStorage::open(&folder)?), options)?;
    let id = ShardId::parse("00000000-ffffffff/db.1")?;
    let shard = engine.create_shard(&id)?;
    timed("documents written", || fill(&shard, docs))?;
    std::thread::sleep(Duration::from_secs(11));
    let definition = Arc::new(Definition::of("_design/d", VIEWS.as_bytes(), false)?);
    let setup = Setup::default();
    for threads in [1, 2, 2] {
        let programs = Programs::new(definition.clone(), setup.clone());
        let mut targets = Vec::new();
        for (map, def) in definition.maps.iter().enumerate() {
            engine.drop_index(&id, def.signature)?;
            let index = open_index(&engine, &shard, def.signature, &setup)?;
            carry(&index, &def.reduces, Vec::new, &setup)?;
            targets.push(Target { map, index });
        }
        let progress = Progress::default();
        let build = Build {
            programs: &programs,
            shard: &shard,
            targets: &targets,
            threads,
            pace: &(),
            progress: &progress,
        };
        let start = Instant::now();
        timed(&format!("build, {threads} threads"), || Ok(build.run()?))?;
        println!("{:>32}: {:.0}", "documents/s", docs as f64 / start.elapsed().as_secs_f64());
        if args.len() == 0 && threads == 1 {
            continue;
        }
        read(&targets, &definition)?;
    }
    engine.close()?;
    Ok(())
}

fn read(targets: &[Target], definition: &Definition) -> Result<(), Failure> {
    let [a, b] = targets else { return Err("two maps".into()) };
    let all = RowRange::default();
    let (a, b) = (a.index.snapshot(), b.index.snapshot());
    timed("all rows of a", || {
        Ok(Rows::of_range(&a, &all).try_fold(0, |n, row| row.map(|_| n + 1))?)
    })?;
    let range: Vec<_> = Rows::of_range(&a, &all).take(10_000).collect::<Result<_, _>>()?;
    timed("10,000 rows", || Ok(Rows::of_range(&a, &all).take(10_000).count()))?;
    let mut keys: Vec<Bytes> = range.into_iter().map(|row| row.key).collect();
    keys.dedup();
    keys.truncate(1400);
    timed("keys, in order", || Ok(Rows::of_keys(&a, &all, keys.clone().into()).count()))
        .map(drop)?;
    keys.reverse();
    timed("keys, backwards", || Ok(Rows::of_keys(&a, &all, keys.into()).count())).map(drop)?;
    for (view, index, grouping) in [
        ("a", &a, Grouping::Whole),
        ("a", &a, Grouping::Level(1)),
        ("a", &a, Grouping::Exact),
        ("b", &b, Grouping::Exact),
    ] {
        let reduce =
            definition.view(view).and_then(|view| view.reduce.clone()).ok_or("a reduce")?;
        timed(&format!("{view} {grouping:?}"), || {
            let groups = Groups::of_range(index, &reduce, &all, grouping).ok_or("not carried")?;
            let count = groups.count();
            println!("{count} groups");
            Ok(count)
        })?;
    }
    println!(
        "sizes: {:?} {:?}",
        targets.first().map(|t| t.index.sizes()),
        targets.get(1).map(|t| t.index.sizes())
    );
    Ok(())
}
