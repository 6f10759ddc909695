//! Holds random conversations with two servers and prints where their answers differ:
//! `differ OURS THEIRS [--seed N] [--rounds M] [--minutes K]`, or `differ OURS THEIRS SCRIPT…` for
//! conversations that are written already. `tests/conformance/README.md` says more.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use settee_tests::differ::judge::{Finding, Remote, Verdict, judge};
use settee_tests::differ::{conversation, framed, shrink};
use settee_tests::script::{self, Step};

/// The database of conversations, as printed scripts name it.
const DATABASE: &str = "/conf_differ";

const USAGE: &str =
    "usage: differ OURS THEIRS [--seed N] [--rounds M] [--minutes K] | differ OURS THEIRS SCRIPT…";

/// What was asked for.
struct Wanted {
    seed: u64,
    rounds: u64,
    time: Duration,
    scripts: Vec<String>,
}

/// Two servers, and what was learnt of them.
struct Pair {
    ours: Remote,
    theirs: Remote,
    /// Databases made so far, so that each conversation has one of its own.
    databases: usize,
    asked: usize,
    seen: BTreeSet<String>,
    meant: BTreeMap<&'static str, usize>,
    passing: usize,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [ours, theirs, rest @ ..] = args.as_slice() else { return fail(USAGE) };
    let Some(wanted) = wanted(rest) else { return fail(USAGE) };
    let mut pair = Pair {
        ours: Remote(ours.clone()),
        theirs: Remote(theirs.clone()),
        databases: 0,
        asked: 0,
        seen: BTreeSet::new(),
        meant: BTreeMap::new(),
        passing: 0,
    };
    let done = match wanted.scripts.as_slice() {
        [] => pair.rounds(&wanted),
        scripts => scripts.iter().try_for_each(|path| pair.script(path)),
    };
    match done {
        Ok(()) if pair.seen.is_empty() => ExitCode::SUCCESS,
        Ok(()) => ExitCode::FAILURE,
        Err(error) => fail(&error.to_string()),
    }
}

fn wanted(args: &[String]) -> Option<Wanted> {
    let forever = Duration::from_secs(u64::from(u32::MAX));
    let mut wanted = Wanted { seed: 1, rounds: 100, time: forever, scripts: Vec::new() };
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let mut number = || args.next()?.parse::<u64>().ok();
        match arg.as_str() {
            "--seed" => wanted.seed = number()?,
            "--rounds" => wanted.rounds = number()?,
            "--minutes" => {
                wanted.time = Duration::from_secs(number()?.saturating_mul(60));
                wanted.rounds = u64::MAX;
            }
            option if option.starts_with("--") => return None,
            path => wanted.scripts.push(path.to_owned()),
        }
    }
    Some(wanted)
}

impl Pair {
    fn rounds(&mut self, wanted: &Wanted) -> io::Result<()> {
        let began = Instant::now();
        let mut rounds = 0;
        while rounds < wanted.rounds && began.elapsed() < wanted.time {
            self.round(wanted.seed.wrapping_add(rounds))?;
            rounds += 1;
        }
        let mut out = io::stdout();
        writeln!(
            out,
            "# {rounds} conversations from seed {}, {} requests each to two servers",
            wanted.seed, self.asked
        )?;
        writeln!(
            out,
            "# {} kinds of differences, {} that were seen only once",
            self.seen.len(),
            self.passing
        )?;
        for (row, count) in &self.meant {
            writeln!(out, "# {count} meant: {row}")?;
        }
        Ok(())
    }

    fn round(&mut self, seed: u64) -> io::Result<()> {
        let steps = conversation(seed, DATABASE);
        let verdict = self.judge(&steps);
        self.asked += verdict.judged;
        for row in &verdict.meant {
            *self.meant.entry(row).or_default() += 1;
        }
        for finding in &verdict.findings {
            if self.seen.contains(&finding.key) {
                continue;
            }
            let until: Vec<Step> = steps.iter().take(finding.at + 1).cloned().collect();
            if self.shows(&until, finding).is_none() {
                self.passing += 1;
                writeln!(
                    io::stdout(),
                    "# seed {seed}, step {}: seen only once: {}\n",
                    finding.at,
                    finding.key
                )?;
                continue;
            }
            self.seen.insert(finding.key.clone());
            let shortest = shrink::shrink(&until, |steps| self.shows(steps, finding).is_some());
            let shown = self.shows(&shortest, finding).unwrap_or_else(|| finding.clone());
            print(seed, &shortest, &shown)?;
        }
        Ok(())
    }

    /// The finding as the last of these steps shows it, if it does.
    fn shows(&mut self, steps: &[Step], wanted: &Finding) -> Option<Finding> {
        let same = |one: &Finding| one.at + 1 == steps.len() && one.key == wanted.key;
        self.judge(steps).findings.into_iter().find(same)
    }

    /// Judges in a database that was never there.
    fn judge(&mut self, steps: &[Step]) -> Verdict {
        self.databases += 1;
        let path = format!("{DATABASE}_{}_{}", std::process::id(), self.databases);
        let mut steps = framed(steps, DATABASE);
        for step in &mut steps {
            step.request.path = step.request.path.replacen(DATABASE, &path, 1);
        }
        let mut verdict = judge(&self.ours, &self.theirs, steps.get(1..).unwrap_or_default());
        verdict.findings.retain(|finding| finding.at + 2 < steps.len());
        verdict
    }

    /// A conversation that is written already.
    fn script(&mut self, path: &str) -> io::Result<()> {
        let steps = script::parse(&std::fs::read_to_string(path)?).map_err(io::Error::other)?;
        let verdict = judge(&self.ours, &self.theirs, &steps);
        for finding in verdict.findings {
            let request = steps.get(finding.at).map(|step| &step.request);
            let said = request.map(|request| format!("{} {}", request.method, request.path));
            writeln!(
                io::stdout(),
                "{path} #{} {}\n    {}",
                finding.at + 1,
                said.unwrap_or_default(),
                finding.lines.join("\n    ")
            )?;
            self.seen.insert(finding.key);
        }
        Ok(())
    }
}

fn print(seed: u64, steps: &[Step], finding: &Finding) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(out, "# seed {seed}: {}", finding.key)?;
    for line in &finding.lines {
        let line: String = line.chars().take(3000).collect();
        writeln!(out, "#   {}", line.replace('\n', " "))?;
    }
    writeln!(out, "{}", script::to_text(&framed(steps, DATABASE)))?;
    out.flush()
}

fn fail(why: &str) -> ExitCode {
    let _ = writeln!(io::stderr(), "{why}");
    ExitCode::FAILURE
}
