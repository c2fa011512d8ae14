//! Apps and installations.

use serde_json::{Value, json};

use super::{node_id, time};
use crate::github::{
    forge::View,
    ops::apps::Minted,
    state::{App, Installation},
};

impl View<'_> {
    /// An App.
    pub(crate) fn app(self, app: &App) -> Value {
        let mut installations = self.model.installations.values().filter(|known| known.app == app.id);
        let permissions = installations.next().map(|known| known.permissions.clone()).unwrap_or_default();
        json!({
            "id": app.id, "slug": app.slug, "node_id": node_id("App", app.id), "client_id": format!("Iv1.{}", app.id),
            "owner": self.user(app.owner), "name": app.slug, "description": null,
            "external_url": format!("{}/apps/{}", self.base, app.slug),
            "html_url": format!("{}/apps/{}", self.base, app.slug),
            "created_at": time(app.created_at), "updated_at": time(app.created_at),
            "permissions": permissions, "events": [],
        })
    }

    /// The App that an account is the bot of, or null.
    pub(crate) fn app_behind(self, account: u64) -> Value {
        self.model.apps.values().find(|app| app.bot == account).map_or(Value::Null, |app| self.app(app))
    }

    /// An App's installation.
    pub(crate) fn installation(self, known: &Installation) -> Value {
        let slug = self.model.apps.get(&known.app).map_or("ghost", |app| app.slug.as_str());
        let kind = self.model.users.get(&known.account).map_or("User", |account| account.kind.as_str());
        json!({
            "id": known.id, "app_id": known.app, "app_slug": slug, "account": self.user(known.account),
            "target_id": known.account, "target_type": kind,
            "repository_selection": if known.repos.is_some() { "selected" } else { "all" },
            "access_tokens_url": format!("{}/app/installations/{}/access_tokens", self.base, known.id),
            "repositories_url": format!("{}/installation/repositories", self.base),
            "html_url": format!("{}/settings/installations/{}", self.base, known.id),
            "permissions": known.permissions, "events": [], "single_file_name": null,
            "created_at": time(known.created_at), "updated_at": time(known.created_at),
            "suspended_by": null,
            "suspended_at": if known.suspended { Value::String(time(known.created_at)) } else { Value::Null },
        })
    }

    /// A token as it is shown once.
    pub(crate) fn installation_token(self, minted: &Minted) -> Value {
        let mut value = json!({
            "token": minted.token, "expires_at": time(minted.expires_at), "permissions": minted.grant.permissions,
            "repository_selection": if minted.grant.repos.is_some() { "selected" } else { "all" },
        });
        if let Some(repos) = &minted.grant.repos {
            let repos = repos.iter().filter_map(|id| self.model.repos.get(id));
            value["repositories"] = repos.map(|repo| self.repository(repo)).collect();
        }
        value
    }
}
