//! [`Validation`]: a design document that must agree to writes. Runs nothing.

use std::sync::Arc;

use settee_model::doc::StoredDoc;
use settee_model::json::{Raw, value};
use settee_model::selector::{Selector, SelectorError};

/// See the module.
#[derive(Clone, Debug)]
pub struct Validation {
    /// The design document.
    pub ddoc: Arc<StoredDoc>,
    /// The selector that validates in the place of a function, read once for all writes.
    pub selector: Option<Result<Arc<Selector>, SelectorError>>,
}

impl Validation {
    /// The validation of a design document, if it has one.
    pub(crate) fn of(ddoc: &Arc<StoredDoc>) -> Option<Validation> {
        let rule = Raw(&ddoc.record.body).get("validate_doc_update")?;
        let selector = rule.is_object().then(|| selector(rule));
        Some(Validation { ddoc: ddoc.clone(), selector })
    }
}

fn selector(rule: Raw<'_>) -> Result<Arc<Selector>, SelectorError> {
    // It was stored as JSON: nothing else can be wrong with it.
    let rule = value(rule.bytes()).map_err(|_| SelectorError::TooDeep)?;
    Selector::parse(&rule).map(Arc::new)
}
