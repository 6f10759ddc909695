//! Values as they stand in parameters and bodies, and ini files: any text is read or refused, and what
//! was read comes out the same.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settee_model::config::Config;
use settee_model::json;

fuzz_target!(|input: &str| {
    if let Ok(value) = json::value(input.as_bytes()) {
        let text = value.to_string();
        assert_eq!(json::value(text.as_bytes()).ok(), Some(value));
    }
    let mut config = Config::default();
    config.merge_ini(input);
});
