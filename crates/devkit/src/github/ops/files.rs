//! Writing files through requests instead of a push.

use serde::Deserialize;

use super::{merge::signature, push};
use crate::github::{
    access::{At, Need},
    error::ApiError,
    forge::Forge,
    git::{CommitFiles, FileChange, RefMove, ZERO},
};

/// A file to write with one commit.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct PutFile {
    pub(crate) message: String,
    /// Base64.
    pub(crate) content: String,
    pub(crate) branch: Option<String>,
    /// The blob that is replaced; must be given for a file that exists.
    pub(crate) sha: Option<String>,
}

/// Commits files to a branch, which is made from the default branch if it does not exist.
pub(crate) async fn commit(
    forge: &Forge,
    at: &At,
    branch: &str,
    message: &str,
    files: Vec<FileChange>,
) -> Result<String, ApiError> {
    let (repo, default_branch) =
        forge.read(|view| view.repo(at, Need::Push).map(|repo| (repo.id, repo.default_branch.clone())))?;
    let name = format!("refs/heads/{branch}");
    if !forge.git.legal_ref(repo, &name).await {
        return Err(ApiError::unprocessable("Reference name is not valid"));
    }
    let refs = forge.git.refs(repo).await?;
    let before = refs.get(&name).cloned();
    let parent = before.clone().or_else(|| refs.get(&format!("refs/heads/{default_branch}")).cloned());
    let by = signature(forge, at.caller.required()?)?;
    let commit = CommitFiles { parent, files, message: message.to_owned(), by };
    let sha = forge.git.commit(repo, &commit).await?;
    let before = before.unwrap_or_else(|| ZERO.to_owned());
    push::move_refs(forge, at, vec![RefMove { name, before, after: sha.clone() }]).await?;
    Ok(sha)
}
