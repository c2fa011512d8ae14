//! Opening and changing pull requests.

use serde::Deserialize;
use serde_json::json;

use super::{field, issues, push};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::Forge,
    git::FileDiff,
    state::{Issue, Pull, Role},
};

/// A pull request to open.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct NewPull {
    pub(crate) title: Option<String>,
    pub(crate) head: String,
    pub(crate) base: String,
    pub(crate) body: Option<String>,
    pub(crate) draft: Option<bool>,
    pub(crate) maintainer_can_modify: Option<bool>,
}

/// Changes to a pull request.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct EditPull {
    pub(crate) title: Option<String>,
    #[serde(default, deserialize_with = "field::given")]
    pub(crate) body: Option<Option<String>>,
    pub(crate) state: Option<String>,
    pub(crate) base: Option<String>,
    pub(crate) maintainer_can_modify: Option<bool>,
}

fn invalid(field: &str) -> ApiError {
    ApiError::invalid("PullRequest", field, "invalid")
}

fn sentence(message: &str) -> ApiError {
    ApiError::Invalid {
        message: "Validation Failed".into(),
        errors: vec![json!({"resource": "PullRequest", "code": "custom", "message": message})],
    }
}

/// Where the head of a new pull request lies.
struct Head {
    repo: u64,
    owner: String,
    branch: String,
}

fn find_head(forge: &Forge, at: &At, head: &str) -> Result<(u64, Head), ApiError> {
    forge.read(|view| {
        let base = view.repo(at, Need::Speak)?;
        let caller = at.caller.required()?;
        let (owner, branch) = head.split_once(':').unwrap_or((at.repo.owner.as_str(), head));
        let owner = view.model.user(owner).ok_or_else(|| invalid("head"))?;
        let source = if owner.id == base.owner {
            base
        } else {
            let mut forks = view.model.repos.values();
            forks.find(|repo| repo.owner == owner.id && repo.fork_of == Some(base.id)).ok_or_else(|| invalid("head"))?
        };
        if view.model.role(Some(caller), source) < Some(Role::Write) {
            return Err(ApiError::no_right());
        }
        let head = Head { repo: source.id, owner: owner.login.clone(), branch: branch.to_owned() };
        Ok((base.id, head))
    })
}

/// Opens a pull request.
pub(crate) async fn create(forge: &Forge, at: &At, new: NewPull) -> Result<Issue, ApiError> {
    let (repo, head) = find_head(forge, at, &new.head)?;
    let title = new.title.filter(|title| !title.trim().is_empty());
    let title = title.ok_or_else(|| ApiError::invalid("PullRequest", "title", "missing_field"))?;
    let git = &forge.git;
    let head_ref = format!("refs/heads/{}", head.branch);
    let head_sha = git.ref_sha(head.repo, &head_ref).await?.ok_or_else(|| invalid("head"))?;
    let base_ref = format!("refs/heads/{}", new.base);
    let base_sha = git.ref_sha(repo, &base_ref).await?.ok_or_else(|| invalid("base"))?;
    if head.repo != repo {
        // Fetched into no ref yet: the number is only known once the row is written.
        let source = git.path(head.repo).to_string_lossy().into_owned();
        git.run(repo, &["fetch", "--quiet", "--no-write-fetch-head", &source, &head_sha]).await?;
    }
    let size = git
        .change_size(repo, &base_sha, &head_sha)
        .await
        .map_err(|_| sentence(&format!("The {} branch has no history in common with {}", head.branch, new.base)))?;
    if size.commits == 0 {
        return Err(sentence(&format!("No commits between {} and {}", new.base, head.branch)));
    }
    let issue = forge.write(|tx| {
        let author = at.caller.required()?;
        let known = tx.repo_mut(repo)?;
        let twice = known.issues.values().filter(|issue| issue.open).any(|issue| {
            issue.pull.as_ref().is_some_and(|pull| {
                pull.head_repo == head.repo && pull.head_ref == head.branch && pull.base_ref == new.base
            })
        });
        if twice {
            let name = format!("{}:{}", head.owner, head.branch);
            return Err(sentence(&format!("A pull request already exists for {name}.")));
        }
        let number = issues::open(tx, repo, author, (title, new.body))?;
        let id = tx.model.fresh_id();
        tx.issue_mut(repo, number)?.pull = Some(Pull {
            id,
            head_repo: head.repo,
            head_ref: head.branch,
            head_sha: head_sha.clone(),
            base_ref: new.base,
            base_sha,
            draft: new.draft.unwrap_or(false),
            maintainer_can_modify: new.maintainer_can_modify.unwrap_or(head.repo != repo),
            merged_at: None,
            merged_by: None,
            merge_commit_sha: None,
            size,
        });
        tx.emit_issue(repo, number, "opened", author, json!({}))?;
        tx.issue_mut(repo, number).cloned()
    })?;
    push::track(forge, (repo, issue.number), head.repo, &head_sha).await?;
    Ok(issue)
}

