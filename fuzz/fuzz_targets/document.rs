//! Documents as clients send them: whatever is taken is in stored form, and stays so.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settee_model::hash::new_rev_id;
use settee_model::json::{Limits, normalise, parse_doc};

fuzz_target!(|input: &[u8]| {
    let limits = Limits::default();
    if let Ok(stored) = normalise(input, &limits) {
        assert_eq!(normalise(&stored, &limits).as_deref(), Ok(stored.as_slice()));
        assert!(std::str::from_utf8(&stored).is_ok());
    }
    if let Ok(doc) = parse_doc(input, &limits) {
        assert_eq!(normalise(&doc.body, &limits).as_deref(), Ok(doc.body.as_ref()));
        let _ = new_rev_id(doc.deleted, None, &doc.body, &[]);
    }
});
