//! Asks two servers the same and says where they part. A difference is a finding unless it is on
//! purpose; behind a write that was answered differently nothing is judged, since the databases differ.

use std::thread;

use crate::client::Response;
use crate::compare;
use crate::conversation::{Talk, kept};
use crate::differ::known;
use crate::differ::met::Met;
use crate::script::Step;

/// Whatever answers a conversation from its beginning.
pub trait Server: Sync {
    /// The answers to the steps, in order. What is not answered has status 0.
    fn answers(&self, steps: &[Step]) -> Vec<Response>;
}

/// A server at an address.
pub struct Remote(pub String);

impl Server for Remote {
    fn answers(&self, steps: &[Step]) -> Vec<Response> {
        let mut talk = Talk::new(&self.0);
        // In what words it breaks off says more of the framing than of the answer.
        let silence = |_| Response { body: b"no answer".to_vec(), ..Response::default() };
        let say = |step: &Step| {
            talk.reconnect();
            talk.say(step).map_or_else(silence, kept)
        };
        steps.iter().map(say).collect()
    }
}

/// A step that was answered differently.
#[derive(Clone, Debug)]
pub struct Finding {
    /// Which one.
    pub at: usize,
    /// How the answers differ, a line each.
    pub lines: Vec<String>,
    /// What makes two findings one.
    pub key: String,
}

/// What came of a conversation.
#[derive(Default)]
pub struct Verdict {
    /// Differences that nobody meant.
    pub findings: Vec<Finding>,
    /// Rows of differences that were met and are meant.
    pub meant: Vec<&'static str>,
    /// Requests that were judged.
    pub judged: usize,
}

/// Asks both servers at once, and judges.
#[must_use]
pub fn judge(ours: &dyn Server, theirs: &dyn Server, steps: &[Step]) -> Verdict {
    let (our, their) = thread::scope(|scope| {
        let asked = scope.spawn(|| ours.answers(steps));
        let their = theirs.answers(steps);
        (asked.join().unwrap_or_default(), their)
    });
    let mut verdict = Verdict::default();
    for (at, ((step, ours), theirs)) in steps.iter().zip(&our).zip(&their).enumerate() {
        verdict.judged += 1;
        let lines = compare::differences(step, theirs, ours);
        if lines.is_empty() {
            if in_part(step, ours) {
                break;
            }
            continue;
        }
        let before = steps.get(..at).unwrap_or_default();
        let met = Met { before, step, theirs, ours, lines: &lines };
        match known::row(&met) {
            Some(row) => verdict.meant.push(row),
            None => verdict.findings.push(Finding { at, key: key(&met, &lines), lines }),
        }
        // What crashed may have been done in part; what only one side gave is asked for later.
        let refused = |answer: &Response| (400..500).contains(&answer.status);
        let gave = |answer: &Response| (200..300).contains(&answer.status);
        let given = step.captures.is_empty() || gave(ours) == gave(theirs);
        if !(given && only_reads(step) || refused(ours) && refused(theirs)) {
            break;
        }
    }
    verdict
}

/// Whether nobody knows what was written: where a stub is missing in `_bulk_docs`, CouchDB leaves all
/// documents of its range out.
fn in_part(step: &Step, answer: &Response) -> bool {
    step.request.path.contains("/_bulk_docs") && answer.status == 412
}

/// Whether a request leaves everything as it was.
fn only_reads(step: &Step) -> bool {
    let reading = [
        "_find",
        "_explain",
        "_all_docs",
        "_bulk_get",
        "_revs_diff",
        "_missing_revs",
        "_changes",
        "_view",
        "queries",
        "_design_docs",
        "_local_docs",
    ];
    let path = step.request.path.split('?').next().unwrap_or_default();
    let mut parts = path.split('/');
    match step.request.method.as_str() {
        "GET" | "HEAD" => true,
        "POST" => parts.any(|part| reading.contains(&part)),
        _ => false,
    }
}

/// The kind of a difference: the route, what differs, and in what words, without what is of this
/// conversation only.
fn key(met: &Met, lines: &[String]) -> String {
    let path = met.step.request.path.split('?').next().unwrap_or_default();
    let route: Vec<&str> =
        path.split('/').map(|part| if part.starts_with('_') { part } else { "*" }).collect();
    let first = lines.first().map(String::as_str).unwrap_or_default();
    let what = [" was ", ": "]
        .iter()
        .fold(first, |text, mark| text.split(mark).next().unwrap_or_default());
    let words = |answer: &Response| {
        let body = answer.json().unwrap_or_default();
        let reason = body.get("reason").and_then(|reason| reason.as_str()).unwrap_or_default();
        plain(&reason.chars().take(40).collect::<String>())
    };
    let (theirs, ours) = (words(met.theirs), words(met.ours));
    format!("{} {} {} [{theirs}] [{ours}]", met.step.request.method, route.join("/"), plain(what))
}

/// Digits are of this conversation only.
fn plain(text: &str) -> String {
    let mut plain = text.replace(|letter: char| letter.is_ascii_digit(), "#");
    while plain.contains("##") {
        plain = plain.replace("##", "#");
    }
    plain
}
