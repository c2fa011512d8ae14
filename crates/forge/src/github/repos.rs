//! Repositories, permissions, statuses, files, and lists in general.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::Method;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::{
    GitHub,
    route::Route,
    tokens::Tokens,
    transport::Call,
    wire::{WireAccount, WireContent, WireOwnRoles, WirePermission, WireRepository, WireRoles, WireStatus},
};
use crate::{
    ForgeError, RepoRef,
    ids::{CommitSha, ForgeRepoId},
    model::{Account, CommitStatus, NewStatus, Permission, Repository, StatusState},
};

const PAGE: usize = 100;
/// A search ends here: 5 000 entries. Beyond, people did something that no run should wait for.
const MAX_PAGES: usize = 50;
const MAX_FILE_BYTES: usize = 10 << 20;
const MAX_DESCRIPTION_CHARS: usize = 140;

impl GitHub {
    pub(super) fn repo_route(&self, repo: &RepoRef, parts: &[&str]) -> Result<Route, ForgeError> {
        Route::repo(&self.current(repo), parts)
    }

    /// The first entries of a list.
    pub(super) async fn list<T: DeserializeOwned + Send>(
        &self,
        repo: &RepoRef,
        route: Route,
        limit: usize,
    ) -> Result<Vec<T>, ForgeError> {
        let mut entries = Vec::new();
        for page in 1..=MAX_PAGES {
            let (found, more) = self.page(repo, &route, page).await?;
            entries.extend(found);
            if !more || entries.len() >= limit {
                break;
            }
        }
        entries.truncate(limit);
        Ok(entries)
    }

    /// The first entry of a list that `pick` takes.
    pub(super) async fn find<T: DeserializeOwned + Send, U>(
        &self,
        repo: &RepoRef,
        route: Route,
        pick: impl Fn(T) -> Option<U> + Send,
    ) -> Result<Option<U>, ForgeError> {
        for page in 1..=MAX_PAGES {
            let (found, more) = self.page(repo, &route, page).await?;
            if let Some(entry) = found.into_iter().find_map(&pick) {
                return Ok(Some(entry));
            }
            if !more {
                break;
            }
        }
        Ok(None)
    }

    async fn page<T: DeserializeOwned>(
        &self,
        repo: &RepoRef,
        route: &Route,
        page: usize,
    ) -> Result<(Vec<T>, bool), ForgeError> {
        let route = route.clone().query("per_page", &PAGE.to_string()).query("page", &page.to_string());
        let reply = self.call(repo, Call::get(route)).await?;
        Ok((reply.json()?, reply.has_next_page()))
    }

    /// Asked once; an account keeps its number.
    pub(super) async fn account(&self) -> Result<Account, ForgeError> {
        let ask = async || {
            let route = match &self.tokens {
                Tokens::Fixed(_) => Route::new(["user"])?,
                // An App writes as the bot of its name; `/user` is closed to it.
                Tokens::Installation(tokens) => {
                    let bot = format!("{}[bot]", tokens.app(&self.transport).await?.slug);
                    Route::new(["users", &bot])?
                }
            };
            Ok(self.send(Call::get(route)).await?.json::<WireAccount>()?.into())
        };
        self.me.get_or_try_init(ask).await.cloned()
    }

    pub(super) async fn repository_by_id(&self, id: ForgeRepoId) -> Result<Repository, ForgeError> {
        let route = Route::new(["repositories", &id.to_string()])?;
        Ok(self.send(Call::get(route)).await?.json::<WireRepository>()?.into())
    }

    pub(super) async fn read_repository(&self, owner: &str, name: &str) -> Result<Repository, ForgeError> {
        let route = Route::new(["repos", owner, name])?;
        Ok(self.send(Call::get(route)).await?.json::<WireRepository>()?.into())
    }

    /// What the account behind a token may do, as the repository itself tells.
    pub(super) async fn own_roles(&self, repo: &RepoRef) -> Result<WireRoles, ForgeError> {
        let route = self.repo_route(repo, &[])?;
        Ok(self.call(repo, Call::get(route)).await?.json::<WireOwnRoles>()?.permissions)
    }

