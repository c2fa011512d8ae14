//! Commits, refs, files and statuses.

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::{node_id, time};
use crate::github::{
    forge::View,
    git::{GitCommit, Signature, TreeEntry},
    state::{CheckRun, Repo, Status},
};

impl View<'_> {
    /// A commit.
    pub(crate) fn commit(self, repo: &Repo, commit: &GitCommit) -> Value {
        let links = self.links(repo);
        let api = format!("{}/commits/{}", links.api, commit.sha);
        let parents: Vec<Value> = commit
            .parents
            .iter()
            .map(|sha| {
                json!({
                    "sha": sha, "url": format!("{}/commits/{sha}", links.api),
                    "html_url": format!("{}/commit/{sha}", links.html),
                })
            })
            .collect();
        json!({
            "sha": commit.sha, "node_id": node_id("Commit", &commit.sha), "url": api,
            "html_url": format!("{}/commit/{}", links.html, commit.sha),
            "comments_url": format!("{api}/comments"),
            "commit": {
                "url": format!("{}/git/commits/{}", links.api, commit.sha),
                "author": signature(&commit.author), "committer": signature(&commit.committer),
                "message": commit.message, "comment_count": 0,
                "tree": {"sha": commit.tree, "url": format!("{}/git/trees/{}", links.api, commit.tree)},
                "verification": {
                    "verified": false, "reason": "unsigned", "signature": null, "payload": null,
                    "verified_at": null,
                },
            },
            "author": self.by_email(&commit.author.email),
            "committer": self.by_email(&commit.committer.email),
            "parents": parents,
        })
    }

    /// The commit of a file that was written through the contents endpoint.
    pub(crate) fn file_commit(self, repo: &Repo, commit: &GitCommit) -> Value {
        let whole = self.commit(repo, commit);
        let mut value = whole["commit"].clone();
        for field in ["sha", "node_id", "html_url", "parents"] {
            value[field] = whole[field].clone();
        }
        value
    }

    /// A commit as it stands in a push payload.
    pub(crate) fn pushed_commit(self, repo: &Repo, commit: &GitCommit) -> Value {
        let person = |who: &Signature| {
            let mut value = json!({"name": who.name, "email": who.email});
            if let Some(user) = self.model.users.values().find(|user| user.email.as_ref() == Some(&who.email)) {
                value["username"] = user.login.as_str().into();
            }
            value
        };
        json!({
            "id": commit.sha, "tree_id": commit.tree, "distinct": true, "message": commit.message,
            "timestamp": time(commit.committer.at),
            "url": format!("{}/commit/{}", self.links(repo).html, commit.sha),
            "author": person(&commit.author), "committer": person(&commit.committer),
            "added": [], "removed": [], "modified": [],
        })
    }

    fn by_email(self, email: &str) -> Value {
        let user = self.model.users.values().find(|user| user.email.as_deref() == Some(email));
        self.user_or_null(user.map(|user| user.id))
    }

    /// A ref.
    pub(crate) fn git_ref(self, repo: &Repo, name: &str, sha: &str) -> Value {
        let links = self.links(repo);
        json!({
            "ref": name, "node_id": node_id("Ref", format!("{}:{name}", repo.id)),
            "url": format!("{}/git/{name}", links.api),
            "object": {
                "type": "commit", "sha": sha, "url": format!("{}/git/commits/{sha}", links.api),
            },
        })
    }

    /// A branch in a list.
    pub(crate) fn branch(self, repo: &Repo, name: &str, sha: &str) -> Value {
        let links = self.links(repo);
        json!({
            "name": name, "protected": false,
            "commit": {"sha": sha, "url": format!("{}/commits/{sha}", links.api)},
        })
    }

    /// A file, with its content when that was read.
    pub(crate) fn content(self, repo: &Repo, at: &str, entry: &TreeEntry, bytes: Option<&[u8]>) -> Value {
        let links = self.links(repo);
        let kind = match (entry.kind.as_str(), entry.mode.as_str()) {
            ("tree", _) => "dir",
            ("commit", _) => "submodule",
            (_, "120000") => "symlink",
            _ => "file",
        };
        let url = format!("{}/contents/{}?ref={at}", links.api, entry.path);
        let kept = if kind == "dir" { "trees" } else { "blobs" };
        let git = format!("{}/git/{kept}/{}", links.api, entry.sha);
        let page = if kind == "dir" { "tree" } else { "blob" };
        let html = format!("{}/{page}/{at}/{}", links.html, entry.path);
        let download = (kind == "file").then(|| format!("{}/raw/{at}/{}", links.html, entry.path));
        let mut value = json!({
            "type": kind, "size": entry.size, "name": entry.path.rsplit('/').next(), "path": entry.path,
            "sha": entry.sha, "url": url, "git_url": git, "html_url": html, "download_url": download,
            "_links": {"self": url, "git": git, "html": html},
        });
        if let Some(bytes) = bytes {
            value["encoding"] = "base64".into();
            value["content"] = wrapped(bytes).into();
        }
        value
    }

    /// A status with its author.
    pub(crate) fn status(self, repo: &Repo, status: &Status) -> Value {
        let mut value = self.simple_status(repo, status);
        value["creator"] = self.user(status.creator);
        value
    }

    /// A check run that has ended.
    pub(crate) fn check_run(self, repo: &Repo, run: &CheckRun) -> Value {
        let links = self.links(repo);
        let api = format!("{}/check-runs/{}", links.api, run.id);
        let slug = if run.log.is_some() { "github-actions" } else { "checks-of-others" };
        let html = format!("{}/actions/runs/{}/job/{}", links.html, run.id, run.id);
        let at = time(run.ended_at);
        json!({
            "id": run.id, "node_id": node_id("CheckRun", run.id), "head_sha": run.sha, "name": run.name,
            "url": api, "html_url": html, "details_url": html, "external_id": "", "status": "completed",
            "conclusion": run.conclusion, "started_at": at, "completed_at": at, "check_suite": {"id": run.id},
            "pull_requests": [],
            "output": {
                "title": run.title, "summary": run.summary, "text": null,
                "annotations_count": run.annotations.len(), "annotations_url": format!("{api}/annotations"),
            },
            "app": {
                "id": 1, "slug": slug, "node_id": node_id("App", 1), "client_id": "Iv1.1", "owner": self.user(repo.owner),
                "name": slug, "description": null, "external_url": self.base, "html_url": format!("{}/apps/{slug}", self.base),
                "created_at": at, "updated_at": at, "permissions": {}, "events": [],
            },
        })
    }

    /// A status inside the combined one.
    pub(crate) fn simple_status(self, repo: &Repo, status: &Status) -> Value {
        json!({
            "id": status.id, "node_id": node_id("StatusContext", status.id),
            "url": format!("{}/statuses/{}", self.links(repo).api, status.sha),
            "avatar_url": format!("{}/avatars/u/{}", self.base, status.creator),
            "state": status.state, "description": status.description,
            "target_url": status.target_url, "context": status.context,
            "created_at": time(status.created_at), "updated_at": time(status.created_at),
        })
    }
}

fn signature(who: &Signature) -> Value {
    json!({"name": who.name, "email": who.email, "date": time(who.at)})
}

/// Base64 in lines of sixty, as GitHub sends it.
fn wrapped(bytes: &[u8]) -> String {
    let text = BASE64_STANDARD.encode(bytes);
    let mut lines = String::with_capacity(text.len() + text.len() / 60 + 1);
    for (place, character) in text.chars().enumerate() {
        if place > 0 && place % 60 == 0 {
            lines.push('\n');
        }
        lines.push(character);
    }
    lines.push('\n');
    lines
}
