//! What tests and the devkit do as people, in process.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    ApiError, Exchange, Knob, StandIn,
    access::{At, Caller, Need, RepoName},
    control,
    git::FileChange,
    knobs::{DeliveryFault, Fault},
    ops::{
        comments, files, hooks, issues, labels, merge, pulls,
        repos::{self, NewRepo, NewUser},
        review_comments::Anchor,
        reviews::{self, NewReview, NewReviewLine},
        statuses::{self, NewStatus},
    },
    rest,
    state::{CheckRun, Comment, Delivery, Hook, Issue, Review, ReviewComment, Role, Status, User},
};

/// A note on a line of a pull request.
#[derive(Clone, Debug)]
pub struct LineNote {
    /// File.
    pub path: String,
    /// Line on the new side.
    pub line: u64,
    /// Text.
    pub body: String,
}

impl StandIn {
    fn at(&self, login: &str, repository: &str) -> Result<At, ApiError> {
        let user = self.user(login)?.id;
        Ok(At { caller: Caller(Some(user)), repo: RepoName::parse(repository)? })
    }

    /// The account of that login.
    pub fn user(&self, login: &str) -> Result<User, ApiError> {
        self.forge.read(|view| view.model.user(login).cloned()).ok_or(ApiError::NotFound)
    }

    /// The account of that id.
    #[must_use]
    pub fn user_by_id(&self, id: u64) -> Option<User> {
        self.forge.read(|view| view.model.users.get(&id).cloned())
    }

    /// Working tokens by login.
    #[must_use]
    pub fn tokens(&self) -> BTreeMap<String, String> {
        self.forge.read(|view| {
            let working = view
                .model
                .tokens
                .iter()
                .filter(|(_, token)| !token.revoked && token.grant.is_none() && token.oauth_scopes.is_none());
            working
                .filter_map(|(value, token)| {
                    let user = view.model.users.get(&token.user)?;
                    Some((user.login.clone(), value.clone()))
                })
                .collect()
        })
    }

    /// The working token of a person.
    #[must_use]
    pub fn token(&self, login: &str) -> Option<String> {
        self.tokens().remove(login)
    }

    /// Makes an account.
    pub fn create_user(&self, new: NewUser) -> Result<User, ApiError> {
        repos::create_user(&self.forge, new)
    }

    /// Makes an empty repository and gives back its id.
    pub async fn create_repo(&self, owner: &str, new: NewRepo) -> Result<u64, ApiError> {
        repos::create(&self.forge, owner, new).await.map(|repo| repo.id)
    }

    /// The id of a repository.
    pub fn repo_id(&self, repository: &str) -> Result<u64, ApiError> {
        let name = RepoName::parse(repository)?;
        let id = self.forge.read(|view| view.model.repo(&name.owner, &name.name).map(|repo| repo.id));
        id.ok_or(ApiError::NotFound)
    }

    /// Copies a repository to a person and gives back its full name.
    pub async fn fork_repo(&self, login: &str, repository: &str) -> Result<String, ApiError> {
        let fork = repos::fork(&self.forge, &self.at(login, repository)?).await?;
        Ok(self.forge.read(|view| view.model.full_name(&fork)))
    }

    /// Gives somebody rights on a repository.
    pub fn add_collaborator(&self, repository: &str, login: &str, role: Role) -> Result<(), ApiError> {
        let at = control::as_admin(&self.forge, repository)?;
        repos::set_collaborator(&self.forge, &at, login, Some(role))
    }

    /// Makes a repository read-only, or writable again.
    pub async fn archive_repo(&self, login: &str, repository: &str, archived: bool) -> Result<(), ApiError> {
        let edit = repos::EditRepo { archived: Some(archived), ..repos::EditRepo::default() };
        repos::edit(&self.forge, &self.at(login, repository)?, edit).await.map(drop)
    }

