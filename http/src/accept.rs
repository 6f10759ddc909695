//! `Accept` and `Accept-Encoding`, as far as answers depend on them. Never chooses an answer.

/// What a header of this kind says about one thing after another: its name and its weight.
fn weighted(header: &str) -> impl Iterator<Item = (String, f32)> + '_ {
    header.split(',').filter_map(|item| {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().filter(|name| !name.is_empty())?.to_ascii_lowercase();
        let weight = parts.find_map(|part| part.strip_prefix("q=").or(part.strip_prefix("Q=")));
        Some((name, weight.map_or(1.0, |weight| weight.trim().parse().unwrap_or(0.0))))
    })
}

/// Whether a client takes a media type (`multipart/mixed`). Without the header it takes any.
#[must_use]
pub fn accepts(header: Option<&str>, media: &str) -> bool {
    let Some(header) = header else { return true };
    let family = media.split_once('/').map(|(family, _)| format!("{family}/*"));
    let named = |name: &str| name == media || Some(name) == family.as_deref();
    let mut taken = false;
    for (name, weight) in weighted(header) {
        if weight > 0.0 {
            taken |= name == "*/*" || named(&name);
        } else if named(&name) {
            return false;
        }
    }
    taken
}

/// Whether a client takes gzip. Without the header it does not.
#[must_use]
pub fn accepts_gzip(header: Option<&str>) -> bool {
    let weight_of = |wanted: &str| {
        let mut items = weighted(header.unwrap_or_default());
        items.find_map(|(name, weight)| (name == wanted).then_some(weight))
    };
    weight_of("gzip").or_else(|| weight_of("*")).is_some_and(|weight| weight > 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_by_name_family_and_any() {
        let mixed = "multipart/mixed";
        for good in ["multipart/mixed", "multipart/*;q=0.1", "a/b, */*", "*/*", "Multipart/Mixed"] {
            assert!(accepts(Some(good), mixed), "{good}");
        }
        for bad in ["application/json", "", "multipart/mixed;q=0, */*", "multipart/related"] {
            assert!(!accepts(Some(bad), mixed), "{bad}");
        }
        assert!(accepts(None, mixed));
    }

    #[test]
    fn gzip_is_taken_by_name_or_star() {
        for good in ["gzip", "br, gzip;q=0.5", "*", "deflate, *;q=0.1"] {
            assert!(accepts_gzip(Some(good)), "{good}");
        }
        for bad in ["", "br", "gzip;q=0", "gzip;q=0, *", "identity"] {
            assert!(!accepts_gzip(Some(bad)), "{bad}");
        }
        assert!(!accepts_gzip(None));
    }
}
