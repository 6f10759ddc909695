//! Documents of one kind, made from their numbers alone: whoever makes them gets the same bytes. Sends
//! nothing.

/// The id of a document, in the order of the numbers.
#[must_use]
pub fn id(number: usize) -> String {
    format!("doc-{number:08}")
}

/// About 400 bytes of the kind that applications store.
#[must_use]
pub fn document(number: usize) -> String {
    format!(
        r#"{{"type":"order","number":{number},"customer":{{"name":"Customer {}","city":"Town {}","active":{}}},"lines":[{{"sku":"SKU-{:05}","qty":{},"price":{}.25}},{{"sku":"SKU-{:05}","qty":1,"price":19.5}}],"tags":["new","web","group-{}"],"note":"Left at the door of number {} because nobody was at home; please ring twice and wait a little.","total":{}.75}}"#,
        number % 997,
        number % 89,
        number.is_multiple_of(2),
        number % 12345,
        number % 9 + 1,
        number % 500,
        number % 54321,
        number % 16,
        number % 200,
        number % 3000,
    )
}

/// The same with its id, and the revision that it replaces.
#[must_use]
pub fn named(id: &str, rev: Option<&str>, number: usize) -> String {
    let document = document(number);
    let members = document.strip_prefix('{').unwrap_or(&document);
    let rev = rev.map(|rev| format!(r#""_rev":"{rev}","#)).unwrap_or_default();
    format!(r#"{{"_id":"{id}",{rev}{members}"#)
}

/// The body of a `_bulk_docs` request.
#[must_use]
pub fn bulk(documents: &[String]) -> String {
    format!(r#"{{"docs":[{}]}}"#, documents.join(","))
}

/// The same with so many new documents, from the first number on; their ids begin with `prefix`.
#[must_use]
pub fn bulk_body(prefix: &str, first: usize, count: usize) -> String {
    let new = |number| named(&format!("{prefix}{}", id(number)), None, number);
    bulk(&(first..first + count).map(new).collect::<Vec<_>>())
}
