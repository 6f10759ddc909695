//! Whether what was done with a database's name could have happened in one order, each between its
//! question and its answer. What nobody knows the end of may happen at any time after its question, or
//! never; a creation that failed may be taken back later, but takes nothing else away.

use std::collections::HashSet;

use crate::history::{NameKind, NameOp};

/// Which creation the database that is there now came from.
type State = Option<usize>;

/// A search for an order: what has happened, as a set, and the state after it.
struct Search<'a> {
    ops: &'a [NameOp],
    /// Places that lead nowhere.
    seen: HashSet<(Vec<Stage>, State)>,
}

/// How much of an operation has happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    Before,
    /// A creation of which nobody knows; it may be taken back.
    Perhaps,
    Done,
}

/// Whether there is such an order.
pub fn is_linear(ops: &[NameOp]) -> bool {
    let mut search = Search { ops, seen: HashSet::new() };
    search.leads_on(vec![Stage::Before; ops.len()], None)
}

impl Search<'_> {
    fn leads_on(&mut self, stages: Vec<Stage>, state: State) -> bool {
        let open = |(op, stage): &(&NameOp, &Stage)| **stage != Stage::Done && op.ended.is_some();
        let ends = self.ops.iter().zip(&stages).filter(open).filter_map(|(op, _)| op.ended);
        // Nothing that was asked after an answer happened before what that answer was about.
        let Some(first_end) = ends.min() else { return true };
        if !self.seen.insert((stages.clone(), state)) {
            return false;
        }
        (0..self.ops.len()).any(|number| {
            let (op, stage) = (&self.ops[number], stages[number]);
            if stage == Stage::Done || op.begun > first_end {
                return false;
            }
            let Some((stage, state)) = happens(number, op.kind, stage, state) else { return false };
            let mut stages = stages.clone();
            stages[number] = stage;
            self.leads_on(stages, state)
        })
    }
}

/// What comes of an operation if it happens now; `None` if it cannot.
fn happens(number: usize, kind: NameKind, stage: Stage, state: State) -> Option<(Stage, State)> {
    match (kind, state) {
        (NameKind::Created, None) => Some((Stage::Done, Some(number))),
        (NameKind::CreatedPerhaps, None) if stage == Stage::Before => {
            Some((Stage::Perhaps, Some(number)))
        }
        (NameKind::CreatedPerhaps, Some(made)) if stage == Stage::Perhaps && made == number => {
            Some((Stage::Done, None))
        }
        (NameKind::Deleted | NameKind::DeletedPerhaps, Some(_)) => Some((Stage::Done, None)),
        (NameKind::Nothing, _) | (NameKind::Present, Some(_)) | (NameKind::Absent, None) => {
            Some((Stage::Done, state))
        }
        _ => None,
    }
}

#[test]
fn orders_are_told_from_nonsense() {
    use NameKind::{Absent, Created, CreatedPerhaps, Deleted, DeletedPerhaps, Present};
    let ops = |ops: &[(NameKind, u64, u64)]| -> Vec<NameOp> {
        let op = |(kind, begun, ended): &(NameKind, u64, u64)| NameOp {
            kind: *kind,
            begun: *begun,
            ended: (*ended > 0).then_some(*ended),
        };
        ops.iter().map(op).collect()
    };
    assert!(is_linear(&ops(&[(Created, 1, 2), (Deleted, 3, 4), (Created, 5, 6), (Present, 7, 8)])));
    assert!(!is_linear(&ops(&[(Created, 1, 3), (Created, 2, 4)])));
    assert!(is_linear(&ops(&[(Created, 1, 4), (Deleted, 2, 5), (Created, 3, 6)])));
    assert!(!is_linear(&ops(&[(Created, 1, 2), (Absent, 3, 4)])));
    assert!(is_linear(&ops(&[(Created, 1, 2), (DeletedPerhaps, 1, 0), (Absent, 3, 4)])));
    assert!(is_linear(&ops(&[(CreatedPerhaps, 1, 0), (Present, 2, 3), (Absent, 4, 5)])));
    assert!(!is_linear(&ops(&[(CreatedPerhaps, 1, 0), (Created, 2, 3), (Absent, 4, 5)])));
    assert!(!is_linear(&ops(&[(Absent, 1, 2), (CreatedPerhaps, 3, 0), (Deleted, 1, 2)])));
}
