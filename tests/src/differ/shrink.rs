//! Finds the shortest conversation that still shows a difference: leaves out requests, then parts of
//! those that stay, as long as whoever is asked says that the difference is still there. Pure.

use serde_json::Value;

use crate::client::Request;
use crate::script::Step;

/// How often it is asked, at most.
const ATTEMPTS: usize = 400;

/// A conversation that is made shorter.
struct Shrinking<F> {
    steps: Vec<Step>,
    still: F,
    left: usize,
}

/// The shortest conversation found whose last step differs; `still` says whether it does.
pub fn shrink(steps: &[Step], still: impl FnMut(&[Step]) -> bool) -> Vec<Step> {
    let mut shrinking = Shrinking { steps: steps.to_vec(), still, left: ATTEMPTS };
    shrinking.drop_requests();
    shrinking.drop_parts();
    shrinking.drop_requests();
    shrinking.drop_captures();
    shrinking.steps
}

impl<F: FnMut(&[Step]) -> bool> Shrinking<F> {
    /// Takes a shorter conversation if it will do.
    fn take(&mut self, shorter: Vec<Step>) -> bool {
        if self.left == 0 {
            return false;
        }
        self.left -= 1;
        let will_do = (self.still)(&shorter);
        if will_do {
            self.steps = shorter;
        }
        will_do
    }

    /// Leaves out many requests at once, then fewer, then one by one; never the last.
    fn drop_requests(&mut self) {
        let mut many = self.steps.len() / 2;
        while many > 0 {
            let mut end = self.steps.len().saturating_sub(1);
            while end > 0 {
                let start = end.saturating_sub(many);
                let mut shorter = self.steps.clone();
                shorter.drain(start..end);
                self.take(shorter);
                end = start;
            }
            many /= 2;
        }
    }

    /// Leaves out parameters, headers and parts of bodies, from the last request to the first.
    fn drop_parts(&mut self) {
        for at in (0..self.steps.len()).rev() {
            let mut next = 0;
            while let Some(request) =
                self.steps.get(at).and_then(|step| without_part(&step.request, next))
            {
                let mut shorter = self.steps.clone();
                if let Some(step) = shorter.get_mut(at) {
                    step.request = request;
                }
                // If it will do, another part has this number now.
                if !self.take(shorter) {
                    next += 1;
                }
                if self.left == 0 {
                    return;
                }
            }
        }
    }

    /// Forgets captured values that nothing names any more.
    fn drop_captures(&mut self) {
        let texts: Vec<String> =
            self.steps.iter().map(|step| format!("{:?}", named_in(&step.request))).collect();
        let texts = texts.join("\n");
        for step in &mut self.steps {
            step.captures.retain(|capture| texts.contains(&format!("{{{{{}}}}}", capture.name)));
        }
    }
}

/// All of a request in which captured values may be named.
fn named_in(request: &Request) -> (String, String, String) {
    let body = request.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
    let headers: Vec<&str> = request.headers.iter().map(|(_, value)| value.as_str()).collect();
    (request.path.clone(), headers.join("\n"), body.into_owned())
}

/// A request without its part of this number: parameters first, then headers, then parts of the body.
fn without_part(request: &Request, number: usize) -> Option<Request> {
    let mut request = request.clone();
    let (path, query) = match request.path.split_once('?') {
        Some((path, query)) => (path.to_owned(), query.split('&').collect::<Vec<_>>()),
        None => (request.path.clone(), Vec::new()),
    };
    // With another number of shards other things differ.
    let given = places(&query, |part| !part.starts_with("q="));
    if let Some(dropped) = given.get(number) {
        let mut left = query;
        left.remove(*dropped);
        request.path = if left.is_empty() { path } else { format!("{path}?{}", left.join("&")) };
        return Some(request);
    }
    let number = number - given.len();
    // A body says what it is; without that, the script would say it is JSON.
    let framing = |name: &str| request.body.is_some() && name == "Content-Type";
    let headers = places(&request.headers, |(name, _)| !framing(name));
    if let Some(at) = headers.get(number) {
        request.headers.remove(*at);
        return Some(request);
    }
    let body: Value = serde_json::from_slice(request.body.as_deref()?).ok()?;
    let mut left = number - headers.len();
    let shorter = without(&body, &mut left)?;
    request.body = Some(shorter.to_string().into_bytes());
    Some(request)
}

/// Where those stand that may go.
fn places<T>(all: &[T], may_go: impl Fn(&T) -> bool) -> Vec<usize> {
    all.iter().enumerate().filter(|(_, one)| may_go(one)).map(|(at, _)| at).collect()
}

/// A value without the part that `left` counts down to.
fn without(value: &Value, left: &mut usize) -> Option<Value> {
    match value {
        Value::Object(members) => {
            // Without its name a document gets another one from each server.
            for (name, member) in members.iter().filter(|(name, _)| *name != "_id") {
                let mut shorter = members.clone();
                if *left == 0 {
                    shorter.shift_remove(name);
                    return Some(Value::Object(shorter));
                }
                *left -= 1;
                if let Some(less) = without(member, left) {
                    shorter.insert(name.clone(), less);
                    return Some(Value::Object(shorter));
                }
            }
            None
        }
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                let mut shorter = items.clone();
                if *left == 0 {
                    shorter.remove(at);
                    return Some(Value::Array(shorter));
                }
                *left -= 1;
                if let (Some(less), Some(place)) = (without(item, left), shorter.get_mut(at)) {
                    *place = less;
                    return Some(Value::Array(shorter));
                }
            }
            None
        }
        _ => None,
    }
}
