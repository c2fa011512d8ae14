//! Accounts and repositories.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::json;
use uuid::Uuid;

use crate::github::{
    access::{At, Need},
    error::ApiError,
    events::Event,
    forge::Forge,
    state::{AccountKind, Address, Repo, Role, Token, User},
};

/// An account to make.
#[derive(Clone, Debug)]
pub struct NewUser {
    /// Login name.
    pub login: String,
    /// Display name.
    pub name: Option<String>,
    /// Person, organisation or machine.
    pub kind: AccountKind,
    /// A token of a given value; without it one is drawn.
    pub token: Option<String>,
}

/// A repository to make.
#[derive(Clone, Debug, Deserialize)]
pub struct NewRepo {
    /// Name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// Hidden from people without rights.
    #[serde(default)]
    pub private: bool,
}

/// Settings to change.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct EditRepo {
    /// New name; the old one then redirects.
    pub name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// Hide or show.
    pub private: Option<bool>,
    /// Make read-only, or writable again.
    pub archived: Option<bool>,
    /// Another default branch.
    pub default_branch: Option<String>,
}

/// Makes an account and its token; organisations have none.
pub(crate) fn create_user(forge: &Forge, new: NewUser) -> Result<User, ApiError> {
    forge.write(|tx| {
        if tx.model.user(&new.login).is_some() {
            return Err(ApiError::custom("User", "login", "login is already taken"));
        }
        let user = User {
            id: tx.model.fresh_id(),
            email: (new.kind != AccountKind::Organization)
                .then(|| format!("{}@users.noreply.github.example", new.login.to_lowercase())),
            addresses: addresses(&new),
            login: new.login,
            name: new.name,
            kind: new.kind,
            created_at: tx.now,
        };
        if user.kind != AccountKind::Organization {
            let token = new
                .token
                .unwrap_or_else(|| format!("github_pat_{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()));
            tx.model.tokens.insert(token, Token { user: user.id, revoked: false, grant: None, oauth_scopes: None });
        }
        tx.model.users.insert(user.id, user.clone());
        Ok(user)
    })
}

/// A person has a verified primary address, and the one that commits through the web carry.
fn addresses(new: &NewUser) -> Vec<Address> {
    if new.kind == AccountKind::Organization {
        return Vec::new();
    }
    let login = new.login.to_lowercase();
    let hidden = Address { email: format!("{login}@users.noreply.github.example"), primary: false, verified: true };
    vec![Address::primary(format!("{login}@people.example"), true), hidden]
}

/// Makes a repository with nothing in it.
pub(crate) async fn create(forge: &Forge, owner: &str, new: NewRepo) -> Result<Repo, ApiError> {
    let legal = |character: char| character.is_ascii_alphanumeric() || "-_.".contains(character);
    if new.name.is_empty() || !new.name.chars().all(legal) {
        return Err(ApiError::custom("Repository", "name", "name is invalid"));
    }
    let id = forge.write(|tx| Ok(tx.model.fresh_id()))?;
    let default_branch = "main".to_owned();
    forge.git.init(id, &default_branch).await?;
    forge.write(|tx| {
        let owner = tx.model.user(owner).ok_or(ApiError::NotFound)?;
        if tx.model.repo(&owner.login, &new.name).is_some() {
            return Err(ApiError::custom("Repository", "name", "name already exists on this account"));
        }
        let repo = Repo {
            id,
            owner: owner.id,
            name: new.name,
            description: new.description,
            private: new.private,
            archived: false,
            default_branch,
            fork_of: None,
            created_at: tx.now,
            updated_at: tx.now,
            pushed_at: tx.now,
            collaborators: BTreeMap::new(),
            labels: Vec::new(),
            last_number: 0,
            issues: BTreeMap::new(),
            comments: BTreeMap::new(),
            reviews: BTreeMap::new(),
            review_comments: BTreeMap::new(),
            statuses: Vec::new(),
            check_runs: Vec::new(),
            hooks: BTreeMap::new(),
        };
        tx.model.repos.insert(id, repo.clone());
        Ok(repo)
    })
}

/// Copies a repository to the person who asks.
pub(crate) async fn fork(forge: &Forge, at: &At) -> Result<Repo, ApiError> {
    let (parent, login) = forge.read(|view| {
        let repo = view.repo(at, Need::Read)?.clone();
        let user = at.caller.required()?;
        let login = view.model.users.get(&user).map(|user| user.login.clone());
        Ok::<_, ApiError>((repo, login.ok_or(ApiError::NotFound)?))
    })?;
    let new = NewRepo { name: parent.name.clone(), description: parent.description.clone(), private: parent.private };
    let fork = create(forge, &login, new).await?;
    forge.git.fork(parent.id, fork.id).await?;
    forge.write(|tx| {
        let repo = tx.repo_mut(fork.id)?;
        repo.fork_of = Some(parent.id);
        repo.default_branch.clone_from(&parent.default_branch);
        Ok(repo.clone())
    })
}

/// Changes settings of a repository.
pub(crate) async fn edit(forge: &Forge, at: &At, edit: EditRepo) -> Result<Repo, ApiError> {
    let repo = forge.read(|view| view.repo(at, Need::Admin).cloned())?;
    if let Some(branch) = &edit.default_branch {
        forge
            .git
            .resolve(repo.id, branch)
            .await
            .map_err(|_| ApiError::custom("Repository", "default_branch", "The branch was not found"))?;
        let head = format!("refs/heads/{branch}");
        forge.git.run(repo.id, &["symbolic-ref", "HEAD", &head]).await?;
    }
    forge.write(|tx| {
        let actor = at.caller.required()?;
        if let Some(name) = &edit.name
            && let Some(other) = tx.model.repo(&at.repo.owner, name)
            && other.id != repo.id
        {
            return Err(ApiError::custom("Repository", "name", "name already exists on this account"));
        }
        let now = tx.now;
        let old = tx.model.full_name(&repo).to_lowercase();
        let known = tx.repo_mut(repo.id)?;
        known.updated_at = now;
        known.description = edit.description.or(known.description.take());
        known.private = edit.private.unwrap_or(known.private);
        known.default_branch = edit.default_branch.unwrap_or_else(|| known.default_branch.clone());
        if let Some(name) = edit.name.filter(|name| *name != repo.name) {
            known.name = name;
            tx.model.former_names.insert(old, repo.id);
            let changes = json!({"changes": {"repository": {"name": {"from": repo.name}}}});
            tx.emit(repo.id, Event::new("repository", Some("renamed"), actor, changes))?;
        }
        if let Some(archived) = edit.archived.filter(|archived| *archived != repo.archived) {
            tx.repo_mut(repo.id)?.archived = archived;
            let action = if archived { "archived" } else { "unarchived" };
            tx.emit(repo.id, Event::new("repository", Some(action), actor, json!({})))?;
        }
        tx.repo_mut(repo.id).cloned()
    })
}

/// Gives a person rights on a repository, or takes them away.
pub(crate) fn set_collaborator(forge: &Forge, at: &At, login: &str, role: Option<Role>) -> Result<(), ApiError> {
    forge.write(|tx| {
        let id = tx.repo(at, Need::Admin)?;
        let user = tx.model.user(login).ok_or(ApiError::NotFound)?.id;
        let repo = tx.repo_mut(id)?;
        match role {
            Some(role) => repo.collaborators.insert(user, role),
            None => repo.collaborators.remove(&user),
        };
        Ok(())
    })
}
