//! From digests of a whole copy to the few spans where two copies differ. Pure: spans to ask about
//! come out, digests go in. Equal copies cost one question.

use super::ask::{Part, Span};

/// Parts that a span is asked in.
pub(super) const PARTS: u32 = 64;
/// Parts of so many ids are not split further: their ids are compared.
const SMALL: u64 = 128;

/// See the module.
#[derive(Debug)]
pub(super) struct Narrowing {
    /// Spans that differ and are too large to be compared by ids.
    open: Vec<Span>,
    /// Spans that differ and are small.
    found: Vec<Span>,
}

impl Narrowing {
    /// Begins with everything.
    pub(super) fn new() -> Narrowing {
        Narrowing { open: vec![Span::default()], found: Vec::new() }
    }

    /// The next span whose digests are wanted; `None` when all is known.
    pub(super) fn next(&mut self) -> Option<Span> {
        self.open.pop()
    }

    /// A small span that differs, if one was found and not told yet.
    pub(super) fn found(&mut self) -> Option<Span> {
        self.found.pop()
    }

    /// Takes what the source and the own copy say about the parts of a span.
    pub(super) fn compare(&mut self, span: &Span, theirs: &[Part], ours: &[[u8; 32]]) {
        let mut after = span.after.clone();
        for (part, ours) in theirs.iter().zip(ours) {
            let through = part.through.clone().or_else(|| span.through.clone());
            let span = Span { after: after.take(), through: through.clone() };
            after = through;
            // Where the source has nothing there is nothing to pull.
            if part.digest == *ours || part.count == 0 {
                continue;
            }
            let small = part.count <= SMALL || theirs.len() == 1;
            if small { &mut self.found } else { &mut self.open }.push(span);
        }
        // The source has looked at the beginning only.
        if let Some(end) = theirs.last().and_then(|part| part.through.clone()) {
            self.open.push(Span { after: Some(end), through: span.through.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use settee_model::docid::DocId;

    use super::*;

    fn id(number: u64) -> DocId {
        DocId::trusted(&format!("{number:06}"))
    }

    /// The numbers of a span, of those that a copy has.
    fn within(copy: &[u64], span: &Span) -> Vec<u64> {
        let after = |number: &&u64| span.after.as_ref().is_none_or(|after| id(**number) > *after);
        let through = |number: &&u64| span.through.as_ref().is_none_or(|end| id(**number) <= *end);
        copy.iter().filter(after).filter(through).copied().collect()
    }

    fn digest(numbers: &[u64]) -> [u8; 32] {
        *blake3::hash(format!("{numbers:?}").as_bytes()).as_bytes()
    }

    fn parts(copy: &[u64], span: &Span) -> Vec<Part> {
        let all = within(copy, span);
        let size = all.len() / PARTS as usize + 1;
        let mut parts: Vec<Part> = Vec::new();
        for some in all.chunks(size) {
            let through = some.last().map(|last| id(*last));
            let (count, digest) = (some.len() as u64, digest(some));
            parts.push(Part { through, count, digest });
        }
        parts.push(Part { through: None, count: 0, digest: digest(&[]) });
        parts
    }

    fn along(copy: &[u64], span: &Span, theirs: &[Part]) -> Vec<[u8; 32]> {
        let mut after = span.after.clone();
        let part = |part: &Part| {
            let through = part.through.clone().or_else(|| span.through.clone());
            let inner = Span { after: after.take(), through: through.clone() };
            after = through;
            digest(&within(copy, &inner))
        };
        theirs.iter().map(part).collect()
    }

    /// Questions asked, and what the source has in the spans found.
    fn run(theirs: &[u64], ours: &[u64]) -> (usize, Vec<u64>) {
        let mut narrowing = Narrowing::new();
        let (mut asked, mut found) = (0, Vec::new());
        while let Some(span) = narrowing.next() {
            asked += 1;
            let parts = parts(theirs, &span);
            narrowing.compare(&span, &parts, &along(ours, &span, &parts));
            while let Some(span) = narrowing.found() {
                found.extend(within(theirs, &span));
            }
        }
        found.sort_unstable();
        (asked, found)
    }

    #[test]
    fn equal_copies_cost_one_question() {
        let all: Vec<u64> = (0..20_000).collect();
        assert_eq!(run(&all, &all), (1, Vec::new()));
        assert_eq!(run(&[], &[]), (1, Vec::new()));
        assert_eq!(run(&[], &all), (1, Vec::new()));
    }

    #[test]
    fn what_is_missing_is_found_without_looking_at_everything() {
        let all: Vec<u64> = (0..20_000).collect();
        let missing = [0, 777, 9_999, 10_000, 19_999];
        let ours: Vec<u64> = all.iter().filter(|n| !missing.contains(n)).copied().collect();
        let (asked, found) = run(&all, &ours);
        assert!(missing.iter().all(|number| found.contains(number)));
        assert!(asked <= 6, "{asked}");
        assert!(found.len() < 600, "{}", found.len());
        let (_, found) = run(&all, &[]);
        assert_eq!(found, all);
        assert_eq!(run(&[3], &all).1, [3]);
    }
}
