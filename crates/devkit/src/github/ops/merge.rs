//! Merging pull requests.

use serde::Deserialize;
use serde_json::json;

use super::{pulls, push};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::{Forge, Tx},
    git::{RefMove, Signature},
};

/// How to merge.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Merge {
    pub(crate) commit_title: Option<String>,
    pub(crate) commit_message: Option<String>,
    pub(crate) sha: Option<String>,
}

/// Merges a pull request with a merge commit and gives back its id.
pub(crate) async fn merge(forge: &Forge, at: &At, number: u64, merge: Merge) -> Result<String, ApiError> {
    let (repo, pull) = pulls::find(forge, at, number)?;
    let actor = at.caller.required()?;
    forge.read(|view| view.repo(at, Need::Push).map(drop))?;
    if merge.sha.is_some_and(|sha| sha != pull.head_sha) {
        return Err(ApiError::Conflict("Head branch was modified. Review and try the merge again.".into()));
    }
    let not_mergeable = || ApiError::NotMergeable("Pull Request is not mergeable".into());
    if pulls::mergeable(forge, at, number).await? != Some(true) {
        return Err(not_mergeable());
    }
    let base = forge.git.resolve(repo, &pull.base_ref).await?;
    let tree = forge.git.merge_tree(repo, &base, &pull.head_sha).await?.ok_or_else(not_mergeable)?;
    let title = merge.commit_title.unwrap_or_else(|| format!("Merge pull request #{number} from {}", pull.head_ref));
    let message = merge.commit_message.map_or(title.clone(), |text| format!("{title}\n\n{text}"));
    let by = signature(forge, actor)?;
    let parents = [base.as_str(), pull.head_sha.as_str()];
    let sha = forge.git.commit_tree(repo, &tree, &parents, &message, &by).await?;
    let moved = RefMove { name: format!("refs/heads/{}", pull.base_ref), before: base, after: sha.clone() };
    // The branch now has the commits of the pull request, so the push closes it as merged.
    push::move_refs(forge, at, vec![moved]).await?;
    Ok(sha)
}

/// Marks a pull request whose commits have reached its base.
pub(crate) fn mark(tx: &mut Tx<'_>, (repo, number): (u64, u64), actor: u64, sha: &str) -> Result<(), ApiError> {
    let now = tx.now;
    let issue = tx.issue_mut(repo, number)?;
    if !issue.open {
        return Ok(());
    }
    issue.open = false;
    issue.updated_at = now;
    issue.closed_at = Some(now);
    issue.closed_by = Some(actor);
    if let Some(pull) = &mut issue.pull {
        pull.merged_at = Some(now);
        pull.merged_by = Some(actor);
        pull.merge_commit_sha = Some(sha.to_owned());
    }
    tx.emit_issue(repo, number, "closed", actor, json!({}))
}

/// The name under which a person commits.
pub(crate) fn signature(forge: &Forge, user: u64) -> Result<Signature, ApiError> {
    let at = forge.clock.now();
    forge.read(|view| {
        let user = view.model.users.get(&user).ok_or(ApiError::NotFound)?;
        Ok(Signature {
            name: user.name.clone().unwrap_or_else(|| user.login.clone()),
            email: user.email.clone().unwrap_or_default(),
            at,
        })
    })
}
