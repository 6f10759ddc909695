//! Sequences that clients send back, as `since` and elsewhere: read or refused, and what was read comes
//! out the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settee_model::range::HashRange;
use settee_model::seq::Seq;

fuzz_target!(|input: &str| {
    if let Ok(seq) = input.parse::<Seq>() {
        let text = seq.to_string();
        assert_eq!(text.parse::<Seq>().as_ref(), Ok(&seq), "{text}");
        let _ = (seq.number(), seq.position(HashRange::ALL));
    }
});