    /// Commits files (none removes) to a branch, as a push by that person.
    pub async fn commit(
        &self,
        login: &str,
        repository: &str,
        branch: &str,
        changes: &[(&str, Option<&str>)],
    ) -> Result<String, ApiError> {
        let changes = changes
            .iter()
            .map(|(path, content)| FileChange {
                path: (*path).to_owned(),
                content: content.map(|text| text.as_bytes().to_vec()),
            })
            .collect();
        files::commit(&self.forge, &self.at(login, repository)?, branch, "Change files", changes).await
    }

    /// Branch, tag and pull request refs with their commits.
    pub async fn refs(&self, repository: &str) -> Result<BTreeMap<String, String>, ApiError> {
        Ok(self.forge.git.refs(self.repo_id(repository)?).await?)
    }

    /// The text of a file on a branch, a tag or a commit; none if there is no such file.
    pub async fn file(&self, repository: &str, at: &str, path: &str) -> Result<Option<String>, ApiError> {
        let repo = self.repo_id(repository)?;
        let commit = self.forge.git.resolve(repo, at).await?;
        let Ok(entries) = self.forge.git.tree(repo, &commit, path).await else { return Ok(None) };
        let Some(entry) = entries.first().filter(|entry| entry.path == path) else { return Ok(None) };
        let bytes = self.forge.git.blob(repo, &entry.sha).await?;
        Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
    }

    /// Opens an issue.
    pub fn create_issue(&self, login: &str, repository: &str, title: &str, body: &str) -> Result<Issue, ApiError> {
        let new = issues::NewIssue { title: title.into(), body: Some(body.into()), labels: Vec::new() };
        issues::create(&self.forge, &self.at(login, repository)?, new)
    }

    /// Puts a label on an issue or pull request.
    pub fn label_issue(&self, login: &str, repository: &str, number: u64, label: &str) -> Result<(), ApiError> {
        labels::add(&self.forge, &self.at(login, repository)?, number, vec![label.into()])
    }

    /// Puts several labels on at once.
    pub fn label_issue_with(&self, login: &str, repository: &str, number: u64, names: &[&str]) -> Result<(), ApiError> {
        let names = names.iter().map(|name| (*name).to_owned()).collect();
        labels::add(&self.forge, &self.at(login, repository)?, number, names)
    }

    /// Takes a label off.
    pub fn remove_label(&self, login: &str, repository: &str, number: u64, label: &str) -> Result<(), ApiError> {
        labels::remove(&self.forge, &self.at(login, repository)?, number, label)
    }

    /// Closes an issue or pull request.
    pub fn close_issue(&self, login: &str, repository: &str, number: u64) -> Result<Issue, ApiError> {
        self.set_state(login, repository, number, "closed")
    }

    /// Opens an issue or pull request again.
    pub fn reopen_issue(&self, login: &str, repository: &str, number: u64) -> Result<Issue, ApiError> {
        self.set_state(login, repository, number, "open")
    }

    fn set_state(&self, login: &str, repository: &str, number: u64, state: &str) -> Result<Issue, ApiError> {
        let edit = issues::EditIssue { state: Some(state.into()), ..issues::EditIssue::default() };
        issues::edit(&self.forge, &self.at(login, repository)?, number, edit)
    }

    /// Writes a comment.
    pub fn comment(&self, login: &str, repository: &str, number: u64, body: &str) -> Result<Comment, ApiError> {
        comments::create(&self.forge, &self.at(login, repository)?, number, body.into())
    }

    /// Changes a comment.
    pub fn edit_comment(&self, login: &str, repository: &str, id: u64, body: &str) -> Result<Comment, ApiError> {
        comments::edit(&self.forge, &self.at(login, repository)?, id, body.into())
    }

    /// Removes a comment.
    pub fn delete_comment(&self, login: &str, repository: &str, id: u64) -> Result<(), ApiError> {
        comments::delete(&self.forge, &self.at(login, repository)?, id)
    }

    /// Opens a pull request from a branch (`branch`, or `owner:branch` of a fork) to `main`.
    pub async fn open_pull(&self, login: &str, repository: &str, head: &str, title: &str) -> Result<Issue, ApiError> {
        let new = pulls::NewPull {
            title: Some(title.into()),
            head: head.into(),
            base: "main".into(),
            body: None,
            draft: None,
            maintainer_can_modify: None,
        };
        pulls::create(&self.forge, &self.at(login, repository)?, new).await
    }

