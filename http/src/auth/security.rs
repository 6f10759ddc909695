//! A database's security object: who may read and write it, and who administers it. Pure.

use serde_json::Value;
use settee_model::json;

use crate::auth::User;
use crate::auth::access::{self, Access};
use crate::error::Error;

/// Who may do what in one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Security {
    admins: People,
    members: People,
}

/// Names and roles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct People {
    names: Vec<String>,
    roles: Vec<String>,
}

impl Security {
    /// Reads a security object; what is not there, or not what it should be, is empty. `members`
    /// was once called `readers`.
    #[must_use]
    pub fn parse(json: &[u8]) -> Self {
        let Ok(object) = json::value(json) else { return Self::default() };
        let people = |name: &str| People::of(object.get(name));
        let members = if object.get("members").is_some() { "members" } else { "readers" };
        Security { admins: people("admins"), members: people(members) }
    }

    /// Whether `user` may do what an endpoint asks.
    ///
    /// # Errors
    /// 401 for who did not say their name, 403 for whom it is not enough.
    pub fn check(&self, access: Access, user: &User) -> Result<(), Error> {
        let admin = user.is_admin() || self.admins.include(user);
        match access {
            Access::DbAdmin | Access::DbMember | Access::MemberAndServerAdmin
                if !admin && !self.members.are_all() && !self.members.include(user) =>
            {
                Err(match &user.name {
                    None => Error::Unauthorized("You are not authorized to access this db.".into()),
                    Some(_) => Error::Forbidden("You are not allowed to access this db.".into()),
                })
            }
            Access::DbAdmin if !admin => {
                Err(Error::Unauthorized("You are not a server or db admin.".into()))
            }
            Access::MemberAndServerAdmin => access::check(Access::ServerAdmin, user),
            _ => Ok(()),
        }
    }

    /// Whether `user` administers the database.
    ///
    /// # Errors
    /// 401 or 403, in the words for changing its settings.
    pub fn require_admin(&self, user: &User) -> Result<(), Error> {
        if user.is_admin() || self.admins.include(user) {
            return Ok(());
        }
        let reason = "You are not a db or server admin.".into();
        Err(if user.name.is_none() {
            Error::Unauthorized(reason)
        } else {
            Error::Forbidden(reason)
        })
    }
}

impl People {
    fn of(value: Option<&Value>) -> Self {
        let texts = |name: &str| {
            let list = value.and_then(|people| people.get(name)).and_then(Value::as_array);
            let texts = list.into_iter().flatten().filter_map(Value::as_str);
            texts.map(str::to_owned).collect()
        };
        People { names: texts("names"), roles: texts("roles") }
    }

    fn are_all(&self) -> bool {
        self.names.is_empty() && self.roles.is_empty()
    }

    fn include(&self, user: &User) -> bool {
        let named = user.name.as_ref().is_some_and(|name| self.names.contains(name));
        named || user.roles.iter().any(|role| self.roles.contains(role))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: Option<&str>, roles: &[&str]) -> User {
        let roles = roles.iter().map(|&role| role.to_owned()).collect();
        User { name: name.map(str::to_owned), roles, handler: None }
    }

    fn status(security: &Security, access: Access, user: &User) -> u16 {
        security.check(access, user).map_or_else(|error| error.info().0.as_u16(), |()| 200)
    }

    #[test]
    fn members_admins_and_strangers() {
        let json = br#"{"admins":{"names":["ann"],"roles":["boss"]},
                        "members":{"names":["bob"],"roles":["dev"]}}"#;
        let security = Security::parse(json);
        let table = [
            (user(None, &[]), 401, 401),
            (user(Some("eve"), &[]), 403, 403),
            (user(Some("eve"), &["dev"]), 200, 401),
            (user(Some("bob"), &[]), 200, 401),
            (user(Some("ann"), &[]), 200, 200),
            (user(Some("eve"), &["boss"]), 200, 200),
            (user(Some("root"), &["_admin"]), 200, 200),
        ];
        for (user, member, admin) in table {
            assert_eq!(status(&security, Access::DbMember, &user), member, "{user:?}");
            assert_eq!(status(&security, Access::DbAdmin, &user), admin, "{user:?}");
            assert_eq!(security.require_admin(&user).is_ok(), admin == 200, "{user:?}");
            let server = if member == 200 && !user.is_admin() { 401 } else { member };
            assert_eq!(status(&security, Access::MemberAndServerAdmin, &user), server, "{user:?}");
        }
    }

    #[test]
    fn without_members_everybody_is_one() {
        for json in ["{}", "", r#"{"members":{"names":[],"roles":[]}}"#, r#"{"members":1}"#] {
            let security = Security::parse(json.as_bytes());
            assert_eq!(status(&security, Access::DbMember, &user(None, &[])), 200, "{json}");
        }
        let readers = Security::parse(br#"{"readers":{"names":["bob"]}}"#);
        assert_eq!(status(&readers, Access::DbMember, &user(None, &[])), 401);
    }
}
