//! Filters of `_changes` that are functions of a design document, given documents by the batch. Which one
//! is meant, and whether it is there, `filter` has found out before.

use std::sync::Arc;
use std::time::Instant;

use settee_cluster::changes::{Candidate, Judge, Judging, Verdicts};
use settee_cluster::functions::Kind;
use settee_query::js::{self, Design};

use crate::handlers::functions::{Functions, document};

/// A function that says of documents whether they pass.
type Passes = dyn Fn(&mut Design, &mut dyn Iterator<Item = &[u8]>) -> Result<Vec<bool>, js::Error>
    + Send
    + Sync;

struct ByFunction {
    functions: Functions,
    passes: Arc<Passes>,
}

/// Those for which `filters.{name}` says yes, given a request object.
#[must_use]
pub fn by_filter(functions: Functions, name: String, req: Vec<u8>) -> Arc<dyn Judge> {
    let passes: Arc<Passes> = Arc::new(move |design, docs| design.filter(&name, &req, docs));
    Arc::new(ByFunction { functions, passes })
}

/// Those for which the map of `views.{name}` emits anything.
#[must_use]
pub fn by_view(functions: Functions, name: String) -> Arc<dyn Judge> {
    let passes: Arc<Passes> = Arc::new(move |design, docs| design.filter_view(&name, docs));
    Arc::new(ByFunction { functions, passes })
}

impl Judge for ByFunction {
    fn judge(&self, leaves: Vec<Candidate>) -> Judging {
        let (functions, passes) = (self.functions.clone(), self.passes.clone());
        Box::pin(async move {
            let limit = functions.time() / 2;
            let mut docs: Vec<Vec<u8>> =
                leaves.iter().map(|leaf| document(&leaf.doc, &leaf.conflicts)).collect();
            let mut verdicts = Verdicts::default();
            while !docs.is_empty() {
                let passes = passes.clone();
                let judged = functions.call(Kind::Batch, move |design| {
                    let began = Instant::now();
                    // Each may take the whole time, so it is soon time to tell how far this is.
                    let mut begun =
                        docs.iter().map(Vec::as_slice).enumerate().map_while(|(place, doc)| {
                            (place == 0 || began.elapsed() < limit).then_some(doc)
                        });
                    let verdicts = passes(design, &mut begun)?;
                    let rest = docs.split_off(verdicts.len().min(docs.len()));
                    Ok((rest, verdicts))
                });
                match judged.await {
                    Ok((rest, judged)) => {
                        verdicts.passes.extend(judged);
                        docs = rest;
                    }
                    Err(fault) => {
                        verdicts.fault = Some(fault);
                        break;
                    }
                }
            }
            verdicts
        })
    }
}