/// Changes a pull request.
pub(crate) async fn edit(forge: &Forge, at: &At, number: u64, edit: EditPull) -> Result<Issue, ApiError> {
    let (repo, pull) = find(forge, at, number)?;
    let mut moved = None;
    if let Some(base) = edit.base.filter(|base| *base != pull.base_ref) {
        let full = format!("refs/heads/{base}");
        let sha = forge.git.ref_sha(repo, &full).await?.ok_or_else(|| invalid("base"))?;
        let size = forge.git.change_size(repo, &sha, &pull.head_sha).await?;
        moved = Some((base, sha, size));
    }
    forge.write(|tx| {
        tx.repo(at, Need::Speak)?;
        let text =
            issues::EditIssue { title: edit.title, body: edit.body, state: edit.state, ..issues::EditIssue::default() };
        issues::edit_in(tx, at, (repo, number), text)?;
        let pull = tx.issue_mut(repo, number)?.pull.as_mut().ok_or(ApiError::NotFound)?;
        pull.maintainer_can_modify = edit.maintainer_can_modify.unwrap_or(pull.maintainer_can_modify);
        if let Some((base, sha, size)) = moved {
            let changes = json!({"changes": {"base": {
                "ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha},
            }}});
            (pull.base_ref, pull.base_sha, pull.size) = (base, sha, size);
            tx.emit_issue(repo, number, "edited", at.caller.required()?, changes)?;
        }
        tx.issue_mut(repo, number).cloned()
    })
}

/// The pull request of that number, as far as the person may look.
pub(crate) fn find(forge: &Forge, at: &At, number: u64) -> Result<(u64, Pull), ApiError> {
    forge.read(|view| {
        let repo = view.repo(at, Need::Read)?;
        let pull = repo.issues.get(&number).and_then(|issue| issue.pull.clone());
        Ok((repo.id, pull.ok_or(ApiError::NotFound)?))
    })
}

/// The two commits between which the change of a pull request lies.
pub(crate) async fn range(forge: &Forge, repo: u64, pull: &Pull) -> Result<(String, String), ApiError> {
    let start = forge.git.merge_base(repo, &pull.base_sha, &pull.head_sha).await?;
    Ok((start, pull.head_sha.clone()))
}

/// The files that a pull request changes.
pub(crate) async fn files(forge: &Forge, repo: u64, pull: &Pull) -> Result<Vec<FileDiff>, ApiError> {
    let (from, to) = range(forge, repo, pull).await?;
    Ok(forge.git.diff_files(repo, &from, &to).await?)
}

/// Can the change be merged now? None once it is closed.
pub(crate) async fn mergeable(forge: &Forge, at: &At, number: u64) -> Result<Option<bool>, ApiError> {
    let (repo, pull) = find(forge, at, number)?;
    let open = forge.read(|view| {
        view.model.repos.get(&repo).and_then(|repo| repo.issues.get(&number)).is_some_and(|issue| issue.open)
    });
    if !open {
        return Ok(None);
    }
    let Ok(base) = forge.git.resolve(repo, &pull.base_ref).await else { return Ok(Some(false)) };
    Ok(Some(forge.git.merge_tree(repo, &base, &pull.head_sha).await?.is_some()))
}