    pub(super) async fn read_permission(&self, repo: &RepoRef, who: &Account) -> Result<Permission, ForgeError> {
        let route = self.repo_route(repo, &["collaborators", &who.login, "permission"])?;
        let reply = match self.call(repo, Call::get(route)).await {
            // Either the account is gone or the repository is out of sight; only the second is a failure.
            Err(ForgeError::NotFound) => {
                let place = self.current(repo);
                return self.read_repository(&place.owner, &place.name).await.map(|_| Permission::None);
            }
            other => other?,
        };
        let wire: WirePermission = reply.json()?;
        // Logins change hands.
        let same_person = wire.user.map(Account::from).is_none_or(|user| user.id == who.id);
        Ok(if same_person { permission(&wire.permission, wire.role_name.as_deref()) } else { Permission::None })
    }

    pub(super) async fn post_status(
        &self,
        repo: &RepoRef,
        sha: &CommitSha,
        status: &NewStatus<'_>,
    ) -> Result<(), ForgeError> {
        let state = match status.state {
            StatusState::Error => "error",
            StatusState::Failure => "failure",
            StatusState::Pending => "pending",
            StatusState::Success => "success",
        };
        let description: String = status.description.chars().take(MAX_DESCRIPTION_CHARS).collect();
        let mut body = json!({ "state": state, "context": status.context, "description": description });
        if let Some(url) = status.target_url {
            body["target_url"] = url.into();
        }
        let route = self.repo_route(repo, &["statuses", sha.as_str()])?;
        self.call(repo, Call::new(Method::POST, route).body(body)).await.map(|_| ())
    }

    pub(super) async fn read_statuses(&self, repo: &RepoRef, sha: &CommitSha) -> Result<Vec<CommitStatus>, ForgeError> {
        let route = self.repo_route(repo, &["commits", sha.as_str(), "statuses"])?;
        let newest_first: Vec<WireStatus> = self.list(repo, route, 1_000).await?;
        let mut latest: Vec<CommitStatus> = Vec::new();
        for status in newest_first.into_iter().map(CommitStatus::from) {
            if latest.iter().all(|known| known.context != status.context) {
                latest.push(status);
            }
        }
        Ok(latest)
    }

    pub(super) async fn read_file(
        &self,
        repo: &RepoRef,
        path: &str,
        reference: &str,
    ) -> Result<Option<Vec<u8>>, ForgeError> {
        let parts: Vec<&str> = std::iter::once("contents").chain(path.split('/')).collect();
        let route = self.repo_route(repo, &parts)?.query("ref", reference);
        let reply = match self.call(repo, Call::get(route.clone())).await {
            Err(ForgeError::NotFound) => return Ok(None),
            other => other?,
        };
        match reply.json()? {
            WireContent::Entry { kind, encoding, content } if kind == "file" => match (encoding.as_deref(), content) {
                (Some("base64"), Some(text)) => decode(&text).map(Some),
                // GitHub leaves the content of larger files out.
                _ => self.read_raw_file(repo, route).await.map(Some),
            },
            WireContent::Entry { .. } | WireContent::Folder(_) => Ok(None),
        }
    }

    async fn read_raw_file(&self, repo: &RepoRef, route: Route) -> Result<Vec<u8>, ForgeError> {
        let reply = self.call(repo, Call::get(route).accept("application/vnd.github.raw+json", MAX_FILE_BYTES)).await?;
        if reply.truncated {
            return Err(ForgeError::Unexpected { detail: format!("the file is larger than {MAX_FILE_BYTES} bytes") });
        }
        Ok(reply.body.to_vec())
    }
}

/// The content comes in lines.
fn decode(text: &str) -> Result<Vec<u8>, ForgeError> {
    let compact: String = text.split_ascii_whitespace().collect();
    STANDARD
        .decode(compact)
        .map_err(|error| ForgeError::Unexpected { detail: format!("the file's content can't be decoded: {error}") })
}

/// The role is finer; a role made by an organisation counts as the permission it is based on.
fn permission(permission: &str, role: Option<&str>) -> Permission {
    let known = |text: &str| match text {
        "admin" => Some(Permission::Admin),
        "maintain" => Some(Permission::Maintain),
        "write" => Some(Permission::Write),
        "triage" => Some(Permission::Triage),
        "read" => Some(Permission::Read),
        "none" => Some(Permission::None),
        _ => None,
    };
    role.and_then(known).or_else(|| known(permission)).unwrap_or(Permission::None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_finer_word_counts() {
        assert_eq!(permission("write", Some("maintain")), Permission::Maintain);
        assert_eq!(permission("read", Some("triage")), Permission::Triage);
        assert_eq!(permission("write", Some("our-own-role")), Permission::Write);
        assert_eq!(permission("who knows", None), Permission::None);
        assert!(Permission::Maintain.can_write() && !Permission::Triage.can_write());
    }
}
