//! What an edit may look like.

use super::*;

fn path(text: &str) -> RevPath {
    RevPath::single(text.parse().unwrap())
}

fn reason(result: Result<RevPath, Error>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.info().0, 400);
    error.info().2.into_owned()
}

#[test]
fn body_parameter_and_header_must_agree_on_the_revision() {
    let none = RevPath::default;
    assert_eq!(agreed_revs(none(), None, None), Ok(none()));
    assert_eq!(agreed_revs(none(), Some("1-a"), None), Ok(path("1-a")));
    assert_eq!(agreed_revs(none(), None, Some("\"1-a\"")), Ok(path("1-a")));
    assert_eq!(agreed_revs(none(), Some("1-a"), Some("1-a")), Ok(path("1-a")));
    assert_eq!(agreed_revs(path("1-a"), Some("1-a"), Some("\"1-a\"")), Ok(path("1-a")));
    let etag = "Document rev and etag have different values";
    assert_eq!(reason(agreed_revs(none(), Some("1-a"), Some("1-b"))), etag);
    assert_eq!(reason(agreed_revs(path("1-a"), None, Some("1-b"))), etag);
    assert_eq!(
        reason(agreed_revs(path("1-b"), Some("1-a"), None)),
        "Document rev from request body and query string have different values"
    );
    for (rev, tag) in
        [(Some("x"), None), (None, Some("b")), (None, Some("")), (Some("1-a"), Some("W/\"1-a\""))]
    {
        assert_eq!(reason(agreed_revs(none(), rev, tag)), "Invalid rev format");
    }
}

#[test]
fn a_replicated_edit_needs_a_revision() {
    assert!(check_revs(&RevPath::default(), EditMode::Interactive).is_ok());
    assert!(check_revs(&path("1-a"), EditMode::Replicated).is_ok());
    assert!(check_revs(&RevPath::default(), EditMode::Replicated).is_err());
}

#[test]
fn compressible_types_ignore_case_and_parameters() {
    let types = Settings::default().compressible_types;
    for media in ["text/plain", "Text/HTML; charset=utf-8", "application/json ;a=b", " text/x"] {
        assert!(is_compressible(&types, media), "{media}");
    }
    for media in ["image/png", "application/jsonx", "xtext/plain", "", "a;text/plain"] {
        assert!(!is_compressible(&types, media), "{media}");
    }
    assert!(is_compressible(&["*+xml".to_owned()], "image/svg+xml; q=1"));
}

#[test]
fn compression_is_for_plain_bytes_of_such_types() {
    let mut settings = Settings::default();
    let level =
        |settings: &Settings, media, encoding| upload_options(settings, media, encoding).compress;
    assert_eq!(level(&settings, "text/plain", Encoding::Identity), Some(8));
    assert_eq!(level(&settings, "text/plain", Encoding::Gzip), None);
    assert_eq!(level(&settings, "image/png", Encoding::Identity), None);
    settings.compression_level = 0;
    assert_eq!(level(&settings, "text/plain", Encoding::Identity), None);
}
