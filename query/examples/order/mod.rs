//! The documents that are measured with: orders of about 460 bytes. Measures nothing itself.

/// The members of order number `n`.
pub fn members(n: usize) -> String {
    format!(
        concat!(
            r#""type":"order","customer":"customer-{c}","date":"2026-11-{d:02}T12:00:00Z","#,
            r#""total":{n}.25,"address":{{"street":"Some Street {c}","city":"Zürich","zip":"80{d:02}","#,
            r#""country":"CH"}},"lines":[{{"sku":"sku-{a}","count":2,"price":12.5}},"#,
            r#"{{"sku":"sku-{b}","count":1,"price":99}}],"tags":["new","paid","web"],"#,
            r#""note":"Please leave the parcel at the door; ring twice if nobody opens.""#
        ),
        n = n,
        c = n % 1000,
        d = n % 28 + 1,
        a = n % 77,
        b = n % 91
    )
}