    /// Merges a pull request and gives back the merge commit.
    pub async fn merge_pull(&self, login: &str, repository: &str, number: u64) -> Result<String, ApiError> {
        merge::merge(&self.forge, &self.at(login, repository)?, number, merge::Merge::default()).await
    }

    /// Reviews a pull request; `event` is `COMMENT`, `APPROVE` or `REQUEST_CHANGES`.
    pub async fn review(
        &self,
        login: &str,
        (repository, number): (&str, u64),
        (event, body): (&str, &str),
        notes: Vec<LineNote>,
    ) -> Result<Review, ApiError> {
        let comments = notes
            .into_iter()
            .map(|note| NewReviewLine {
                body: note.body,
                anchor: Anchor { path: note.path, line: Some(note.line), ..Anchor::default() },
            })
            .collect();
        let (event, body) = (Some(event.to_owned()), Some(body.to_owned()));
        let new = NewReview { commit_id: None, body, event, comments };
        reviews::create(&self.forge, &self.at(login, repository)?, number, new).await
    }

    fn of_repo<T>(&self, repository: &str, look: impl FnOnce(&super::state::Repo) -> T) -> Result<T, ApiError> {
        let name = RepoName::parse(repository)?;
        self.forge.read(|view| view.model.repo(&name.owner, &name.name).map(look).ok_or(ApiError::NotFound))
    }

    /// An issue or pull request.
    pub fn issue(&self, repository: &str, number: u64) -> Result<Issue, ApiError> {
        self.of_repo(repository, |repo| repo.issues.get(&number).cloned())?.ok_or(ApiError::NotFound)
    }

    /// The comments of an issue or pull request, oldest first.
    pub fn comments(&self, repository: &str, number: u64) -> Result<Vec<Comment>, ApiError> {
        self.of_repo(repository, |repo| repo.comments_of(number).cloned().collect())
    }

    /// The names of the labels on an issue or pull request.
    pub fn labels(&self, repository: &str, number: u64) -> Result<Vec<String>, ApiError> {
        self.of_repo(repository, |repo| {
            let ids = repo.issues.get(&number).map(|issue| issue.labels.as_slice()).unwrap_or_default();
            let labels = ids.iter().filter_map(|id| repo.label_by_id(*id));
            labels.map(|label| label.name.clone()).collect()
        })
    }

    /// Writes a status on a commit, as a build service does.
    pub async fn set_status(
        &self,
        login: &str,
        (repository, sha): (&str, &str),
        (context, state): (&str, &str),
        description: &str,
    ) -> Result<Status, ApiError> {
        let new = NewStatus {
            state: state.to_owned(),
            target_url: None,
            description: Some(description.to_owned()),
            context: Some(context.to_owned()),
        };
        statuses::create(&self.forge, &self.at(login, repository)?, sha, new).await
    }

    /// Has a check run of a commit end, as a build service does; gives its id. Nobody is told: a status or a suite does that.
    pub fn end_check_run(&self, repository: &str, run: CheckRun) -> Result<u64, ApiError> {
        let repo = self.of_repo(repository, |repo| repo.id)?;
        self.forge.write(|tx| {
            let run = CheckRun { id: tx.model.fresh_id(), ended_at: tx.now, ..run };
            let id = run.id;
            tx.repo_mut(repo)?.check_runs.push(run);
            Ok(id)
        })
    }

    /// All statuses ever written on a commit, oldest first.
    pub fn statuses(&self, repository: &str, sha: &str) -> Result<Vec<Status>, ApiError> {
        self.of_repo(repository, |repo| repo.statuses.iter().filter(|status| status.sha == sha).cloned().collect())
    }

    /// All pull requests, oldest first.
    pub fn pulls(&self, repository: &str) -> Result<Vec<Issue>, ApiError> {
        self.of_repo(repository, |repo| repo.issues.values().filter(|issue| issue.pull.is_some()).cloned().collect())
    }

