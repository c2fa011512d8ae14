//! What follows when refs moved, by a push or by a request: events, and pull requests that follow their branch.

use serde_json::{Value, json};

use crate::github::{
    access::{At, Need},
    error::ApiError,
    events::Event,
    forge::{Forge, Tx},
    git::{GitCommit, RefMove, ZERO},
    ops::{issues, merge},
    state::ChangeSize,
};

/// GitHub's limit of commits in one push payload.
const MAX_COMMITS: usize = 2048;
/// More new tags than this in one push send no event.
const MAX_TAGS: usize = 3;

/// A pull request whose head or base branch moved.
struct Follower {
    repo: u64,
    number: u64,
    base: String,
    size: ChangeSize,
    reached: bool,
}

/// Moves refs for a request and does what a push does.
pub(crate) async fn move_refs(forge: &Forge, at: &At, moves: Vec<RefMove>) -> Result<(), ApiError> {
    let (repo, actor) = forge.read(|view| Ok::<_, ApiError>((view.repo(at, Need::Push)?.id, at.caller.required()?)))?;
    let _turn = forge.git.lock(repo).await;
    for moved in &moves {
        forge
            .git
            .move_ref(repo, moved)
            .await
            .map_err(|_| ApiError::Conflict(format!("{} moved in between", moved.name)))?;
    }
    after(forge, repo, actor, moves).await
}

/// Sends the events of refs that moved.
pub(crate) async fn after(forge: &Forge, repo: u64, actor: u64, moves: Vec<RefMove>) -> Result<(), ApiError> {
    let tags = moves.iter().filter(|moved| moved.name.starts_with("refs/tags/")).count();
    for moved in moves {
        if !moved.name.starts_with("refs/tags/") || tags <= MAX_TAGS {
            emit_push(forge, repo, actor, &moved).await?;
        }
        if let Some(branch) = moved.name.strip_prefix("refs/heads/") {
            follow(forge, (repo, branch), actor, &moved).await?;
        }
    }
    Ok(())
}

async fn emit_push(forge: &Forge, repo: u64, actor: u64, moved: &RefMove) -> Result<(), ApiError> {
    let git = &forge.git;
    let commits = if moved.deleted() {
        Vec::new()
    } else if moved.created() {
        let default = forge.read(|view| view.model.repos.get(&repo).map(|repo| repo.default_branch.clone()));
        let default = format!("refs/heads/{}", default.unwrap_or_default());
        let base = git.ref_sha(repo, &default).await?.filter(|_| default != moved.name);
        match base {
            Some(base) => git.log(repo, &[&moved.after, &format!("^{base}")], MAX_COMMITS).await?,
            None => git.log(repo, &[&moved.after], MAX_COMMITS).await?,
        }
    } else {
        git.log(repo, &[&moved.after, &format!("^{}", moved.before)], MAX_COMMITS).await?
    };
    let head = match moved.deleted() {
        true => None,
        false => Some(git.commit_of(repo, &moved.after).await?),
    };
    let forced = !moved.created() && !moved.deleted() && !git.contains(repo, &moved.before, &moved.after).await;
    forge.write(|tx| {
        let now = tx.now;
        tx.repo_mut(repo)?.pushed_at = now;
        let fields = push_fields(tx, (repo, actor), moved, (&commits, head.as_ref(), forced))?;
        tx.emit(repo, Event::new("push", None, actor, fields))?;
        if moved.created() || moved.deleted() {
            emit_create_or_delete(tx, repo, actor, moved)?;
        }
        Ok(())
    })
}

fn push_fields(
    tx: &Tx<'_>,
    (repo, actor): (u64, u64),
    moved: &RefMove,
    (commits, head, forced): (&[GitCommit], Option<&GitCommit>, bool),
) -> Result<Value, ApiError> {
    let view = tx.view();
    let known = view.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
    let links = view.links(known);
    let pusher = view.model.users.get(&actor).ok_or(ApiError::NotFound)?;
    let commits: Vec<Value> = commits.iter().rev().map(|commit| view.pushed_commit(known, commit)).collect();
    let compare = match (moved.created(), moved.deleted()) {
        (true, _) => format!("{}/commits/{}", links.html, moved.name.trim_start_matches("refs/heads/")),
        (_, true) => format!("{}/compare/{}...{}", links.html, short(&moved.before), short(ZERO)),
        _ => format!("{}/compare/{}...{}", links.html, short(&moved.before), short(&moved.after)),
    };
    let mut repository = view.repository(known);
    // In this one event GitHub writes these as numbers.
    repository["created_at"] = known.created_at.timestamp().into();
    repository["pushed_at"] = known.pushed_at.timestamp().into();
    repository["master_branch"] = known.default_branch.as_str().into();
    Ok(json!({
        "ref": moved.name, "before": moved.before, "after": moved.after,
        "created": moved.created(), "deleted": moved.deleted(), "forced": forced, "base_ref": null,
        "compare": compare, "commits": commits,
        "head_commit": head.map(|commit| view.pushed_commit(known, commit)),
        "pusher": {"name": pusher.login, "email": pusher.email},
        "repository": repository,
    }))
}

