//! [`Frames`]: which pages may show answers of this server inside of their own
//! (`X-Frame-Options`). Pure; knows hosts and nothing else of a request.

use settee_model::config::Config;

/// `[x_frame_options]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frames {
    /// Pages of this server.
    SameOrigin,
    /// Those of these hosts: scheme, name and port, or a single `*` for any.
    Of(Vec<String>),
}

impl Frames {
    /// What is configured; `None` unless `[chttpd] enable_xframe_options`.
    #[must_use]
    pub fn from_config(config: &Config) -> Option<Self> {
        if !config.boolean("chttpd", "enable_xframe_options", false) {
            return None;
        }
        Some(match config.boolean("x_frame_options", "same_origin", false) {
            true => Frames::SameOrigin,
            false => Frames::Of(config.list("x_frame_options", "hosts", "")),
        })
    }

    /// The header's value for who asked for `own`, this server's scheme and host, if a host was
    /// named.
    #[must_use]
    pub fn told(&self, own: Option<&str>) -> String {
        match (self, own) {
            (Frames::SameOrigin, _) => "SAMEORIGIN".to_owned(),
            (Frames::Of(hosts), Some(own)) if hosts == &["*"] || hosts.iter().any(|h| h == own) => {
                format!("ALLOW-FROM {own}")
            }
            (Frames::Of(_), _) => "DENY".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ini: &str, own: Option<&str>) -> Option<String> {
        let mut config = Config::default();
        config.merge_ini(ini);
        Frames::from_config(&config).map(|frames| frames.told(own))
    }

    #[test]
    fn frames_are_denied_but_to_those_who_may() {
        const ON: &str = "[chttpd]\nenable_xframe_options = true\n[x_frame_options]\n";
        let own = Some("http://a:1");
        for (more, own, expected) in [
            ("", own, "DENY"),
            ("same_origin = true\n", own, "SAMEORIGIN"),
            ("same_origin = true\n", None, "SAMEORIGIN"),
            ("hosts = https://b, http://a:1\n", own, "ALLOW-FROM http://a:1"),
            ("hosts = http://a\n", own, "DENY"),
            ("hosts = *\n", own, "ALLOW-FROM http://a:1"),
            ("hosts = *, http://b\n", own, "DENY"),
            ("hosts = *\n", None, "DENY"),
        ] {
            assert_eq!(told(&format!("{ON}{more}"), own).as_deref(), Some(expected), "{more}");
        }
        assert_eq!(told("[x_frame_options]\nsame_origin = true\n", own), None);
    }
}
