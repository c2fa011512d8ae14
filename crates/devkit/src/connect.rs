//! Connects a repository of the stand-in to a local platform: project, sealed credential, repository, webhook.
//!
//! Safe to repeat: what is there already is found again.

use activities::{agent_versions, config_refresh};
use anyhow::Context;
use domain::{ids::HookId, services_yaml::FILE_NAME};
use forge::{
    Credential, RepositoryProvider, Secret,
    github::{GitHub, Scope},
    seal::SealingKeys,
};
use serde_json::{Value, json};
use store::{
    Store,
    credentials::{self, NewCredential},
    hooks::{self, NewHook},
    repositories::{self, NewProject, NewRepository, Repository},
};

/// What to connect.
#[derive(Debug)]
pub struct Connection<'a> {
    /// Where the stand-in is.
    pub forge_url: &'a str,
    /// Account or organisation.
    pub owner: &'a str,
    /// Name of the repository.
    pub name: &'a str,
    /// What the platform works with.
    pub credential: Credential,
    /// Somebody who may make hooks.
    pub admin_token: Secret,
    /// Closes the credential for the worker.
    pub sealing: &'a SealingKeys,
    /// How many runs of the project work at a time.
    pub slots: u32,
    /// Where the webhook goes, and what signs it.
    pub webhook_url: &'a str,
    /// The secret of the webhook.
    pub webhook_secret: &'a str,
}

/// Connects; gives the repository as it is stored.
///
/// # Errors
/// When the stand-in or the database does not play along.
pub async fn connect(store: &Store, connection: &Connection<'_>) -> anyhow::Result<Repository> {
    let clock = forge::system_clock();
    let now = clock();
    let scope = Scope { owner: connection.owner.to_owned(), name: connection.name.to_owned(), forge_id: None };
    let credential = connection.credential.clone();
    let github = GitHub::for_repository(connection.forge_url, credential, scope, clock, Default::default())?;
    let found = github.repository_by_name(connection.owner, connection.name).await.context("find the repository")?;
    let forge_repo_id = found.repo.forge_id.get();
    let mut tx = store.begin().await?;
    let known = repositories::find_by_forge_id(&mut tx, forge_repo_id).await?;
    let (project, credential) = match &known {
        Some(known) => (known.project, known.credential),
        None => {
            let slug = format!("{}-{}", connection.owner, connection.name);
            let project = NewProject { slug: &slug, slots: connection.slots, settings: json!({}), now };
            (repositories::insert_project(&mut tx, project).await?, None)
        }
    };
    let credential = match credential {
        Some(credential) => credential,
        None => {
            let sealed = connection.sealing.seal(&mut rand::rng(), &connection.credential.to_plaintext())?;
            let login = github.me().await?.login;
            let key_id = connection.sealing.key_id.clone();
            let kind = connection.credential.kind();
            let new = NewCredential { kind, key_id: &key_id, sealed: &sealed, login: Some(&login), now };
            credentials::insert(&mut tx, new).await?
        }
    };
    let new = NewRepository {
        project,
        forge_repo_id,
        owner: connection.owner,
        name: connection.name,
        default_branch: &found.default_branch,
        private: found.private,
        archived: found.archived,
        credential: Some(credential),
        now,
    };
    let id = repositories::upsert_repository(&mut tx, new).await?;
    if let Some(bytes) = github.file(&found.repo, FILE_NAME, &found.default_branch).await? {
        let config = config_refresh::read(&bytes).map_err(anyhow::Error::msg)?;
        let place = agent_versions::Place { repository: id, sha: None, now };
        agent_versions::note(&mut tx, place, &serde_json::from_value(config.clone())?).await?;
        repositories::set_config(&mut tx, id, Some(config), "connected", None).await?;
    }
    tx.commit().await?;
    let forge_hook_id = make_hook(connection).await.context("make the webhook")?;
    // The platform's own secret signs.
    let hook = NewHook {
        id: HookId::from_uuid(uuid::Uuid::now_v7()),
        forge_hook_id,
        repository: Some(id),
        current: None,
        previous: None,
        now,
    };
    hooks::insert(&mut *store.acquire().await?, hook).await?;
    Ok(repositories::get(&mut *store.acquire().await?, id).await?)
}

/// Gives the forge's id of the hook.
async fn make_hook(connection: &Connection<'_>) -> anyhow::Result<i64> {
    let hooks =
        format!("{}/repos/{}/{}/hooks", connection.forge_url.trim_end_matches('/'), connection.owner, connection.name);
    let client = reqwest::Client::new();
    let token = connection.admin_token.expose();
    let there: Vec<Value> = client.get(&hooks).bearer_auth(token).send().await?.error_for_status()?.json().await?;
    if let Some(hook) = there.iter().find(|hook| hook["config"]["url"] == connection.webhook_url) {
        return hook["id"].as_i64().context("the hook has no id");
    }
    let hook = json!({
        "name": "web",
        "active": true,
        "events": domain::event::SUBSCRIBED,
        "config": { "url": connection.webhook_url, "content_type": "json", "secret": connection.webhook_secret },
    });
    let made = client.post(&hooks).bearer_auth(token).json(&hook).send().await?.error_for_status()?;
    made.json::<Value>().await?["id"].as_i64().context("the hook has no id")
}