fn short(sha: &str) -> &str {
    sha.get(..12).unwrap_or(sha)
}

fn emit_create_or_delete(tx: &mut Tx<'_>, repo: u64, actor: u64, moved: &RefMove) -> Result<(), ApiError> {
    let known = tx.model.repos.get(&repo).ok_or(ApiError::NotFound)?;
    let (kind, name) = match moved.name.strip_prefix("refs/heads/") {
        Some(name) => ("branch", name),
        None => ("tag", moved.name.trim_start_matches("refs/tags/")),
    };
    let mut fields = json!({"ref": name, "ref_type": kind, "pusher_type": "user"});
    if moved.created() {
        fields["master_branch"] = known.default_branch.as_str().into();
        fields["description"] = known.description.clone().into();
    }
    let event = if moved.created() { "create" } else { "delete" };
    tx.emit(repo, Event::new(event, None, actor, fields))
}

/// Lets the pull requests of a branch follow it.
async fn follow(forge: &Forge, (repo, branch): (u64, &str), actor: u64, moved: &RefMove) -> Result<(), ApiError> {
    for follower in heads(forge, repo, branch, moved).await? {
        forge.write(|tx| {
            let at = (follower.repo, follower.number);
            if moved.deleted() {
                return issues::set_open(tx, at, actor, (false, None));
            }
            let now = tx.now;
            let issue = tx.issue_mut(at.0, at.1)?;
            issue.updated_at = now;
            if let Some(pull) = &mut issue.pull {
                pull.head_sha.clone_from(&moved.after);
                pull.base_sha = follower.base;
                pull.size = follower.size;
            }
            let more = json!({"before": moved.before, "after": moved.after});
            tx.emit_issue(at.0, at.1, "synchronize", actor, more)
        })?;
    }
    for follower in bases(forge, repo, branch, moved).await?.into_iter().filter(|one| one.reached) {
        forge.write(|tx| merge::mark(tx, (follower.repo, follower.number), actor, &moved.after))?;
    }
    Ok(())
}

/// The open pull requests that come from a branch, with their size after the move.
async fn heads(forge: &Forge, repo: u64, branch: &str, moved: &RefMove) -> Result<Vec<Follower>, ApiError> {
    let open: Vec<(u64, u64, String)> = forge.read(|view| {
        let pulls = view
            .model
            .repos
            .values()
            .flat_map(|known| known.issues.values().filter(|issue| issue.open).map(move |issue| (known.id, issue)));
        pulls
            .filter_map(|(id, issue)| Some((id, issue.number, issue.pull.as_ref()?)))
            .filter(|(_, _, pull)| pull.head_repo == repo && pull.head_ref == branch)
            .map(|(id, number, pull)| (id, number, pull.base_ref.clone()))
            .collect()
    });
    let mut followers = Vec::new();
    for (base_repo, number, base_ref) in open {
        let (mut base, mut size) = (String::new(), ChangeSize::default());
        if !moved.deleted() {
            track(forge, (base_repo, number), repo, &moved.after).await?;
            base = forge.git.resolve(base_repo, &base_ref).await?;
            size = forge.git.change_size(base_repo, &base, &moved.after).await?;
        }
        followers.push(Follower { repo: base_repo, number, base, size, reached: false });
    }
    Ok(followers)
}

/// The open pull requests that go to a branch, and whether it has their commits now.
async fn bases(forge: &Forge, repo: u64, branch: &str, moved: &RefMove) -> Result<Vec<Follower>, ApiError> {
    if moved.deleted() || moved.created() {
        return Ok(Vec::new());
    }
    let open: Vec<(u64, String)> = forge.read(|view| {
        let known = view.model.repos.get(&repo);
        known
            .into_iter()
            .flat_map(|known| known.issues.values())
            .filter(|issue| issue.open)
            .filter_map(|issue| Some((issue.number, issue.pull.as_ref()?)))
            .filter(|(_, pull)| pull.base_ref == branch)
            .map(|(number, pull)| (number, pull.head_sha.clone()))
            .collect()
    });
    let mut followers = Vec::new();
    for (number, head) in open {
        let reached = forge.git.contains(repo, &head, &moved.after).await;
        let (base, size) = (String::new(), ChangeSize::default());
        followers.push(Follower { repo, number, base, size, reached });
    }
    Ok(followers)
}

/// Keeps the head of a pull request reachable in the repository it goes to.
pub(crate) async fn track(
    forge: &Forge,
    (repo, number): (u64, u64),
    head_repo: u64,
    sha: &str,
) -> Result<(), ApiError> {
    let name = format!("refs/pull/{number}/head");
    if head_repo == repo {
        forge.git.run(repo, &["update-ref", &name, sha]).await?;
    } else {
        let source = forge.git.path(head_repo).to_string_lossy().into_owned();
        forge.git.run(repo, &["fetch", "--quiet", &source, &format!("+{sha}:{name}")]).await?;
    }
    Ok(())
}
