//! Random batches with checkpoints, compactions, other plans and restarts between.

use proptest::prelude::*;

use super::*;

#[derive(Clone, Debug)]
enum Step {
    Apply(Model),
    Checkpoint,
    Compact,
    Replan(usize),
    Restart,
}

fn batch() -> impl Strategy<Value = Model> {
    let row = ("[a-d]{1,2}", "[x-z]{1,3}");
    prop::collection::btree_map("[a-f]{1,2}", prop::collection::vec(row, 0..5), 0..30)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => batch().prop_map(Step::Apply),
        2 => Just(Step::Checkpoint),
        1 => Just(Step::Compact),
        1 => (0usize..9).prop_map(Step::Replan),
        1 => Just(Step::Restart),
    ]
}

/// Groups of a model by the first letter of the sort key: the first row's value, and all values cut to
/// what the plan says.
fn groups(rows: &[((String, String, u32), String)], cut: usize) -> Vec<(char, String)> {
    let letter = |row: &((String, String, u32), String)| row.0.0.chars().next().unwrap();
    let join = |group: &[((String, String, u32), String)]| {
        let all: String = group.iter().map(|(_, value)| value.as_str()).collect();
        (letter(&group[0]), all[all.len().saturating_sub(cut)..].to_owned())
    };
    rows.chunk_by(|a, b| letter(a) == letter(b)).map(join).collect()
}

fn check(index: &Index, model: &Model, bounds: &(String, String)) {
    let snapshot = index.snapshot();
    let rows = sorted(model);
    assert_eq!(found(&snapshot), rows);
    assert_eq!(snapshot.count(), rows.len() as u64);
    let cut = snapshot.plan().len();
    let key = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let range = (Bound::Included(key(&bounds.0)), Bound::Excluded(key(&bounds.1)));
    let within = |row: &((String, String, u32), String)| {
        row.0.0.as_str() >= bounds.0.as_str() && row.0.0.as_str() < bounds.1.as_str()
    };
    let wanted: Vec<_> = rows.into_iter().filter(within).collect();
    let expected = groups(&wanted, cut);
    let prefix: crate::tree::Prefix = Arc::new(|_: &[u8]| 1);
    for direction in [Direction::Forward, Direction::Backward] {
        let found = snapshot.groups(range.clone(), direction, prefix.clone());
        let mut found: Vec<_> = found
            .map(|group| {
                let group = group.unwrap();
                let letter = char::from(group.first.key()[0]);
                (letter, String::from_utf8(group.reduction.to_vec()).unwrap())
            })
            .collect();
        if direction == Direction::Backward {
            found.reverse();
        }
        assert_eq!(found, expected, "{direction:?}");
    }
    for (id, rows) in model {
        assert_eq!(snapshot.keys_of(&DocId::trusted(id)).unwrap().len(), rows.len());
    }
}

fn run(steps: &[Step], bounds: &(String, String)) {
    let disk = SimStorage::new();
    let mut engine = open(&disk);
    let mut shard = shard(&engine, steps.len() + 1);
    let mut index = index(&engine, &shard);
    let (mut model, mut saved) = (Model::new(), (Position::default(), Model::new()));
    for (number, step) in steps.iter().enumerate() {
        match step {
            Step::Apply(batch) => {
                let docs: Vec<_> = batch.iter().map(|(id, rows)| doc_rows(id, rows)).collect();
                let (from, to) = (index.snapshot().position(), position(&shard, number as u64 + 1));
                assert!(index.apply(&docs, from, to).unwrap());
                model.extend(batch.clone());
            }
            Step::Checkpoint => index.checkpoint().unwrap(),
            Step::Compact => index.compact().unwrap(),
            Step::Replan(length) => {
                let plan = Bytes::from(vec![b'p'; *length]);
                index.replan(plan.clone(), reducers(&plan).unwrap()).unwrap();
                assert_eq!(index.snapshot().plan(), &plan);
            }
            Step::Restart => {
                drop((index, shard));
                engine.close().unwrap();
                drop(engine);
                engine = open(&disk);
                shard = engine.shard(&shard_id()).unwrap();
                index = super::index(&engine, &shard);
            }
        }
        if matches!(step, Step::Checkpoint | Step::Restart) {
            saved = (index.snapshot().position(), model.clone());
        }
        check(&index, &model, bounds);
    }
    assert!(saved.0.update_seq <= index.snapshot().position().update_seq);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn an_index_is_what_was_put_in(
        steps in prop::collection::vec(step(), 1..14),
        bounds in ("[a-d]{0,2}", "[a-e]{0,2}"),
    ) {
        run(&steps, &bounds);
    }
}

#[test]
fn groups_that_fill_many_pages_are_jumped_over() {
    let disk = SimStorage::new();
    let engine = open(&disk);
    let shard = shard(&engine, 3);
    let index = index(&engine, &shard);
    let plan = Bytes::from_static(b"pppp");
    index.replan(plan.clone(), reducers(&plan).unwrap()).unwrap();
    let mut model = Model::new();
    for n in 0..3000 {
        let letter = ["a", "b", "bx", "c"][n % 4];
        let row = (format!("{letter}{}", "q".repeat(n % 60)), format!("{n:04}"));
        model.insert(format!("doc{n}"), vec![row]);
    }
    let docs: Vec<_> = model.iter().map(|(id, rows)| doc_rows(id, rows)).collect();
    index.apply(&docs, Position::default(), position(&shard, 2)).unwrap();
    for bounds in [("", "z"), ("aq", "bqqqqqqqqqqqq"), ("b", "b"), ("bx", "c"), ("d", "a")] {
        check(&index, &model, &(bounds.0.into(), bounds.1.into()));
    }
    index.checkpoint().unwrap();
    check(&index, &model, &(String::new(), "c".into()));
}
