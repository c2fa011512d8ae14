//! Repositories and labels.

use serde_json::{Map, Value, json};

use super::{node_id, time, user::extend};
use crate::github::{
    forge::View,
    state::{Label, Repo, Role},
};

/// Address fields with what follows the repository's own address.
const ADDRESSES: [(&str, &str); 37] = [
    ("archive_url", "/{archive_format}{/ref}"),
    ("assignees_url", "/assignees{/user}"),
    ("blobs_url", "/git/blobs{/sha}"),
    ("branches_url", "/branches{/branch}"),
    ("collaborators_url", "/collaborators{/collaborator}"),
    ("comments_url", "/comments{/number}"),
    ("commits_url", "/commits{/sha}"),
    ("compare_url", "/compare/{base}...{head}"),
    ("contents_url", "/contents/{+path}"),
    ("contributors_url", "/contributors"),
    ("deployments_url", "/deployments"),
    ("downloads_url", "/downloads"),
    ("events_url", "/events"),
    ("forks_url", "/forks"),
    ("git_commits_url", "/git/commits{/sha}"),
    ("git_refs_url", "/git/refs{/sha}"),
    ("git_tags_url", "/git/tags{/sha}"),
    ("hooks_url", "/hooks"),
    ("issue_comment_url", "/issues/comments{/number}"),
    ("issue_events_url", "/issues/events{/number}"),
    ("issues_url", "/issues{/number}"),
    ("keys_url", "/keys{/key_id}"),
    ("labels_url", "/labels{/name}"),
    ("languages_url", "/languages"),
    ("merges_url", "/merges"),
    ("milestones_url", "/milestones{/number}"),
    ("notifications_url", "/notifications{?since,all,participating}"),
    ("pulls_url", "/pulls{/number}"),
    ("releases_url", "/releases{/id}"),
    ("stargazers_url", "/stargazers"),
    ("statuses_url", "/statuses/{sha}"),
    ("subscribers_url", "/subscribers"),
    ("subscription_url", "/subscription"),
    ("tags_url", "/tags"),
    ("teams_url", "/teams"),
    ("trees_url", "/git/trees{/sha}"),
    ("url", ""),
];

/// The addresses of one repository.
#[derive(Clone, Debug)]
pub(crate) struct Links {
    /// REST.
    pub(crate) api: String,
    /// Pages.
    pub(crate) html: String,
    /// `owner/name`.
    pub(crate) full_name: String,
}

impl<'a> View<'a> {
    /// The addresses of one repository.
    pub(crate) fn links(self, repo: &Repo) -> Links {
        let full_name = self.model.full_name(repo);
        Links { api: format!("{}/repos/{full_name}", self.base), html: format!("{}/{full_name}", self.base), full_name }
    }

    /// The form in lists and inside other things.
    pub(crate) fn repository(self, repo: &Repo) -> Value {
        let Links { api, html, full_name } = self.links(repo);
        let mut value = Map::new();
        for (field, tail) in ADDRESSES {
            value.insert(field.into(), format!("{api}{tail}").into());
        }
        let open = repo.issues.values().filter(|issue| issue.open).count();
        extend(
            &mut value,
            json!({
                "id": repo.id, "node_id": node_id("Repository", repo.id), "name": repo.name,
                "full_name": full_name, "private": repo.private, "owner": self.user(repo.owner),
                "html_url": html, "description": repo.description, "fork": repo.fork_of.is_some(),
                "clone_url": format!("{html}.git"), "git_url": format!("{html}.git"),
                "ssh_url": format!("{html}.git"), "svn_url": html, "mirror_url": null,
                "homepage": null, "language": null, "license": null, "topics": [],
            }),
        );
        extend(
            &mut value,
            json!({
                "default_branch": repo.default_branch, "archived": repo.archived, "disabled": false,
                "visibility": if repo.private { "private" } else { "public" }, "is_template": false,
                "has_issues": true, "has_projects": false, "has_wiki": false, "has_pages": false,
                "has_downloads": true, "has_discussions": false, "allow_forking": true,
                "web_commit_signoff_required": false,
                "forks": 0, "forks_count": 0, "watchers": 0, "watchers_count": 0,
                "stargazers_count": 0, "size": 0, "open_issues": open, "open_issues_count": open,
                "created_at": time(repo.created_at), "updated_at": time(repo.updated_at),
                "pushed_at": time(repo.pushed_at),
            }),
        );
        Value::Object(value)
    }

    /// The form of one repository asked for by itself.
    pub(crate) fn full_repository(self, repo: &Repo, caller: Option<u64>) -> Value {
        let mut value = self.repository(repo);
        value["network_count"] = 0.into();
        value["subscribers_count"] = 0.into();
        if let Some(parent) = repo.fork_of.and_then(|id| self.model.repos.get(&id)) {
            value["parent"] = self.repository(parent);
            value["source"] = value["parent"].clone();
        }
        if caller.is_some()
            && let Some(role) = self.model.role(caller, repo)
        {
            value["permissions"] = json!({
                "admin": role >= Role::Admin, "maintain": role >= Role::Maintain,
                "push": role >= Role::Write, "triage": role >= Role::Triage, "pull": true,
            });
        }
        value
    }

    /// A label.
    pub(crate) fn label(self, repo: &Repo, label: &Label) -> Value {
        let name: String = url::form_urlencoded::byte_serialize(label.name.as_bytes()).collect();
        json!({
            "id": label.id, "node_id": node_id("Label", label.id),
            "url": format!("{}/labels/{}", self.links(repo).api, name.replace('+', "%20")),
            "name": label.name, "description": label.description, "color": label.color,
            "default": false,
        })
    }

    /// The labels of those ids.
    pub(crate) fn labels(self, repo: &Repo, ids: &[u64]) -> Vec<Value> {
        ids.iter().filter_map(|id| repo.label_by_id(*id)).map(|label| self.label(repo, label)).collect()
    }
}
