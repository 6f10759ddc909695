//! Selectors and the documents that they meet: a selector that is taken means the same in its normal
//! form, and none takes more than its share of time.
#![no_main]

use libfuzzer_sys::fuzz_target;
use settee_model::json;
use settee_model::selector::Selector;

fuzz_target!(|input: &str| {
    let (selector, document) = input.split_once('\n').unwrap_or((input, "{}"));
    let Ok(selector) = json::value(selector.as_bytes()) else { return };
    let Ok(selector) = Selector::parse(&selector) else { return };
    let again = Selector::parse(selector.normal_form()).expect("a normal form");
    assert_eq!(again.normal_form(), selector.normal_form());
    if json::value(document.as_bytes()).is_ok() {
        let document = document.as_bytes();
        assert_eq!(selector.matches(document), again.matches(document), "{input}");
    }
});
