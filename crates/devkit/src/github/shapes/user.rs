//! Accounts.

use serde_json::{Map, Value, json};

use super::{node_id, time};
use crate::github::{
    forge::View,
    state::{Address, User},
};

impl View<'_> {
    /// The short form that stands in other things.
    pub(crate) fn user(self, id: u64) -> Value {
        match self.model.users.get(&id) {
            Some(user) => Value::Object(short(user, self.base)),
            None => Value::Null,
        }
    }

    /// The short form, or null.
    pub(crate) fn user_or_null(self, id: Option<u64>) -> Value {
        id.map_or(Value::Null, |id| self.user(id))
    }

    /// The form of `/user/emails`.
    pub(crate) fn address(self, address: &Address) -> Value {
        let visibility = address.primary.then_some("private");
        json!({
            "email": address.email, "primary": address.primary, "verified": address.verified,
            "visibility": visibility,
        })
    }

    /// The form of `/users/{login}`.
    pub(crate) fn public_user(self, user: &User) -> Value {
        let mut value = short(user, self.base);
        let repos = self.model.repos.values().filter(|repo| repo.owner == user.id && !repo.private).count();
        let more = json!({
            "name": user.name, "company": null, "blog": "", "location": null, "email": user.email,
            "hireable": null, "bio": null, "twitter_username": null, "public_repos": repos,
            "public_gists": 0, "followers": 0, "following": 0, "user_view_type": "public",
            "created_at": time(user.created_at), "updated_at": time(user.created_at),
        });
        extend(&mut value, more);
        Value::Object(value)
    }

    /// The form of `/user`: what a person sees of themselves.
    pub(crate) fn private_user(self, user: &User) -> Value {
        let Value::Object(mut value) = self.public_user(user) else { return Value::Null };
        let repos = self.model.repos.values().filter(|repo| repo.owner == user.id && repo.private).count();
        let more = json!({
            "private_gists": 0, "total_private_repos": repos, "owned_private_repos": repos,
            "disk_usage": 0, "collaborators": 0, "two_factor_authentication": true,
            "user_view_type": "private",
        });
        extend(&mut value, more);
        Value::Object(value)
    }
}

/// Adds the fields of an object to another.
pub(crate) fn extend(value: &mut Map<String, Value>, more: Value) {
    if let Value::Object(more) = more {
        value.extend(more);
    }
}

fn short(user: &User, base: &str) -> Map<String, Value> {
    let login = &user.login;
    // The brackets of a bot's login stand in no address.
    let escaped = login.replace('[', "%5B").replace(']', "%5D");
    let api = format!("{base}/users/{escaped}");
    let mut value = Map::new();
    extend(
        &mut value,
        json!({
            "login": login, "id": user.id, "node_id": node_id("User", user.id),
            "avatar_url": format!("{base}/avatars/u/{}", user.id), "gravatar_id": "",
            "url": api, "html_url": format!("{base}/{escaped}"),
            "followers_url": format!("{api}/followers"),
            "following_url": format!("{api}/following{{/other_user}}"),
            "gists_url": format!("{api}/gists{{/gist_id}}"),
            "starred_url": format!("{api}/starred{{/owner}}{{/repo}}"),
            "subscriptions_url": format!("{api}/subscriptions"),
            "organizations_url": format!("{api}/orgs"), "repos_url": format!("{api}/repos"),
            "events_url": format!("{api}/events{{/privacy}}"),
            "received_events_url": format!("{api}/received_events"),
            "type": user.kind.as_str(), "site_admin": false,
        }),
    );
    value
}
