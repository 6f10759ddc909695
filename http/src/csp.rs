//! [`Csp`]: content security policies, which bound what a browser lets the things that it is shown do.
//! Pure; each handler that sends such things says so itself.

use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderMap, HeaderValue};
use settee_model::config::Config;

/// What Fauxton needs, and no more.
const UTILS: &str = "child-src 'self' data: blob:; default-src 'self'; img-src 'self' data:; \
                     font-src 'self'; script-src 'self' 'unsafe-eval'; \
                     style-src 'self' 'unsafe-inline';";
/// A page without scripts, forms and an origin.
const SANDBOX: &str = "sandbox";

/// `[csp]`; `None` where there is no policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Csp {
    /// Of `/_utils`.
    pub utils: Option<HeaderValue>,
    /// Of attachments.
    pub attachments: Option<HeaderValue>,
    /// Of what functions make: `_show`, `_list` and the like.
    pub functions: Option<HeaderValue>,
}

impl Csp {
    /// `NAME_enable` and `NAME_header_value`; for `/_utils` also what these were once called.
    #[must_use]
    pub fn from_config(config: &Config) -> Self {
        let policy = |enable, key, default: &'static str| {
            let value = config.get("csp", key).map(HeaderValue::from_str).and_then(Result::ok);
            let value = value.unwrap_or(HeaderValue::from_static(default));
            config.boolean("csp", enable, true).then_some(value)
        };
        let old = || policy("enable", "header_value", UTILS);
        Csp {
            utils: policy("utils_enable", "utils_header_value", UTILS).or_else(old),
            attachments: policy("attachments_enable", "attachments_header_value", SANDBOX),
            functions: policy("showlist_enable", "showlist_header_value", SANDBOX),
        }
    }
}

/// Adds a policy to an answer. Others that are there can only restrict it further.
pub fn restrict(headers: &mut HeaderMap, policy: Option<&HeaderValue>) {
    if let Some(policy) = policy {
        headers.append(CONTENT_SECURITY_POLICY, policy.clone());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn csp(ini: &str) -> Csp {
        let mut config = Config::default();
        config.merge_ini(&format!("[csp]\n{ini}"));
        Csp::from_config(&config)
    }

    #[test]
    fn everything_has_a_policy_unless_it_is_switched_off() {
        let usual = csp("");
        assert_eq!(usual.utils.unwrap(), UTILS);
        assert_eq!(usual.attachments.unwrap(), "sandbox");
        assert_eq!(usual.functions.unwrap(), "sandbox");
        assert_eq!(csp("attachments_enable = false").attachments, None);
        assert_eq!(csp("showlist_header_value = x").functions.unwrap(), "x");
    }

    #[test]
    fn old_names_hold_for_the_interface_only() {
        assert_eq!(csp("utils_enable = false").utils.unwrap(), UTILS);
        assert_eq!(csp("utils_enable = false\nheader_value = old").utils.unwrap(), "old");
        assert_eq!(csp("utils_enable = false\nenable = false").utils, None);
        assert_eq!(csp("enable = false\nutils_header_value = new").utils.unwrap(), "new");
        assert_eq!(csp("enable = false").attachments.unwrap(), "sandbox");
    }
}
