//! Texts that strangers send in parameters and bodies, and operators in files: sequences, values,
//! selectors, ini files. Any text is read or refused, and what was read comes out the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settee_model::config::Config;
use settee_model::json;
use settee_model::selector::Selector;
use settee_model::seq::Seq;

fuzz_target!(|input: &str| {
    if let Ok(seq) = input.parse::<Seq>() {
        assert_eq!(seq.to_string().parse::<Seq>().ok(), Some(seq));
    }
    if let Ok(value) = json::value(input.as_bytes()) {
        let text = value.to_string();
        assert_eq!(json::value(text.as_bytes()).ok(), Some(value.clone()));
        if let Ok(selector) = Selector::parse(&value) {
            let _ = selector.matches(text.as_bytes());
        }
    }
    let mut config = Config::default();
    config.merge_ini(input);
});