    /// The reviews of a pull request, oldest first.
    pub fn reviews(&self, repository: &str, number: u64) -> Result<Vec<Review>, ApiError> {
        self.of_repo(repository, |repo| {
            repo.reviews.values().filter(|review| review.number == number).cloned().collect()
        })
    }

    /// The comments on lines of a pull request, oldest first.
    pub fn review_comments(&self, repository: &str, number: u64) -> Result<Vec<ReviewComment>, ApiError> {
        self.of_repo(repository, |repo| {
            repo.review_comments.values().filter(|comment| comment.number == number).cloned().collect()
        })
    }

    /// Makes a hook that sends JSON; an administrator of the repository does it.
    pub fn create_hook(&self, repository: &str, url: &str, secret: &str, events: &[&str]) -> Result<Hook, ApiError> {
        let at = control::as_admin(&self.forge, repository)?;
        let config = hooks::HookConfig {
            url: Some(url.into()),
            content_type: Some("json".into()),
            secret: Some(secret.into()),
            insecure_ssl: None,
        };
        let events = Some(events.iter().map(|event| (*event).to_owned()).collect());
        hooks::create(&self.forge, &at, hooks::NewHook { config, events, active: Some(true) })
    }

    /// The hooks of a repository.
    pub fn hooks(&self, repository: &str) -> Result<Vec<Hook>, ApiError> {
        let at = control::as_admin(&self.forge, repository)?;
        self.forge.read(|view| Ok(view.repo(&at, Need::Admin)?.hooks.values().cloned().collect()))
    }

    /// Removes a hook.
    pub fn delete_hook(&self, repository: &str, hook: u64) -> Result<(), ApiError> {
        hooks::delete(&self.forge, &control::as_admin(&self.forge, repository)?, hook)
    }

    /// Sends a delivery once more.
    pub fn redeliver(&self, repository: &str, hook: u64, delivery: u64) -> Result<(), ApiError> {
        hooks::redeliver(&self.forge, &control::as_admin(&self.forge, repository)?, hook, delivery)
    }

    /// The deliveries of a hook, oldest first; those without `delivered_at` are still on their way.
    #[must_use]
    pub fn deliveries(&self, hook: u64) -> Vec<Delivery> {
        self.forge.read(|view| view.model.deliveries.values().filter(|known| known.hook == hook).cloned().collect())
    }

    /// Waits until the state is as wanted; looks after every write and never in between.
    pub async fn wait_until(&self, wanted: impl Fn(&Self) -> bool) {
        let mut writes = self.forge.writes.subscribe();
        while !wanted(self) {
            // The sender lives in this very stand-in, so the channel can't be closed.
            if writes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Turns a knob.
    pub async fn knob(&self, knob: Knob) -> Result<(), ApiError> {
        control::turn(&self.forge, knob).await
    }

    /// The next requests that fit meet trouble.
    pub fn fail(&self, fault: Fault) {
        self.forge.knobs.add_fault(fault);
    }

    /// How many faults no request has met yet.
    #[must_use]
    pub fn faults_to_come(&self) -> usize {
        self.forge.knobs.faults_to_come()
    }

    /// The next deliveries that fit meet trouble.
    pub fn fail_deliveries(&self, fault: DeliveryFault) {
        self.forge.knobs.add_delivery_fault(fault);
    }

    /// What was asked and answered so far, if the stand-in was started with `record`.
    #[must_use]
    pub fn exchanges(&self) -> Vec<Exchange> {
        self.forge.recorder.all()
    }

    /// A repository in the form of the REST answer.
    pub fn repository_json(&self, repository: &str) -> Result<Value, ApiError> {
        let at = control::as_admin(&self.forge, repository)?;
        self.forge.read(|view| Ok(view.full_repository(view.repo(&at, Need::Read)?, at.caller.0)))
    }

    /// How many requests an hour the answers allow.
    #[must_use]
    pub fn hourly_limit(&self) -> u64 {
        rest::HOURLY_LIMIT
    }
}
