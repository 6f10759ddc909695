//! [`User`]: whom a request speaks for. A plain value; what a role allows is said by `access` and
//! `security`.

/// A name and the roles that go with it. `_admin` is the role of server administrators.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct User {
    /// `None` for who did not say.
    pub name: Option<String>,
    /// Roles.
    pub roles: Vec<String>,
    /// How they proved it: `cookie`, `default`, or `None`.
    pub handler: Option<&'static str>,
}

impl User {
    /// Whether this is a server administrator.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.has_role("_admin")
    }

    /// Whether one of the roles is this one.
    #[must_use]
    pub fn has_role(&self, role: &str) -> bool {
        self.roles.iter().any(|own| own == role)
    }
}
